"""The embedded Valkey: durable, without a network port, and gone when its launcher is gone."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import psutil
import pytest
import redis
from kombu.connection import Connection

from winnow.embedded_valkey import EmbeddedValkey
from winnow.errors import DataFolderInUseError

REPOSITORY = Path(__file__).parents[2]

LAUNCHER = """
import sys, time
from pathlib import Path
from winnow.embedded_valkey import EmbeddedValkey
server = EmbeddedValkey(Path(sys.argv[1]))
print(server.start(), server.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    server = EmbeddedValkey(tmp_path / 'it\'s a "folder" 100%')
    yield server
    server.stop()


def client_of(url: str) -> redis.Redis:
    return redis.Redis(unix_socket_path=unquote(url.removeprefix("redis+socket://")))


def is_running(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_address_is_one_that_celery_understands(server: EmbeddedValkey) -> None:
    with Connection(server.start()) as connection:  # type: ignore[no-untyped-call] # No types.
        assert connection.ensure_connection(max_retries=1).connected


def test_server_is_durable_and_has_no_network_port(server: EmbeddedValkey) -> None:
    client = client_of(server.start())
    settings = client.config_get("*")
    assert settings["port"] == "0"
    assert settings["appendonly"] == "yes"
    assert settings["maxmemory-policy"] == "noeviction"
    assert server.pid is not None
    assert psutil.Process(server.pid).net_connections("inet") == []
    socket = Path(str(settings["unixsocket"]))
    assert stat.S_IMODE(socket.stat().st_mode) == 0o700
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700


def test_written_keys_survive_stop_and_sigkill(server: EmbeddedValkey) -> None:
    client_of(server.start()).set("stopped", 1)
    server.stop()
    client = client_of(server.start())
    assert client.get("stopped") == b"1"
    client.set("killed", 2)
    client.waitaof(num_local=1, num_replicas=0, timeout=5000)
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    server.stop()
    assert client_of(server.start()).mget("stopped", "killed") == [b"1", b"2"]


def test_stop_ends_the_process_and_removes_the_socket(server: EmbeddedValkey) -> None:
    server.start()
    pid = server.pid
    assert pid is not None
    server.stop()
    assert not psutil.pid_exists(pid)
    server.start()
    server.stop()
    server.stop()


def test_second_launcher_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    with (
        EmbeddedValkey(tmp_path / "data"),
        pytest.raises(DataFolderInUseError, match=f"process {os.getpid()}"),
    ):
        EmbeddedValkey(tmp_path / "data").start()


def test_killed_launcher_leaves_no_server_and_the_folder_is_free_at_once(tmp_path: Path) -> None:
    launcher = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, str(tmp_path / "data")],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert launcher.stdout is not None
    with launcher.stdout:
        url, pid = launcher.stdout.readline().split()
    client_of(url).set("key", "kept")
    launcher.kill()
    launcher.wait()
    with EmbeddedValkey(tmp_path / "data"):
        assert not is_running(int(pid))
        assert client_of(url).get("key") == b"kept"


def test_long_path_is_served_through_a_short_socket(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path / ("long" * 30))
    try:
        assert client_of(server.start()).ping()
    finally:
        server.stop()
    assert not (tmp_path / ("long" * 30) / "run").is_symlink()
