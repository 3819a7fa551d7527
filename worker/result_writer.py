"""Writes the result of a run under its token: staged first, then made visible at once."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import stamina
from numpy.typing import NDArray
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from curation.clock import Clock
from curation.database import unit_of_work
from curation.errors import ClaimLostError
from curation.jobs import Claim
from curation.manifest_formats import TableFormat
from curation.objects import ObjectStore, StoredObject
from curation.result_columns import MAP_KIND, NEIGHBOUR_VECTORS_KIND
from curation.results import ResultRows, TraceSeries, finish_job, stage_results
from curation.selectors import NewSelector
from curation.weight_files import store_weights, weights_kind
from mts_core.embedding_map import map_coordinates, neighbour_vectors
from mts_core.errors import NonFiniteError
from mts_core.pipeline import CurationResult
from worker.dataset_loader import PoolRows
from worker.phase_clock import PhaseClock

FEATURES_KIND: Final = "features"
FEATURE_NAMES_KIND: Final = "feature_names"
SECONDS_KEY: Final = "seconds_by_phase"
WRITE_PHASE: Final = "write"
_BATCH_ROWS: Final = 16_384


# An outage is waited out: the supervisor ends this process when the lease runs out.
@stamina.retry(on=OperationalError, attempts=None, timeout=None)
def write_result(  # noqa: PLR0913 - a result has as many parts.
    engine: Engine,
    store: ObjectStore,
    claim: Claim,
    *,
    rows: PoolRows,
    result: CurationResult,
    selector: NewSelector | None,
    phase_clock: PhaseClock,
    scratch: Path,
    clock: Clock,
) -> bool:
    """Write a result, mark its job as succeeded, and return whether the claim still held.

    It may be repeated: nothing is visible before the one transaction at its end, and after that
    the claim does not hold any more.

    Args:
        engine: The database.
        store: Where the files go.
        claim: The attempt under whose token everything is written.
        rows: The samples of the run.
        result: What the run found.
        selector: What was distilled from the scores, or None.
        phase_clock: What the phases took; writing counts until the rows are staged.
        scratch: The attempt's folder.
        clock: The time.

    Raises:
        NonFiniteError: The report holds a number that is not finite.
    """
    objects = {
        **_store_features(store, result),
        **_store_map(store, result),
        weights_kind(TableFormat.PARQUET): store_weights(
            store, _result_rows(rows, result), scratch
        ),
    }
    try:
        staged = stage_results(engine, claim, _result_rows(rows, result))
    except ClaimLostError:
        return False
    phase_clock.spend(WRITE_PHASE)
    report = {**result.report, SECONDS_KEY: phase_clock.seconds_by_phase()}
    _check_finite(report)
    with unit_of_work(engine) as session:
        return finish_job(
            session,
            claim,
            staged,
            traces=_trace_series(result),
            report=report,
            objects=objects,
            selector=selector,
            seconds_by_phase=phase_clock.attempt_seconds(),
            now=clock(),
        )


def _store_features(store: ObjectStore, result: CurationResult) -> dict[str, StoredObject]:
    features = _store_rows(store, result.features, "<f4")
    names = store.put_bytes(json.dumps(list(result.feature_names)).encode())
    return {FEATURES_KIND: features, FEATURE_NAMES_KIND: names}


def _store_map(store: ObjectStore, result: CurationResult) -> dict[str, StoredObject]:
    """Return what the map and the neighbours are shown from; a selector's scores have neither."""
    if result.encoded is None:
        return {}
    encoded = result.encoded.pool
    return {
        MAP_KIND: _store_rows(store, map_coordinates(encoded), "<f4"),
        NEIGHBOUR_VECTORS_KIND: _store_rows(store, neighbour_vectors(encoded), "<f2"),
    }


def _store_rows(store: ObjectStore, rows: NDArray[Any], dtype: str) -> StoredObject:
    """Return an object that holds an array row by row; `dtype` tells the order of bytes, too."""
    with store.open_writer() as writer:
        for start in range(0, len(rows), _BATCH_ROWS):
            part = rows[start : start + _BATCH_ROWS]
            # The byte order is part of the format, whatever this machine's own is.
            writer.write(np.ascontiguousarray(part, dtype=dtype).tobytes())
        return writer.finish()


def _result_rows(rows: PoolRows, result: CurationResult) -> Iterator[ResultRows]:
    labels = rows.labels
    for start in range(0, len(labels), _BATCH_ROWS):
        part = slice(start, min(start + _BATCH_ROWS, len(labels)))
        yield ResultRows(
            first_position=start,
            sample_ids=rows.sample_ids.slice(start, part.stop - start).to_pylist(),
            labels=labels[part],
            scores=result.scores[part],
            weights=result.weights[part],
            ranks=result.ranks[part],
            keep=result.keep[part],
        )


def _trace_series(result: CurationResult) -> dict[str, TraceSeries]:
    return {
        name: TraceSeries(steps=steps.tolist(), values=values.tolist())
        for name, (steps, values) in result.traces.items()
    }


def _check_finite(report: Mapping[str, Any]) -> None:  # Any: a JSON object.
    try:
        json.dumps(report, allow_nan=False)
    except ValueError as error:
        # JSON knows neither NaN nor infinity, and the database refuses them.
        raise NonFiniteError("report") from error
