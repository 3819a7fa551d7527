"""A server between two others that falls silent in the middle of an answer."""

import socket
import socketserver
from threading import Event, Lock, Thread
from urllib.parse import urlsplit

_PIECE_BYTES = 1 << 16


class StallingProxy(socketserver.ThreadingTCPServer):
    """Passes connections on, and no byte more once its answers have had so many together."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, endpoint: str, *, stall_after: int) -> None:
        """Listen on a free port.

        Args:
            endpoint: The server that answers, `http://host:port`.
            stall_after: How many bytes of answers come through before the silence.
        """
        super().__init__(("127.0.0.1", 0), _Connection)
        parts = urlsplit(endpoint)
        self.upstream = (parts.hostname or "", parts.port or 80)
        self.endpoint = f"http://127.0.0.1:{self.server_address[1]}"
        self.is_stalled = Event()
        self._may_go_on = Event()
        self._left = stall_after
        self._lock = Lock()
        Thread(target=self.serve_forever, daemon=True).start()

    def go_on(self) -> None:
        """Let everything pass from now on."""
        self._may_go_on.set()

    def pay_for(self, size: int) -> None:
        """Return once so many bytes of an answer may pass."""
        with self._lock:
            self._left -= size
            is_over = self._left < 0
        if is_over and not self._may_go_on.is_set():
            self.is_stalled.set()
            self._may_go_on.wait()

    def stop(self) -> None:
        """Let whatever waits end, and listen no more."""
        self.go_on()
        self.shutdown()
        self.server_close()


class _Connection(socketserver.BaseRequestHandler):
    server: StallingProxy

    def handle(self) -> None:
        with socket.create_connection(self.server.upstream) as upstream:
            Thread(target=_pass_on, args=(self.request, upstream), daemon=True).start()
            _pass_on(upstream, self.request, self.server)


def _pass_on(
    source: socket.socket, target: socket.socket, toll: StallingProxy | None = None
) -> None:
    try:
        while piece := source.recv(_PIECE_BYTES):
            if toll is not None:
                toll.pay_for(len(piece))
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        # Either side may leave at any time; the one that was killed certainly does.
        return
