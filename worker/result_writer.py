"""Writes the result of a run under its token: staged first, then made visible at once."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import numpy as np
import stamina
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from curation.clock import Clock
from curation.database import unit_of_work
from curation.errors import ClaimLostError
from curation.jobs import Claim
from curation.objects import ObjectStore, StoredObject
from curation.results import ResultRows, TraceSeries, finish_job, stage_results
from curation.selectors import NewSelector
from mts_core.errors import NonFiniteError
from mts_core.pipeline import CurationResult
from worker.dataset_loader import PoolRows

FEATURES_KIND: Final = "features"
FEATURE_NAMES_KIND: Final = "feature_names"
SECONDS_KEY: Final = "seconds_by_phase"
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
    seconds_by_phase: Callable[[], Mapping[str, float]],
    clock: Clock,
) -> bool:
    """Write a result, mark its job as succeeded, and return whether the claim still held.

    It may be repeated: nothing is visible before the one transaction at its end, and after that
    the claim does not hold any more.

    Args:
        engine: The database.
        store: Where the features go.
        claim: The attempt under whose token everything is written.
        rows: The samples of the run.
        result: What the run found.
        selector: What was distilled from the scores, or None.
        seconds_by_phase: Called once the rows are staged.
        clock: The time.

    Raises:
        NonFiniteError: The report holds a number that is not finite.
    """
    objects = _store_features(store, result)
    try:
        staged = stage_results(engine, claim, _result_rows(rows, result))
    except ClaimLostError:
        return False
    report = {**result.report, SECONDS_KEY: dict(seconds_by_phase())}
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
            now=clock(),
        )


def _store_features(store: ObjectStore, result: CurationResult) -> dict[str, StoredObject]:
    rows = len(result.features)
    with store.open_writer() as writer:
        for start in range(0, rows, _BATCH_ROWS):
            part = result.features[start : start + _BATCH_ROWS]
            # The byte order is part of the format, whatever this machine's own is.
            writer.write(np.ascontiguousarray(part, dtype="<f4").tobytes())
        features = writer.finish()
    names = store.put_bytes(json.dumps(list(result.feature_names)).encode())
    return {FEATURES_KIND: features, FEATURE_NAMES_KIND: names}


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
