"""Lists the rows of the before and after table: which pool samples each method trains on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from mts_core.feature_table import OFFLINE_FEATURE_NAMES
from mts_core.seeds import derive_seed
from mts_core.selection import TopFraction, select


class Baseline(StrEnum):
    """A row of the table that the job's own method has no part in."""

    NO_SELECTION = "no_selection"
    REFERENCE_ONLY = "reference_only"
    RANDOM = "random"
    EL2N = "el2n"
    COSINE = "cosine"


def weighted_row(method: str) -> str:
    """Return the name of the row whose weights are a method's scores."""
    return f"{method}_weighted"


def selected_row(method: str) -> str:
    """Return the name of the row that keeps what a method scores highest."""
    return f"{method}_selected"


@dataclass(frozen=True, eq=False)
class Row:
    """One method of the table, with the variants that cross-validation chooses from.

    Attributes:
        method: Name of the row.
        ranking: [sample] float32, not negative where it is used as weights.
        fractions: Shares of the pool to keep, the highest of the ranking first; empty where the row
            uses its ranking as weights.
        exponents: Powers that the ranking is raised to before it is used as weights.
        is_balanced: Whether cuts keep the same share of every class.
    """

    method: str
    ranking: NDArray[np.float32]
    fractions: tuple[float, ...] = ()
    exponents: tuple[float, ...] = (1.0,)
    is_balanced: bool = False

    @property
    def candidate_count(self) -> int:
        """Number of variants to choose from."""
        return len(self.fractions) or len(self.exponents)

    def weights(self, labels: NDArray[np.int64], candidate: int) -> NDArray[np.float64]:
        """Return pool weights [sample] float64, of mean 1 over the whole pool.

        The reference set, at weight 1 a sample, thus has the same share of the draws in every row
        that trains on the pool; otherwise a row would gain by cutting at random, since a smaller
        pool leaves more of the draws to the reference set.

        Args:
            labels: [sample] int64.
            candidate: Index of the variant.
        """
        if self.fractions:
            rule = TopFraction(self.fractions[candidate], is_balanced=self.is_balanced)
            weights = select(self.ranking, labels, rule).astype(np.float64)
        else:
            weights = self.ranking.astype(np.float64) ** self.exponents[candidate]
        mean = float(weights.mean())
        return weights / mean if mean else weights


def baseline_rows(
    offline_features: NDArray[np.float32],
    fractions: Sequence[float],
    *,
    is_balanced: bool,
    seed: int,
) -> Iterator[Row]:
    """Yield the rows that no learned weight enters.

    Args:
        offline_features: [sample, 13] float32, raw or standardised.
        fractions: Shares that cuts choose from.
        is_balanced: Whether cuts keep the same share of every class.
        seed: Seed of the random row.

    Yields:
        no_selection: the whole pool. reference_only: none of it. random: a random share. el2n: the
        share with the smallest error norm in training without selection. cosine: the share most
        similar to its three nearest real samples of the class.

    Source: [paul2021deep] for el2n. Deviation: the easiest samples are kept instead of the hardest,
    since in a pool with wrong labels the hardest are mostly wrong.
    """
    count = len(offline_features)
    columns = dict(zip(OFFLINE_FEATURE_NAMES, offline_features.T, strict=True))
    nearest = [columns[f"nearest_real_cosine_{place}"] for place in (1, 2, 3)]
    generator = np.random.default_rng(derive_seed(seed, "random row"))
    rankings = {
        Baseline.RANDOM: generator.random(count, dtype=np.float32),
        Baseline.EL2N: -columns["error_norm"],
        Baseline.COSINE: np.mean(nearest, axis=0),
    }
    yield Row(Baseline.NO_SELECTION, np.ones(count, dtype=np.float32))
    yield Row(Baseline.REFERENCE_ONLY, np.zeros(count, dtype=np.float32))
    for method, ranking in rankings.items():
        yield Row(method, ranking, fractions=tuple(fractions), is_balanced=is_balanced)


def scored_rows(
    method: str,
    scores: NDArray[np.float32],
    *,
    fractions: Sequence[float],
    exponents: Sequence[float],
    is_balanced: bool,
) -> Iterator[Row]:
    """Yield the rows of learned scores: used as weights, and as a cut.

    Args:
        method: What learned them.
        scores: [sample] float32 in [0, 1].
        fractions: Shares that the cut chooses from.
        exponents: Powers of the scores that the weights choose from.
        is_balanced: Whether the cut keeps the same share of every class.
    """
    yield Row(weighted_row(method), scores, exponents=tuple(exponents))
    yield Row(selected_row(method), scores, fractions=tuple(fractions), is_balanced=is_balanced)
