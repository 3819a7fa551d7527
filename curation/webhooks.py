"""The endpoints of webhooks: where a workspace is told of its jobs' ends, by which secret."""

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from curation.errors import ConflictError, NotFoundError
from curation.identifiers import EndpointId, WorkspaceId, new_id
from curation.models import WebhookEndpoint, WebhookEvent
from curation.outbound_addresses import Network, target_of
from curation.pages import Place, newest_first

MAX_ENDPOINTS = 20
# For so long after a rotation, messages carry a signature by the old secret too.
ROTATION_OVERLAP = timedelta(hours=24)
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointRequest:
    """What a user says about an endpoint.

    Attributes:
        url: Where messages go.
        events: Which events they tell.
        description: For people.
    """

    url: str
    events: Sequence[WebhookEvent]
    description: str = ""


def create_endpoint(
    session: Session,
    workspace_id: WorkspaceId,
    request: EndpointRequest,
    allowed: Sequence[Network],
    now: datetime,
) -> WebhookEndpoint:
    """Return a new endpoint; its secret is shown to the user this once.

    Raises:
        InvalidInputError: The address is none that messages may go to.
        ConflictError: The workspace has as many as it may have.
    """
    target_of(request.url, allowed)
    if len(list_endpoints(session, workspace_id, limit=MAX_ENDPOINTS)) >= MAX_ENDPOINTS:
        raise ConflictError(
            "TOO_MANY_ENDPOINTS",
            f"The workspace has {MAX_ENDPOINTS} endpoints already.",
            cure="Delete one.",
        )
    endpoint = WebhookEndpoint(
        id=new_id(),
        workspace_id=workspace_id,
        url=request.url,
        description=request.description,
        events=_sorted(request.events),
        secret=_new_secret(),
        failed_deliveries=0,
        created_at=now,
    )
    session.add(endpoint)
    session.flush()
    return endpoint


def get_endpoint(
    session: Session, workspace_id: WorkspaceId, endpoint_id: EndpointId, *, is_locked: bool = False
) -> WebhookEndpoint:
    """Return one endpoint.

    Raises:
        NotFoundError: There is none of this id in the workspace.
    """
    query = select(WebhookEndpoint).where(
        WebhookEndpoint.workspace_id == workspace_id, WebhookEndpoint.id == endpoint_id
    )
    if is_locked:
        query = query.with_for_update().execution_options(populate_existing=True)
    endpoint = session.scalars(query).one_or_none()
    if endpoint is None:
        raise NotFoundError("WEBHOOK_NOT_FOUND", f"There is no webhook {endpoint_id}.")
    return endpoint


def list_endpoints(
    session: Session,
    workspace_id: WorkspaceId,
    *,
    after: Place | None = None,
    limit: int = 100,
) -> list[WebhookEndpoint]:
    """Return endpoints of a workspace, newest first."""
    query = select(WebhookEndpoint).where(WebhookEndpoint.workspace_id == workspace_id)
    return newest_first(
        session, query, WebhookEndpoint.created_at, WebhookEndpoint.id, after=after, limit=limit
    )


def update_endpoint(
    endpoint: WebhookEndpoint,
    request: EndpointRequest,
    allowed: Sequence[Network],
    *,
    is_enabled: bool,
    now: datetime,
) -> None:
    """Change a locked endpoint; what waits for one that is enabled again goes out then.

    Raises:
        InvalidInputError: The address is none that messages may go to.
    """
    target_of(request.url, allowed)
    endpoint.url = request.url
    endpoint.description = request.description
    endpoint.events = _sorted(request.events)
    if is_enabled:
        endpoint.disabled_at = None
        endpoint.disabled_reason = None
        endpoint.failed_deliveries = 0
    elif endpoint.disabled_at is None:
        endpoint.disabled_at = now
        endpoint.disabled_reason = "It was disabled by a user."


def rotate_secret(endpoint: WebhookEndpoint, now: datetime) -> None:
    """Give a locked endpoint a new secret; the old one signs too for `ROTATION_OVERLAP`."""
    endpoint.previous_secret = endpoint.secret
    endpoint.previous_secret_until = now + ROTATION_OVERLAP
    endpoint.secret = _new_secret()


def _sorted(events: Sequence[WebhookEvent]) -> list[str]:
    return sorted({event.value for event in events})


def _new_secret() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()}"
