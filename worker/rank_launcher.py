"""Runs an attempt in several processes: has torchrun start them, and ends as they end."""

import os
import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NoReturn

import structlog
from torch.distributed import run as torchrun
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from worker.child_link import Start
from worker.death_signal import EXIT_ORPHANED
from worker.rank_folder import RankFolder

# How processes end that did not fail by themselves: torchrun told them to leave when another had
# failed, or they missed another.
_FOLLOWED_ANOTHER: Final = frozenset({-signal.SIGTERM, EXIT_ORPHANED})

log = structlog.get_logger(__name__)


def run_ranks(
    start: Start, count: int, *, report_descriptor: int, should_stop: threading.Event
) -> None:
    """Run one attempt in so many processes; ends this process as the first did that failed.

    torchrun works inside this process, so that it is the parent whose death ends the others.

    Args:
        start: What is to be run.
        count: Number of processes.
        report_descriptor: Where the supervisor reads.
        should_stop: Set when the supervisor asks for the end.
    """
    folder = RankFolder(Path(start.scratch))
    folder.write_start(start)
    # torchrun hands down the standard streams and no other descriptor, and nobody reads the
    # standard input: it carries the pipe on which the leading process reports.
    os.dup2(report_descriptor, 0)
    threading.Thread(target=_pass_on_stop, args=(should_stop, folder), daemon=True).start()
    log.info("ranks_started", count=count)
    try:
        _run_torchrun(_arguments(folder, count))
    except ChildFailedError as error:
        _end_like(error.failures)


def _arguments(folder: RankFolder, count: int) -> list[str]:
    return [
        "--standalone",
        "--max-restarts=0",
        f"--nproc-per-node={count}",
        # The name of the machine need not have an address.
        "--local-addr=127.0.0.1",
        # SIGTERM is the supervisor's wish for a checkpoint, which must not end anybody at once.
        "--signals-to-handle=SIGINT,SIGHUP,SIGQUIT",
        f"--log-dir={folder.path}",
        "--module",
        "worker.rank_process",
        str(os.getpid()),
        str(folder.path),
    ]


def _run_torchrun(arguments: list[str]) -> None:
    # torch gives types to neither of these two.
    options = torchrun.parse_args(arguments)  # type: ignore[no-untyped-call]
    torchrun.run(options)  # type: ignore[no-untyped-call]


def _pass_on_stop(should_stop: threading.Event, folder: RankFolder) -> None:
    should_stop.wait()
    folder.ask_to_stop()


def _end_like(failures: Mapping[int, ProcessFailure]) -> NoReturn:
    """End this process by what ended the first that failed by itself, for the supervisor to see."""
    codes = [failure.exitcode for failure in failures.values()]
    code = next((code for code in codes if code not in _FOLLOWED_ANOTHER), codes[0])
    log.warning("rank_failed", exit_codes=codes)
    if code < 0:
        # The handler of a wish to stop would swallow it.
        if -code not in {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(abs(code))
