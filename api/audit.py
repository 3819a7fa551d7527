"""The route of the audit log."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.cursors import decode_cursor, encode_cursor
from api.dependencies import Admin, AskedPage, SharedResources
from api.problem_responses import authorised_problems
from api.schemas.audit import AuditEntryView, AuditPage
from api.schemas.fields import MAX_SAFE_INTEGER, Identifier
from curation.audit import list_actions
from curation.database import unit_of_work

router = APIRouter(prefix="/v1", tags=["keys"])


@router.get(
    "/audit",
    operation_id="list_audit",
    summary="List who did what, newest first",
    responses=authorised_problems(),
)
def list_audit(
    *,
    caller: Admin,
    resources: SharedResources,
    page: AskedPage,
    object_id: Annotated[
        Identifier | None, Query(description="Only what was done to this row.")
    ] = None,
) -> AuditPage:
    """List the actions of the workspace's keys, a page at a time."""
    before = None if page.cursor is None else _entry_id(page.cursor)
    with unit_of_work(resources.engine) as session:
        rows = list_actions(
            session, caller.workspace_id, before=before, limit=page.limit, object_id=object_id
        )
    cursor = encode_cursor([rows[-1].id]) if len(rows) == page.limit else None
    return AuditPage(items=[AuditEntryView.from_row(row) for row in rows], next_cursor=cursor)


def _entry_id(cursor: str) -> int:
    (entry_id,) = decode_cursor(cursor, types=(int,))
    # Beyond it there are no entries, and PostgreSQL has no such numbers either.
    return max(0, min(int(entry_id), MAX_SAFE_INTEGER))
