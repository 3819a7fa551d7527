"""The rows of selectors: recorded with a job's results, listed, deleted."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from curation.datasets import get_dataset
from curation.errors import ConflictError, NotFoundError
from curation.feature_columns import FeatureColumn, columns_to_json
from curation.identifiers import SelectorId, WorkspaceId, new_id
from curation.job_types import Claim
from curation.models import FINAL_STATES, Job, Selector
from curation.object_rows import OrphanedObject, forget_unnamed, record_object
from curation.objects import StoredObject
from curation.pages import Place, newest_first


@dataclass(frozen=True, slots=True)
class NewSelector:
    """A selector that a run has distilled.

    Attributes:
        stored: Its file, complete in the object store.
        encoder: Name of the encoder that it reads samples by.
        feature_columns: Columns of the tables that it reads; none where samples are no rows.
    """

    stored: StoredObject
    encoder: str
    feature_columns: Sequence[FeatureColumn] | None = None


def record_selector(
    session: Session, claim: Claim, selector: NewSelector, *, sample_count: int, now: datetime
) -> None:
    """Add the row of a run's selector; modality, shape and classes are those of the run's pool.

    Args:
        session: The transaction that makes the results visible.
        claim: The claim of the run.
        selector: What was distilled.
        sample_count: Samples of the pool.
        now: The time.
    """
    pool = get_dataset(session, claim.workspace_id, claim.synthetic_id)
    record_object(session, selector.stored)
    session.add(
        Selector(
            id=new_id(),
            workspace_id=claim.workspace_id,
            job_id=claim.job_id,
            method=claim.method,
            encoder=selector.encoder,
            modality=pool.modality,
            input_shape=pool.input_shape,
            class_names=pool.class_names,
            feature_columns=columns_to_json(selector.feature_columns),
            sample_count=sample_count,
            digest=selector.stored.digest,
            created_at=now,
        )
    )


def get_selector(
    session: Session,
    workspace_id: WorkspaceId,
    selector_id: SelectorId,
    *,
    is_locked: bool = False,
) -> Selector:
    """Return one selector.

    Args:
        session: The transaction.
        workspace_id: Whose selector.
        selector_id: Which.
        is_locked: Whether to hold the row until the transaction ends.

    Raises:
        NotFoundError: There is none of this id in the workspace.
    """
    query = select(Selector).where(
        Selector.workspace_id == workspace_id, Selector.id == selector_id
    )
    if is_locked:
        query = query.with_for_update().execution_options(populate_existing=True)
    selector = session.scalars(query).one_or_none()
    if selector is None:
        raise NotFoundError("SELECTOR_NOT_FOUND", f"There is no selector {selector_id}.")
    return selector


def list_selectors(
    session: Session,
    workspace_id: WorkspaceId,
    *,
    after: Place | None = None,
    limit: int = 50,
) -> list[Selector]:
    """Return selectors of a workspace, newest first.

    Args:
        session: The transaction.
        workspace_id: Whose selectors.
        after: `(created_at, id)` of the last row of the page before.
        limit: Most rows to return.
    """
    query = select(Selector).where(Selector.workspace_id == workspace_id)
    return newest_first(session, query, Selector.created_at, Selector.id, after=after, limit=limit)


def delete_selector(
    session: Session, workspace_id: WorkspaceId, selector_id: SelectorId
) -> list[OrphanedObject]:
    """Delete a selector and return the files that nothing names any more.

    The caller removes the files by `object_rows.remove_files` after the commit.

    Raises:
        NotFoundError: There is no such selector.
        ConflictError: A job's scores come from it, or are to.
    """
    selector = get_selector(session, workspace_id, selector_id, is_locked=True)
    total, unfinished = session.execute(
        select(func.count(), func.count().filter(Job.state.not_in(FINAL_STATES))).where(
            Job.selector_id == selector_id
        )
    ).one()
    if total:
        raise ConflictError(
            "SELECTOR_IN_USE",
            f"{total} job(s) score by this selector, {unfinished} of them unfinished.",
            cure="Cancel those that are unfinished, and delete those jobs first.",
        )
    digest = selector.digest
    session.delete(selector)
    session.flush()
    return forget_unnamed(session, [digest])
