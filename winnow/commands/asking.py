"""Asks the service one thing: what the commands that show no progress have in common."""

from collections.abc import Callable
from typing import TypeVar

from winnow.client import Client
from winnow.commands.options import OutputFormat
from winnow.commands.printing import print_json
from winnow.connection import Target, connect
from winnow.display import SilentDisplay

AnswerT = TypeVar("AnswerT")


def ask(target: Target, question: Callable[[Client], AnswerT]) -> AnswerT:
    """Returns what the service answers; a stack that had to be started is stopped afterwards."""
    with connect(target, SilentDisplay(), has_workers=False) as connection:
        return question(connection.client)


def print_deleted(what: str, identifier: object, output: OutputFormat) -> None:
    """Says that something is gone."""
    if output is OutputFormat.JSON:
        print_json({"deleted": str(identifier)})
    else:
        print(f"Deleted {what} {identifier}")
