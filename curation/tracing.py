"""Spans and what ties them together; they lead nowhere unless an operator names a collector."""

from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from curation.settings import CurationSettings

if TYPE_CHECKING:
    from curation.trace_export import TraceExport

TRACE_PARENT = "traceparent"
"""Name of a span's address in headers, as the W3C gives it."""

_PROPAGATOR = TraceContextTextMapPropagator()


def start_tracing(settings: CurationSettings, *, service: str) -> "TraceExport | None":
    """Send the spans of this process to the collector that the settings name, if they name one.

    Args:
        settings: The collector's address and the share of traces to keep.
        service: Name of this kind of process.
    """
    if not settings.otlp_endpoint:
        return None
    # Most installations trace nothing, and need not load what sends spans.
    from curation.trace_export import TraceExport  # noqa: PLC0415

    return TraceExport(settings.otlp_endpoint, share=settings.trace_share, service=service)


def current_trace_parent() -> str | None:
    """Return the address of the span at work, or None where nothing is traced."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier.get(TRACE_PARENT)


def context_of(trace_parent: str | None) -> Context:
    """Return the context of a span elsewhere, to begin others under it."""
    # An empty context of its own, so that None begins a new trace whatever is at work here.
    return _PROPAGATOR.extract({TRACE_PARENT: trace_parent} if trace_parent else {}, Context())


def trace_id_of(trace_parent: str | None) -> str | None:
    """Return the id of the trace that a span elsewhere belongs to, in hexadecimal."""
    span = trace.get_current_span(context_of(trace_parent)).get_span_context()
    return trace.format_trace_id(span.trace_id) if span.is_valid else None
