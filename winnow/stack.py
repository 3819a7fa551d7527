"""Runs the whole service on one machine: PostgreSQL, Valkey, API and workers as child processes."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx2

from winnow.child_process import ChildSpec, spawn, stop
from winnow.client import Client
from winnow.data_folder import DataFolder, StackAddress, write_private
from winnow.embedded_postgres import EmbeddedPostgres
from winnow.embedded_valkey import EmbeddedValkey
from winnow.errors import PortInUseError, ServerStartError, UnauthenticatedError
from winnow.folder_lock import FolderLock, server_lock
from winnow.log_file import log_reason, open_log
from winnow.signals import signals_held

_CODE_ROOT = Path(__file__).parents[1]
_READY_SECONDS = 120.0
_ONCE_SECONDS = 300.0
_POLL_SECONDS = 0.1
_API_DRAIN_SECONDS = 5
# A worker may take its grace time to write a checkpoint (30 s unless set otherwise).
_DEFAULT_GRACE_SECONDS = 30.0
_STOP_MARGIN_SECONDS = 15.0
_ORPHAN_WAIT_SECONDS = 60.0
# Where this process is killed, the database goes at the same time, and there is nothing left that
# an orderly end could save. Celery alone has children that a kill would leave behind; this signal
# makes it end them at once.
_DEATH_SIGNALS = {"short": signal.SIGQUIT}
# The caller's own way to a service must not lead a child of this one elsewhere.
_CLIENT_VARIABLES = ("WINNOW_SERVER", "WINNOW_API_KEY", "WINNOW_DATA", "UVICORN_ROOT_PATH")


@dataclass(frozen=True, kw_only=True)
class StackOptions:
    """How to run the stack.

    Attributes:
        data: Its data folder.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        has_workers: Whether jobs and validations run, too.
        report: Told each step in a few words.
    """

    data: DataFolder
    host: str = "127.0.0.1"
    port: int = 0
    has_workers: bool = True
    report: Callable[[str], None] = lambda _: None


@dataclass(frozen=True)
class _Member:
    """A process of the stack that has to stay up."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path


@dataclass(frozen=True)
class _Shared:
    """What every process of the stack is started with."""

    environment: dict[str, str]
    members_fd: int


class Stack:
    """The service's processes; they end with this object's ``stop``, or with this process.

    Start it from a thread that outlives it (the main thread, as a rule): the kernel ends the
    processes when the thread that started them ends, also by SIGKILL.
    """

    def __init__(self, options: StackOptions) -> None:
        """Names what to run without starting it."""
        self._options = options
        self._data = options.data
        self._lock: FolderLock | None = None
        self._postgres = EmbeddedPostgres(self._data.postgres)
        self._valkey = EmbeddedValkey(self._data.valkey)
        self._members: list[_Member] = []

    def start(self) -> StackAddress:
        """Brings everything up and returns where it answers, with a key.

        Raises:
            PortInUseError: another program listens on the port.
            DataFolderInUseError: another stack runs on the data folder.
            ServerStartError: a process did not come up; the text says why.
        """
        self._lock = self._take_folder()
        try:
            # Each process keeps this lock, so that it is free when the last of them has gone,
            # also those of a stack that was killed.
            with server_lock(self._data.root, wait_seconds=_ORPHAN_WAIT_SECONDS) as members_fd:
                port = _free_port(self._options.host, self._options.port)
                return self._start(port, members_fd)
        except BaseException:
            self.stop()
            raise

    @property
    def database_url(self) -> str | None:
        """Where its database listens, for what no request can do; None before it is started."""
        return self._postgres.url

    def check(self) -> None:
        """Makes sure that every process is still there.

        Raises:
            ServerStartError: one has ended; the text says why.
        """
        for member in self._members:
            status = member.process.poll()
            if status is not None:
                raise ServerStartError(
                    f"The {member.name} has ended (status {status}): {log_reason(member.log)}"
                )
        for name, server in (("PostgreSQL", self._postgres), ("Valkey", self._valkey)):
            if server.pid is None:
                raise ServerStartError(
                    f"{name} has ended; see its server.log in {self._data.root}."
                )

    def stop(self) -> None:
        """Ends everything in order: runs write a checkpoint, then the servers shut down.

        A signal does not interrupt it; it takes the grace time and a margin at most.
        """
        with signals_held():
            self._stop()

    def _stop(self) -> None:
        if self._lock is None:
            # Never started, or refused because the folder is another stack's.
            return
        self._data.running.unlink(missing_ok=True)
        grace_seconds = float(os.environ.get("WINNOW_GRACE_SECONDS", _DEFAULT_GRACE_SECONDS))
        steps = (
            (signal.SIGTERM, grace_seconds + _STOP_MARGIN_SECONDS),
            (signal.SIGKILL, 5.0),
        )
        stop([member.process for member in self._members], steps)
        self._members.clear()
        self._valkey.stop()
        self._postgres.stop()
        self._lock.release()
        self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _start(self, port: int, members_fd: int) -> StackAddress:
        options = self._options
        # What a killed run left; nobody runs on this folder now.
        _empty(self._data.scratch)
        options.report("Starting PostgreSQL and Valkey")
        database_url, broker_url = self._postgres.start(), self._valkey.start()
        shared = _Shared(self._environment(database_url, broker_url), members_fd)
        options.report("Bringing the database's tables up to date")
        alembic = ["alembic", "-c", str(_CODE_ROOT / "alembic.ini"), "upgrade", "head"]
        self._run_once("migration", alembic, shared)
        options.report("Starting the API and the workers")
        self._launch("api", _api_arguments(options.host, port), shared)
        if options.has_workers:
            self._launch("train", ["worker.celery_app", "train"], shared)
            self._launch("short", ["worker.celery_app", "short"], shared)
        server = _url(options.host, port)
        self._wait_until_ready(server)
        address = StackAddress(server, self._first_key(server, shared))
        self._data.record_running(address)
        return address

    def _take_folder(self) -> FolderLock:
        lock = FolderLock(self._data.root)
        try:
            self._data.make()
            lock.acquire()
        except OSError as error:
            raise ServerStartError(
                f"The data folder {self._data.root} cannot be used: {error.strerror or error}; "
                "choose another one with --data."
            ) from error
        return lock

    def _environment(self, database_url: str, broker_url: str) -> dict[str, str]:
        """Passes the caller's settings on, except those that this stack decides."""
        environment = {
            name: value for name, value in os.environ.items() if name not in _CLIENT_VARIABLES
        }
        environment.setdefault("WINNOW_LOG_FORMAT", "console")
        return environment | {
            "WINNOW_DATABASE_URL": database_url,
            "WINNOW_BROKER_URL": broker_url,
            "WINNOW_OBJECT_STORE": self._data.objects.absolute().as_uri(),
            "WINNOW_SCRATCH_DIR": str(self._data.scratch.absolute()),
            # A killed process leaves its temporary files where the next start removes them.
            "TMPDIR": str(self._data.scratch.absolute()),
            "PYTHONUNBUFFERED": "1",
            # Colours have no place in a log file.
            "NO_COLOR": "1",
        }

    def _launch(self, name: str, arguments: list[str], shared: _Shared) -> None:
        log_path = self._data.logs / f"{name}.log"
        with open_log(log_path) as log:
            process = spawn(_spec(name, arguments, shared), output=log)
        self._members.append(_Member(f"{name} process", process, log_path))

    def _run_once(self, name: str, arguments: list[str], shared: _Shared) -> None:
        log_path = self._data.logs / f"{name}.log"
        with open_log(log_path) as log:
            status = _wait(spawn(_spec(name, arguments, shared), output=log))
        if status != 0:
            raise ServerStartError(f"The {name} failed (status {status}): {log_reason(log_path)}")

    def _first_key(self, server: str, shared: _Shared) -> str:
        """Returns the key kept in the data folder, made anew where there is none that works."""
        path = self._data.api_key
        if not path.exists() or not _opens(server, path.read_text(encoding="utf-8")):
            arguments = [
                "curation.keys", "create",
                "--workspace", "default", "--name", "first", "--scopes", "read,write,admin",
            ]  # fmt: skip
            write_private(path, self._output_of("key", arguments, shared))
        return path.read_text(encoding="utf-8")

    def _output_of(self, name: str, arguments: list[str], shared: _Shared) -> str:
        """Runs a program to its end and returns the last line that it printed.

        Its output goes through a file of mode 0600 that is removed, since it may hold a secret.
        """
        path = self._data.scratch / f"{name}.out"
        try:
            with open_log(path) as output:
                status = _wait(spawn(_spec(name, arguments, shared), output=output))
            text = path.read_text(encoding="utf-8").strip()
        finally:
            path.unlink(missing_ok=True)
        if status != 0 or not text:
            raise ServerStartError(f"Making the first API key failed (status {status}): {text}")
        return text.splitlines()[-1]

    def _wait_until_ready(self, server: str) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        with httpx2.Client(base_url=server, timeout=5.0, trust_env=False) as http:
            while True:
                self.check()
                try:
                    answer = http.get("/readyz")
                except httpx2.TransportError:
                    said = "no answer"
                else:
                    if answer.is_success:
                        return
                    said = answer.text
                if time.monotonic() > deadline:
                    raise ServerStartError(
                        f"The API is not ready after {_READY_SECONDS:.0f} s: {said}"
                    )
                time.sleep(_POLL_SECONDS)


def _spec(name: str, arguments: list[str], shared: _Shared) -> ChildSpec:
    return ChildSpec(
        command=[sys.executable, "-m", *arguments],
        folder=_CODE_ROOT,
        environment=shared.environment,
        death_signal=_DEATH_SIGNALS.get(name, signal.SIGKILL),
        lock_fd=shared.members_fd,
    )


def _api_arguments(host: str, port: int) -> list[str]:
    return [
        "uvicorn", "--factory", "api.main:create_app",
        "--host", host, "--port", str(port),
        # A waiting client's open stream must not hold up the end.
        "--timeout-graceful-shutdown", str(_API_DRAIN_SECONDS),
        "--no-server-header",
    ]  # fmt: skip


def _wait(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait(_ONCE_SECONDS)
    except BaseException:
        stop([process], ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)))
        raise


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _url(host: str, port: int) -> str:
    """Returns the address under which a client on this machine calls the API."""
    # An address that means every interface is one to listen on, not one to call.
    called = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - Not bound here.
    return f"http://[{called}]:{port}" if ":" in called else f"http://{called}:{port}"


def _opens(server: str, api_key: str) -> bool:
    """Tells whether the service knows the key; it may have been revoked, or the database lost."""
    with Client(server, api_key) as client:
        try:
            client.get_usage()
        except UnauthenticatedError:
            return False
    return True


def _free_port(host: str, port: int) -> int:
    """Returns the port, or a free one for 0.

    Raises:
        PortInUseError: something listens there already, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As the API itself does: connections of a stack that has just ended do no harm.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortInUseError(
                f"Winnow cannot listen on {host} port {port}: {error.strerror or error}. "
                "Another program may hold it (perhaps another `winnow up`); "
                "choose another one with --port."
            ) from error
        bound_port: int = probe.getsockname()[1]
        return bound_port
