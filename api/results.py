"""Routes of a finished job's results: weights by page, traces, report, histogram, one sample."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query

from api.cursors import decode_position_cursor, encode_position_cursor
from api.dependencies import AskedPage, Reader, SharedResources
from api.finished_jobs import FinishedJob, find_finished_job
from api.problem_responses import authorised_problems
from api.resources import Resources
from api.sample_features import FeatureTable, describe_sample
from api.sample_neighbours import Neighbour, nearest_samples
from api.schemas.fields import MAX_POSTGRESQL_INTEGER, Identifier
from api.schemas.results import (
    HistogramClass,
    HistogramView,
    NeighbourView,
    ReportView,
    SampleView,
    TraceSeries,
    TracesView,
    WeightPage,
    WeightView,
)
from curation import results
from curation.database import unit_of_work
from curation.identifiers import JobId
from curation.result_columns import NEIGHBOUR_VECTORS_KIND
from curation.results import WeightOrder, WeightRow

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["results"])

_MAX_BINS = 1000
_PROBLEMS = authorised_problems(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)


@router.get(
    "/weights",
    operation_id="list_weights",
    summary="List score, weight and rank of every sample",
    responses=_PROBLEMS,
)
def list_weights(  # noqa: PLR0913 - one parameter for each filter.
    *,
    job_id: Identifier,
    caller: Reader,
    resources: SharedResources,
    page: AskedPage,
    sort: Annotated[
        WeightOrder, Query(description="By position, or by score up or down.")
    ] = WeightOrder.POSITION,
    label: Annotated[
        int | None,
        Query(ge=0, le=MAX_POSTGRESQL_INTEGER, description="Only samples of this class."),
    ] = None,
) -> WeightPage:
    """List the results of samples, a page at a time; a cursor belongs to one order."""
    with unit_of_work(resources.engine) as session:
        job = find_finished_job(session, caller, JobId(job_id))
        rows = results.weights_page(
            session,
            job.job_id,
            after=decode_position_cursor(sort, page.cursor),
            limit=page.limit,
            order=sort,
            label=label,
        )
    is_full = len(rows) == page.limit
    return WeightPage(
        items=[_weight_view(job, row) for row in rows],
        next_cursor=encode_position_cursor(sort, _key(rows[-1], sort)) if is_full else None,
    )


@router.get(
    "/traces",
    operation_id="get_traces",
    summary="Show every series that training recorded",
    responses=_PROBLEMS,
)
def show_traces(job_id: Identifier, caller: Reader, resources: SharedResources) -> TracesView:
    """Show losses, weights, effective batch size and gradient noise over the steps."""
    with unit_of_work(resources.engine) as session:
        job = find_finished_job(session, caller, JobId(job_id))
        series = results.traces(session, job.job_id)
    return TracesView(
        series={
            name: TraceSeries(steps=list(trace.steps), values=list(trace.values))
            for name, trace in series.items()
        }
    )


@router.get(
    "/report",
    operation_id="get_report",
    summary="Show accuracy before and after curation",
    responses=_PROBLEMS,
)
def show_report(job_id: Identifier, caller: Reader, resources: SharedResources) -> ReportView:
    """Show one row a method: mean accuracy, interval, seeds, and how many samples were kept."""
    with unit_of_work(resources.engine) as session:
        job = find_finished_job(session, caller, JobId(job_id))
        return ReportView(results.report(session, job.job_id))


@router.get(
    "/histogram",
    operation_id="get_histogram",
    summary="Show how the scores are spread",
    responses=_PROBLEMS,
)
def show_histogram(
    job_id: Identifier,
    caller: Reader,
    resources: SharedResources,
    bins: Annotated[int, Query(ge=1, le=_MAX_BINS, description="Bins over [0, 1].")] = 50,
) -> HistogramView:
    """Show how many samples fall into each bin of the score, in all and by class."""
    with unit_of_work(resources.engine) as session:
        job = find_finished_job(session, caller, JobId(job_id))
        spread = results.histogram(session, job.job_id, bins=bins, class_count=len(job.class_names))
    return HistogramView(
        edges=spread.edges.tolist(),
        counts=spread.counts.sum(axis=0).tolist(),
        classes=[
            HistogramClass(name=name, counts=counts)
            for name, counts in zip(job.class_names, spread.counts.tolist(), strict=True)
        ],
    )


@router.get(
    "/samples/{position}",
    operation_id="get_sample",
    summary="Show one sample with its features",
    responses=_PROBLEMS,
)
def show_sample(
    job_id: Identifier,
    position: Annotated[int, Path(ge=0, le=MAX_POSTGRESQL_INTEGER)],
    caller: Reader,
    resources: SharedResources,
) -> SampleView:
    """Show score, weight and rank, and each feature's place among the kept samples.

    Ids may hold slashes, so a sample is addressed by its position.
    """
    with unit_of_work(resources.engine) as session:
        job = find_finished_job(session, caller, JobId(job_id))
        row = results.weight_at(session, job.job_id, position)
        table = FeatureTable.of_job(session, job.job_id)
        keep = results.score_columns(session, job.job_id).keep
        vectors = results.job_object(session, job.job_id, NEIGHBOUR_VECTORS_KIND)
    # The session is closed: reading the features' file takes longer than all queries.
    features = describe_sample(resources.store, table, position=position, keep=keep)
    neighbours = (
        []
        if vectors is None
        else nearest_samples(resources.store, vectors, position=position, sample_count=len(keep))
    )
    return SampleView(
        **_weight_view(job, row).model_dump(),
        features=features,
        neighbours=_neighbour_views(resources, job, neighbours),
    )


def _neighbour_views(
    resources: Resources, job: FinishedJob, neighbours: Sequence[Neighbour]
) -> list[NeighbourView]:
    places = [neighbour.position for neighbour in neighbours]
    with unit_of_work(resources.engine) as session:
        rows = results.weights_at(session, job.job_id, places)
    return [
        NeighbourView(
            **_weight_view(job, rows[neighbour.position]).model_dump(), cosine=neighbour.cosine
        )
        for neighbour in neighbours
    ]


def _key(row: WeightRow, order: WeightOrder) -> int:
    """Return the number after which the next page begins."""
    return row.position if order is WeightOrder.POSITION else row.rank


def _weight_view(job: FinishedJob, row: WeightRow) -> WeightView:
    return WeightView(
        position=row.position,
        sample_id=row.sample_id,
        label=row.label,
        class_name=job.class_name(row.label),
        score=row.score,
        weight=row.weight,
        rank=row.rank,
        keep=row.keep,
    )
