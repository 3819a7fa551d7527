"""Webhooks: endpoints, and what was sent to them."""

from collections.abc import AsyncIterator
from dataclasses import asdict

from winnow.access_resources import (
    Delivery,
    DeliveryId,
    DeliveryLog,
    NewWebhook,
    Webhook,
    WebhookEvent,
    WebhookId,
    WebhookRequest,
)
from winnow.calls import Call
from winnow.operations.reading import pages
from winnow.transport import Transport


async def create_webhook(transport: Transport, request: WebhookRequest) -> NewWebhook:
    """Creates an endpoint; the secret that signs its messages is shown this once."""
    body = asdict(request) | {"events": list(request.events)}
    call = Call(method="POST", path="/v1/webhooks", body=body, is_repeatable=False)
    return await transport.ask(NewWebhook, call)


def list_webhooks(transport: Transport) -> AsyncIterator[Webhook]:
    """Yields every endpoint, newest first."""
    return pages(transport, Webhook, "/v1/webhooks")


async def get_webhook(transport: Transport, webhook_id: WebhookId) -> Webhook:
    """Returns the endpoint."""
    return await transport.ask(Webhook, Call(method="GET", path=f"/v1/webhooks/{webhook_id}"))


async def update_webhook(
    transport: Transport, webhook_id: WebhookId, request: WebhookRequest, *, is_enabled: bool = True
) -> Webhook:
    """Replaces what the endpoint is told; enabling it takes back that failures disabled it."""
    body = asdict(request) | {"events": list(request.events), "is_enabled": is_enabled}
    call = Call(method="PUT", path=f"/v1/webhooks/{webhook_id}", body=body)
    return await transport.ask(Webhook, call)


async def enable_webhook(
    transport: Transport, webhook_id: WebhookId, *, is_enabled: bool
) -> Webhook:
    """Enables or disables the endpoint, and leaves the rest of it as it is."""
    found = await get_webhook(transport, webhook_id)
    request = WebhookRequest(
        url=found.url,
        events=[WebhookEvent(event) for event in found.events],
        description=found.description,
    )
    return await update_webhook(transport, webhook_id, request, is_enabled=is_enabled)


async def delete_webhook(transport: Transport, webhook_id: WebhookId) -> None:
    """Deletes the endpoint with its deliveries."""
    await transport.send(Call(method="DELETE", path=f"/v1/webhooks/{webhook_id}"))


async def rotate_webhook_secret(transport: Transport, webhook_id: WebhookId) -> NewWebhook:
    """Makes a new secret, shown this once; the old one signs too for a day."""
    path = f"/v1/webhooks/{webhook_id}:rotate"
    return await transport.ask(NewWebhook, Call(method="POST", path=path, is_repeatable=False))


async def ping_webhook(transport: Transport, webhook_id: WebhookId) -> Delivery:
    """Sends a message that tells nothing, to try the endpoint out."""
    path = f"/v1/webhooks/{webhook_id}:ping"
    return await transport.ask(Delivery, Call(method="POST", path=path, is_repeatable=False))


def list_webhook_deliveries(transport: Transport, webhook_id: WebhookId) -> AsyncIterator[Delivery]:
    """Yields what was sent to the endpoint, newest first."""
    return pages(transport, Delivery, f"/v1/webhooks/{webhook_id}/deliveries")


async def get_webhook_delivery(transport: Transport, delivery_id: DeliveryId) -> DeliveryLog:
    """Returns a delivery with what was sent and how the endpoint answered."""
    path = f"/v1/webhook-deliveries/{delivery_id}"
    return await transport.ask(DeliveryLog, Call(method="GET", path=path))


async def redeliver_webhook(transport: Transport, delivery_id: DeliveryId) -> Delivery:
    """Sends the same message once more, under the same message id."""
    path = f"/v1/webhook-deliveries/{delivery_id}:redeliver"
    return await transport.ask(Delivery, Call(method="POST", path=path, is_repeatable=False))
