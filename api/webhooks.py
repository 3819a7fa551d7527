"""Routes of webhooks: endpoints, their secrets, and what was delivered to them."""

from http import HTTPStatus

from fastapi import APIRouter

from api.cursors import decode_time_cursor, next_time_cursor
from api.dependencies import AskedPage, Reader, SetLocation, SharedResources, Writer
from api.problem_responses import authorised_problems
from api.resources import Resources
from api.schemas.fields import Identifier
from api.schemas.webhooks import (
    DeliveryAttemptView,
    DeliveryLog,
    DeliveryPage,
    DeliveryView,
    WebhookCreate,
    WebhookPage,
    WebhookSecretView,
    WebhookUpdate,
    WebhookView,
)
from curation import webhook_outbox, webhooks
from curation.audit import record_action
from curation.database import unit_of_work
from curation.identifiers import DeliveryId, EndpointId
from curation.outbound_addresses import Network, parse_networks

router = APIRouter(prefix="/v1", tags=["webhooks"])

_BODY_PROBLEMS = (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


@router.post(
    "/webhooks",
    status_code=HTTPStatus.CREATED,
    operation_id="create_webhook",
    summary="Create a webhook endpoint",
    responses=authorised_problems(HTTPStatus.CONFLICT, *_BODY_PROBLEMS),
)
def create_webhook(
    *, body: WebhookCreate, caller: Writer, resources: SharedResources, set_location: SetLocation
) -> WebhookSecretView:
    """Create an endpoint; its secret is shown this once."""
    with unit_of_work(resources.engine) as session:
        row = webhooks.create_endpoint(
            session, caller.workspace_id, _request(body), _allowed(resources), resources.clock()
        )
        record_action(session, caller, "create_webhook", row.id, resources.clock())
        view = WebhookSecretView(webhook=WebhookView.from_row(row), secret=row.secret)
    set_location(f"/v1/webhooks/{view.webhook.id}")
    return view


@router.get(
    "/webhooks",
    operation_id="list_webhooks",
    summary="List the webhook endpoints of the workspace, newest first",
    responses=authorised_problems(),
)
def list_webhooks(caller: Reader, resources: SharedResources, page: AskedPage) -> WebhookPage:
    """List endpoints, a page at a time."""
    with unit_of_work(resources.engine) as session:
        rows = webhooks.list_endpoints(
            session,
            caller.workspace_id,
            after=decode_time_cursor(page.cursor),
            limit=page.limit,
        )
    cursor = next_time_cursor(rows, page.limit)
    return WebhookPage(items=[WebhookView.from_row(row) for row in rows], next_cursor=cursor)


@router.get(
    "/webhooks/{webhook_id}",
    operation_id="get_webhook",
    summary="Show a webhook endpoint",
    responses=authorised_problems(HTTPStatus.NOT_FOUND),
)
def show_webhook(webhook_id: Identifier, caller: Reader, resources: SharedResources) -> WebhookView:
    """Show an endpoint, and why it is disabled where it is."""
    with unit_of_work(resources.engine) as session:
        row = webhooks.get_endpoint(session, caller.workspace_id, EndpointId(webhook_id))
        return WebhookView.from_row(row)


@router.put(
    "/webhooks/{webhook_id}",
    operation_id="update_webhook",
    summary="Change a webhook endpoint, disable it or enable it again",
    responses=authorised_problems(HTTPStatus.NOT_FOUND, *_BODY_PROBLEMS),
)
def update_webhook(
    webhook_id: Identifier, body: WebhookUpdate, caller: Writer, resources: SharedResources
) -> WebhookView:
    """Change an endpoint; messages that wait for one that is enabled go out then."""
    with unit_of_work(resources.engine) as session:
        row = webhooks.get_endpoint(
            session, caller.workspace_id, EndpointId(webhook_id), is_locked=True
        )
        webhooks.update_endpoint(
            row,
            _request(body),
            _allowed(resources),
            is_enabled=body.is_enabled,
            now=resources.clock(),
        )
        record_action(session, caller, "update_webhook", row.id, resources.clock())
        view = WebhookView.from_row(row)
    resources.doorbell.ring_webhooks()
    return view


@router.delete(
    "/webhooks/{webhook_id}",
    status_code=HTTPStatus.NO_CONTENT,
    operation_id="delete_webhook",
    summary="Delete a webhook endpoint with its deliveries",
    responses=authorised_problems(HTTPStatus.NOT_FOUND),
)
def delete_webhook(webhook_id: Identifier, caller: Writer, resources: SharedResources) -> None:
    """Delete an endpoint; nothing more is sent to it."""
    with unit_of_work(resources.engine) as session:
        row = webhooks.get_endpoint(session, caller.workspace_id, EndpointId(webhook_id))
        record_action(session, caller, "delete_webhook", row.id, resources.clock())
        session.delete(row)


@router.post(
    "/webhooks/{webhook_id}:rotate",
    operation_id="rotate_webhook_secret",
    summary="Give a webhook endpoint a new secret",
    responses=authorised_problems(HTTPStatus.NOT_FOUND),
)
def rotate_webhook_secret(
    webhook_id: Identifier, caller: Writer, resources: SharedResources
) -> WebhookSecretView:
    """Make a new secret and show it this once; the old one signs too for a day."""
    with unit_of_work(resources.engine) as session:
        row = webhooks.get_endpoint(
            session, caller.workspace_id, EndpointId(webhook_id), is_locked=True
        )
        webhooks.rotate_secret(row, resources.clock())
        record_action(session, caller, "rotate_webhook_secret", row.id, resources.clock())
        return WebhookSecretView(webhook=WebhookView.from_row(row), secret=row.secret)


@router.post(
    "/webhooks/{webhook_id}:ping",
    status_code=HTTPStatus.ACCEPTED,
    operation_id="ping_webhook",
    summary="Send a message that tells nothing",
    responses=authorised_problems(HTTPStatus.NOT_FOUND),
)
def ping_webhook(
    webhook_id: Identifier, caller: Writer, resources: SharedResources
) -> DeliveryView:
    """Send a message of type `webhook.ping`, to try an endpoint out."""
    with unit_of_work(resources.engine) as session:
        row = webhooks.get_endpoint(session, caller.workspace_id, EndpointId(webhook_id))
        delivery = webhook_outbox.ping(session, row, resources.clock())
        record_action(session, caller, "ping_webhook", row.id, resources.clock())
        view = DeliveryView.from_row(delivery)
    resources.doorbell.ring_webhooks()
    return view


@router.get(
    "/webhooks/{webhook_id}/deliveries",
    operation_id="list_webhook_deliveries",
    summary="List what was sent to a webhook endpoint, newest first",
    responses=authorised_problems(HTTPStatus.NOT_FOUND),
)
def list_webhook_deliveries(
    webhook_id: Identifier, caller: Reader, resources: SharedResources, page: AskedPage
) -> DeliveryPage:
    """List deliveries, a page at a time."""
    with unit_of_work(resources.engine) as session:
        endpoint = webhooks.get_endpoint(session, caller.workspace_id, EndpointId(webhook_id))
        rows = webhook_outbox.list_deliveries(
            session, endpoint, after=decode_time_cursor(page.cursor), limit=page.limit
        )
    cursor = next_time_cursor(rows, page.limit)
    return DeliveryPage(items=[DeliveryView.from_row(row) for row in rows], next_cursor=cursor)


@router.get(
    "/webhook-deliveries/{delivery_id}",
    operation_id="get_webhook_delivery",
    summary="Show a delivery with each of its tries",
    responses=authorised_problems(HTTPStatus.NOT_FOUND),
)
def show_webhook_delivery(
    delivery_id: Identifier, caller: Reader, resources: SharedResources
) -> DeliveryLog:
    """Show what was sent, when, and how the endpoint answered."""
    with unit_of_work(resources.engine) as session:
        row = webhook_outbox.get_delivery(session, caller.workspace_id, DeliveryId(delivery_id))
        attempts = webhook_outbox.attempts_of(session, row)
        return DeliveryLog(
            delivery=DeliveryView.from_row(row),
            body=row.body,
            attempts=[DeliveryAttemptView.from_row(attempt) for attempt in attempts],
        )


@router.post(
    "/webhook-deliveries/{delivery_id}:redeliver",
    status_code=HTTPStatus.ACCEPTED,
    operation_id="redeliver_webhook",
    summary="Send the same message again",
    responses=authorised_problems(HTTPStatus.NOT_FOUND),
)
def redeliver_webhook(
    delivery_id: Identifier, caller: Writer, resources: SharedResources
) -> DeliveryView:
    """Send the message once more, under the same message id."""
    with unit_of_work(resources.engine) as session:
        row = webhook_outbox.get_delivery(session, caller.workspace_id, DeliveryId(delivery_id))
        again = webhook_outbox.redeliver(session, row, resources.clock())
        record_action(session, caller, "redeliver_webhook", row.id, resources.clock())
        view = DeliveryView.from_row(again)
    resources.doorbell.ring_webhooks()
    return view


def _request(body: WebhookCreate) -> webhooks.EndpointRequest:
    return webhooks.EndpointRequest(
        url=body.url, events=body.events, description=body.description or ""
    )


def _allowed(resources: Resources) -> tuple[Network, ...]:
    return parse_networks(resources.settings.outbound_networks)
