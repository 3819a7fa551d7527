"""Routes of API keys, for the administrators of a workspace."""

from datetime import timedelta
from http import HTTPStatus

from fastapi import APIRouter

from api.cursors import decode_time_cursor, next_time_cursor
from api.dependencies import Admin, AskedPage, SetLocation, SharedResources
from api.problem_responses import authorised_problems
from api.schemas.fields import Identifier
from api.schemas.keys import KeyCreate, KeyPage, KeyRotate, KeyView, NewKeyView
from curation import key_administration
from curation.audit import record_action
from curation.database import unit_of_work
from curation.identifiers import KeyId
from curation.keys import issue_key

router = APIRouter(prefix="/v1/keys", tags=["keys"])

_BODY_PROBLEMS = (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    operation_id="create_key",
    summary="Create an API key",
    responses=authorised_problems(*_BODY_PROBLEMS),
)
def create_key(
    *, body: KeyCreate, caller: Admin, resources: SharedResources, set_location: SetLocation
) -> NewKeyView:
    """Create a key to this workspace; it is shown this once."""
    now = resources.clock()
    with unit_of_work(resources.engine) as session:
        row, word = issue_key(
            session,
            caller.workspace_id,
            name=body.name,
            scopes=body.scopes,
            expires_at=body.expires_at,
            now=now,
        )
        record_action(session, caller, "create_key", row.id, now)
        view = NewKeyView(key=KeyView.from_row(row), secret=word)
    set_location(f"/v1/keys/{view.key.id}")
    return view


@router.get(
    "",
    operation_id="list_keys",
    summary="List the API keys of the workspace, newest first",
    responses=authorised_problems(),
)
def list_keys(caller: Admin, resources: SharedResources, page: AskedPage) -> KeyPage:
    """List keys, those that have ended among them, a page at a time."""
    with unit_of_work(resources.engine) as session:
        rows = key_administration.list_keys(
            session,
            caller.workspace_id,
            after=decode_time_cursor(page.cursor),
            limit=page.limit,
        )
    cursor = next_time_cursor(rows, page.limit)
    return KeyPage(items=[KeyView.from_row(row) for row in rows], next_cursor=cursor)


@router.get(
    "/{key_id}",
    operation_id="get_key",
    summary="Show an API key",
    responses=authorised_problems(HTTPStatus.NOT_FOUND),
)
def show_key(key_id: Identifier, caller: Admin, resources: SharedResources) -> KeyView:
    """Show a key: its scopes, when it ends and when it was last used."""
    with unit_of_work(resources.engine) as session:
        return KeyView.from_row(
            key_administration.get_key(session, caller.workspace_id, KeyId(key_id))
        )


@router.post(
    "/{key_id}:revoke",
    operation_id="revoke_key",
    summary="End an API key at once",
    responses=authorised_problems(HTTPStatus.NOT_FOUND),
)
def revoke_key(key_id: Identifier, caller: Admin, resources: SharedResources) -> KeyView:
    """End a key; the very next request with it is refused."""
    now = resources.clock()
    with unit_of_work(resources.engine) as session:
        row = key_administration.revoke_key(session, caller.workspace_id, KeyId(key_id), now)
        record_action(session, caller, "revoke_key", row.id, now)
        return KeyView.from_row(row)


@router.post(
    "/{key_id}:rotate",
    status_code=HTTPStatus.CREATED,
    operation_id="rotate_key",
    summary="Replace an API key",
    responses=authorised_problems(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, *_BODY_PROBLEMS),
)
def rotate_key(
    *,
    key_id: Identifier,
    body: KeyRotate,
    caller: Admin,
    resources: SharedResources,
    set_location: SetLocation,
) -> NewKeyView:
    """Create a key like this one, show it this once, and end this one after the overlap."""
    now = resources.clock()
    with unit_of_work(resources.engine) as session:
        row, word = key_administration.rotate_key(
            session,
            caller.workspace_id,
            KeyId(key_id),
            overlap=timedelta(seconds=body.overlap_seconds),
            now=now,
        )
        record_action(session, caller, "rotate_key", KeyId(key_id), now)
        view = NewKeyView(key=KeyView.from_row(row), secret=word)
    set_location(f"/v1/keys/{view.key.id}")
    return view
