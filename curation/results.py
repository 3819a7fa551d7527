"""The results of a job: staged aside, made visible in one transaction, read in pages."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import repeat
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from psycopg import Connection, sql
from sqlalchemy import Engine, Select, select, text
from sqlalchemy.orm import Session

from curation import partitions
from curation.attempt_ends import succeed_job
from curation.database import unit_of_work
from curation.errors import ClaimLostError, ConflictError, NotFoundError
from curation.identifiers import JobId
from curation.job_claims import holds_claim
from curation.job_types import Claim
from curation.models import Job, JobObject, JobState, Report, SampleWeight, Trace
from curation.object_rows import record_object
from curation.objects import StoredObject
from curation.selectors import NewSelector, record_selector

TRACE_CHUNK = 4096
MAX_PAGE = 10_000
BATCH_ROWS = 16_384
_COPY_TYPES = ("uuid", "int4", "text", "int4", "float4", "float4", "int8", "bool")
_COPY_COLUMNS = ("job_id", "position", "sample_id", "label", "score", "weight", "rank", "keep")

WEIGHTS_SCHEMA = pa.schema(
    {
        "position": pa.int32(),
        "sample_id": pa.string(),
        "label": pa.int64(),
        "score": pa.float32(),
        "weight": pa.float32(),
        "rank": pa.int64(),
        "keep": pa.bool_(),
    }
)

_PACKED_COLUMNS = text(
    "SELECT string_agg(float4send(score), ''::bytea ORDER BY position),"
    " string_agg(int4send(label), ''::bytea ORDER BY position),"
    " string_agg(boolsend(keep), ''::bytea ORDER BY position)"
    " FROM sample_weights WHERE job_id = :job_id"
)
_BIN_COUNTS = text(
    "SELECT label, least(floor(score * :bins)::int, :bins - 1) AS bin, count(*)"
    " FROM sample_weights WHERE job_id = :job_id GROUP BY label, bin"
)


class WeightOrder(StrEnum):
    """The order of a page of weights."""

    POSITION = "position"
    LOWEST_SCORE = "score"
    HIGHEST_SCORE = "-score"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRows:
    """The results of consecutive samples of the pool.

    Attributes:
        first_position: Position of the first of them.
        sample_ids: Names, one a sample.
        labels: [sample], integer, index into the dataset's class names.
        scores: [sample], float32, in [0, 1].
        weights: [sample], float32, not negative; mean 1 over the pool.
        ranks: [sample], int64, 0 for the best of the pool; a permutation over the pool.
        keep: [sample], bool, the suggested cut.
    """

    first_position: int
    sample_ids: Sequence[str]
    labels: NDArray[np.integer[Any]]
    scores: NDArray[np.float32]
    weights: NDArray[np.float32]
    ranks: NDArray[np.int64]
    keep: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class StagedResults:
    """Results that lie complete in the database, seen by no reader yet.

    Attributes:
        table_name: The table that holds them.
        row_count: The number of samples.
    """

    table_name: str
    row_count: int


@dataclass(frozen=True, slots=True)
class TraceSeries:
    """One measured series of a run.

    Attributes:
        steps: The steps at which it was measured, growing.
        values: The value at each of them.
    """

    steps: Sequence[int]
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class WeightRow:
    """The result of one sample, with the meaning of `ResultRows`."""

    position: int
    sample_id: str
    label: int
    score: float
    weight: float
    rank: int
    keep: bool


@dataclass(frozen=True, slots=True)
class ScoreColumns:
    """What a cut is made from, by position.

    Attributes:
        scores: [sample], float32, in [0, 1].
        labels: [sample], int32.
        keep: [sample], bool, the suggested cut.
    """

    scores: NDArray[np.float32]
    labels: NDArray[np.int32]
    keep: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Histogram:
    """How scores are spread.

    Attributes:
        edges: [bin + 1], float64, from 0 to 1.
        counts: [class, bin], int64; a bin holds its lower edge, the last one both.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]


def stage_results(engine: Engine, claim: Claim, rows: Iterable[ResultRows]) -> StagedResults:
    """Copy the results of a run into a table of its own and return its reference.

    One transaction makes, fills and indexes the table, so a run that dies on the way leaves
    nothing. Staging again under the same claim begins anew.

    Args:
        engine: The database.
        claim: The claim of the run.
        rows: The results, in the order of positions from 0 on, without gaps.

    Raises:
        ClaimLostError: The job belongs to a later attempt.
        ValueError: The positions have a gap, or columns differ in length.
    """
    name = partitions.table_name(claim.job_id, claim.fencing_token)
    with unit_of_work(engine) as session:
        if not holds_claim(session, claim):
            raise _claim_lost(claim)
        connection = session.connection().connection.driver_connection
        if not isinstance(connection, Connection):
            raise TypeError("results are copied through psycopg")
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(name)))
        connection.execute(partitions.creation_statement(name, claim.job_id))
        row_count = _copy(connection, name, claim.job_id, rows)
        for statement in partitions.index_statements(name):
            connection.execute(statement)
    return StagedResults(name, row_count)


def finish_job(  # noqa: PLR0913 - every part of the result becomes visible together.
    session: Session,
    claim: Claim,
    staged: StagedResults,
    *,
    traces: Mapping[str, TraceSeries],
    report: Mapping[str, Any],  # JSON values, as interface.md lists them.
    objects: Mapping[str, StoredObject],
    selector: NewSelector | None = None,
    seconds_by_phase: Mapping[str, float] | None = None,
    now: datetime,
) -> bool:
    """Make a run's results visible and its job succeeded, and return whether the claim held.

    The job's row is locked by token first: a runner whose claim is lost writes nothing.

    Args:
        session: The one transaction of all this.
        claim: The claim of the run.
        staged: The per-sample results.
        traces: The measured series, by name.
        report: The before-and-after table.
        objects: Files of the result by kind, complete in the object store.
        selector: What was distilled from the scores, or None.
        seconds_by_phase: What the attempt spent in each phase, where known.
        now: The time.
    """
    is_held = succeed_job(
        session,
        claim,
        sample_count=staged.row_count,
        seconds_by_phase=seconds_by_phase,
        now=now,
    )
    if not is_held:
        return False
    partitions.attach(session, staged.table_name, claim.job_id)
    session.add_all(_trace_rows(claim.job_id, traces))
    session.add(Report(job_id=claim.job_id, report=dict(report)))
    for stored in objects.values():
        record_object(session, stored)
    session.add_all(
        JobObject(job_id=claim.job_id, kind=kind, digest=stored.digest)
        for kind, stored in objects.items()
    )
    if selector is not None:
        record_selector(session, claim, selector, sample_count=staged.row_count, now=now)
    session.flush()
    return True


def require_results(job: Job) -> None:
    """Refuse to read the results of a job that has none.

    Raises:
        ConflictError: The job has not succeeded.
    """
    if job.state is not JobState.SUCCEEDED:
        raise ConflictError(
            "RESULTS_NOT_READY",
            f"The job is {job.state}; it has results once it has succeeded.",
            cure="Wait until the job has succeeded.",
        )


def weights_page(  # noqa: PLR0913 - one keyword for each filter.
    session: Session,
    job_id: JobId,
    *,
    after: int | None = None,
    limit: int = 100,
    order: WeightOrder = WeightOrder.POSITION,
    label: int | None = None,
) -> list[WeightRow]:
    """Return a page of a job's weights.

    Args:
        session: The transaction.
        job_id: Which job.
        after: The last row of the page before: its position in the order of positions, its rank
            in the orders of scores.
        limit: Most rows to return.
        order: The order of the rows.
        label: Only samples of this class.
    """
    key = SampleWeight.position if order is WeightOrder.POSITION else SampleWeight.rank
    query = _weights_query(job_id)
    if label is not None:
        query = query.where(SampleWeight.label == label)
    if order is WeightOrder.LOWEST_SCORE:
        query = query.order_by(key.desc())
        if after is not None:
            query = query.where(key < after)
    else:
        query = query.order_by(key)
        if after is not None:
            query = query.where(key > after)
    return [WeightRow(*row) for row in session.execute(query.limit(min(limit, MAX_PAGE)))]


def weight_at(session: Session, job_id: JobId, position: int) -> WeightRow:
    """Return the result of one sample.

    Raises:
        NotFoundError: The job has no sample at this position.
    """
    row = session.execute(
        _weights_query(job_id).where(SampleWeight.position == position)
    ).one_or_none()
    if row is None:
        raise NotFoundError("SAMPLE_NOT_FOUND", f"There is no sample at position {position}.")
    return WeightRow(*row)


def weights_at(session: Session, job_id: JobId, positions: Sequence[int]) -> dict[int, WeightRow]:
    """Return the results of a few samples, by position."""
    query = _weights_query(job_id).where(SampleWeight.position.in_(positions))
    return {row.position: WeightRow(*row) for row in session.execute(query)}


def iterate_weights(
    engine: Engine, job_id: JobId, *, batch_rows: int = BATCH_ROWS
) -> Iterator[pa.RecordBatch]:
    """Yield all weights of a job in the order of positions, as batches of `WEIGHTS_SCHEMA`.

    Each batch has a short session of its own, so a slow reader holds no connection.
    """
    after = -1
    while True:
        query = _weights_query(job_id).where(SampleWeight.position > after)
        with unit_of_work(engine) as session:
            rows = session.execute(query.order_by(SampleWeight.position).limit(batch_rows)).all()
        if not rows:
            return
        after = rows[-1][0]
        columns = zip(*rows, strict=True)
        yield pa.RecordBatch.from_arrays(
            [
                pa.array(column, field.type)
                for column, field in zip(columns, WEIGHTS_SCHEMA, strict=True)
            ],
            schema=WEIGHTS_SCHEMA,
        )


def score_columns(session: Session, job_id: JobId) -> ScoreColumns:
    """Return the columns that cuts are made from; linear in the pool, about 9 bytes a sample.

    The server packs each column into one value, which spares making a million row objects.
    """
    packed = session.execute(_PACKED_COLUMNS, {"job_id": job_id}).one()
    scores, labels, keep = (value or b"" for value in packed)
    return ScoreColumns(
        scores=np.frombuffer(scores, dtype=">f4").astype(np.float32),
        labels=np.frombuffer(labels, dtype=">i4").astype(np.int32),
        keep=np.frombuffer(keep, dtype=np.bool_),
    )


def histogram(session: Session, job_id: JobId, *, bins: int, class_count: int) -> Histogram:
    """Return the spread of a job's scores by class, counted by the server.

    Args:
        session: The transaction.
        job_id: Which job.
        bins: Number of bins between 0 and 1.
        class_count: Number of classes of the pool.
    """
    counts = np.zeros((class_count, bins), dtype=np.int64)
    for label, index, count in session.execute(_BIN_COUNTS, {"job_id": job_id, "bins": bins}):
        counts[label, index] = count
    return Histogram(edges=np.linspace(0.0, 1.0, bins + 1), counts=counts)


def traces(session: Session, job_id: JobId) -> dict[str, TraceSeries]:
    """Return every measured series of a job, by name."""
    query = select(Trace).where(Trace.job_id == job_id).order_by(Trace.series, Trace.chunk)
    steps: dict[str, list[int]] = {}
    values: dict[str, list[float]] = {}
    for chunk in session.scalars(query):
        steps.setdefault(chunk.series, []).extend(chunk.steps)
        values.setdefault(chunk.series, []).extend(chunk.values)
    return {name: TraceSeries(steps[name], values[name]) for name in steps}


def report(session: Session, job_id: JobId) -> dict[str, Any]:  # JSON values.
    """Return the before-and-after table of a job.

    Raises:
        NotFoundError: The job has none.
    """
    row = session.get(Report, job_id)
    if row is None:
        raise NotFoundError("REPORT_NOT_FOUND", "The job has no report.")
    return row.report


def job_object(session: Session, job_id: JobId, kind: str) -> str | None:
    """Return the digest of a file of a job's result, or None where it has none of this kind."""
    return session.scalars(
        select(JobObject.digest).where(JobObject.job_id == job_id, JobObject.kind == kind)
    ).one_or_none()


def _weights_query(job_id: JobId) -> Select[int, str, int, float, float, int, bool]:
    return select(
        SampleWeight.position,
        SampleWeight.sample_id,
        SampleWeight.label,
        SampleWeight.score,
        SampleWeight.weight,
        SampleWeight.rank,
        SampleWeight.keep,
    ).where(SampleWeight.job_id == job_id)


def _copy(
    connection: Connection[Any],  # The rows' type is of no matter here.
    table: str,
    job_id: JobId,
    batches: Iterable[ResultRows],
) -> int:
    statement = sql.SQL("COPY {table} ({columns}) FROM STDIN (FORMAT binary)").format(
        table=sql.Identifier(table),
        columns=sql.SQL(", ").join(sql.Identifier(name) for name in _COPY_COLUMNS),
    )
    position = 0
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(_COPY_TYPES)
        for batch in batches:
            if batch.first_position != position:
                raise ValueError(f"expected position {position}, not {batch.first_position}")
            for row in _copy_rows(job_id, batch):
                copy.write_row(row)
            position += len(batch.sample_ids)
    return position


def _copy_rows(
    job_id: JobId, batch: ResultRows
) -> Iterator[tuple[UUID, int, str, int, float, float, int, bool]]:
    return zip(
        repeat(job_id, len(batch.sample_ids)),
        range(batch.first_position, batch.first_position + len(batch.sample_ids)),
        batch.sample_ids,
        batch.labels.tolist(),
        batch.scores.tolist(),
        batch.weights.tolist(),
        batch.ranks.tolist(),
        batch.keep.tolist(),
        strict=True,
    )


def _trace_rows(job_id: JobId, series: Mapping[str, TraceSeries]) -> Iterator[Trace]:
    for name, trace in series.items():
        for chunk, start in enumerate(range(0, len(trace.steps), TRACE_CHUNK)):
            part = slice(start, start + TRACE_CHUNK)
            yield Trace(
                job_id=job_id,
                series=name,
                chunk=chunk,
                steps=[int(step) for step in trace.steps[part]],
                values=[float(value) for value in trace.values[part]],
            )


def _claim_lost(claim: Claim) -> ClaimLostError:
    return ClaimLostError(
        "CLAIM_LOST", f"Attempt {claim.attempt} no longer holds job {claim.job_id}."
    )
