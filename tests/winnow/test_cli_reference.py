"""The page about the command line says what the commands are, and completion knows them."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from winnow.cli import app, run
from winnow.cli_reference import with_reference
from winnow.exit_codes import ExitCode

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "cli.md"
# Their -o names the folder for the results.
WITH_FOLDER = {"curate", "score", "download"}


def commands(group: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, TyperCommand]]:
    assert isinstance(group, TyperGroup)
    for name, below in group.commands.items():
        if isinstance(below, TyperCommand):
            yield " ".join((*path, name)), below
        else:
            yield from commands(below, (*path, name))


COMMANDS = dict(commands(get_command(app)))


def test_page_is_written_by_the_commands_of_this_version() -> None:
    page = PAGE.read_text()
    assert page == with_reference(page), "write it again with: make cli-reference"


def test_page_names_every_exit_code() -> None:
    table = PAGE.read_text().partition("## Exit codes")[2].partition("##")[0]
    named = {int(code) for row in re.findall(r"^\| ([\d, ]+) \|", table, re.MULTILINE)
             for code in row.split(",")}  # fmt: skip
    assert named == set(ExitCode)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_prints_json_and_describes_its_options(name: str) -> None:
    command = COMMANDS[name]
    options = {word: option for option in command.params for word in option.opts}
    assert "--output" in options
    assert ("-o" in options["--output"].opts) == (name not in WITH_FOLDER)
    assert command.help
    for option in command.params:
        assert getattr(option, "help", None), option.name


def test_examples_on_the_page_are_commands_with_options_of_theirs() -> None:
    lines = re.findall(r"^winnow (.*)$", PAGE.read_text().partition("<!--")[0], re.MULTILINE)
    assert len(lines) > 5
    for line in lines:
        [name] = [name for name in COMMANDS if line.startswith(f"{name} ")]
        known = {word for option in COMMANDS[name].params for word in option.opts}
        assert set(re.findall(r"(?<= )--?[a-z][a-z-]*", line)) <= known, line


Complete = Callable[..., str]


@pytest.fixture
def complete(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Complete:
    """Asks the command what a shell's script asks it, and returns what it prints."""

    def ask(instruction: str, **environment: str) -> str:
        for name, value in {"_WINNOW_COMPLETE": instruction, **environment}.items():
            monkeypatch.setenv(name, value)
        run([])
        return capsys.readouterr().out

    return ask


def test_zsh_and_fish_are_offered_commands(complete: Complete) -> None:
    zsh = complete("complete_zsh", _TYPER_COMPLETE_ARGS="winnow keys r")
    assert re.findall(r'"(\w+)":', zsh) == ["rotate", "revoke"]
    fish = complete(
        "complete_fish",
        _TYPER_COMPLETE_ARGS="winnow jobs list --state su",
        _TYPER_COMPLETE_FISH_ACTION="get-args",
    )
    assert fish.split() == ["succeeded"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shells_script_is_printed_as_the_page_says(complete: Complete, shell: str) -> None:
    assert f"_WINNOW_COMPLETE=source_{shell} winnow" in PAGE.read_text()
    assert f"_WINNOW_COMPLETE=complete_{shell}" in complete(f"source_{shell}")


def test_bash_completes_what_is_typed(tmp_path: Path) -> None:
    bash = shutil.which("bash")
    assert bash is not None
    # On PATH under its own name, as an installed command is.
    program = tmp_path / "winnow"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m winnow "$@"\n')
    program.chmod(0o755)
    script = (
        'eval "$(_WINNOW_COMPLETE=source_bash winnow)"\n'
        "COMP_WORDS=(winnow webhooks rede); COMP_CWORD=2\n"
        '_winnow_completion winnow; printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(
        [bash, "--norc", "-c", script],
        env={
            **os.environ,
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "PYTHONPATH": str(REPOSITORY),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["redeliver"], done.stderr
