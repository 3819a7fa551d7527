"""Results: staged in one go, visible at once, and read in pages."""

import time
from typing import Any

import numpy as np
import psycopg.errors
import pytest
from sample_world import POOL_SIZE, REPORT, World, result_rows
from sqlalchemy import select, text

from curation import partitions
from curation.database import unit_of_work
from curation.errors import ConflictError, NotFoundError
from curation.identifiers import JobId, new_id
from curation.jobs import get_job
from curation.models import Trace
from curation.results import (
    ResultRows,
    TraceSeries,
    WeightOrder,
    finish_job,
    histogram,
    iterate_weights,
    job_object,
    report,
    require_results,
    score_columns,
    stage_results,
    traces,
    weight_at,
    weights_page,
)


def all_pages(world: World, job_id: JobId, **options: Any) -> list[Any]:
    rows: list[Any] = []
    after = None
    while True:
        with unit_of_work(world.engine) as session:
            page = weights_page(session, job_id, after=after, limit=7, **options)
        if not page:
            return rows
        rows += page
        is_by_position = options.get("order", WeightOrder.POSITION) is WeightOrder.POSITION
        after = page[-1].position if is_by_position else page[-1].rank


def test_results_are_invisible_until_the_job_has_succeeded(world: World) -> None:
    claim = world.claimed_job()
    stage_results(world.engine, claim, [result_rows()])
    with unit_of_work(world.engine) as session:
        assert weights_page(session, claim.job_id) == []
        with pytest.raises(ConflictError):
            require_results(get_job(session, world.workspace, claim.job_id))
    assert world.finish(claim)
    with unit_of_work(world.engine) as session:
        job = get_job(session, world.workspace, claim.job_id)
        require_results(job)
        assert (job.sample_count, job.fraction) == (POOL_SIZE, 1.0)
        assert len(weights_page(session, claim.job_id)) == POOL_SIZE


def test_pages_by_position_return_what_was_staged(world: World) -> None:
    rows = result_rows()
    found = all_pages(world, world.finished_job(rows))
    assert [row.position for row in found] == list(range(POOL_SIZE))
    assert [row.sample_id for row in found] == rows.sample_ids
    for name, column in (
        ("label", rows.labels),
        ("score", rows.scores),
        ("weight", rows.weights),
        ("rank", rows.ranks),
        ("keep", rows.keep),
    ):
        # Compared as the column's own type: float32 is read by its shortest digits.
        values = np.array([getattr(row, name) for row in found], dtype=column.dtype)
        assert np.array_equal(values, column), name


@pytest.mark.parametrize("order", [WeightOrder.HIGHEST_SCORE, WeightOrder.LOWEST_SCORE])
@pytest.mark.parametrize("label", [None, 1])
def test_pages_by_score_hold_every_sample_once(
    world: World, order: WeightOrder, label: int | None
) -> None:
    rows = result_rows()
    found = all_pages(world, world.finished_job(rows), order=order, label=label)
    expected = np.sort(rows.scores if label is None else rows.scores[rows.labels == label])
    if order is WeightOrder.HIGHEST_SCORE:
        expected = expected[::-1]
    assert np.array_equal(np.array([row.score for row in found], np.float32), expected)


def test_pages_by_score_use_the_rank_index(world: World) -> None:
    job_id = world.finished_job()
    with world.engine.connect() as connection:
        connection.execute(text("SET enable_seqscan = off"))
        plan = "\n".join(
            connection.scalars(
                text(
                    "EXPLAIN SELECT * FROM sample_weights WHERE job_id = :job_id AND rank > 5"
                    " ORDER BY rank LIMIT 5"
                ),
                {"job_id": job_id},
            )
        )
    assert "rank" in plan.split("Index Scan using")[1].splitlines()[0]


def test_one_sample_is_found_by_its_position(world: World) -> None:
    job_id = world.finished_job()
    with unit_of_work(world.engine) as session:
        assert weight_at(session, job_id, 3).sample_id == "sample 3"
        with pytest.raises(NotFoundError):
            weight_at(session, job_id, POOL_SIZE)


def test_iteration_returns_every_batch_in_order(world: World) -> None:
    job_id = world.finished_job()
    batches = list(iterate_weights(world.engine, job_id, batch_rows=16))
    assert [batch.num_rows for batch in batches] == [16, 16, 8]
    positions = [p for batch in batches for p in batch.column("position").to_pylist()]
    assert positions == list(range(POOL_SIZE))


def test_columns_come_back_bit_by_bit(world: World) -> None:
    rows = result_rows()
    job_id = world.finished_job(rows)
    with unit_of_work(world.engine) as session:
        columns = score_columns(session, job_id)
    assert np.array_equal(columns.scores, rows.scores)
    assert np.array_equal(columns.labels, rows.labels)
    assert np.array_equal(columns.keep, rows.keep)


def test_histogram_counts_every_sample_in_its_class(world: World) -> None:
    scores = np.linspace(0, 1, POOL_SIZE, dtype=np.float32)
    job_id = world.finished_job(result_rows(scores=scores))
    with unit_of_work(world.engine) as session:
        found = histogram(session, job_id, bins=8, class_count=2)
    for label in (0, 1):
        expected, edges = np.histogram(scores[label::2], bins=8, range=(0, 1))
        assert np.array_equal(found.counts[label], expected)
        assert np.allclose(found.edges, edges)


def test_traces_longer_than_a_chunk_come_back_whole(world: World) -> None:
    claim = world.claimed_job()
    staged = stage_results(world.engine, claim, [result_rows()])
    steps = list(range(9_000))
    values = np.sin(np.arange(9_000)).astype(np.float32).tolist()
    with unit_of_work(world.engine) as session:
        series = {"p_max": TraceSeries(steps, values), "short": TraceSeries([4], [0.5])}
        assert finish_job(
            session, claim, staged, traces=series, report=REPORT, objects={}, now=world.now
        )
    with unit_of_work(world.engine) as session:
        found = traces(session, claim.job_id)
        assert found["short"] == series["short"]
        assert found["p_max"].steps == steps
        assert np.array_equal(np.float32(found["p_max"].values), np.float32(values))
        assert len(session.scalars(select(Trace).where(Trace.series == "p_max")).all()) == 3


def test_report_and_objects_are_found(world: World) -> None:
    job_id = world.finished_job()
    with unit_of_work(world.engine) as session:
        assert report(session, job_id) == REPORT
        digest = job_object(session, job_id, "features")
        assert digest is not None
        assert world.store.exists(digest)
        assert job_object(session, job_id, "nothing") is None
        with pytest.raises(NotFoundError):
            report(session, JobId(new_id()))


def test_staging_again_under_the_same_claim_begins_anew(world: World) -> None:
    claim = world.claimed_job()
    stage_results(world.engine, claim, [result_rows(scores=np.zeros(POOL_SIZE, np.float32))])
    assert world.finish(claim)
    with unit_of_work(world.engine) as session:
        assert weights_page(session, claim.job_id)[0].score > 0


@pytest.mark.parametrize(
    "changes",
    [
        {"scores": np.full(POOL_SIZE, 1.5, np.float32)},
        {"scores": np.full(POOL_SIZE, np.nan, np.float32)},
        {"weights": np.full(POOL_SIZE, np.nan, np.float32)},
        {"weights": np.full(POOL_SIZE, np.inf, np.float32)},
        {"ranks": np.zeros(POOL_SIZE, np.int64)},
    ],
)
def test_impossible_results_are_refused_and_leave_nothing(
    world: World, changes: dict[str, Any]
) -> None:
    claim = world.claimed_job()
    with pytest.raises(psycopg.errors.IntegrityError):
        stage_results(world.engine, claim, [result_rows(**changes)])
    with unit_of_work(world.engine) as session:
        assert partitions.result_tables(session) == []


def test_gap_in_the_positions_is_refused(world: World) -> None:
    claim = world.claimed_job()
    with pytest.raises(ValueError, match="expected position 40, not 41"):
        stage_results(
            world.engine, claim, [result_rows(), result_rows(first_position=POOL_SIZE + 1)]
        )


def test_results_of_two_jobs_do_not_mix(world: World) -> None:
    first, second = world.finished_job(), world.finished_job()
    with unit_of_work(world.engine) as session:
        tables = partitions.result_tables(session)
        assert {table.job_id for table in tables} == {first, second}
        assert all(table.is_attached for table in tables)
        assert len(weights_page(session, first)) == POOL_SIZE


@pytest.mark.slow
def test_a_million_rows_are_staged_within_a_minute(world: World) -> None:
    count, batch = 1_000_000, 50_000
    rng = np.random.default_rng(0)
    scores = rng.random(count, dtype=np.float32)
    ranks = np.empty(count, np.int64)
    ranks[np.argsort(-scores, kind="stable")] = np.arange(count)
    batches = [
        ResultRows(
            first_position=start,
            sample_ids=[f"class/{index:07}.png" for index in range(start, start + batch)],
            labels=np.arange(start, start + batch) % 10,
            scores=scores[start : start + batch],
            weights=scores[start : start + batch],
            ranks=ranks[start : start + batch],
            keep=scores[start : start + batch] > 0.5,
        )
        for start in range(0, count, batch)
    ]
    claim = world.claimed_job()
    start = time.monotonic()
    staged = stage_results(world.engine, claim, batches)
    seconds = time.monotonic() - start
    assert staged.row_count == count
    assert seconds < 60
    start = time.monotonic()
    with unit_of_work(world.engine) as session:
        assert finish_job(session, claim, staged, traces={}, report={}, objects={}, now=world.now)
    # Attaching reads no row: the bound is proved by the table's own constraint.
    assert time.monotonic() - start < 5
    with unit_of_work(world.engine) as session:
        assert np.array_equal(score_columns(session, claim.job_id).scores, scores)
