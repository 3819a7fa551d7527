"""Draws parts of a set, so that repetitions differ in their data and not in their seed alone."""

import dataclasses
from dataclasses import dataclass
from typing import Final

import numpy as np
from judge_views import RawViews
from numpy.typing import NDArray
from quality_sets import QualitySet

from mts_core.curation_data import CurationData
from mts_core.seeds import derive_seed

POOL_SHARE: Final = 0.8
REFERENCE_SHARE: Final = 0.9
FEWEST_REFERENCES: Final = 2
"""Reference samples of a class that are drawn at least, where it has as many."""


@dataclass(frozen=True, eq=False)
class Subsample:
    """Which samples take part.

    Attributes:
        pool: [drawn] int64 positions in the pool.
        reference: [drawn] int64 positions in the reference set.
    """

    pool: NDArray[np.int64]
    reference: NDArray[np.int64]


def draw_subsample(data: CurationData, *, seed: int) -> Subsample:
    """Return a random part of the pool and of every class of the reference set.

    Args:
        data: What is drawn from, without replacement.
        seed: Seed of the draw.
    """
    generator = np.random.default_rng(derive_seed(seed, "subsample"))
    count = len(data.pool_labels)
    pool = generator.choice(count, round(POOL_SHARE * count), replace=False)
    reference = []
    for label in np.unique(data.reference_labels):
        members = generator.permutation(np.flatnonzero(data.reference_labels == label))
        reference.append(members[: max(round(REFERENCE_SHARE * len(members)), FEWEST_REFERENCES)])
    return Subsample(np.sort(pool), np.sort(np.concatenate(reference)))


def take(problem: QualitySet, views: RawViews, drawn: Subsample) -> tuple[QualitySet, RawViews]:
    """Return a set of the drawn samples alone, with the whole test part, and its views."""
    data = dataclasses.replace(
        problem.data,
        pool_inputs=problem.data.pool_inputs[drawn.pool],
        pool_labels=problem.data.pool_labels[drawn.pool],
        pool_is_real=problem.data.pool_is_real[drawn.pool],
        reference_inputs=problem.data.reference_inputs[drawn.reference],
        reference_labels=problem.data.reference_labels[drawn.reference],
    )
    seen = {
        name: dataclasses.replace(
            view, pool=view.pool[drawn.pool], reference=view.reference[drawn.reference]
        )
        for name, view in views.items()
    }
    return dataclasses.replace(problem, data=data, quality=problem.quality[drawn.pool]), seen
