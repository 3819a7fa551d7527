"""Cuts a pool down to the samples to keep: by fraction, count, threshold or suggestion."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mts_core.errors import ConfigError


@dataclass(frozen=True)
class TopFraction:
    """Keeps a share of the pool with the highest scores.

    Attributes:
        fraction: Share to keep, in (0, 1].
        is_balanced: Whether each class keeps that share of its own samples.
    """

    fraction: float
    is_balanced: bool = False

    def __post_init__(self) -> None:
        """Refuse a share outside (0, 1]."""
        if not 0 < self.fraction <= 1:
            raise ConfigError(
                f"A fraction must lie above 0 and up to 1, not {self.fraction!r}.", field="fraction"
            )


@dataclass(frozen=True)
class TopCount:
    """Keeps a number of samples with the highest scores.

    Attributes:
        count: Samples to keep; a larger number than the pool's keeps all.
        is_balanced: Whether the number is shared among the classes in proportion to their size.
    """

    count: int
    is_balanced: bool = False

    def __post_init__(self) -> None:
        """Refuse a count below one."""
        if self.count < 1:
            raise ConfigError(f"A count must be at least 1, not {self.count!r}.", field="count")


@dataclass(frozen=True)
class Threshold:
    """Keeps the samples whose score reaches a value.

    Attributes:
        score: Lowest score that is kept, in [0, 1].
        is_balanced: Whether every class then keeps the share that the whole pool would keep.
    """

    score: float
    is_balanced: bool = False

    def __post_init__(self) -> None:
        """Refuse a score outside [0, 1]."""
        if not 0 <= self.score <= 1:
            raise ConfigError(
                f"A threshold must lie between 0 and 1, not {self.score!r}.", field="score"
            )


SelectionRule = TopFraction | TopCount | Threshold
"""A rule for a cut; the suggested cut is a `TopFraction` that the reference set chose."""


def rank_scores(scores: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return each sample's rank, 0 for the highest score; ties keep the order of the pool.

    Args:
        scores: [sample] float.

    Returns:
        [sample] int64, a permutation of the positions.
    """
    order = np.argsort(-scores, kind="stable")
    ranks = np.empty(len(scores), dtype=np.int64)
    ranks[order] = np.arange(len(scores))
    return ranks


def select(
    scores: NDArray[np.floating], labels: NDArray[np.int64], rule: SelectionRule
) -> NDArray[np.bool_]:
    """Return which samples a rule keeps.

    A cut by rank keeps the budget exactly, whatever the ties; a threshold keeps all equal scores.

    Args:
        scores: [sample] float.
        labels: [sample] int64; read by balanced rules alone.
        rule: What to keep.

    Returns:
        [sample] bool.
    """
    if isinstance(rule, Threshold) and not rule.is_balanced:
        return np.asarray(scores >= rule.score)
    budget = _budget(scores, rule)
    if not rule.is_balanced:
        return rank_scores(scores) < budget
    keep = np.zeros(len(scores), dtype=np.bool_)
    for class_index, share in _class_budgets(labels, budget).items():
        members = np.flatnonzero(labels == class_index)
        keep[members] = rank_scores(scores[members]) < share
    return keep


def _budget(scores: NDArray[np.floating], rule: SelectionRule) -> int:
    size = len(scores)
    if isinstance(rule, TopCount):
        return min(rule.count, size)
    if isinstance(rule, Threshold):
        return int((scores >= rule.score).sum())
    # Rounding half up and keeping at least one sample: an empty selection trains nothing.
    return min(size, max(1, int(np.floor(rule.fraction * size + 0.5))))


def _class_budgets(labels: NDArray[np.int64], budget: int) -> dict[int, int]:
    """Return each class's share of a budget by largest remainders, so that the sum is exact."""
    classes, counts = np.unique(labels, return_counts=True)
    exact = counts * (budget / len(labels))
    shares = np.floor(exact).astype(np.int64)
    order = np.argsort(shares - exact, kind="stable")
    shares[order[: budget - int(shares.sum())]] += 1
    return {int(index): int(share) for index, share in zip(classes, shares, strict=True)}
