"""``winnow webhooks``: lists, creates, tries and deletes endpoints, and shows their deliveries."""

from itertools import islice
from typing import Annotated
from uuid import UUID

import typer

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
from winnow.commands.asking import ask, print_deleted
from winnow.commands.options import (
    ApiKeyOption,
    DataOption,
    OutputFormat,
    OutputOption,
    ServerOption,
    target_of,
)
from winnow.commands.printing import print_fields, print_json, print_table

app = typer.Typer(
    no_args_is_help=True, help="List, create, try and delete webhooks, and see what was sent."
)

WebhookArgument = Annotated[UUID, typer.Argument(help="The webhook's id.")]
DeliveryArgument = Annotated[UUID, typer.Argument(help="The delivery's id.")]


@app.command("list")
def list_command(
    *,
    data: DataOption,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """List the webhooks, newest first."""
    hooks = ask(target_of(server, api_key, data), lambda client: list(client.list_webhooks()))
    if output is OutputFormat.JSON:
        print_json(hooks)
        return
    print_table(
        ("id", "url", "events", "state", "failed", "created"),
        [
            (h.id, h.url, ",".join(h.events), _state(h), h.failed_deliveries, h.created_at)
            for h in hooks
        ],
    )


@app.command("create")
def create_command(  # noqa: PLR0913 - Each parameter is an option of the command.
    *,
    url: Annotated[str, typer.Argument(help="Where messages are sent.")],
    data: DataOption,
    event: Annotated[
        list[WebhookEvent] | None,
        typer.Option(help="What it is told; may be given again. (default: every event)"),
    ] = None,
    description: Annotated[str | None, typer.Option(help="For people.")] = None,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Create a webhook; the secret that signs its messages is shown this once."""
    request = WebhookRequest(url=url, events=event or list(WebhookEvent), description=description)
    made = ask(target_of(server, api_key, data), lambda client: client.create_webhook(request))
    _print_new(made, output)


@app.command("test")
def ping_command(
    *,
    webhook: WebhookArgument,
    data: DataOption,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Send a message that tells nothing, to try a webhook out."""
    sent = ask(
        target_of(server, api_key, data), lambda client: client.ping_webhook(WebhookId(webhook))
    )
    _print_delivery(sent, output)


@app.command("deliveries")
def deliveries_command(  # noqa: PLR0913 - Each parameter is an option of the command.
    *,
    webhook: WebhookArgument,
    data: DataOption,
    limit: Annotated[int, typer.Option(min=1, help="How many to list.")] = 20,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """List what was sent to a webhook, newest first."""
    sent = ask(
        target_of(server, api_key, data),
        lambda client: list(islice(client.list_webhook_deliveries(WebhookId(webhook)), limit)),
    )
    if output is OutputFormat.JSON:
        print_json(sent)
        return
    print_table(
        ("id", "event", "state", "tries", "next try", "created"),
        [(d.id, d.event, d.state, d.attempt, d.next_attempt_at, d.created_at) for d in sent],
    )


@app.command("delivery")
def delivery_command(
    *,
    delivery: DeliveryArgument,
    data: DataOption,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Show a delivery: what was sent, and how the webhook answered each try."""
    log = ask(
        target_of(server, api_key, data),
        lambda client: client.get_webhook_delivery(DeliveryId(delivery)),
    )
    _print_log(log, output)


@app.command("redeliver")
def redeliver_command(
    *,
    delivery: DeliveryArgument,
    data: DataOption,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Send the same message once more, under the same message id."""
    sent = ask(
        target_of(server, api_key, data),
        lambda client: client.redeliver_webhook(DeliveryId(delivery)),
    )
    _print_delivery(sent, output)


@app.command("rotate")
def rotate_command(
    *,
    webhook: WebhookArgument,
    data: DataOption,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Make a new secret, shown this once; the old one signs too for a day."""
    made = ask(
        target_of(server, api_key, data),
        lambda client: client.rotate_webhook_secret(WebhookId(webhook)),
    )
    _print_new(made, output)


@app.command("enable")
def enable_command(
    *,
    webhook: WebhookArgument,
    data: DataOption,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Enable a webhook again that failures or a person disabled."""
    found = ask(
        target_of(server, api_key, data),
        lambda client: client.enable_webhook(WebhookId(webhook), is_enabled=True),
    )
    _print_webhook(found, output)


@app.command("disable")
def disable_command(
    *,
    webhook: WebhookArgument,
    data: DataOption,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Send nothing to a webhook until it is enabled again."""
    found = ask(
        target_of(server, api_key, data),
        lambda client: client.enable_webhook(WebhookId(webhook), is_enabled=False),
    )
    _print_webhook(found, output)


@app.command("delete")
def delete_command(
    *,
    webhook: WebhookArgument,
    data: DataOption,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Delete a webhook with its deliveries."""
    ask(target_of(server, api_key, data), lambda client: client.delete_webhook(WebhookId(webhook)))
    print_deleted("webhook", webhook, output)


def _state(hook: Webhook) -> str:
    return "enabled" if hook.is_enabled else f"disabled: {hook.disabled_reason or 'by a person'}"


def _print_new(made: NewWebhook, output: OutputFormat) -> None:
    if output is OutputFormat.JSON:
        print_json(made)
        return
    _print_webhook(made.webhook, output)
    print(f"secret  {made.secret}")
    print("Keep the secret: it is not shown again.")


def _print_webhook(hook: Webhook, output: OutputFormat) -> None:
    if output is OutputFormat.JSON:
        print_json(hook)
        return
    print_fields(
        {
            "id": hook.id,
            "url": hook.url,
            "events": ", ".join(hook.events),
            "about": hook.description,
            "state": _state(hook),
        }
    )


def _print_delivery(sent: Delivery, output: OutputFormat) -> None:
    if output is OutputFormat.JSON:
        print_json(sent)
        return
    print_fields({"id": sent.id, "event": sent.event, "state": sent.state, "tries": sent.attempt})
    print(f"See how it goes with: winnow webhooks delivery {sent.id}")


def _print_log(log: DeliveryLog, output: OutputFormat) -> None:
    if output is OutputFormat.JSON:
        print_json(log)
        return
    sent = log.delivery
    print_fields(
        {
            "id": sent.id,
            "message": sent.message_id,
            "event": sent.event,
            "state": sent.state,
            "next try": sent.next_attempt_at,
            "body": log.body,
        }
    )
    rows = [(a.number, a.at, f"{a.seconds:.2f} s", a.status_code, a.error) for a in log.attempts]
    print_table(("try", "at", "took", "status", "error"), rows)
