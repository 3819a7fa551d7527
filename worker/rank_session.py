"""Runs the part that one of several processes has in an attempt."""

import os
import threading
from pathlib import Path
from typing import NoReturn

import structlog

from curation.jobs import Claim
from worker.child_session import SupervisorReporter, prepare_process
from worker.death_signal import leave_as_orphan
from worker.rank_folder import RankFolder
from worker.settings import WorkerSettings

log = structlog.get_logger(__name__)


def run_rank(scratch: Path, report_descriptor: int) -> NoReturn:
    """Lead the attempt or follow, as the number says that torchrun gave to this process.

    The leader does all that a single process would do, and says how it ended. A follower has a say
    only when it fails.

    Args:
        scratch: The attempt's scratch folder.
        report_descriptor: Where the supervisor reads.
    """
    reporter = SupervisorReporter(os.fdopen(report_descriptor, "wb"))
    folder = RankFolder(scratch)
    claim = folder.read_start().claim
    settings = WorkerSettings()
    prepare_process(settings, claim)
    rank, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    structlog.contextvars.bind_contextvars(rank=rank)
    if rank == 0:
        _lead(claim, settings, folder, reporter, count=count)
    else:
        _follow(claim, settings, folder, reporter, rank=rank, count=count)


def _lead(
    claim: Claim,
    settings: WorkerSettings,
    folder: RankFolder,
    reporter: SupervisorReporter,
    *,
    count: int,
) -> NoReturn:
    # torch takes seconds to import, in which the parent is watched already.
    from mts_core.errors import RankLostError  # noqa: PLC0415
    from worker.crew import leading_crew  # noqa: PLC0415
    from worker.training_run import run_attempt  # noqa: PLC0415

    try:
        verdict = run_attempt(
            claim,
            settings,
            scratch=folder.path,
            send=reporter.send,
            should_stop=folder.is_stop_asked,
            crew=leading_crew(folder, count=count, timeout_seconds=claim.max_runtime_seconds),
        )
    except RankLostError as error:
        _leave_after(error)
    reporter.send(verdict)
    folder.say_end()
    # A process group whose other members are gone may wait for them when it is taken down.
    os._exit(0)


def _follow(  # noqa: PLR0913  # The attempt, and the place of this process in it.
    claim: Claim,
    settings: WorkerSettings,
    folder: RankFolder,
    reporter: SupervisorReporter,
    *,
    rank: int,
    count: int,
) -> NoReturn:
    # The main thread may wait for a leader that is done with the attempt.
    threading.Thread(target=folder.leave_at_end, daemon=True).start()
    from mts_core.errors import RankLostError  # noqa: PLC0415
    from worker.rank_follower import follow_attempt  # noqa: PLC0415

    try:
        failure = follow_attempt(claim, settings, folder, rank=rank, count=count)
    except RankLostError as error:
        _leave_after(error)
    if failure is not None:
        reporter.send(failure)
        os._exit(1)
    # To leave now would close connections on which the leader may still read the last batch.
    folder.leave_at_end()


def _leave_after(error: Exception) -> NoReturn:
    # The process that ended says why, or the way it ended does.
    log.warning("rank_lost", error=str(error.__cause__))
    leave_as_orphan()
