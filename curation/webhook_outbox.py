"""Messages to endpoints: written with what they tell, then read, repeated and looked up."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from curation.errors import NotFoundError
from curation.identifiers import DeliveryId, EndpointId, WorkspaceId, new_id
from curation.models import (
    DeliveryState,
    Job,
    JobState,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
)
from curation.pages import Place, newest_first

PING = "webhook.ping"
_EVENT_OF_STATE = {
    JobState.SUCCEEDED: WebhookEvent.JOB_SUCCEEDED,
    JobState.FAILED: WebhookEvent.JOB_FAILED,
    JobState.CANCELLED: WebhookEvent.JOB_CANCELLED,
}


def announce_end(session: Session, job: Job, at: datetime) -> None:
    """Write a message for each endpoint that wants to hear of a job's final state.

    Called in the transaction of the change, so that there is a message if and only if it happened.
    """
    event = _EVENT_OF_STATE[job.state]
    listeners = session.scalars(
        select(WebhookEndpoint.id).where(
            WebhookEndpoint.workspace_id == job.workspace_id,
            WebhookEndpoint.disabled_at.is_(None),
            WebhookEndpoint.events.contains([event.value]),
        )
    ).all()
    failure = (
        None
        if job.failure_reason is None
        else {"reason": job.failure_reason, "detail": job.failure_detail}
    )
    data = {
        "job_id": str(job.id),
        "state": job.state.value,
        "attempt": job.attempt,
        "failure": failure,
    }
    message_id = _new_message_id()
    for endpoint_id in listeners:
        session.add(
            _delivery(
                WorkspaceId(job.workspace_id),
                EndpointId(endpoint_id),
                message_id=message_id,
                event=event,
                body=_body(event, data, at),
                now=at,
            )
        )
    session.flush()


def ping(session: Session, endpoint: WebhookEndpoint, now: datetime) -> WebhookDelivery:
    """Return a message that tells nothing, on its way to an endpoint."""
    delivery = _delivery(
        WorkspaceId(endpoint.workspace_id),
        EndpointId(endpoint.id),
        message_id=_new_message_id(),
        event=PING,
        body=_body(PING, {"webhook_id": str(endpoint.id)}, now),
        now=now,
    )
    session.add(delivery)
    session.flush()
    return delivery


def redeliver(session: Session, delivery: WebhookDelivery, now: datetime) -> WebhookDelivery:
    """Return a new delivery of the same message, under the same message id."""
    again = _delivery(
        WorkspaceId(delivery.workspace_id),
        EndpointId(delivery.endpoint_id),
        message_id=delivery.message_id,
        event=delivery.event,
        body=delivery.body,
        now=now,
    )
    session.add(again)
    session.flush()
    return again


def get_delivery(
    session: Session, workspace_id: WorkspaceId, delivery_id: DeliveryId
) -> WebhookDelivery:
    """Return one delivery.

    Raises:
        NotFoundError: There is none of this id in the workspace.
    """
    delivery = session.scalars(
        select(WebhookDelivery).where(
            WebhookDelivery.workspace_id == workspace_id, WebhookDelivery.id == delivery_id
        )
    ).one_or_none()
    if delivery is None:
        raise NotFoundError("DELIVERY_NOT_FOUND", f"There is no delivery {delivery_id}.")
    return delivery


def list_deliveries(
    session: Session,
    endpoint: WebhookEndpoint,
    *,
    after: Place | None = None,
    limit: int = 100,
) -> list[WebhookDelivery]:
    """Return deliveries to an endpoint, newest first."""
    query = select(WebhookDelivery).where(WebhookDelivery.endpoint_id == endpoint.id)
    return newest_first(
        session, query, WebhookDelivery.created_at, WebhookDelivery.id, after=after, limit=limit
    )


def attempts_of(session: Session, delivery: WebhookDelivery) -> list[WebhookAttempt]:
    """Return the tries of a delivery in their order."""
    query = select(WebhookAttempt).where(WebhookAttempt.delivery_id == delivery.id)
    return list(session.scalars(query.order_by(WebhookAttempt.number)))


def _delivery(  # noqa: PLR0913 - a row's columns.
    workspace_id: WorkspaceId,
    endpoint_id: EndpointId,
    *,
    message_id: str,
    event: str,
    body: str,
    now: datetime,
) -> WebhookDelivery:
    return WebhookDelivery(
        id=new_id(),
        workspace_id=workspace_id,
        endpoint_id=endpoint_id,
        message_id=message_id,
        event=event,
        body=body,
        state=DeliveryState.PENDING,
        attempt=0,
        next_attempt_at=now,
        created_at=now,
    )


def _body(event: str, data: Mapping[str, Any], at: datetime) -> str:  # JSON values.
    message = {"type": event, "timestamp": at.isoformat(), "data": data}
    return json.dumps(message, separators=(",", ":"))


def _new_message_id() -> str:
    return f"msg_{new_id().hex}"
