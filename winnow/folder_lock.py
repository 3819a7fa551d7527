"""Keeps one launcher and one server at a time on a data folder.

Two locks lie in the folder. ``launcher.lock`` belongs to the process that starts and stops the
server. ``server.lock`` is handed down to the server and all its children, so that the kernel
frees it only when the last of them has gone, whatever killed the launcher. No process id has to
be trusted after it may have been given to somebody else.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from winnow.errors import DataFolderInUseError, ServerStartError

_POLL_SECONDS = 0.02
# Another command may hold the lock for a moment, only to see whether somebody else does.
_PATIENCE_SECONDS = 0.5


class FolderLock:
    """An exclusive lock on a folder, kept until released or until this process ends."""

    def __init__(self, folder: Path) -> None:
        """Names the folder, which must exist, without locking it yet."""
        self._folder = folder
        self._fd: int | None = None

    def acquire(self) -> None:
        """Takes the lock.

        Raises:
            DataFolderInUseError: another process, or another holder in this one, keeps it.
        """
        fd = os.open(self._folder / "launcher.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not _lock_within(fd, _PATIENCE_SECONDS):
            owner = _owner(fd)
            os.close(fd)
            raise DataFolderInUseError(
                f"The data folder {self._folder} is in use by another Winnow (process {owner}); "
                "stop that one, or choose another folder."
            )
        os.ftruncate(fd, 0)
        os.pwrite(fd, str(os.getpid()).encode(), 0)
        self._fd = fd

    def release(self) -> None:
        """Frees the lock; without effect where it is not held."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


@contextmanager
def server_lock(folder: Path, *, wait_seconds: float) -> Iterator[int]:
    """Yields a locked descriptor to hand down to the server that is about to start.

    A server whose launcher was killed is already leaving by its death signal; this waits for the
    last of its processes.

    Raises:
        ServerStartError: it has not left within ``wait_seconds``.
    """
    fd = os.open(folder / "server.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _lock_within(fd, wait_seconds):
            raise ServerStartError(
                f"The server that an earlier Winnow left behind in {folder} (process {_owner(fd)}) "
                f"has not ended within {wait_seconds:.0f} seconds; end it and try again."
            )
        yield fd
    finally:
        # The server holds a copy of the descriptor; only its end frees the lock.
        os.close(fd)


def _lock_within(fd: int, wait_seconds: float) -> bool:
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        else:
            return True


def _owner(fd: int) -> str:
    return os.pread(fd, 20, 0).decode() or "unknown"
