"""Cuts: the budget is kept, the best are kept, classes are treated alike."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sample_world import POOL_SIZE, World, result_rows

from curation.database import unit_of_work
from curation.errors import ConflictError, InvalidInputError, NotFoundError
from curation.identifiers import SelectionId, WorkspaceId, new_id
from curation.models import Selection
from curation.results import ScoreColumns
from curation.selections import (
    SelectionRule,
    Suggested,
    Threshold,
    TopCount,
    TopFraction,
    create_selection,
    get_selection,
    kept_positions,
    list_selections,
    pack_bitmap,
    rule_from_json,
    rule_to_json,
    unpack_bitmap,
)


@st.composite
def columns(draw: st.DrawFn) -> ScoreColumns:
    size = draw(st.integers(1, 20))
    # Few distinct values, so that ties are common.
    scores = draw(arrays(np.int32, size, elements=st.integers(0, 8))).astype(np.float32) / 8
    labels = draw(arrays(np.int32, size, elements=st.integers(0, 3)))
    keep = draw(arrays(np.bool_, size))
    return ScoreColumns(scores, labels, keep)


fractions = st.floats(0.001, 1.0)


@given(columns(), st.builds(TopFraction, fractions, st.booleans()))
def test_fraction_keeps_its_budget_exactly(pool: ScoreColumns, rule: TopFraction) -> None:
    kept = kept_positions(pool, rule)
    assert kept.sum() == max(1, int(rule.fraction * len(pool.scores) + 0.5))


@given(columns(), st.integers(1, 20), st.sampled_from([False, True]))
def test_count_keeps_its_budget_exactly(
    pool: ScoreColumns,
    count: int,
    balanced: bool,  # noqa: FBT001 - hypothesis passes it by position.
) -> None:
    count = min(count, len(pool.scores))
    assert kept_positions(pool, TopCount(count, balanced)).sum() == count


@given(columns(), fractions)
def test_no_dropped_sample_is_better_than_a_kept_one(pool: ScoreColumns, fraction: float) -> None:
    kept = kept_positions(pool, TopFraction(fraction))
    if not kept.all():
        assert pool.scores[kept].min() >= pool.scores[~kept].max()


@given(columns(), fractions)
def test_balanced_cut_keeps_the_best_of_each_class_and_its_share(
    pool: ScoreColumns, fraction: float
) -> None:
    kept = kept_positions(pool, TopFraction(fraction, balanced=True))
    budget = kept.sum()
    for label in np.unique(pool.labels):
        own = pool.labels == label
        share = own.sum() * budget / len(own)
        assert np.floor(share) <= kept[own].sum() <= np.ceil(share)
        if kept[own].any() and not kept[own].all():
            assert pool.scores[own & kept].min() >= pool.scores[own & ~kept].max()


@given(columns(), st.floats(0, 1))
def test_threshold_keeps_all_that_reach_it(pool: ScoreColumns, threshold: float) -> None:
    kept = kept_positions(pool, Threshold(threshold))
    assert np.array_equal(kept, pool.scores >= np.float32(threshold))


@given(columns(), fractions, fractions)
def test_larger_cut_holds_the_smaller_one(pool: ScoreColumns, first: float, second: float) -> None:
    small, large = sorted((first, second))
    inner = kept_positions(pool, TopFraction(small))
    outer = kept_positions(pool, TopFraction(large))
    assert not (inner & ~outer).any()


@given(columns(), st.randoms(use_true_random=False))
def test_distinct_scores_decide_whatever_the_order(pool: ScoreColumns, random: Any) -> None:
    size = len(pool.scores)
    scores = np.linspace(0, 1, size, dtype=np.float32)
    order = np.array(random.sample(range(size), size))
    rule = TopFraction(0.4, balanced=True)
    plain = kept_positions(ScoreColumns(scores, pool.labels, pool.keep), rule)
    shuffled = kept_positions(
        ScoreColumns(scores[order], pool.labels[order], pool.keep[order]), rule
    )
    assert np.array_equal(plain[order], shuffled)


@given(columns())
def test_suggestion_is_taken_as_it_is(pool: ScoreColumns) -> None:
    assert np.array_equal(kept_positions(pool, Suggested()), pool.keep)
    assert kept_positions(pool, Suggested(balanced=True)).sum() == pool.keep.sum()


def test_threshold_read_off_a_score_keeps_that_sample() -> None:
    score = np.float32(0.1)
    pool = ScoreColumns(np.array([score]), np.zeros(1, np.int32), np.zeros(1, np.bool_))
    # In float64, 0.1 lies below the float32 nearest to it, and 0.3 above: both must be kept.
    assert kept_positions(pool, Threshold(0.1)).all()
    pool = ScoreColumns(np.array([0.3], np.float32), pool.labels, pool.keep)
    assert kept_positions(pool, Threshold(0.3)).all()


@given(arrays(np.bool_, st.integers(1, 40)))
def test_bitmap_comes_back(keep: np.ndarray) -> None:
    assert np.array_equal(unpack_bitmap(pack_bitmap(keep), len(keep)), keep)


@pytest.mark.parametrize(
    "rule", [TopFraction(0.5, balanced=True), TopCount(3), Threshold(0.25), Suggested()]
)
def test_rule_comes_back_from_its_row(rule: SelectionRule) -> None:
    assert rule_from_json(rule_to_json(rule)) == rule


def create(world: World, rule: SelectionRule, name: str = "a cut", **changes: Any) -> Selection:
    with unit_of_work(world.engine) as session:
        job_id = changes.get("job_id") or world.finished_job()
        return create_selection(
            session,
            workspace_id=world.workspace,
            job_id=job_id,
            name=name,
            rule=rule,
            now=world.now,
        )


def test_selection_stores_what_its_rule_keeps(world: World) -> None:
    selection = create(world, TopCount(10))
    rows = result_rows()
    with unit_of_work(world.engine) as session:
        found = get_selection(session, world.workspace, SelectionId(selection.id))
        assert found.kept_count == 10
        assert found.rule == {"count": 10, "balanced": False, "kind": "top_count"}
        kept = unpack_bitmap(found.bitmap, POOL_SIZE)
    assert np.array_equal(kept, rows.ranks < 10)


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        (TopFraction(0.0), "rule.fraction"),
        (TopFraction(1.1), "rule.fraction"),
        (TopFraction(float("nan")), "rule.fraction"),
        (TopCount(0), "rule.count"),
        (TopCount(POOL_SIZE + 1), "rule.count"),
        (Threshold(-0.1), "rule.threshold"),
        (Threshold(float("nan")), "rule.threshold"),
    ],
)
def test_rule_out_of_range_is_refused(world: World, rule: SelectionRule, field: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        create(world, rule)
    assert (caught.value.reason, caught.value.field) == ("OUT_OF_RANGE", field)


def test_name_is_taken_once(world: World) -> None:
    job_id = world.finished_job()
    create(world, TopCount(1), job_id=job_id)
    with pytest.raises(ConflictError) as caught:
        create(world, TopCount(2), job_id=job_id)
    assert (caught.value.reason, caught.value.field) == ("SELECTION_NAME_TAKEN", "name")
    create(world, TopCount(2), name="another cut", job_id=job_id)
    with unit_of_work(world.engine) as session:
        found = list_selections(session, world.workspace, job_id)
        assert {selection.kept_count for selection in found} == {1, 2}


def test_job_without_results_has_no_cuts(world: World) -> None:
    job_id = world.create_job()
    with pytest.raises(ConflictError) as caught:
        create(world, TopCount(1), job_id=job_id)
    assert caught.value.reason == "RESULTS_NOT_READY"


def test_another_workspaces_selection_does_not_exist(world: World) -> None:
    selection = create(world, TopCount(1))
    with pytest.raises(NotFoundError), unit_of_work(world.engine) as session:
        get_selection(session, WorkspaceId(new_id()), SelectionId(selection.id))
