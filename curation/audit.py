"""The audit log: who did what to which row, written in the transaction of the deed itself."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from curation.identifiers import WorkspaceId
from curation.keys import Principal
from curation.models import ApiKey, AuditEntry
from curation.pages import MAX_PAGE


def record_action(
    session: Session, caller: Principal, action: str, object_id: UUID | None, now: datetime
) -> None:
    """Add what a caller does to the log; it stands there if and only if the deed is committed.

    Args:
        session: The transaction of the deed.
        caller: Who does it; the log keeps the prefix of the key.
        action: The operation's id in the OpenAPI document.
        object_id: The row that it is done to.
        now: The time.
    """
    prefix = session.scalars(select(ApiKey.prefix).where(ApiKey.id == caller.key_id)).one_or_none()
    session.add(
        AuditEntry(
            workspace_id=caller.workspace_id,
            at=now,
            key_prefix=prefix,
            action=action,
            object_id=object_id,
        )
    )


def list_actions(
    session: Session,
    workspace_id: WorkspaceId,
    *,
    before: int | None = None,
    limit: int = 100,
    object_id: UUID | None = None,
) -> list[AuditEntry]:
    """Return what was done in a workspace, newest first.

    Args:
        session: The transaction.
        workspace_id: Whose log.
        before: Id of the last entry of the page before.
        limit: Most entries to return.
        object_id: Only what was done to this row.
    """
    query = select(AuditEntry).where(AuditEntry.workspace_id == workspace_id)
    if object_id is not None:
        query = query.where(AuditEntry.object_id == object_id)
    if before is not None:
        query = query.where(AuditEntry.id < before)
    return list(session.scalars(query.order_by(AuditEntry.id.desc()).limit(min(limit, MAX_PAGE))))
