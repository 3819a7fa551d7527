"""Named cuts through a job's samples: a rule, and the bits of what it keeps."""

import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from curation.errors import ConflictError, InvalidInputError, NotFoundError
from curation.identifiers import JobId, SelectionId, WorkspaceId, new_id
from curation.job_queries import get_job
from curation.models import Selection
from curation.pages import Place, newest_first
from curation.results import ScoreColumns, require_results, score_columns


@dataclass(frozen=True, slots=True)
class TopFraction:
    """Keep a share of the samples with the highest scores.

    Attributes:
        fraction: Share to keep, in (0, 1]; rounded half up to a whole sample, at least one.
        balanced: Whether each class keeps this share of its own samples.
    """

    fraction: float
    balanced: bool = False
    kind: Literal["top_fraction"] = "top_fraction"


@dataclass(frozen=True, slots=True)
class TopCount:
    """Keep a number of samples with the highest scores.

    Attributes:
        count: Samples to keep, from 1 to the size of the pool.
        balanced: Whether the number is shared among the classes in proportion to their size.
    """

    count: int
    balanced: bool = False
    kind: Literal["top_count"] = "top_count"


@dataclass(frozen=True, slots=True)
class Threshold:
    """Keep the samples whose score reaches a value.

    Attributes:
        threshold: Lowest score that is kept, in [0, 1].
        balanced: Whether every class keeps the share that the whole pool would keep.
    """

    threshold: float
    balanced: bool = False
    kind: Literal["threshold"] = "threshold"


@dataclass(frozen=True, slots=True)
class Suggested:
    """Keep what the run suggested.

    Attributes:
        balanced: Whether every class keeps the share that the suggestion keeps of the pool.
    """

    balanced: bool = False
    kind: Literal["suggested"] = "suggested"


SelectionRule = TopFraction | TopCount | Threshold | Suggested


def rule_from_json(raw: dict[str, Any]) -> SelectionRule:  # JSON values, as `rule_to_json` made.
    """Return the rule that a selection's row holds."""
    values = {key: value for key, value in raw.items() if key != "kind"}
    kinds: dict[str, type[SelectionRule]] = {
        "top_fraction": TopFraction,
        "top_count": TopCount,
        "threshold": Threshold,
        "suggested": Suggested,
    }
    return kinds[raw["kind"]](**values)


def rule_to_json(rule: SelectionRule) -> dict[str, Any]:  # JSON values.
    """Return a rule as a JSON object; `kind` tells which it is."""
    return asdict(rule)


def kept_positions(columns: ScoreColumns, rule: SelectionRule) -> NDArray[np.bool_]:
    """Return which samples a rule keeps; n log n in the pool.

    A cut by number keeps exactly this number, whatever the ties, which go to the lower position;
    a threshold keeps all equal scores.

    Args:
        columns: Scores, labels and the suggested cut, by position.
        rule: What to keep.

    Returns:
        [sample], bool.

    Raises:
        InvalidInputError: The rule's number is out of range.
    """
    _check_rule(rule, len(columns.scores))
    whole = _whole_pool_cut(columns, rule)
    if not rule.balanced:
        return whole
    return _balanced_cut(columns, int(whole.sum()))


def create_selection(  # noqa: PLR0913 - a selection's columns.
    session: Session,
    *,
    workspace_id: WorkspaceId,
    job_id: JobId,
    name: str,
    rule: SelectionRule,
    now: datetime,
) -> Selection:
    """Return a new named cut through a job's samples.

    Raises:
        NotFoundError: There is no such job.
        ConflictError: The job has no results, or a cut of this name already.
        InvalidInputError: The rule's number is out of range.
    """
    job = get_job(session, workspace_id, job_id)
    require_results(job)
    keep = kept_positions(score_columns(session, job_id), rule)
    selection = Selection(
        id=new_id(),
        workspace_id=workspace_id,
        job_id=job_id,
        name=name,
        rule=rule_to_json(rule),
        kept_count=int(keep.sum()),
        bitmap=pack_bitmap(keep),
        created_at=now,
    )
    try:
        with session.begin_nested():
            session.add(selection)
    except IntegrityError as error:
        raise ConflictError(
            "SELECTION_NAME_TAKEN",
            "The job has a selection of this name already, and selections never change.",
            field="name",
            cure="Choose another name.",
        ) from error
    return selection


def get_selection(
    session: Session, workspace_id: WorkspaceId, selection_id: SelectionId
) -> Selection:
    """Return one selection.

    Raises:
        NotFoundError: There is none of this id in the workspace.
    """
    selection = session.scalars(
        select(Selection).where(
            Selection.workspace_id == workspace_id, Selection.id == selection_id
        )
    ).one_or_none()
    if selection is None:
        raise NotFoundError("SELECTION_NOT_FOUND", f"There is no selection {selection_id}.")
    return selection


def list_selections(
    session: Session,
    workspace_id: WorkspaceId,
    job_id: JobId,
    *,
    after: Place | None = None,
    limit: int = 100,
) -> Sequence[Selection]:
    """Return the selections of a job, newest first.

    Args:
        session: The transaction.
        workspace_id: Whose job.
        job_id: Which.
        after: `(created_at, id)` of the last row of the page before.
        limit: Most rows to return.

    Raises:
        NotFoundError: There is no such job.
    """
    job = get_job(session, workspace_id, job_id)
    query = select(Selection).where(Selection.job_id == job.id)
    return newest_first(
        session, query, Selection.created_at, Selection.id, after=after, limit=limit
    )


def pack_bitmap(keep: NDArray[np.bool_]) -> bytes:
    """Return bits as compressed bytes, the first sample in the highest bit of the first byte."""
    return zlib.compress(np.packbits(keep).tobytes())


def unpack_bitmap(bitmap: bytes, sample_count: int) -> NDArray[np.bool_]:
    """Return the bits that `pack_bitmap` packed.

    Args:
        bitmap: The packed bits.
        sample_count: How many there are; the last byte may hold more.
    """
    packed = np.frombuffer(zlib.decompress(bitmap), dtype=np.uint8)
    return np.unpackbits(packed, count=sample_count).astype(np.bool_)


def _check_rule(rule: SelectionRule, size: int) -> None:
    # The comparisons are written so that a NaN fails them.
    match rule:
        case TopFraction(fraction=fraction) if not 0 < fraction <= 1:
            raise _out_of_range("fraction", "above 0 and up to 1")
        case TopCount(count=count) if not 1 <= count <= size:
            raise _out_of_range("count", f"from 1 to {size}, the size of the pool")
        case Threshold(threshold=threshold) if not 0 <= threshold <= 1:
            raise _out_of_range("threshold", "from 0 to 1")
        case _:
            return


def _out_of_range(field: str, allowed: str) -> InvalidInputError:
    return InvalidInputError(
        "OUT_OF_RANGE",
        f"The {field} is out of range.",
        field=f"rule.{field}",
        cure=f"Give a {field} {allowed}.",
    )


def _whole_pool_cut(columns: ScoreColumns, rule: SelectionRule) -> NDArray[np.bool_]:
    match rule:
        case TopFraction(fraction=fraction):
            size = len(columns.scores)
            return _top(columns.scores, max(1, int(np.floor(fraction * size + 0.5))))
        case TopCount(count=count):
            return _top(columns.scores, count)
        case Threshold(threshold=threshold):
            # Scores are float32: compared in float64, a score written out in full would miss
            # the threshold that was read off it.
            return np.asarray(columns.scores >= np.float32(threshold))
        case Suggested():
            return columns.keep


def _top(scores: NDArray[np.float32], count: int) -> NDArray[np.bool_]:
    keep = np.zeros(len(scores), dtype=np.bool_)
    keep[np.argsort(-scores, kind="stable")[:count]] = True
    return keep


def _balanced_cut(columns: ScoreColumns, budget: int) -> NDArray[np.bool_]:
    """Return a cut that keeps the same share of every class, by largest remainders.

    Rounding each class by itself would miss the budget by up to half a sample a class.
    """
    classes, counts = np.unique(columns.labels, return_counts=True)
    exact = counts * (budget / len(columns.labels))
    shares = np.floor(exact).astype(np.int64)
    largest_remainders = np.argsort(shares - exact, kind="stable")
    shares[largest_remainders[: budget - int(shares.sum())]] += 1
    keep = np.zeros(len(columns.labels), dtype=np.bool_)
    for label, share in zip(classes, shares, strict=True):
        members = np.flatnonzero(columns.labels == label)
        keep[members] = _top(columns.scores[members], int(share))
    return keep
