"""Shows on standard error what a command is doing: bars on a terminal, plain lines elsewhere."""

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

Update = Callable[[float, str, str], None]
"""Shows that a fraction in [0, 1] of a task is done, with its phase and a detail."""

_LINE_SECONDS = 5.0


class Display(ABC):
    """Where a command says what it is doing."""

    @abstractmethod
    def say(self, text: str) -> None:
        """Shows a line."""

    @abstractmethod
    def task(self, title: str) -> AbstractContextManager[Update]:
        """Shows something that takes time, while the block runs."""


def choose_display(*, is_quiet: bool) -> Display:
    """Returns the display that fits standard error."""
    if is_quiet:
        return SilentDisplay()
    return BarDisplay() if sys.stderr.isatty() else LineDisplay()


@final
class SilentDisplay(Display):
    """Shows nothing."""

    def say(self, text: str) -> None:
        """Shows nothing."""

    @contextmanager
    def task(self, title: str) -> Iterator[Update]:  # noqa: ARG002 - Nothing is shown.
        """Shows nothing."""
        yield lambda _fraction, _phase, _detail: None


@final
class LineDisplay(Display):
    """Writes plain lines, for logs: at each new phase, and else every few seconds."""

    def say(self, text: str) -> None:
        """Writes a line."""
        print(text, file=sys.stderr, flush=True)

    @contextmanager
    def task(self, title: str) -> Iterator[Update]:
        """Writes a line at the start and as the task goes on."""
        self.say(title)
        last_phase, last_at = "", time.monotonic()

        def update(fraction: float, phase: str, detail: str) -> None:
            nonlocal last_phase, last_at
            now = time.monotonic()
            if phase != last_phase or now - last_at >= _LINE_SECONDS:
                self.say(f"{title}: {fraction:.0%} {phase} {detail}".rstrip())
                last_phase, last_at = phase, now

        yield update


@final
class BarDisplay(Display):
    """Draws bars that vanish when their task is done."""

    def __init__(self) -> None:
        """Draws on standard error, so that standard output holds results alone."""
        self._console = Console(stderr=True, highlight=False)

    def say(self, text: str) -> None:
        """Writes a line."""
        self._console.print(text, markup=False)

    @contextmanager
    def task(self, title: str) -> Iterator[Update]:
        """Draws a bar."""
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[note]}", markup=False),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._console, transient=True) as progress:
            task_id = progress.add_task(title, total=1.0, note="")

            def update(fraction: float, phase: str, detail: str) -> None:
                note = f"{phase} {detail}".strip()
                progress.update(task_id, completed=fraction, note=note)

            yield update
        self.say(f"{title}: done")
