"""Measures the meta-gradient's signal-to-noise ratio and the batch size at which it reaches one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call, grad, vmap

from mts_core.axes import PerSample
from mts_core.meta_input import WeightNetwork
from mts_core.meta_network import score_from_logit, score_slope

SMALLEST_GROUP_COUNT: Final = 4
"""Fewest disjoint sub-batches from which a variance is taken."""

_ROWS_AT_ONCE: Final = 512
_RESAMPLES: Final = 2000
_CONFIDENCE: Final = 0.95
_SMALLEST_SAMPLE: Final = 2
_MOST_BLOCKS: Final = 64


@dataclass(frozen=True)
class MetaSample:
    """What the meta-gradient of any sub-batch can be put together from.

    Attributes:
        scalars: ``[sample, column]`` scalar columns that the meta-network sees.
        labels: ``[sample]`` int64.
        is_real: ``[sample]`` bool.
        alignment: ``[sample]`` inner products with the reference gradient.
    """

    scalars: Tensor
    labels: Tensor
    is_real: Tensor
    alignment: Tensor


@dataclass(frozen=True)
class Ladder:
    """The batch sizes at which the GSNR is measured.

    Attributes:
        batch_sizes: Sizes that leave at least four disjoint sub-batches each.
        partitions: Random partitions over which signal and noise are averaged.
    """

    batch_sizes: tuple[int, ...]
    partitions: int


@dataclass(frozen=True)
class GsnrRung:
    """Signal and noise of the meta-gradient at one batch size.

    Attributes:
        batch_size: Samples in a sub-batch.
        signal: Estimate of ``|E g|^2``, averaged over partitions; unbiased, so it may be negative.
        noise: Estimate of ``tr Cov(g)``, averaged over partitions.
    """

    batch_size: int
    signal: float
    noise: float

    @property
    def ratio(self) -> float:
        """The GSNR; not clipped, since the mean of clipped ratios is above zero for pure noise."""
        return self.signal / self.noise if self.noise > 0 else 0.0


@dataclass(frozen=True)
class GsnrHistory:
    """All measurements of a run; the ladder grows where the run's batches do.

    Attributes:
        steps: ``[measurement]`` int64.
        batch_sizes: ``[rung]`` int64.
        signals: ``[measurement, rung]`` float64; NaN where a rung was not measured.
        noises: ``[measurement, rung]`` float64; the same.
    """

    steps: NDArray[np.int64]
    batch_sizes: NDArray[np.int64]
    signals: NDArray[np.float64]
    noises: NDArray[np.float64]


@dataclass(frozen=True)
class CriticalBatchSize:
    """The batch size at which the GSNR is one.

    Attributes:
        value: Samples; None where no signal was found or nothing was measured.
        ci95: Bounds of the 95 % interval in samples; an upper bound of None is unbounded, and both
            are None where fewer than two measurements were made.
        is_extrapolated: Whether the value lies outside the batch sizes that were measured.
    """

    value: float | None
    ci95: tuple[float | None, float | None]
    is_extrapolated: bool


def measurable_batch_sizes(ladder: Sequence[int], sample_count: int) -> tuple[int, ...]:
    """Return the rungs of a ladder that leave enough disjoint sub-batches for a variance."""
    return tuple(size for size in ladder if sample_count // size >= SMALLEST_GROUP_COUNT)


def gsnr_ladder(
    meta_network: WeightNetwork,
    sample: MetaSample,
    *,
    floor: float,
    ladder: Ladder,
    generator: torch.Generator,
) -> list[GsnrRung]:
    """Return signal and noise of the meta-gradient for each batch size.

    For each size, the samples are cut at random into K disjoint sub-batches, and each gives one
    meta-gradient ``G_k = (1 / S_k) sum_i slope_i (a_i - abar_k) J_i``. The virtual step's length is
    left out, since it cancels in the ratio. Costs one per-sample gradient of the meta-network and
    one product of all sub-batches with it.

    Args:
        meta_network: The network whose gradient is measured.
        sample: Features and alignments of the samples at hand.
        floor: Score floor f.
        ladder: Batch sizes and how often each is drawn.
        generator: CPU generator of the partitions.

    Source: [du2026difficulty], GSNR; docs/mathematics.md, "Signal-to-noise ratio".
    Deviation: online features keep the standardisation of the whole batch in every sub-batch.
    """
    coefficients = _group_coefficients(
        meta_network, sample, floor, _draw_groups(sample, ladder, generator)
    )
    gradients = _group_gradients(meta_network, sample, coefficients)
    rungs = []
    start = 0
    for size in ladder.batch_sizes:
        group_count = sample.labels.shape[0] // size
        stop = start + ladder.partitions * group_count
        drawn = gradients[start:stop].view(ladder.partitions, group_count, -1)
        signal, noise = signal_and_noise(drawn)
        rungs.append(GsnrRung(size, float(signal.mean()), float(noise.mean())))
        start = stop
    return rungs


def signal_and_noise(gradients: Tensor) -> tuple[Tensor, Tensor]:
    """Return unbiased estimates of ``|E g|^2`` and ``tr Cov(g)`` for each partition.

    Args:
        gradients: ``[partition, group, parameter]``, independent within a partition.

    Returns:
        Signal and noise, each ``[partition]`` float64.
    """
    group_count = gradients.shape[1]
    mean = gradients.mean(dim=1)
    deviations = gradients - mean.unsqueeze(1)
    noise = deviations.double().square().sum(dim=(1, 2)) / (group_count - 1)
    # The squared mean of K noisy gradients holds 1 / K of the noise, which is taken off.
    signal = mean.double().square().sum(dim=1) - noise / group_count
    return signal, noise


def critical_batch_size(history: GsnrHistory, *, seed: int = 0) -> CriticalBatchSize:
    """Return the batch size at which the GSNR reaches one, with a bootstrap interval.

    Each measurement gives one ratio for a batch of one sample: signal and noise are averaged over
    partitions and rungs, with the noise of a batch taken as inversely proportional to its size,
    and then divided. The ratios are averaged over the run unclipped, so that pure noise averages to
    zero, and every step counts alike however large its gradient.

    Args:
        history: All measurements of a run.
        seed: Seed of the bootstrap over blocks of measurements.

    Source: docs/mathematics.md, "Critical batch size".
    """
    if history.signals.size == 0:
        return CriticalBatchSize(None, (None, None), is_extrapolated=False)
    noises = np.nanmean(history.noises * history.batch_sizes, axis=1)
    ratios = np.nanmean(history.signals, axis=1) / np.where(noises > 0, noises, np.inf)
    value = _inverse(float(ratios.mean()))
    sizes = history.batch_sizes
    is_extrapolated = value is not None and not sizes.min() <= value <= sizes.max()
    interval = _bootstrap_interval(ratios, np.random.default_rng(seed))
    return CriticalBatchSize(value, interval, is_extrapolated=is_extrapolated)


def ratio_of_one(rungs: Sequence[GsnrRung]) -> float:
    """Return the GSNR of a batch of one sample that fits all rungs of a measurement."""
    signal = np.mean([rung.signal for rung in rungs])
    noise_of_one = np.mean([rung.noise * rung.batch_size for rung in rungs])
    return float(signal / noise_of_one) if noise_of_one > 0 else 0.0


def recent_critical_batch_size(measurements: Sequence[Sequence[GsnrRung]]) -> float | None:
    """Return the critical batch size over a few measurements, or None where no signal is seen."""
    return _inverse(float(np.mean([ratio_of_one(rungs) for rungs in measurements])))


def _bootstrap_interval(
    ratios: NDArray[np.float64], generator: np.random.Generator
) -> tuple[float | None, float | None]:
    if ratios.shape[0] < _SMALLEST_SAMPLE:
        return None, None
    # Neighbouring measurements resemble each other, so blocks are drawn where there are many.
    blocks = _block_means(ratios)
    drawn = generator.integers(0, blocks.shape[0], size=(_RESAMPLES, blocks.shape[0]))
    # The ratio is continuous where the signal passes through zero; its inverse is not.
    means = blocks[drawn].mean(axis=1)
    low, high = np.quantile(means, [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2])
    return _inverse(float(high)), _inverse(float(low))


def _block_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    blocks = np.array_split(values, min(_MOST_BLOCKS, values.shape[0]))
    return np.array([block.mean() for block in blocks])


def _inverse(ratio: float) -> float | None:
    return 1.0 / ratio if ratio > 0 else None


def _draw_groups(sample: MetaSample, ladder: Ladder, generator: torch.Generator) -> list[Tensor]:
    count = sample.labels.shape[0]
    groups: list[Tensor] = []
    for size in ladder.batch_sizes:
        for _ in range(ladder.partitions):
            order = torch.randperm(count, generator=generator).to(sample.labels.device)
            groups += list(torch.split(order[: count // size * size], size))
    return groups


def _group_coefficients(
    meta_network: WeightNetwork, sample: MetaSample, floor: float, groups: Sequence[Tensor]
) -> Tensor:
    """Return how much each sample's Jacobian adds to each group's meta-gradient."""
    with torch.no_grad():
        logits = meta_network(sample.scalars, sample.labels, sample.is_real)
        weights, slopes = score_from_logit(logits, floor), score_slope(logits, floor)
        rows = torch.zeros(len(groups), logits.shape[0], dtype=logits.dtype, device=logits.device)
        for row, group in enumerate(groups):
            rows[row, group] = _coefficients(weights[group], slopes[group], sample.alignment[group])
    return rows


def _coefficients(weights: PerSample, slopes: PerSample, alignment: PerSample) -> PerSample:
    total = weights.sum()
    return slopes * (alignment - (weights * alignment).sum() / total) / total


def _group_gradients(
    meta_network: WeightNetwork, sample: MetaSample, coefficients: Tensor
) -> Tensor:
    parameters = {name: value.detach() for name, value in meta_network.named_parameters()}

    def logit(values: dict[str, Tensor], scalars: Tensor, label: Tensor, is_real: Tensor) -> Tensor:
        inputs = (scalars.unsqueeze(0), label.unsqueeze(0), is_real.unsqueeze(0))
        logits: Tensor = functional_call(meta_network, values, inputs)
        return logits.squeeze(0)

    jacobian = vmap(grad(logit), in_dims=(None, 0, 0, 0))
    total: Tensor | None = None
    for start in range(0, sample.labels.shape[0], _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        by_name = jacobian(
            parameters, sample.scalars[rows], sample.labels[rows], sample.is_real[rows]
        )
        columns = torch.cat([value.flatten(1) for value in by_name.values()], dim=1)
        part: Tensor = coefficients[:, rows] @ columns
        total = part if total is None else total + part
    if total is None:
        raise ValueError("A ratio of signal to noise needs at least one sample.")
    return total
