"""Opens the log files of the stack's processes, bounded in size, and finds the reason in them."""

import os
from pathlib import Path
from typing import IO

_MAX_LOG_BYTES = 10 * 2**20
_TAIL_BYTES = 4000
_LONGEST_REASON = 300
_GRAVE_WORDS = ("FATAL", "PANIC", "Error", "error:")


def open_log(path: Path) -> IO[bytes]:
    """Opens the log for appending, readable by its owner alone.

    A log that has grown beyond 10 MB is first moved to ``<name>.1``, in place of an older one.
    """
    if path.exists() and path.stat().st_size > _MAX_LOG_BYTES:
        path.replace(path.with_name(f"{path.name}.1"))
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab")


def log_reason(path: Path) -> str:
    """Returns why the log's writer ended, as far as its last lines tell, and where to read more."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            lines = [line.strip() for line in log.read().decode(errors="replace").splitlines()]
    except FileNotFoundError:
        lines = []
    # A server's very last line often tells only that it has shut down.
    grave = [line for line in lines if any(word in line for word in _GRAVE_WORDS)]
    said = next(reversed(grave or [line for line in lines if line]), "it wrote nothing")
    return f"{said[:_LONGEST_REASON]} (see {path})"
