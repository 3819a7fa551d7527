"""Completion by Tab as a person sets it up and uses it: in real shells, on a terminal."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "cli.md"
PATIENCE_SECONDS = 120
PROMPT = "ready-for-more"
# What a new user's files hold; the prompt says that the shell listens.
START_FILES = {
    "bash": (".bashrc", f"PS1='{PROMPT} '\n"),
    "zsh": (".zshrc", f"PROMPT='{PROMPT} '\n"),
    "fish": (".config/fish/config.fish", f"function fish_prompt; echo '{PROMPT} '; end\n"),
}

Home = Callable[[str], Path]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Return the home of a new user of a shell, with a `winnow` that notes how it is called."""

    def make(shell: str) -> Path:
        if shutil.which(shell) is None:
            pytest.skip(f"there is no {shell}; install it with: apt-get install {shell}")
        name, content = START_FILES[shell]
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
        program = tmp_path / "bin" / "winnow"
        program.parent.mkdir()
        program.write_text(
            "#!/bin/sh\n"
            f'if [ -z "$_WINNOW_COMPLETE" ]; then echo "$*" >> {tmp_path}/called; fi\n'
            f'exec {sys.executable} -m winnow "$@"\n'
        )
        program.chmod(0o755)
        return tmp_path

    return make


@pytest.mark.parametrize("shell", START_FILES)
def test_tab_completes_after_the_own_installation(home: Home, shell: str) -> None:
    folder = home(shell)
    type_into(shell, folder, "winnow --install-completion\r")
    type_into(shell, folder, "winnow webhooks rede\t\r")
    assert calls(folder) == ["--install-completion", "webhooks redeliver"]


@pytest.mark.parametrize("shell", START_FILES)
def test_tab_completes_after_the_pages_line(home: Home, shell: str) -> None:
    folder = home(shell)
    row = re.search(rf"^\| {shell} \| `(.+)` \|$", PAGE.read_text(), re.MULTILINE)
    assert row is not None
    type_into(shell, folder, f"{row[1]}\r")
    type_into(shell, folder, "winnow jobs list --state su\t\r")
    assert calls(folder) == ["jobs list --state succeeded"]


def calls(folder: Path) -> list[str]:
    return [line.strip() for line in (folder / "called").read_text().splitlines()]


def type_into(shell: str, folder: Path, keys: str) -> None:
    """Start a shell on a terminal of its own, type one line at its prompt, and leave it."""
    keyboard, terminal = pty.openpty()
    environment = {
        "HOME": str(folder),
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY),
        "TERM": "dumb",
        "LANG": "C.UTF-8",
        # No service: what is completed then fails at once.
        "WINNOW_SERVER": "http://127.0.0.1:9",
        "WINNOW_API_KEY": "none",
    }
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", shell, "-i"],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=environment,
        cwd=folder,
    )
    os.close(terminal)
    try:
        seen = read_until(keyboard, lambda text: PROMPT in text)
        os.write(keyboard, keys.encode())
        seen += read_until(keyboard, lambda text: PROMPT in text)
        os.write(keyboard, b"exit\r")
        read_until(keyboard, lambda _: process.poll() is not None)
    finally:
        process.kill()
        process.wait()
        os.close(keyboard)


def read_until(keyboard: int, is_enough: Callable[[str], bool]) -> str:
    """Return what appears on the terminal until it is enough."""
    text = ""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_enough(text):
        assert time.monotonic() < deadline, text
        if select.select([keyboard], [], [], 0.2)[0]:
            try:
                text += os.read(keyboard, 65_536).decode(errors="replace")
            except OSError:
                # The other side is closed: the shell has left.
                return text
    return text
