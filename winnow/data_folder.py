"""Where the one-machine stack keeps its data, and which stack is running there."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import platformdirs

from winnow.errors import DataFolderInUseError
from winnow.folder_lock import FolderLock

DATA_VARIABLE = "WINNOW_DATA"
_SYSTEM_FOLDER = Path("/var/lib/winnow")


@dataclass(frozen=True)
class StackAddress:
    """Where a running stack answers, and the key that opens it."""

    server: str
    api_key: str


@dataclass(frozen=True)
class DataFolder:
    """The places inside a stack's data folder."""

    root: Path

    @property
    def postgres(self) -> Path:
        """PostgreSQL's own folder."""
        return self.root / "postgres"

    @property
    def valkey(self) -> Path:
        """Valkey's own folder."""
        return self.root / "valkey"

    @property
    def objects(self) -> Path:
        """Uploads, checkpoints and other files, by their digest."""
        return self.root / "objects"

    @property
    def scratch(self) -> Path:
        """Temporary files of runs; emptied when the stack starts."""
        return self.root / "scratch"

    @property
    def logs(self) -> Path:
        """One log for each process."""
        return self.root / "logs"

    @property
    def api_key(self) -> Path:
        """The first key, for commands on this machine; readable by its owner alone."""
        return self.root / "api-key"

    @property
    def running(self) -> Path:
        """Says where the stack answers while it runs."""
        return self.root / "running.json"

    def make(self) -> None:
        """Makes the folder and those inside it, each closed to other users."""
        if not self.root.exists():
            self.root.mkdir(parents=True)
            # Root's PostgreSQL runs as another user, which has to pass through.
            self.root.chmod(0o711 if os.geteuid() == 0 else 0o700)
        for folder in (self.objects, self.scratch, self.logs):
            folder.mkdir(mode=0o700, exist_ok=True)

    def record_running(self, address: StackAddress) -> None:
        """Notes where the stack answers, for other commands of the same user."""
        write_private(self.running, json.dumps(asdict(address)))

    def running_stack(self) -> StackAddress | None:
        """Returns the address of the stack that runs on this folder, or None."""
        if not self.root.exists() or not self._is_locked():
            return None
        try:
            return StackAddress(**json.loads(self.running.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            # Still starting, already stopping, or another user's.
            return None

    def _is_locked(self) -> bool:
        lock = FolderLock(self.root)
        try:
            lock.acquire()
        except DataFolderInUseError:
            return True
        except PermissionError:
            return False
        lock.release()
        return False


def default_data_folder() -> Path:
    """Returns WINNOW_DATA, or /var/lib/winnow for root, or the user's own data folder."""
    named = os.environ.get(DATA_VARIABLE)
    if named:
        return Path(named)
    return _SYSTEM_FOLDER if os.geteuid() == 0 else platformdirs.user_data_path("winnow")


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner can read, from its first moment on."""
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
    partial.replace(path)
