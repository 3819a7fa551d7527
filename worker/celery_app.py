"""Starts a worker: `python -m worker.celery_app train` or `short`."""

import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import structlog
from celery import Celery, signals
from celery.utils.nodenames import gethostname

from curation.identifiers import JobId
from curation.job_queue import SHORT_QUEUE, TRAIN_QUEUE, make_celery, ring_job
from curation.log_setup import configure_logging
from curation.tracing import start_tracing
from worker.child_process import TRAINING_COMMAND
from worker.services import Services, build_services
from worker.settings import WorkerSettings
from worker.supervisor import Supervisor
from worker.sweep_timer import SweepTimer
from worker.task_context import begin_task, end_task
from worker.tasks import register_short_tasks, register_training

if TYPE_CHECKING:
    from curation.trace_export import TraceExport

_PING_SECONDS: Final = 5.0
_USAGE: Final = "usage: python -m worker.celery_app train|short [ping]"

log = structlog.get_logger(__name__)


class WorkerKind(StrEnum):
    """What a worker process is for."""

    TRAIN = TRAIN_QUEUE
    SHORT = SHORT_QUEUE


def command_line(kind: WorkerKind, settings: WorkerSettings) -> list[str]:
    """Return Celery's arguments for a worker.

    A training worker runs one job at a time on a thread, since the thread only watches; the work
    is in a child process. Gossip and mingling serve features that nothing here uses.
    """
    pool = {
        WorkerKind.TRAIN: ["--pool=threads", "--concurrency=1"],
        WorkerKind.SHORT: ["--pool=prefork", f"--concurrency={settings.short_concurrency}"],
    }[kind]
    return [
        "--quiet",
        "worker",
        f"--hostname={kind}@%h",
        f"--queues={kind}",
        f"--loglevel={settings.log_level}",
        "--without-gossip",
        "--without-mingle",
        # Nobody listens to these events, and a worker that cannot send the last one for want of a
        # broker would never end.
        "--without-heartbeat",
        *pool,
    ]


def configure_worker(app: Celery) -> None:
    """Set what concerns workers alone, on top of what every user of the broker shares."""
    app.conf.update(
        # Log lines are structlog's; Celery would wrap them in its own.
        worker_redirect_stdouts=False,
        # A broker that is away for long must not end the worker that waits for it.
        broker_connection_max_retries=None,
        # A running task does not need the broker; its message is acknowledged or redelivered.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_send_task_events=False,
    )


def build_training_worker(services: Services, child_command: Sequence[str]) -> None:
    """Make Celery run jobs, sweep at intervals, and tell its children when it leaves.

    Args:
        services: What the tasks work with.
        child_command: Program that trains.
    """
    settings = services.settings

    def ring(job_id: JobId) -> None:
        ring_job(services.app, job_id)

    supervisor = Supervisor(
        services.engine, settings, ring=ring, clock=services.clock, child_command=child_command
    )
    timer = SweepTimer(services.sweep_and_ring, interval_seconds=settings.sweep_seconds)
    register_training(services.app, supervisor)

    def start_timer(**_: Any) -> None:  # Any: Celery's signal arguments.
        log.info("training_worker_ready")
        timer.start()

    def leave(**_: Any) -> None:  # Any: Celery's signal arguments.
        timer.stop()
        supervisor.shut_down()

    # Strong references: these functions live in no module for Celery's weak ones to find.
    signals.worker_ready.connect(start_timer, weak=False)
    signals.worker_shutting_down.connect(leave, weak=False)


def build_short_worker(services: Services) -> None:
    """Make Celery run the short tasks in forked processes."""
    register_short_tasks(services.app, services)

    def forget_connections(**_: Any) -> None:  # Any: Celery's signal arguments.
        # A connection used by two processes mixes up their answers.
        services.engine.dispose(close=False)

    def trace_process(**_: Any) -> None:  # Any: Celery's signal arguments.
        # Not before the fork: what sends spans is a thread.
        export = _trace_tasks(services, WorkerKind.SHORT)
        if export is not None:
            signals.worker_process_shutdown.connect(lambda **_: export.close(), weak=False)

    signals.worker_process_init.connect(forget_connections, weak=False)
    signals.worker_process_init.connect(trace_process, weak=False)


def _trace_tasks(services: Services, kind: WorkerKind) -> "TraceExport | None":
    export = start_tracing(services.settings, service=f"winnow-{kind}")
    if export is not None:
        export.watch_queries(services.engine)
    return export


def run_worker(
    kind: WorkerKind, settings: WorkerSettings, *, child_command: Sequence[str] = TRAINING_COMMAND
) -> int:
    """Run a worker until it is told to stop, and return its exit code.

    Args:
        kind: What it is for.
        settings: Settings of the process.
        child_command: Program that trains.
    """
    configure_logging(settings)
    signals.setup_logging.connect(_keep_logging, weak=False)
    signals.task_prerun.connect(begin_task, weak=False)
    signals.task_postrun.connect(end_task, weak=False)
    services = build_services(settings)
    configure_worker(services.app)
    export = None
    match kind:
        case WorkerKind.TRAIN:
            build_training_worker(services, child_command)
            export = _trace_tasks(services, kind)
        case WorkerKind.SHORT:
            build_short_worker(services)
    exit_code = services.app.start(command_line(kind, settings))
    services.engine.dispose()
    if export is not None:
        export.close()
    return int(exit_code or 0)


def ping_worker(kind: WorkerKind, settings: WorkerSettings) -> int:
    """Return 0 where this machine's worker answers over the broker, else 1."""
    app = make_celery(settings.broker_url)
    node = f"{kind}@{gethostname()}"
    answer = app.control.inspect(destination=[node], timeout=_PING_SECONDS).ping()
    return 0 if answer else 1


def _keep_logging(**_: Any) -> None:  # Any: Celery's signal arguments.
    """Keep Celery from setting up logging: it does so where nobody listens to this signal."""


def main(arguments: list[str]) -> int:
    """Run the worker that the arguments name, or ask it for a sign of life."""
    try:
        kind = WorkerKind(arguments[0])
    except (IndexError, ValueError):
        sys.stderr.write(f"{_USAGE}\n")
        return 2
    match arguments[1:]:
        case []:
            return run_worker(kind, WorkerSettings())
        case ["ping"]:
            return ping_worker(kind, WorkerSettings())
        case _:
            sys.stderr.write(f"{_USAGE}\n")
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
