"""Opens the log files of the stack's processes, bounded in size, and reads their ends."""

import os
from pathlib import Path
from typing import IO

_MAX_LOG_BYTES = 10 * 2**20
_TAIL_BYTES = 2000


def open_log(path: Path) -> IO[bytes]:
    """Opens the log for appending, readable by its owner alone.

    A log that has grown beyond 10 MB is first moved to ``<name>.1``, in place of an older one.
    """
    if path.exists() and path.stat().st_size > _MAX_LOG_BYTES:
        path.replace(path.with_name(f"{path.name}.1"))
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab")


def log_tail(path: Path) -> str:
    """Returns the last lines of the log, or an empty text where there is none."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            return log.read().decode(errors="replace").strip()
    except FileNotFoundError:
        return ""
