"""Finds a folder for a server's Unix socket that the kernel's limit on socket paths allows."""

import os
import shutil
import tempfile
from pathlib import Path

from winnow.child_process import Account

MAX_SOCKET_PATH_BYTES = 103
"""What fits on every system: Linux takes 107 bytes, macOS 103, the closing zero byte apart."""

_SHORT_ROOT = "/tmp"  # noqa: S108 - mkdtemp makes an unguessable folder of mode 0700 there.
_SHORT_PREFIX = "winnow-"


def make_socket_folder(home: Path, socket_name: str, owner: Account | None) -> Path:
    """Makes the folder for the socket, of mode 0700 and owned by the server's user.

    It is ``home/run``, or where the path of the socket would be too long a folder with a random
    name below /tmp, which ``home/run`` then points to. Whatever an earlier server left is removed.
    """
    remove_socket_folder(home)
    folder = home / "run"
    if len(os.fsencode(folder / socket_name)) <= MAX_SOCKET_PATH_BYTES:
        folder.mkdir(mode=0o700)
    else:
        folder = Path(tempfile.mkdtemp(prefix=_SHORT_PREFIX, dir=_SHORT_ROOT))
        (home / "run").symlink_to(folder)
    folder.chmod(0o700)
    if owner is not None:
        os.chown(folder, owner.uid, owner.gid)
    return folder


def remove_socket_folder(home: Path) -> None:
    """Removes the folder that ``make_socket_folder`` made, wherever it lies."""
    folder = home / "run"
    if folder.is_symlink():
        target = folder.readlink()
        # Only what mkdtemp made here is ours to remove, whatever the link has become.
        if target.parent == Path(_SHORT_ROOT) and target.name.startswith(_SHORT_PREFIX):
            shutil.rmtree(target, ignore_errors=True)
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)
