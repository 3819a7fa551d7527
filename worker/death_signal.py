"""Ties a process's life to its parent's; imports next to nothing, so that it acts at once."""

import ctypes
import os
import signal
import sys
from typing import Final, NoReturn

EXIT_ORPHANED: Final = 75
_PR_SET_PDEATHSIG: Final = 1


def die_with_parent(parent_pid: int) -> None:
    """Ask the kernel to kill this process when its parent is gone.

    The kernel sends the signal when the parent's thread that spawned us ends. The parent may
    have died before the request took effect, in which case no signal ever comes: hence the
    second look. Other systems than Linux have no such request; the pipe's end serves there.

    Args:
        parent_pid: Process id of the parent, as it told us.

    Raises:
        OSError: The kernel refused.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "The death signal was refused.")
    if os.getppid() != parent_pid:
        leave_as_orphan()


def leave_as_orphan() -> NoReturn:
    """End this process at once, without clean-up that could touch shared state."""
    os._exit(EXIT_ORPHANED)
