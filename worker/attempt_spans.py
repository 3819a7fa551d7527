"""The spans of an attempt and of its phases, as children of the request that made the job."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import final

from opentelemetry import trace

from curation.jobs import Claim
from curation.tracing import context_of

_NANOSECONDS = 1_000_000_000

_tracer = trace.get_tracer("winnow.worker")


@contextmanager
def attempt_span(claim: Claim) -> Iterator[trace.Span]:
    """Yield the span of an attempt; it belongs to the trace of the request that made the job.

    The message that woke this worker may have been another job's, so its span is only linked.
    """
    with _tracer.start_as_current_span(
        "attempt",
        context=context_of(claim.origin.trace_parent),
        links=[trace.Link(trace.get_current_span().get_span_context())],
        attributes={
            "winnow.job_id": str(claim.job_id),
            "winnow.workspace_id": str(claim.workspace_id),
            "winnow.attempt": claim.attempt,
            "winnow.method": claim.method,
        },
    ) as span:
        yield span


@final
class PhaseSpans:
    """A span for each phase of a run, by what the training process tells of it.

    They are made here and not in that process, since one that is killed could send none.
    """

    def __init__(self) -> None:
        """Begin before the first phase."""
        self._phase: str | None = None
        self._span: trace.Span = trace.INVALID_SPAN

    def enter(self, phase: str, seconds_by_phase: Mapping[str, float]) -> None:
        """Note what a run has told; a phase began as long ago as it says to have spent in it."""
        if phase == self._phase:
            return
        began = time.time_ns() - round(_NANOSECONDS * seconds_by_phase.get(phase, 0.0))
        self._span.end(began)
        self._span = _tracer.start_span(phase, start_time=began)
        self._phase = phase

    def close(self) -> None:
        """End the span of the last phase."""
        self._span.end()
