"""What the administrator of a workspace does with its keys: look, revoke and replace."""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from curation.errors import ConflictError, NotFoundError
from curation.identifiers import KeyId, WorkspaceId
from curation.keys import issue_key
from curation.models import ApiKey
from curation.pages import Place, newest_first


def get_key(
    session: Session, workspace_id: WorkspaceId, key_id: KeyId, *, is_locked: bool = False
) -> ApiKey:
    """Return one key.

    Raises:
        NotFoundError: There is none of this id in the workspace.
    """
    query = select(ApiKey).where(ApiKey.workspace_id == workspace_id, ApiKey.id == key_id)
    if is_locked:
        query = query.with_for_update().execution_options(populate_existing=True)
    key = session.scalars(query).one_or_none()
    if key is None:
        raise NotFoundError("KEY_NOT_FOUND", f"There is no key {key_id}.")
    return key


def list_keys(
    session: Session,
    workspace_id: WorkspaceId,
    *,
    after: Place | None = None,
    limit: int = 100,
) -> list[ApiKey]:
    """Return keys of a workspace, newest first, those that have ended among them."""
    query = select(ApiKey).where(ApiKey.workspace_id == workspace_id)
    return newest_first(session, query, ApiKey.created_at, ApiKey.id, after=after, limit=limit)


def revoke_key(session: Session, workspace_id: WorkspaceId, key_id: KeyId, now: datetime) -> ApiKey:
    """End a key at once and return it; to revoke it again changes nothing.

    Raises:
        NotFoundError: There is no such key.
    """
    key = get_key(session, workspace_id, key_id, is_locked=True)
    if key.revoked_at is None:
        key.revoked_at = now
    return key


def rotate_key(
    session: Session,
    workspace_id: WorkspaceId,
    key_id: KeyId,
    *,
    overlap: timedelta,
    now: datetime,
) -> tuple[ApiKey, str]:
    """Return a new key like an old one and its word; the old one ends after the overlap.

    The new one lives as long as the old one was made to live.

    Raises:
        NotFoundError: There is no such key.
        ConflictError: It has ended already.
    """
    old = get_key(session, workspace_id, key_id, is_locked=True)
    if old.revoked_at is not None or (old.expires_at is not None and old.expires_at <= now):
        raise ConflictError(
            "KEY_ENDED", "The key is revoked or has expired.", cure="Create a new one."
        )
    lifetime = None if old.expires_at is None else old.expires_at - old.created_at
    new, word = issue_key(
        session,
        workspace_id,
        name=old.name,
        scopes=old.scopes,
        now=now,
        expires_at=None if lifetime is None else now + lifetime,
    )
    last = now + overlap
    old.expires_at = last if old.expires_at is None else min(last, old.expires_at)
    return new, word
