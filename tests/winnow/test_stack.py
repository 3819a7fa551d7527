"""The one-machine stack comes up whole, tells who is in its way, and leaves nothing behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psutil
import pytest

from winnow.client import Client
from winnow.exit_codes import ExitCode

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Running:
    process: subprocess.Popen[str]
    server: str
    api_key: str

    def descendants(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


def winnow(*arguments: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "winnow", *map(str, arguments)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("WINNOW_")}
    return subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def start(data: Path) -> Running:
    process = winnow("up", "--data", data, "--port", "0")
    assert process.stdout is not None
    said: dict[str, str] = {}
    for line in process.stdout:
        name, _, value = line.strip().rpartition(" ")
        said[name.strip()] = value
        if name.startswith("Data"):
            return Running(process, said["Winnow runs at"], said["First API key"])
    _, errors = process.communicate()
    pytest.fail(f"the stack did not start: {errors}")


def wait_for_the_end_of(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert [p for p in alive if p.status() != psutil.STATUS_ZOMBIE] == []


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    # Unlike pytest's own folders it lets the user pass as whom PostgreSQL runs.
    with tempfile.TemporaryDirectory(prefix="winnow-test-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "stack"


def test_stack_comes_up_whole_and_ctrl_c_leaves_nothing_behind(data: Path) -> None:
    stack = start(data)
    children = stack.descendants()
    try:
        assert httpx2.get(f"{stack.server}/readyz").status_code == 200
        assert list(Client(stack.server, stack.api_key).list_datasets()) == []
        listening = {
            connection.laddr.port
            for process in children
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        }
        assert listening == {httpx2.URL(stack.server).port}

        second = winnow("up", "--data", data, "--port", "0")
        _, said = second.communicate(timeout=30)
        assert second.returncode == ExitCode.STACK
        assert said.endswith(
            f"error: The data folder {data} is in use by another Winnow "
            f"(process {stack.process.pid}); stop that one, or choose another folder.\n"
        )

        # A command on the same folder uses the stack that runs, and leaves it running.
        listed = winnow("jobs", "list", "--data", data, "-o", "json")
        said, _ = listed.communicate(timeout=30)
        assert (listed.returncode, json.loads(said)) == (0, [])
    finally:
        stack.process.send_signal(signal.SIGINT)
    assert stack.process.wait(30) == ExitCode.OK
    assert [process for process in children if process.is_running()] == []
    assert sorted(path.name for path in data.iterdir()) == [
        "api-key",
        "launcher.lock",
        "logs",
        "objects",
        "postgres",
        "scratch",
        "server.lock",
        "valkey",
    ]


@pytest.mark.slow
def test_killed_stack_leaves_nothing_running_and_starts_again_with_its_data(data: Path) -> None:
    before = start(data)
    children = before.descendants()
    before.process.kill()
    before.process.wait()
    after = start(data)
    try:
        wait_for_the_end_of(children)
        assert after.api_key == before.api_key
        assert httpx2.get(f"{after.server}/readyz").status_code == 200
    finally:
        after.process.send_signal(signal.SIGTERM)
    assert after.process.wait(30) == ExitCode.OK


def test_port_in_use_is_told_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = winnow("up", "--data", tmp_path / "stack", "--port", str(port))
        _, said = process.communicate(timeout=30)
    assert process.returncode == ExitCode.STACK
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in said
    assert said.splitlines()[-1].endswith("choose another one with --port.")
    assert not (tmp_path / "stack" / "postgres").exists()
