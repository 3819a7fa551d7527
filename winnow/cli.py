"""The command line: its commands, and how their errors reach the user."""

import os
import sys
import traceback

import typer

from winnow import exit_codes
from winnow.commands import datasets, jobs, keys, selections, selectors, webhooks
from winnow.commands.curate import curate_command
from winnow.commands.download import download
from winnow.commands.score import score_command
from winnow.commands.select import select
from winnow.commands.up import up
from winnow.errors import WinnowError
from winnow.exit_codes import ExitCode, exit_code_of
from winnow.hints import hint_of
from winnow.signals import Stopped, raise_on_signals
from winnow.zsh_completion import answer_first_tab

_TRACEBACK_VARIABLE = "WINNOW_TRACEBACK"
_SIGNAL_CODES = 128
_INSTALL_COMPLETION = "--install-completion"

app = typer.Typer(
    name="winnow",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Curate synthetic datasets against a few real samples.\n\n"
    "Begin with `winnow curate SYNTHETIC REFERENCE -o OUT`, which needs no service, or with"
    " `winnow up`, which starts one with a dashboard.",
    epilog=exit_codes.DESCRIPTION,
)
app.command("up")(up)
app.command("curate")(curate_command)
app.add_typer(datasets.app, name="datasets")
app.add_typer(jobs.app, name="jobs")
app.add_typer(selections.app, name="selections")
app.add_typer(selectors.app, name="selectors")
app.add_typer(keys.app, name="keys")
app.add_typer(webhooks.app, name="webhooks")
app.command("select")(select)
app.command("score")(score_command)
app.command("download")(download)


def main() -> None:
    """Runs the command that the program's arguments name, and exits with its code."""
    raise_on_signals()
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Runs a command and returns its exit code; an error becomes one line, its reason last."""
    try:
        app(arguments, prog_name="winnow")
    except SystemExit as end:
        if _INSTALL_COMPLETION in arguments and not end.code:
            answer_first_tab()
        if end.code == ExitCode.INTERRUPTED:
            _complain("interrupted")
        return end.code if isinstance(end.code, int) else ExitCode.UNEXPECTED
    except WinnowError as error:
        _complain(" ".join(filter(None, (str(error), hint_of(error)))))
        return exit_code_of(error)
    except KeyboardInterrupt:
        _complain("interrupted")
        return ExitCode.INTERRUPTED
    except Stopped as stopped:
        _complain(f"stopped by {stopped}")
        return _SIGNAL_CODES + stopped.number
    except Exception as error:  # noqa: BLE001 - A user gets a sentence, never a traceback.
        return _complain_unexpectedly(error)
    return ExitCode.OK


def _complain_unexpectedly(error: Exception) -> int:
    if os.environ.get(_TRACEBACK_VARIABLE):
        traceback.print_exception(error)
        return ExitCode.UNEXPECTED
    said = str(error) or "no further word"
    _complain(
        f"unexpected {type(error).__name__}: {said} "
        f"(set {_TRACEBACK_VARIABLE}=1 to see where it arose)"
    )
    return ExitCode.UNEXPECTED


def _complain(text: str) -> None:
    print(f"error: {text}", file=sys.stderr, flush=True)
