"""Estimates how much more frequent each class is where the classifier is used than in the pool."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, softmax

_STRENGTHS: Final = (1.0, 10.0, 100.0)
"""Imagined reference samples a class, by which a prior holds the shares near its own."""
_MOST: Final = 10.0
"""Factor that no class exceeds: a handful of samples cannot stand for a frequent class."""


def label_shift_factors(
    pool_labels: NDArray[np.int64], reference_labels: NDArray[np.int64], class_count: int
) -> NDArray[np.float64]:
    """Return each class's expected share over its share of the pool, [class] float64, at most 10.

    A reference set is drawn as classes occur, like the pool perhaps, or with as many samples of
    each class. Its counts are held against Dirichlet priors around the pool's shares and around
    equal ones, each of three strengths; expected is the mean of all posteriors, weighted by how
    probable the counts are under each. A few samples that might be drawn like the pool thus change
    little, and an even reference set asks for an even pool.

    Args:
        pool_labels: [sample] int64, some of them wrong.
        reference_labels: [reference] int64.
        class_count: Number of classes.

    Source: [lipton2018detecting] for weights under a label shift, of which the shares that are
    shifted to are known here; [minka2000estimating] for the probability of counts.
    """
    pool = np.bincount(pool_labels, minlength=class_count)
    reference = np.bincount(reference_labels, minlength=class_count)
    if np.array_equal(reference * pool.sum(), pool * reference.sum()):
        return np.ones(class_count)
    # One more than there are: a class without a pool sample may still occur.
    like_pool = (pool + 1.0) / (pool + 1.0).sum()
    even = np.full(class_count, 1.0 / class_count)
    priors = [
        strength * class_count * shares for shares in (like_pool, even) for strength in _STRENGTHS
    ]
    weights = softmax([_log_evidence(reference, prior) for prior in priors])
    expected = sum(
        weight * (reference + prior) / (reference + prior).sum()
        for weight, prior in zip(weights, priors, strict=True)
    )
    factors = expected * pool.sum() / np.maximum(pool, 1)
    return np.asarray(np.minimum(factors, _MOST))


def _log_evidence(counts: NDArray[np.int64], prior: NDArray[np.float64]) -> float:
    """Return the log probability of classes drawn one by one, but for a term that all share."""
    gained = gammaln(prior + counts) - gammaln(prior)
    return float(gammaln(prior.sum()) - gammaln(prior.sum() + counts.sum()) + gained.sum())
