"""``winnow keys``: lists, creates, replaces and ends API keys; it needs a key of scope admin."""

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

import typer

from winnow.access_resources import Key, KeyId, KeyRequest, NewKey, Scope
from winnow.commands.asking import ask
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
    no_args_is_help=True, help="List, create, replace and end API keys (scope admin)."
)

_SECONDS_PER_HOUR = 3600

KeyArgument = Annotated[UUID, typer.Argument(help="The key's id.")]


@app.command("list")
def list_command(
    *,
    data: DataOption,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """List the workspace's keys, newest first, those that have ended among them."""
    keys = ask(target_of(server, api_key, data), lambda client: list(client.list_keys()))
    if output is OutputFormat.JSON:
        print_json(keys)
        return
    now = datetime.now(UTC)
    print_table(
        ("id", "name", "prefix", "scopes", "state", "expires", "last used"),
        [
            (k.id, k.name, k.prefix, ",".join(k.scopes), _state(k, now), k.expires_at,
             k.last_used_at)
            for k in keys
        ],
    )  # fmt: skip


@app.command("create")
def create_command(  # noqa: PLR0913 - Each parameter is an option of the command.
    *,
    name: Annotated[str, typer.Argument(help="Shown in lists.")],
    data: DataOption,
    scope: Annotated[
        list[Scope] | None,
        typer.Option(help="How far it reaches; may be given again. (default: read and write)"),
    ] = None,
    days: Annotated[
        int | None, typer.Option(min=1, help="It ends after so many days. (default: never)")
    ] = None,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Create a key to the workspace; its secret is shown this once."""
    request = KeyRequest(
        name=name,
        scopes=scope or [Scope.READ, Scope.WRITE],
        expires_at=None if days is None else datetime.now(UTC) + timedelta(days=days),
    )
    made = ask(target_of(server, api_key, data), lambda client: client.create_key(request))
    _print_new(made, output)


@app.command("rotate")
def rotate_command(  # noqa: PLR0913 - Each parameter is an option of the command.
    *,
    key: KeyArgument,
    data: DataOption,
    overlap_hours: Annotated[
        float, typer.Option(min=0, max=720, help="How long the old key still opens.")
    ] = 0.0,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Create a key like this one, and end this one after the overlap."""
    overlap_seconds = round(overlap_hours * _SECONDS_PER_HOUR)
    made = ask(
        target_of(server, api_key, data),
        lambda client: client.rotate_key(KeyId(key), overlap_seconds=overlap_seconds),
    )
    _print_new(made, output)


@app.command("revoke")
def revoke_command(
    *,
    key: KeyArgument,
    data: DataOption,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """End a key at once."""
    ended = ask(target_of(server, api_key, data), lambda client: client.revoke_key(KeyId(key)))
    if output is OutputFormat.JSON:
        print_json(ended)
        return
    print(f"Revoked key {ended.id} ({ended.name})")


def _print_new(made: NewKey, output: OutputFormat) -> None:
    if output is OutputFormat.JSON:
        print_json(made)
        return
    print_fields(
        {
            "id": made.key.id,
            "name": made.key.name,
            "scopes": ", ".join(made.key.scopes),
            "expires": made.key.expires_at,
            "secret": made.secret,
        }
    )
    print("Keep the secret: it is not shown again.")


def _state(key: Key, now: datetime) -> str:
    if key.revoked_at is not None:
        return "revoked"
    is_over = key.expires_at is not None and key.expires_at <= now
    return "expired" if is_over else "active"
