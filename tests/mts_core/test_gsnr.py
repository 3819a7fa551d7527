"""Sets the measured signal-to-noise ratio against cases whose ratio is known."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from mts_core.gsnr import (
    GsnrHistory,
    GsnrRung,
    Ladder,
    MetaSample,
    critical_batch_size,
    gsnr_ladder,
    measurable_batch_sizes,
    ratio_of_one,
    recent_critical_batch_size,
    signal_and_noise,
)
from mts_core.meta_gradient import meta_gradient
from mts_core.meta_network import MetaNetwork, score_from_logit

FLOOR = 0.05


def draw_sample(generator: torch.Generator, count: int, class_count: int = 3) -> MetaSample:
    scalars = torch.randn(count, 17, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, class_count, (count,), generator=generator)
    is_real = torch.rand(count, generator=generator) < 0.2
    alignment = torch.randn(count, generator=generator, dtype=torch.float64)
    return MetaSample(scalars, labels, is_real, alignment)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return mean and half-width of four standard errors, missed once in ten thousand draws."""
    values = np.asarray(values)
    return values.mean(), 4 * values.std(ddof=1) / np.sqrt(len(values))


def test_group_gradients_are_the_meta_gradients_of_the_groups(generator: torch.Generator) -> None:
    sample = draw_sample(generator, 16)
    network = MetaNetwork(3, 17, generator).double()
    rungs = gsnr_ladder(
        network,
        sample,
        floor=FLOOR,
        ladder=Ladder((4,), 1),
        generator=torch.Generator().manual_seed(5),
    )
    order = torch.randperm(16, generator=torch.Generator().manual_seed(5))
    gradients = []
    for group in order.split(4):
        logits = network(sample.scalars[group], sample.labels[group], sample.is_real[group])
        parts = meta_gradient(
            score_from_logit(logits, FLOOR),
            sample.alignment[group],
            step_scale=1.0,
            parameters=list(network.parameters()),
        )
        gradients.append(torch.cat([part.flatten() for part in parts]))
    signal, noise = signal_and_noise(torch.stack(gradients).unsqueeze(0))
    # The same sums in another order.
    assert rungs[0].signal == pytest.approx(float(signal), rel=1e-9, abs=1e-15)
    assert rungs[0].noise == pytest.approx(float(noise), rel=1e-9)


def test_estimates_are_unbiased_for_gaussian_gradients(generator: torch.Generator) -> None:
    mean = torch.full((5,), 0.3, dtype=torch.float64)
    noise = torch.randn(4000, 6, 5, generator=generator, dtype=torch.float64)
    signals, noises = signal_and_noise(mean + 2.0 * noise)
    centre, width = interval(signals.numpy())
    assert abs(centre - 5 * 0.3**2) < width
    centre, width = interval(noises.numpy())
    assert abs(centre - 5 * 2.0**2) < width


def test_pure_noise_reads_zero_within_its_interval(generator: torch.Generator) -> None:
    network = MetaNetwork(3, 17, generator).double()
    history = [
        gsnr_ladder(
            network,
            draw_sample(generator, 128),
            floor=FLOOR,
            ladder=Ladder((8, 16, 32), 2),
            generator=generator,
        )
        for _ in range(40)
    ]
    centre, width = interval([ratio_of_one(rungs) for rungs in history])
    assert abs(centre) < width
    found = critical_batch_size(history_of(history))
    assert found.ci95[1] is None, "an interval around no signal has no upper bound"


def test_known_ratio_is_recovered() -> None:
    # With equal weights and a = beta J_1 + e, the meta-gradient of a batch is a sample covariance,
    # whose mean and variance have a closed form for Gaussian variables.
    generator = torch.Generator().manual_seed(3)
    beta, dimension, size = 0.5, 4, 16
    variance = beta**2 + 1.0
    expected = (size - 1) * beta**2 / (dimension * variance + beta**2)
    signals, noises = [], []
    for _ in range(400):
        jacobian = torch.randn(8, size, dimension, generator=generator, dtype=torch.float64)
        alignment = beta * jacobian[:, :, 0] + torch.randn(
            8, size, generator=generator, dtype=torch.float64
        )
        centred = alignment - alignment.mean(dim=1, keepdim=True)
        gradients = (centred.unsqueeze(2) * jacobian).mean(dim=1)
        signal, noise = signal_and_noise(gradients.unsqueeze(0))
        signals.append(float(signal))
        noises.append(float(noise))
    # 400 draws of eight groups leave about five percent of noise in the ratio.
    assert np.mean(signals) / np.mean(noises) == pytest.approx(expected, rel=0.15)


def test_ratio_grows_linearly_with_the_batch(generator: torch.Generator) -> None:
    network = MetaNetwork(3, 17, generator).double()
    history = []
    for _ in range(30):
        sample = draw_sample(generator, 256)
        aligned = MetaSample(
            sample.scalars,
            sample.labels,
            sample.is_real,
            sample.scalars[:, 0] + sample.alignment,
        )
        history.append(
            gsnr_ladder(
                network,
                aligned,
                floor=FLOOR,
                ladder=Ladder((16, 64), 2),
                generator=generator,
            )
        )
    ratios = [
        np.mean([rungs[place].signal for rungs in history])
        / np.mean([rungs[place].noise for rungs in history])
        for place in (0, 1)
    ]
    # Normalisation within small sub-batches and thirty draws leave some percent.
    assert ratios[1] / ratios[0] == pytest.approx(4.0, rel=0.25)


def history_of(measurements: list[list[GsnrRung]]) -> GsnrHistory:
    return GsnrHistory(
        steps=np.arange(len(measurements)),
        batch_sizes=np.array([rung.batch_size for rung in measurements[0]]),
        signals=np.array([[rung.signal for rung in rungs] for rungs in measurements]),
        noises=np.array([[rung.noise for rung in rungs] for rungs in measurements]),
    )


def test_critical_batch_size_is_where_the_ratio_is_one() -> None:
    # Noise falls as 1 / b, so a ratio of 0.25 at 32 reaches one at 128.
    measurements = [[GsnrRung(32, 0.25, 1.0), GsnrRung(64, 0.25, 0.5)] for _ in range(5)]
    found = critical_batch_size(history_of(measurements))
    assert found.value == pytest.approx(128)
    assert found.ci95 == (pytest.approx(128), pytest.approx(128))
    assert found.is_extrapolated
    assert recent_critical_batch_size(measurements) == pytest.approx(128)


def test_interval_of_the_critical_batch_size_covers_the_truth() -> None:
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(100):
        signals = 0.25 + 0.2 * generator.standard_normal(40)
        found = critical_batch_size(history_of([[GsnrRung(32, value, 1.0)] for value in signals]))
        low, high = found.ci95
        covered += low is not None and low <= 128 and (high is None or high >= 128)
    # A 95 % interval misses more than twelve times in a hundred once in about a thousand.
    assert covered >= 88


def test_no_signal_has_no_critical_batch_size() -> None:
    measurements = [[GsnrRung(32, -0.1, 1.0)], [GsnrRung(32, 0.05, 1.0)]]
    assert critical_batch_size(history_of(measurements)).value is None


def test_nothing_measured_has_no_critical_batch_size() -> None:
    empty = np.zeros((0, 0))
    found = critical_batch_size(
        GsnrHistory(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), empty, empty)
    )
    assert found.value is None
    assert found.ci95 == (None, None)


def test_rungs_without_four_sub_batches_are_not_measured() -> None:
    assert measurable_batch_sizes((32, 64, 128), 300) == (32, 64)
