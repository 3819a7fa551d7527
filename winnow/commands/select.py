"""``winnow select``: makes a named cut of a finished job's samples."""

from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from winnow.commands.options import (
    ApiKeyOption,
    DataOption,
    OutputFormat,
    OutputOption,
    ServerOption,
    target_of,
)
from winnow.commands.printing import print_fields, print_json
from winnow.connection import connect
from winnow.display import SilentDisplay
from winnow.errors import InputError
from winnow.resources import JobId, SelectionRule, Suggested, Threshold, TopCount, TopFraction


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
        typer.Option("--download", help="Write the cut's manifest: .parquet, .jsonl or .csv."),
    ] = None,
    server: ServerOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Make a named cut of a job's samples; without a rule, the cut that the job suggests."""
    rule = choose_rule(keep=keep, count=count, threshold=threshold, is_balanced=balance)
    target = target_of(server, api_key, data)
    with connect(target, SilentDisplay(), has_workers=False) as connection:
        client = connection.client
        selection = client.create_selection(JobId(job), name=name or _describe(rule), rule=rule)
        if download is not None:
            client.download_selection_manifest(selection.id, download)
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


def _describe(rule: SelectionRule) -> str:
    match rule:
        case TopFraction():
            said = f"best {rule.fraction:g} of the pool"
        case TopCount():
            said = f"best {rule.count}"
        case Threshold():
            said = f"score at least {rule.threshold:g}"
        case Suggested():
            said = "suggested"
    is_balanced = isinstance(rule, TopFraction | TopCount) and rule.balanced
    return f"{said}, balanced" if is_balanced else said
