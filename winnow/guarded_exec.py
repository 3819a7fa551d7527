"""Becomes the given program, after tying its life to the process that asked for it.

This file is run as a script by ``winnow.child_process`` and imports nothing of ours, so that it
starts in a few milliseconds and works from any folder:

    python -I -S guarded_exec.py PARENT_PID DEATH_SIGNAL UID GID LOCK_FD PROGRAM [ARGUMENT ...]

UID, GID and LOCK_FD are -1 where not wanted. A separate program does this, and not a hook between
fork and exec, because such a hook may deadlock where the parent runs threads.
"""

import ctypes
import os
import sys
from pathlib import Path

_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG in <linux/prctl.h>
_COMMAND_NOT_STARTED = 127  # What a shell answers for a program that cannot be run.


def become_user(uid: int, gid: int) -> None:
    """Drops to the user and group for good, other groups included."""
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def die_with_parent(parent_pid: int, death_signal: int) -> None:
    """Asks the kernel for a signal when the parent's spawning thread ends.

    Raises:
        SystemExit: the parent ended before the request was in place.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_SET_PARENT_DEATH_SIGNAL, death_signal, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    # A parent that died before the line above sends no signal any more.
    if os.getppid() != parent_pid:
        sys.exit("the parent process has already gone")


def main(arguments: list[str]) -> None:
    """Replaces this process by the program named in the arguments."""
    parent_pid, death_signal, uid, gid, lock_fd = (int(value) for value in arguments[:5])
    command = arguments[5:]
    if lock_fd >= 0:
        os.ftruncate(lock_fd, 0)
        os.pwrite(lock_fd, str(os.getpid()).encode(), 0)
    if uid >= 0:
        become_user(uid, gid)
    # The kernel forgets the death signal when the user changes, so this comes after.
    die_with_parent(parent_pid, death_signal)
    try:
        os.execv(command[0], command)  # noqa: S606 - The caller passes an absolute path.
    except OSError as error:
        sys.stderr.write(f"{Path(command[0]).name} cannot be started: {error}\n")
        sys.exit(_COMMAND_NOT_STARTED)


if __name__ == "__main__":
    main(sys.argv[1:])
