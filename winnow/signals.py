"""Turns the signals that end a program into exceptions, so that what it started is stopped."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """A signal asks this program to end."""

    def __init__(self, number: int) -> None:
        """Keeps the signal's number."""
        super().__init__(signal.Signals(number).name)
        self.number = number


def raise_on_signals() -> None:
    """Makes SIGTERM and SIGHUP raise ``Stopped``, as SIGINT raises KeyboardInterrupt.

    A signal that the caller chose to ignore (as ``nohup`` does) stays ignored.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _raise)


@contextmanager
def signals_held() -> Iterator[None]:
    """Keeps those signals from interrupting the block, which must end by itself.

    Without effect outside the main thread, where no signal handler runs.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _ignore) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise(number: int, _: FrameType | None) -> None:
    raise Stopped(number)


def _ignore(_: int, __: FrameType | None) -> None:
    """Lets the block go on; unlike SIG_IGN this is not inherited by what it starts."""
