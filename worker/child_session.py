"""Speaks with the supervisor while the run of one attempt is under way."""

import contextlib
import logging
import os
import signal
import threading
from pathlib import Path
from typing import BinaryIO, final

import structlog

from curation.jobs import Claim
from curation.log_setup import configure_logging
from worker.attempt_log import log_fields
from worker.child_link import ChildMessage, encode_for_supervisor
from worker.cpus import limit_library_threads
from worker.parent_watch import SupervisorListener
from worker.settings import WorkerSettings


@final
class SupervisorReporter:
    """Writes messages to the supervisor; any thread may call it."""

    def __init__(self, stream: BinaryIO) -> None:
        """Take the pipe that the supervisor reads."""
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, message: ChildMessage) -> None:
        """Send one message; nobody hears it where the supervisor is gone."""
        with self._lock, contextlib.suppress(BrokenPipeError):
            self._stream.write(encode_for_supervisor(message))
            self._stream.flush()


def run_session(report_descriptor: int) -> None:
    """Hear what is to be run, run it, and tell the supervisor how it ended.

    Args:
        report_descriptor: Where the supervisor reads.
    """
    reporter = SupervisorReporter(os.fdopen(report_descriptor, "wb"))
    # A copy, since a launcher of several processes puts another pipe in this descriptor's place.
    messages = os.fdopen(os.dup(0), "rb")
    should_stop = threading.Event()
    # The handler comes before the heavy imports, so that a request to stop is never deadly.
    signal.signal(signal.SIGTERM, lambda *_: should_stop.set())
    listener = SupervisorListener(messages, on_stop=should_stop.set)
    start = listener.wait_for_start()
    listener.listen(start.lease_seconds)
    settings = WorkerSettings()
    prepare_process(settings, start.claim)
    # torch takes seconds to import, in which the parent is watched already.
    from worker.device import count_processes  # noqa: PLC0415

    count = count_processes(settings.devices, settings.train_processes)
    # A stored selector trains nothing that could be shared.
    if count > 1 and start.claim.selector_id is None:
        from worker.rank_launcher import run_ranks  # noqa: PLC0415

        run_ranks(start, count, report_descriptor=report_descriptor, should_stop=should_stop)
        return
    from worker.training_run import run_attempt  # noqa: PLC0415

    verdict = run_attempt(
        start.claim,
        settings,
        scratch=Path(start.scratch),
        send=reporter.send,
        should_stop=should_stop.is_set,
    )
    reporter.send(verdict)


def prepare_process(settings: WorkerSettings, claim: Claim) -> None:
    """Set up logging and the threads of libraries, which look for them when they are loaded.

    Args:
        settings: Settings of the process.
        claim: The attempt that the log lines belong to.
    """
    configure_logging(settings)
    # It tells at length which of its builds it tries, which no user needs to read.
    logging.getLogger("faiss").setLevel(logging.WARNING)
    limit_library_threads(os.environ, settings.torch_threads)
    structlog.contextvars.bind_contextvars(**log_fields(claim))
