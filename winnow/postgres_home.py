"""Decides where a PostgreSQL cluster lies, so that the user it runs as can reach it."""

import secrets
from pathlib import Path

from winnow.child_process import Account
from winnow.unprivileged_account import can_traverse

SYSTEM_ROOT = Path("/var/lib/winnow")
"""Where clusters and copied programs go that cannot lie where the caller asked."""

_POINTER = "cluster-location"


def find_home(data_dir: Path, account: Account | None, system_root: Path) -> Path:
    """Returns the folder that holds the cluster, its log and its socket folder, making it.

    It is ``data_dir`` itself wherever the server's user can pass through it. Where it cannot (root
    asked for a folder below /root, or for one of mode 0700), the cluster lies in a folder below
    ``system_root`` whose name is taken from the data folder, and the file ``cluster-location`` in
    ``data_dir`` says which, so that the data folder may still be moved. Modes of folders that
    exist already are never changed.
    """
    if not data_dir.exists():
        data_dir.mkdir(parents=True)
        # A server user has to pass through; the folders inside keep everyone else out.
        data_dir.chmod(0o700 if account is None else 0o711)
    if account is None:
        return data_dir
    pointer = data_dir / _POINTER
    if pointer.exists():
        return Path(pointer.read_text(encoding="utf-8").strip())
    if can_traverse(account, data_dir):
        return data_dir
    home = _new_folder(data_dir, system_root)
    pointer.write_text(f"{home}\n", encoding="utf-8")
    return home


def _new_folder(data_dir: Path, system_root: Path) -> Path:
    """Makes a folder of a name never used before.

    A name that followed from the path alone would bring an old cluster back to life when a data
    folder is deleted and made anew.
    """
    system_root.mkdir(parents=True, exist_ok=True)
    resolved = data_dir.resolve()
    home = system_root / f"{resolved.parent.name}-{resolved.name}-{secrets.token_hex(4)}"
    home.mkdir(mode=0o711)
    home.chmod(0o711)
    return home
