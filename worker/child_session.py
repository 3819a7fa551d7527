"""Speaks with the supervisor while the run of one attempt is under way."""

import contextlib
import logging
import os
import signal
import threading
from pathlib import Path
from typing import BinaryIO, final

import structlog

from curation.log_setup import configure_logging
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
    should_stop = threading.Event()
    # The handler comes before the heavy imports, so that a request to stop is never deadly.
    signal.signal(signal.SIGTERM, lambda *_: should_stop.set())
    listener = SupervisorListener(os.fdopen(0, "rb"), on_stop=should_stop.set)
    start = listener.wait_for_start()
    listener.listen(start.lease_seconds)
    settings = WorkerSettings()
    configure_logging(settings)
    # It tells at length which of its builds it tries, which no user needs to read.
    logging.getLogger("faiss").setLevel(logging.WARNING)
    limit_library_threads(os.environ, settings.torch_threads)
    structlog.contextvars.bind_contextvars(
        job_id=str(start.claim.job_id), attempt=start.claim.attempt
    )
    # torch takes seconds to import, in which the parent is watched already.
    from worker.training_run import run_attempt  # noqa: PLC0415

    verdict = run_attempt(
        start.claim,
        settings,
        scratch=Path(start.scratch),
        send=reporter.send,
        should_stop=should_stop.is_set,
    )
    reporter.send(verdict)
