"""Measures a whole `winnow curate`, with its stack, on pools of growing size.

Draws each pool (scale_data.py), runs the real command with an embedded stack of its own, and
samples the memory of all its processes on the way. Prints one JSON object as its last line and
writes the same into benchmarks/results/scale.json.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil
import pyarrow.parquet as pq
from scale_data import DIMENSION, draw_real, make_mixture, write_pool
from sklearn.metrics import roc_auc_score

RESULTS: Final = Path(__file__).parent / "results" / "scale.json"
SIZES: Final = (10_000, 100_000, 1_000_000)
REFERENCE_ROWS: Final = 200
TEST_ROWS: Final = 2_000
SAMPLE_SECONDS: Final = 0.5
_PACKAGES: Final = ("torch", "numpy", "faiss-cpu", "pyarrow", "psycopg")
_WINNOW: Final = Path(sys.executable).parent / "winnow"


def main() -> None:
    """Run the benchmark from the command line."""
    arguments = _parse_arguments()
    measured = {}
    for count in arguments.sizes:
        with tempfile.TemporaryDirectory(prefix="winnow-scale-", dir=arguments.folder) as folder:
            measured[str(count)] = measure(count, Path(folder), arguments)
        print(f"{count}: {json.dumps(measured[str(count)])}", file=sys.stderr, flush=True)
    result = {
        **measured,
        "seed": arguments.seed,
        "dimension": DIMENSION,
        "reference_rows": REFERENCE_ROWS,
        "test_rows": TEST_ROWS if arguments.test else 0,
        "cpus": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in _PACKAGES},
    }
    arguments.results.parent.mkdir(exist_ok=True)
    arguments.results.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result))


def measure(count: int, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what one curation of a pool costs and finds.

    Args:
        count: Samples in the pool.
        folder: Empty folder for data, stack and results.
        arguments: The command line.
    """
    # The embedded PostgreSQL runs as another user where the caller is root.
    folder.chmod(0o755)
    mixture = make_mixture(arguments.seed)
    is_good = write_pool(mixture, count, folder / "pool.npz", seed=arguments.seed)
    inputs = [str(folder / "pool.npz")]
    generator = np.random.default_rng((arguments.seed, 2))
    for name, rows in (("reference", REFERENCE_ROWS), ("test", TEST_ROWS)):
        drawn = draw_real(mixture, rows, generator)
        np.savez(folder / f"{name}.npz", x=drawn.x, y=drawn.y)
    inputs.append(str(folder / "reference.npz"))
    if arguments.test:
        inputs += ["--test", str(folder / "test.npz")]
    command = [
        str(_WINNOW), "curate", *inputs, "--out", str(folder / "out"),
        "--data", str(folder / "stack"), "--seed", str(arguments.seed),
        *(part for pair in arguments.config for part in ("--config", pair)),
    ]  # fmt: skip
    usage, seconds = _run(command)
    report = json.loads((folder / "out" / "report.json").read_text())
    manifest = pq.read_table(folder / "out" / "manifest.parquet", columns=["score"])
    if arguments.logs is not None:
        _keep_logs(folder / "stack" / "logs", arguments.logs / str(count))
    return {
        "seconds": seconds,
        "peak_pss_bytes": usage.peak_bytes,
        "peak_pss_bytes_by_process": usage.by_process,
        "longest_silence_seconds": usage.longest_silence_seconds,
        "neighbour_recall": report.get("neighbours", {}).get("recall"),
        "seconds_by_phase": {**usage.seconds_by_step, "job": report["seconds_by_phase"]},
        "auroc": float(roc_auc_score(is_good, manifest.column("score").to_numpy())),
        "evaluated_on_samples": report.get("evaluated_on_samples"),
        "rows": {row["method"]: row["accuracy_mean"] for row in report["rows"]},
        "cpu_seconds": usage.cpu_seconds,
    }


@dataclass
class Usage:
    """What a tree of processes used.

    Attributes:
        peak_bytes: Largest sum of proportional set sizes.
        by_process: Proportional set sizes at that moment, by the process's part in the stack.
        cpu_seconds: Processor time of all processes that were seen.
        longest_silence_seconds: Longest time without a line of progress.
        seconds_by_step: Time between the first and the last line of each of the client's steps.
    """

    peak_bytes: int = 0
    by_process: dict[str, int] = field(default_factory=dict)
    cpu_seconds: float = 0.0
    longest_silence_seconds: float = 0.0
    seconds_by_step: dict[str, float] = field(default_factory=dict)


def _run(command: list[str]) -> tuple[Usage, float]:
    """Run a command to its end and return what its tree of processes used, and the seconds."""
    usage, cpu_by_pid = Usage(), {}
    with tempfile.TemporaryFile("w+") as output:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)  # noqa: S603
        lines = _Lines(output.fileno(), started)
        while process.poll() is None:
            _sample(process.pid, usage, cpu_by_pid)
            lines.read()
            time.sleep(SAMPLE_SECONDS)
        seconds = time.perf_counter() - started
        lines.read()
    if process.returncode != 0:
        raise RuntimeError(f"winnow ended with status {process.returncode}:\n{lines.text}")
    usage.cpu_seconds = sum(cpu_by_pid.values())
    usage.longest_silence_seconds = lines.longest_silence_seconds
    usage.seconds_by_step = lines.seconds_by_step(seconds)
    return usage, seconds


class _Lines:
    """Follows what the command prints, and when.

    Attributes:
        text: All of it.
        longest_silence_seconds: Longest time between two lines.
    """

    def __init__(self, descriptor: int, started: float) -> None:
        self._descriptor = descriptor
        self._started = started
        self._last_at = 0.0
        self._step_starts: dict[str, float] = {}
        self.text = ""
        self.longest_silence_seconds = 0.0

    def read(self) -> None:
        """Take what has been printed since the last call."""
        new = os.pread(self._descriptor, 1 << 20, len(self.text.encode())).decode()
        if not new:
            return
        now = time.perf_counter() - self._started
        self.longest_silence_seconds = max(self.longest_silence_seconds, now - self._last_at)
        self._last_at = now
        self.text += new
        for line in new.splitlines():
            print(f"{now:7.1f} {line}", file=sys.stderr, flush=True)
            for step in ("Starting", "Uploading", "Validating", "Curating", "Downloading"):
                if line.startswith(step):
                    self._step_starts.setdefault(step.lower(), now)

    def seconds_by_step(self, end: float) -> dict[str, float]:
        """Return the time from each step's first line to the next step's."""
        starts = sorted(self._step_starts.items(), key=lambda item: item[1])
        ends = [at for _, at in starts[1:]] + [end]
        return {step: until - at for (step, at), until in zip(starts, ends, strict=True)}


def _sample(root: int, usage: Usage, cpu_by_pid: dict[int, float]) -> None:
    by_process: dict[str, int] = {}
    for process in _tree(root):
        # A process may end between being listed and being asked.
        with suppress(psutil.Error, OSError):
            size = process.memory_full_info().pss
            part = _part(process)
            by_process[part] = by_process.get(part, 0) + size
            times = process.cpu_times()
            cpu_by_pid[process.pid] = times.user + times.system
    total = sum(by_process.values())
    if total > usage.peak_bytes:
        usage.peak_bytes, usage.by_process = total, by_process


def _tree(root: int) -> Iterator[psutil.Process]:
    with suppress(psutil.Error):
        process = psutil.Process(root)
        yield process
        yield from process.children(recursive=True)


def _part(process: psutil.Process) -> str:
    words = " ".join(process.cmdline())
    parts = {
        "worker.training_process": "training",
        "curation.validation_child": "validation",
        "worker.celery_app train": "train worker",
        "worker.celery_app short": "short worker",
        "uvicorn": "api",
        "postgres": "postgres",
        "valkey": "valkey",
        "curate": "client",
    }
    return next((part for mark, part in parts.items() if mark in words), "other")


def _keep_logs(logs: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for log in logs.iterdir():
        (target / log.name).write_bytes(log.read_bytes())


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--test", action="store_true", help="Give the command a test set.")
    parser.add_argument("--config", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--folder", type=Path, help="Where the temporary folder is made.")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--logs", type=Path, help="Keep the stack's logs here.")
    return parser.parse_args()


if __name__ == "__main__":
    main()
