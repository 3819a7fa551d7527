"""Hears the supervisor in the training process, and leaves when it falls silent."""

import threading
import time
from collections.abc import Callable
from typing import BinaryIO, Final, final

from worker.child_link import Alive, Start, Stop, decode_from_supervisor
from worker.death_signal import leave_as_orphan

_LOOKS_PER_LEASE: Final = 20


@final
class SupervisorListener:
    """Hears the supervisor and leaves when it has been silent for one lease.

    Both threads are daemons: they hold no resource and must not keep a finished child alive.
    """

    def __init__(
        self,
        stream: BinaryIO,
        *,
        on_stop: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Wait for nothing yet.

        Args:
            stream: The supervisor's pipe.
            on_stop: Called when the supervisor asks for a checkpoint and departure.
            clock: Seconds that never run backwards.
        """
        self._stream = stream
        self._on_stop = on_stop
        self._clock = clock
        self._last_heard = clock()

    def wait_for_start(self) -> Start:
        """Return the first message; leaves as an orphan where the pipe ends before it."""
        line = self._stream.readline()
        if not line:
            leave_as_orphan()
        message = decode_from_supervisor(line)
        if not isinstance(message, Start):
            raise TypeError(f"The first message was {message.type}, not start.")
        self._last_heard = self._clock()
        return message

    def listen(self, lease_seconds: float) -> None:
        """Start hearing messages and watching for silence."""
        threading.Thread(target=self._hear, name="supervisor-pipe", daemon=True).start()
        threading.Thread(
            target=self._watch, args=(lease_seconds,), name="silence-watch", daemon=True
        ).start()

    def _hear(self) -> None:
        for line in self._stream:
            match decode_from_supervisor(line):
                case Alive():
                    self._last_heard = self._clock()
                case Stop():
                    self._on_stop()
                case Start():
                    raise TypeError("The supervisor started this child twice.")
        leave_as_orphan()

    def _watch(self, lease_seconds: float) -> None:
        while self._clock() - self._last_heard < lease_seconds:
            time.sleep(lease_seconds / _LOOKS_PER_LEASE)
        leave_as_orphan()
