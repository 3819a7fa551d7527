"""A training process that follows a script, speaking the wire format and importing nothing of ours.

Its first argument is a comma-separated list of acts, each `name` or `name=argument`.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

REPORT_DESCRIPTOR = int(sys.argv[3])
SHOULD_STOP = threading.Event()


def send(**message: object) -> None:
    os.write(REPORT_DESCRIPTOR, json.dumps(message).encode() + b"\n")


def start_orphan(pid_file: str) -> None:
    # A session of its own, as torchrun starts each rank: a killed group misses it.
    process = subprocess.Popen(["sleep", "600"], start_new_session=True)
    Path(pid_file).write_text(str(process.pid))


def send_progress(fraction: str) -> None:
    send(
        type="progress",
        phase="train",
        fraction=float(fraction),
        step=1,
        total_steps=2,
        eta_seconds=1.0,
        device="cpu",
        seconds_by_phase={"train": 1.5},
    )


def wait_for_stop(_: str) -> None:
    signal.signal(signal.SIGTERM, lambda *_: SHOULD_STOP.set())
    send(type="checkpoint", phase="train", step=1)
    SHOULD_STOP.wait()
    send(type="stopped")


ACTS: dict[str, Callable[[str], object]] = {
    "pid": lambda path: Path(path).write_text(str(os.getpid())),
    "orphan": start_orphan,
    "say": lambda words: sys.stderr.write(f"{words}\n"),
    "progress": send_progress,
    "count_kill": lambda path: Path(path).write_text("oom_kill 1\n"),
    "deaf": lambda _: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    "die": lambda name: os.kill(os.getpid(), signal.Signals[name]),
    "sleep": lambda seconds: time.sleep(float(seconds)),
    "wait_for_stop": wait_for_stop,
    "fail": lambda detail: send(type="failed", reason="NON_FINITE", detail=detail),
    "mumble": lambda words: os.write(REPORT_DESCRIPTOR, f"{words}\n".encode()),
}


def main() -> None:
    os.set_inheritable(REPORT_DESCRIPTOR, False)
    start = json.loads(sys.stdin.readline())
    assert start["type"] == "start", start
    for act in sys.argv[1].split(","):
        name, _, argument = act.partition("=")
        ACTS[name](argument)


if __name__ == "__main__":
    main()
