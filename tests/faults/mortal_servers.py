"""A broker and a database of a test's own, which it may kill, halt and bring back."""

import os
import signal
import time
from contextlib import suppress
from typing import Protocol

import psutil


class Server(Protocol):
    """What the embedded servers have in common."""

    @property
    def pid(self) -> int | None: ...

    def start(self) -> str: ...

    def stop(self) -> None: ...


class MortalServer:
    """A server that keeps its address and its data over its deaths."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.url = server.start()

    def kill(self) -> None:
        """Kill the server with all its processes, as a loss of power would."""
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(self._processes(), timeout=10)

    def revive(self) -> None:
        """Start the killed server again, on the same data and at the same address."""
        self._server.stop()
        assert self._server.start() == self.url

    def kill_for(self, seconds: float) -> None:
        self.kill()
        time.sleep(seconds)
        self.revive()

    def halt(self) -> None:
        """Let the server take connections and answer nothing."""
        os.kill(self._pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self._pid, signal.SIGCONT)

    def stop(self) -> None:
        if self._server.pid is not None:
            self.go_on()
        self._server.stop()

    @property
    def _pid(self) -> int:
        pid = self._server.pid
        assert pid is not None
        return pid

    def _processes(self) -> list[psutil.Process]:
        pid = self._server.pid
        if pid is None:
            return []
        server = psutil.Process(pid)
        # The father first, who would otherwise see his children die and set about recovering.
        return [server, *server.children(recursive=True)]
