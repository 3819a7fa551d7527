from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import approx_fprime, minimize_scalar
from scipy.special import log_softmax

from mts_core.posterior_pooling import fit_pooling_exponents, pool_log_probabilities

Opinion = NDArray[np.float64]
CLASSES = 4
COUNT = 60
PENALTY = 0.02

# The search stops at a gradient of 1e-5 or at a relative gain of 2e-9, which in a valley of this
# curvature is a gradient of some 1e-4.
STATIONARY = 5e-4


def _labels() -> NDArray[np.int64]:
    return np.arange(COUNT) % CLASSES


def _informed(strength: float, seed: int) -> Opinion:
    """Return an opinion that leans towards the right class by so much, in nats, amid noise."""
    logits = np.random.default_rng(seed).normal(size=(COUNT, CLASSES))
    logits[np.arange(COUNT), _labels()] += strength
    return np.asarray(log_softmax(logits, axis=1))


def _cost(logs: NDArray[np.float64], opinions: Sequence[Opinion]) -> float:
    """Return what the exponents are to minimise, written out sample by sample."""
    losses = []
    for sample, label in enumerate(_labels()):
        product = np.ones(CLASSES)
        for log_exponent, opinion in zip(logs, opinions, strict=True):
            product *= np.exp(opinion[sample]) ** np.exp(log_exponent)
        losses.append(-np.log(product[label] / product.sum()))
    strain = sum((value + np.log(len(opinions))) ** 2 for value in logs)
    return float(np.mean(losses) + PENALTY * strain)


@given(strengths=st.lists(st.floats(0.0, 4.0), min_size=1, max_size=4), seed=st.integers(0, 10_000))
def test_no_small_step_lowers_the_penalised_loss(strengths: list[float], seed: int) -> None:
    opinions = [_informed(strength, seed + place) for place, strength in enumerate(strengths)]
    found = np.log(fit_pooling_exponents(opinions, _labels()))
    assert np.abs(approx_fprime(found, _cost, 1e-6, opinions)).max() < STATIONARY


@pytest.mark.parametrize("factor", [0.25, 4.0])
def test_one_opinion_alone_is_sharpened_or_softened_as_the_reference_set_asks(
    factor: float,
) -> None:
    opinion = np.asarray(log_softmax(factor * _informed(2.0, seed=0), axis=1))
    (exponent,) = fit_pooling_exponents([opinion], _labels())
    best = minimize_scalar(lambda log: _cost(np.array([log]), [opinion]), bounds=(-5, 5))
    assert exponent == pytest.approx(np.exp(best.x), rel=1e-2)
    assert (exponent > 1) == (factor < 1)


def test_an_opinion_of_noise_counts_for_little() -> None:
    opinions = [_informed(3.0, seed=0), 3.0 * _informed(0.0, seed=1)]
    informed, noise = fit_pooling_exponents(opinions, _labels())
    assert noise < 0.2 * informed


# Without a say in any class it can do no harm, so that only the penalty speaks of its exponent.
def test_a_uniform_opinion_keeps_its_share_and_changes_nothing() -> None:
    informed, uniform = _informed(2.0, seed=0), np.full((COUNT, CLASSES), -np.log(CLASSES))
    exponents = fit_pooling_exponents([informed, uniform], _labels())
    assert exponents[1] == pytest.approx(0.5, abs=1e-4)
    alone = log_softmax(exponents[0] * informed, axis=1)
    assert np.allclose(pool_log_probabilities([informed, uniform], exponents), alone, atol=1e-12)


def test_equal_opinions_get_equal_exponents() -> None:
    opinion = _informed(1.5, seed=0)
    one, other = fit_pooling_exponents([opinion, opinion], _labels())
    assert one == pytest.approx(other, rel=1e-6)


def test_a_handful_of_samples_cannot_silence_an_opinion() -> None:
    right, wrong = _informed(8.0, seed=0)[:4], _informed(0.0, seed=1)[:4]
    exponents = fit_pooling_exponents([right, wrong], _labels()[:4])
    # At the bound the penalty alone would cost more than all that silence could gain.
    gain = -float(
        pool_log_probabilities([right, wrong], np.full(2, 0.5))[range(4), range(4)].mean()
    )
    assert np.log(exponents * 2).max() <= np.sqrt(gain / PENALTY)
    assert np.log(exponents * 2).min() >= -np.sqrt(gain / PENALTY)


@given(seed=st.integers(0, 10_000))
def test_pooled_probabilities_are_the_normalised_product(seed: int) -> None:
    generator = np.random.default_rng(seed)
    opinions = [_informed(1.0, seed), _informed(0.5, seed + 1)]
    exponents = generator.uniform(0.1, 2.0, 2)
    product = np.exp(opinions[0]) ** exponents[0] * np.exp(opinions[1]) ** exponents[1]
    expected = product / product.sum(axis=1, keepdims=True)
    assert np.allclose(np.exp(pool_log_probabilities(opinions, exponents)), expected, atol=1e-12)
