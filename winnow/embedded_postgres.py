"""Runs a private PostgreSQL server out of a Python wheel, with its data in a folder.

Nobody reaches it over the network: it listens on a Unix socket in a folder of mode 0700, and asks
the kernel who is calling (peer authentication), so there is no password to lose. Where the caller
is root, which PostgreSQL refuses to run as, the server runs as the system account
``winnow-postgres``, made on first need (``nobody`` where none can be made).
"""

import os
import pwd
import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import psycopg
from psycopg import sql

from winnow.child_process import Account, ChildSpec, spawn, stop
from winnow.errors import ServerStartError
from winnow.folder_lock import FolderLock, server_lock
from winnow.log_file import log_reason, open_log
from winnow.postgres_home import SYSTEM_ROOT, find_home
from winnow.postgres_programs import find_programs
from winnow.socket_folder import make_socket_folder, remove_socket_folder
from winnow.unprivileged_account import server_account

_ADMINISTRATOR = "postgres"
_ROLE = "winnow"
_DATABASE = "winnow"
_SOCKET_NAME = ".s.PGSQL.5432"
_POLL_SECONDS = 0.05
_ORPHAN_WAIT_SECONDS = 120.0
_INITDB_SECONDS = 300.0
_STOP_STEPS = (
    (signal.SIGINT, 60.0),  # Fast shutdown: sessions are ended, a checkpoint is written.
    (signal.SIGQUIT, 10.0),  # Immediate shutdown: the next start recovers from the log.
    (signal.SIGKILL, 5.0),
)

_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    # A committed job, result or cut survives a power cut.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # One server without replicas: a table that was made and filled in one transaction is written
    # once, not twice.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # Parallel plans pass data through /dev/shm, of which a container has 64 MB; and on one
    # machine the cores belong to training.
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
}


class EmbeddedPostgres:
    """A PostgreSQL server whose life is tied to this object and to the thread that starts it."""

    def __init__(
        self,
        data_dir: Path,
        *,
        start_timeout_seconds: float = 600.0,
        system_root: Path = SYSTEM_ROOT,
    ) -> None:
        """Names the folder without touching it.

        Args:
            data_dir: Keeps the cluster and its log between runs; made where missing.
            start_timeout_seconds: How long a start may take, recovery after a crash included.
            system_root: Where the cluster goes if root's server user cannot reach ``data_dir``,
                and a copy of the programs if it cannot reach the virtual environment.
        """
        self._data_dir = data_dir.absolute()
        self._start_timeout_seconds = start_timeout_seconds
        self._system_root = system_root
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: FolderLock | None = None
        self._home: Path | None = None
        self.url: str | None = None
        """The address that the last start returned."""

    def start(self) -> str:
        """Brings the server up and returns the address of its database for SQLAlchemy.

        The first start makes the cluster. A start after a crash waits until the last process of
        the crashed server has gone and its log has been replayed.

        Raises:
            DataFolderInUseError: another launcher holds the folder.
            ServerStartError: the server cannot run; the text says why.
        """
        if self._process is not None:
            raise ServerStartError(f"PostgreSQL in {self._data_dir} has been started already.")
        account = server_account()
        programs = find_programs(account, self._system_root)
        home = find_home(self._data_dir, account, self._system_root)
        lock = FolderLock(home)
        lock.acquire()
        self._lock, self._home = lock, home
        try:
            with server_lock(home, wait_seconds=_ORPHAN_WAIT_SECONDS) as lock_fd:
                _ensure_cluster(home, programs, account)
                # The lock proves that whoever wrote this has gone; its process id may by now
                # belong to another server, which would keep this one from starting.
                (home / "cluster" / "postmaster.pid").unlink(missing_ok=True)
                sockets = make_socket_folder(home, _SOCKET_NAME, account)
                _write_access_rules(home)
                self._process = _launch(
                    home, programs, account=account, sockets=sockets, lock_fd=lock_fd
                )
            self._wait_until_ready(sockets)
            _ensure_database(sockets)
        except BaseException:
            self.stop()
            raise
        self.url = f"postgresql+psycopg://{_ROLE}@/{_DATABASE}?host={quote(str(sockets), safe='')}"
        return self.url

    def stop(self) -> None:
        """Shuts the server down, waits for its end and frees the folder; may be called twice."""
        if self._process is not None:
            stop([self._process], _STOP_STEPS)
            self._process = None
        if self._lock is not None and self._home is not None:
            remove_socket_folder(self._home)
            self._lock.release()
            self._lock = None

    def destroy(self) -> None:
        """Stops the server and deletes its cluster, also where it lies outside the data folder."""
        self.stop()
        shutil.rmtree(self._data_dir, ignore_errors=True)
        if self._home is not None:
            shutil.rmtree(self._home, ignore_errors=True)

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

    def _wait_until_ready(self, sockets: Path) -> None:
        """Waits as long as the server lives and is not yet open for work."""
        assert self._process is not None  # noqa: S101 - Set by start() on the line before.
        assert self._home is not None  # noqa: S101 - The same.
        deadline = time.monotonic() + self._start_timeout_seconds
        while True:
            if self._process.poll() is not None:
                raise ServerStartError(_failure("PostgreSQL ended while starting", self._home))
            try:
                _connect(sockets).close()
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline:
                    text = f"PostgreSQL is not ready after {self._start_timeout_seconds:.0f} s"
                    raise ServerStartError(_failure(text, self._home)) from error
                time.sleep(_POLL_SECONDS)
            else:
                return


def _connect(sockets: Path) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(
        host=str(sockets),
        port=5432,
        user=_ADMINISTRATOR,
        dbname="postgres",
        autocommit=True,
        connect_timeout=10,
    )


def _failure(text: str, home: Path) -> str:
    return f"{text}: {log_reason(home / 'server.log')}"


def _server_environment() -> dict[str, str]:
    """Leaves out the caller's secrets, locale and PG* variables."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def _ensure_cluster(home: Path, programs: Path, account: Account | None) -> None:
    """Makes the cluster if there is none; one cut off half-way is made anew."""
    cluster = home / "cluster"
    partial = home / "cluster.partial"
    if partial.exists():
        shutil.rmtree(partial)
    if cluster.exists():
        return
    partial.mkdir(mode=0o700)
    if account is not None:
        os.chown(partial, account.uid, account.gid)
    command: list[str | Path] = [
        programs / "initdb",
        f"--pgdata={partial}",
        f"--username={_ADMINISTRATOR}",
        "--auth=peer",
        "--encoding=UTF8",
        # Order and case by code point, alike on every machine and in every later version.
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--no-instructions",
    ]
    spec = ChildSpec(
        command=command, folder=Path("/"), environment=_server_environment(), account=account
    )
    with open_log(home / "server.log") as log:
        process = spawn(spec, output=log)
        try:
            status = process.wait(_INITDB_SECONDS)
        except BaseException:
            stop([process], ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)))
            raise
    if status != 0:
        raise ServerStartError(_failure("PostgreSQL's initdb failed", home))
    partial.rename(cluster)


def _write_access_rules(home: Path) -> None:
    """Lets the caller's own user in, by the kernel's word, as administrator and as Winnow's role.

    Written at every start and beside the cluster, so that neither a change of the caller's name
    nor the server's user can leave other rules behind.

    Raises:
        ServerStartError: the caller's user id has no name, which peer authentication needs.
    """
    uid = os.geteuid()
    try:
        caller = pwd.getpwuid(uid).pw_name
    except KeyError as error:
        raise ServerStartError(
            f"The user id {uid} has no name in /etc/passwd, which PostgreSQL needs; add one, or "
            "name a running server by WINNOW_DATABASE_URL."
        ) from error
    rules = {
        "pg_hba.conf": "local all all peer map=winnow\n",
        "pg_ident.conf": "".join(f'winnow "{caller}" {role}\n' for role in (_ADMINISTRATOR, _ROLE)),
    }
    for name, text in rules.items():
        path = home / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o644)


def _launch(
    home: Path, programs: Path, *, account: Account | None, sockets: Path, lock_fd: int
) -> subprocess.Popen[bytes]:
    settings = {
        **_SETTINGS,
        "unix_socket_directories": '"{}"'.format(str(sockets).replace('"', '""')),
        "hba_file": str(home / "pg_hba.conf"),
        "ident_file": str(home / "pg_ident.conf"),
    }
    options = [f"--{name}={value}" for name, value in settings.items()]
    spec = ChildSpec(
        command=[programs / "postgres", "-D", home / "cluster", *options],
        folder=Path("/"),
        environment=_server_environment(),
        death_signal=signal.SIGINT,
        account=account,
        lock_fd=lock_fd,
    )
    with open_log(home / "server.log") as log:
        return spawn(spec, output=log)


def _ensure_database(sockets: Path) -> None:
    """Makes Winnow's role, which is no superuser, and its database."""
    role, database = sql.Identifier(_ROLE), sql.Identifier(_DATABASE)
    with _connect(sockets) as connection:
        known_role = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [_ROLE])
        if known_role.fetchone() is None:
            # The tests give each of their processes a database of its own.
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEDB").format(role))
        known_base = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [_DATABASE])
        if known_base.fetchone() is None:
            create = sql.SQL("CREATE DATABASE {} OWNER {}").format(database, role)
            connection.execute(create)
