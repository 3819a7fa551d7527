"""Starts the product's own worker processes, with settings in which everything takes seconds."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import psutil

from curation.identifiers import JobId
from curation.settings import CurationSettings
from worker.process_tree import job_mark, marked_processes

REPOSITORY = Path(__file__).parents[1]
_TESTS = REPOSITORY / "tests"
_STOP_SECONDS = 20.0


class WorkerProcesses:
    """Worker processes that end with the test."""

    def __init__(
        self, settings: CurationSettings, folder: Path, *, output: BinaryIO | None = None
    ) -> None:
        """Prepare; `output` takes what the processes write, else the test's own streams do."""
        self._output = output
        self._settings = settings
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self._served: set[JobId] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self._processes:
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise

    def start(self, kind: str, **changes: Any) -> subprocess.Popen[bytes]:
        """Start a worker: `train` or `short`."""
        return self._start(["-m", "worker.celery_app", kind], changes)

    def start_scripted(self, *acts: str, **changes: Any) -> subprocess.Popen[bytes]:
        """Start a training worker whose children follow a script instead of training."""
        return self.start_with_child(_TESTS / "scripted_child.py", ",".join(acts), **changes)

    def start_with_child(
        self, script: Path, *arguments: str, **changes: Any
    ) -> subprocess.Popen[bytes]:
        """Start a training worker whose children are another program than the product's."""
        command = [_TESTS / "scripted_worker.py", script, *arguments]
        return self._start([str(part) for part in command], changes)

    def start_api(self, socket: Path, **changes: Any) -> subprocess.Popen[bytes]:
        """Start the HTTP server on a unix socket."""
        command = ["-m", "uvicorn", "--factory", "api.main:create_app", "--uds", str(socket)]
        return self._start([*command, "--log-level", "warning"], changes)

    def _start(self, command: list[str], changes: dict[str, Any]) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, *command],
            env={
                **os.environ,
                **self._environment(changes),
                # A script, unlike a module, does not find the packages beside the tests.
                "PYTHONPATH": os.pathsep.join(filter(None, [str(REPOSITORY), *_python_path()])),
            },
            cwd=REPOSITORY,
            stdout=self._output,
            stderr=self._output,
            start_new_session=True,
        )
        self._processes.append(process)
        return process

    def training_process(self, job_id: JobId) -> psutil.Process:
        """Wait for the process that trains a job, and return it."""
        self._served.add(job_id)
        found: list[psutil.Process] = []

        def look() -> bool:
            found[:] = [
                process
                for process in marked_processes(job_mark(job_id))
                if "worker.training_process" in process.cmdline()
            ]
            return bool(found)

        wait_until(look)
        return found[0]

    def surviving_attempts(self) -> list[psutil.Process]:
        """Return the processes that attempts of this test left behind."""
        return [
            process for job_id in self._served for process in marked_processes(job_mark(job_id))
        ]

    def _environment(self, changes: dict[str, Any]) -> dict[str, str]:
        fields = {
            **self._settings.model_dump(mode="json"),
            "scratch_dir": str(self._folder / "scratch"),
            "devices": "cpu",
            "torch_threads": 1,
            "checkpoint_seconds": 0.2,
            "short_concurrency": 1,
            **changes,
        }
        return {
            f"WINNOW_{name.upper()}": str(value)
            for name, value in fields.items()
            # What is not set takes its default.
            if value is not None
        }


def _python_path() -> list[str]:
    return os.environ.get("PYTHONPATH", "").split(os.pathsep)


def wait_until(is_true: Callable[[], bool], seconds: float = 90.0) -> None:
    """Wait until something becomes true, and fail where it does not in time."""
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.05)
