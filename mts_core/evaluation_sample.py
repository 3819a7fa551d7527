"""Draws the part of a large pool on which the before and after table is measured."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mts_core.encoded_views import EncodedVectors, EncodedViews, View
from mts_core.evaluation_stage import EvaluationStage, LearnedScores
from mts_core.seeds import derive_seed
from mts_core.stages import ClassifierSets, RunContext

EVALUATION_LIMIT: Final = 20_000
"""Pool samples up to which the table is measured on the whole pool."""


@dataclass(frozen=True, eq=False)
class _SampledVectors:
    """The encoded vectors of a part of the pool, with the whole reference set."""

    pool: NDArray[np.float32]
    reference: NDArray[np.float32]
    views: Mapping[str, View]


def start_evaluation(
    context: RunContext,
    encoding: EncodedViews,
    sets: ClassifierSets,
    learned: LearnedScores,
    *,
    limit: int = EVALUATION_LIMIT,
) -> EvaluationStage:
    """Return the evaluation of a run, on a uniform sample of a pool beyond the limit.

    Its cost then does not grow with the pool any more. Every row trains on what the sample has left
    of the pool, so differences between rows stay paired; reference and test set are never cut.

    Args:
        context: The run.
        encoding: Complete encoding.
        sets: All sets as the classifier reads them.
        learned: What the earlier stages learned of the whole pool.
        limit: Pool samples up to which the whole pool is used.
    """
    size = sets.pool.sample_count
    if size <= limit:
        return EvaluationStage(context, encoding, sets, learned)
    generator = np.random.default_rng(derive_seed(context.seed, "evaluation sample"))
    positions = np.sort(generator.choice(size, limit, replace=False))
    views = {
        name: View(view.pool[positions], view.reference) for name, view in encoding.views.items()
    }
    own = next(iter(views.values()))
    vectors: EncodedVectors = _SampledVectors(own.pool, own.reference, views)
    return EvaluationStage(
        _sampled_context(context, positions),
        vectors,
        dataclasses.replace(sets, pool=sets.pool.take(positions)),
        _sampled_scores(learned, positions),
        pool_size=size,
    )


def _sampled_context(context: RunContext, positions: NDArray[np.int64]) -> RunContext:
    data = context.data
    sampled = dataclasses.replace(
        data,
        pool_inputs=data.pool_inputs[positions],
        pool_labels=data.pool_labels[positions],
        pool_is_real=data.pool_is_real[positions],
    )
    return dataclasses.replace(context, data=sampled)


def _sampled_scores(learned: LearnedScores, positions: NDArray[np.int64]) -> LearnedScores:
    return LearnedScores(
        learned.offline_features[positions],
        learned.is_unlearned[positions],
        learned.scores[positions],
        {name: scores[positions] for name, scores in learned.part_scores.items()},
        {name: scores[positions] for name, scores in learned.baseline_scores.items()},
    )
