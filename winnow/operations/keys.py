"""API keys and the record of what was done with them; all of it needs the scope ``admin``."""

from collections.abc import AsyncIterator
from uuid import UUID

from winnow.access_resources import AuditEntry, Key, KeyId, KeyRequest, NewKey
from winnow.calls import Call
from winnow.operations.reading import pages
from winnow.transport import Transport


async def create_key(transport: Transport, request: KeyRequest) -> NewKey:
    """Creates a key to the workspace; its secret is shown this once."""
    expires_at = request.expires_at
    body = {
        "name": request.name,
        "scopes": list(request.scopes),
        "expires_at": None if expires_at is None else expires_at.isoformat(),
    }
    call = Call(method="POST", path="/v1/keys", body=body, is_repeatable=False)
    return await transport.ask(NewKey, call)


def list_keys(transport: Transport) -> AsyncIterator[Key]:
    """Yields every key, those that have ended among them, newest first."""
    return pages(transport, Key, "/v1/keys")


async def get_key(transport: Transport, key_id: KeyId) -> Key:
    """Returns the key."""
    return await transport.ask(Key, Call(method="GET", path=f"/v1/keys/{key_id}"))


async def rotate_key(transport: Transport, key_id: KeyId, *, overlap_seconds: int = 0) -> NewKey:
    """Creates a key like this one, and ends this one after the overlap."""
    call = Call(
        method="POST",
        path=f"/v1/keys/{key_id}:rotate",
        body={"overlap_seconds": overlap_seconds},
        is_repeatable=False,
    )
    return await transport.ask(NewKey, call)


async def revoke_key(transport: Transport, key_id: KeyId) -> Key:
    """Ends the key at once."""
    return await transport.ask(Key, Call(method="POST", path=f"/v1/keys/{key_id}:revoke"))


def list_audit(transport: Transport, *, object_id: UUID | None = None) -> AsyncIterator[AuditEntry]:
    """Yields what was done in the workspace, or to one row of it, newest first."""
    params = {"object_id": None if object_id is None else str(object_id)}
    return pages(transport, AuditEntry, "/v1/audit", params)
