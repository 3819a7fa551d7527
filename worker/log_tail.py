"""Keeps the last bytes that a child process wrote."""

import threading
from typing import Final, final

LOG_TAIL_BYTES: Final = 64 * 1024


@final
class LogTail:
    """The end of a byte stream; one thread may write while another reads.

    Attributes:
        capacity_bytes: How much is kept.
    """

    def __init__(self, capacity_bytes: int = LOG_TAIL_BYTES) -> None:
        self.capacity_bytes = capacity_bytes
        self._kept = bytearray()
        self._lock = threading.Lock()

    def write(self, chunk: bytes) -> None:
        """Append bytes and forgets the oldest beyond the capacity."""
        with self._lock:
            self._kept += chunk
            excess = len(self._kept) - self.capacity_bytes
            if excess > 0:
                del self._kept[:excess]

    def text(self) -> str:
        """Return what is kept, without the broken first line where bytes were forgotten.

        Null characters are left out, since PostgreSQL's text cannot hold them.
        """
        with self._lock:
            kept = bytes(self._kept)
        if len(kept) == self.capacity_bytes:
            _, newline, rest = kept.partition(b"\n")
            kept = rest if newline else kept
        return kept.decode("utf-8", errors="replace").replace("\x00", "")
