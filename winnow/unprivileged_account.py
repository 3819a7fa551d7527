"""Finds the user that a server runs as where the caller is root, and what that user can reach."""

import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path

from winnow.child_process import Account

ACCOUNT_NAME = "winnow-postgres"
"""A system account without login, password or home, made on first need."""

_FALLBACK_NAME = "nobody"
"""Used where no account can be made, as in a container whose /etc is read-only."""


def server_account() -> Account | None:
    """Returns the account to drop to, or None where the caller is not root anyway."""
    if os.geteuid() != 0:
        return None
    return _find(ACCOUNT_NAME) or _make(ACCOUNT_NAME) or _find(_FALLBACK_NAME)


def _find(name: str) -> Account | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(name, entry.pw_uid, entry.pw_gid)


def _make(name: str) -> Account | None:
    """Makes the system account by whichever tool the system has; None where neither works."""
    no_shell = "/usr/sbin/nologin"
    tools = {
        "useradd": ["--system", "--user-group", "--no-create-home", "--shell", no_shell, name],
        "adduser": ["-S", "-D", "-H", "-s", no_shell, name],  # BusyBox's spelling.
    }
    for tool, arguments in tools.items():
        path = shutil.which(tool)
        if path is not None:
            subprocess.run([path, *arguments], check=False, capture_output=True)  # noqa: S603
            # Looked up rather than judged by the exit status: another process may have won.
            account = _find(name)
            if account is not None:
                return account
    return None


def can_traverse(account: Account, folder: Path) -> bool:
    """Tells by the mode bits whether the account can pass through the folder and all above it.

    Access control lists are not read. Where one grants more than the bits, the answer is no, and
    the caller takes the way that always works.
    """
    resolved = folder.resolve()
    return all(_allows(account, step, read=False) for step in (resolved, *resolved.parents))


def can_run(account: Account, program: Path) -> bool:
    """Tells whether the account can reach, read and execute the program."""
    return can_traverse(account, program.parent) and _allows(account, program, read=True)


def _allows(account: Account, path: Path, *, read: bool) -> bool:
    status = path.stat()
    if status.st_uid == account.uid:
        bits = stat.S_IXUSR | (stat.S_IRUSR if read else 0)
    elif status.st_gid == account.gid:
        bits = stat.S_IXGRP | (stat.S_IRGRP if read else 0)
    else:
        bits = stat.S_IXOTH | (stat.S_IROTH if read else 0)
    return status.st_mode & bits == bits
