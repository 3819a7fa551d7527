"""``winnow select``: makes a named cut of a finished job's samples."""

from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from winnow.client import Client
from winnow.commands.asking import ask
from winnow.commands.options import (
    ApiKeyOption,
    DataOption,
    OutputFormat,
    OutputOption,
    ServerOption,
    target_of,
)
from winnow.commands.printing import print_fields, print_json
from winnow.errors import InputError
from winnow.manifest_endings import ENDINGS_IN_WORDS
from winnow.resources import (
    JobId,
    Selection,
    SelectionRule,
    Suggested,
    Threshold,
    TopCount,
    TopFraction,
    describe_rule,
)


def select(  # noqa: PLR0913 - Each parameter is an option of the command.
    *,
    job: Annotated[UUID, typer.Argument(help="A job that succeeded.")],
    data: DataOption,
    keep: Annotated[float | None, typer.Option(help="Keep this fraction, best first.")] = None,
    count: Annotated[int | None, typer.Option(help="Keep this many, best first.")] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Keep every sample whose score is at least this.")
    ] = None,
    balance: Annotated[
        bool, typer.Option("--balance", help="With --keep or --count: alike in every class.")
    ] = False,
    name: Annotated[str, typer.Option(help="Shown in lists. (default: the rule)")] = "",
    download: Annotated[
        Path | None,
        typer.Option("--download", help=f"Write the cut's manifest: {ENDINGS_IN_WORDS}."),
    ] = None,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Make a named cut of a job's samples; without a rule, the cut that the job suggests."""
    rule = choose_rule(keep=keep, count=count, threshold=threshold, is_balanced=balance)

    def cut(client: Client) -> Selection:
        made = client.create_selection(JobId(job), name=name or describe_rule(rule), rule=rule)
        if download is not None:
            client.download_selection_manifest(made.id, download)
        return made

    selection = ask(target_of(server, api_key, data), cut)
    if output is OutputFormat.JSON:
        print_json(selection)
        return
    print_fields(
        {
            "id": selection.id,
            "name": selection.name,
            "job": selection.job_id,
            "kept": selection.kept_count,
            "written": download,
        }
    )


def choose_rule(
    *, keep: float | None, count: int | None, threshold: float | None, is_balanced: bool
) -> SelectionRule:
    """Returns the rule that the options name.

    Raises:
        InputError: they name more than one, or a balance without what it balances.
    """
    if sum(value is not None for value in (keep, count, threshold)) > 1:
        raise InputError("--keep, --count and --threshold exclude each other.")
    if keep is not None:
        return TopFraction(fraction=keep, balanced=is_balanced)
    if count is not None:
        return TopCount(count=count, balanced=is_balanced)
    if is_balanced:
        raise InputError("--balance needs --keep or --count.")
    return Suggested() if threshold is None else Threshold(threshold=threshold)
