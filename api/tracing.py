"""Traces requests, where an operator names a collector."""

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from opentelemetry import trace

from curation.settings import CurationSettings
from curation.tracing import start_tracing

if TYPE_CHECKING:
    from curation.trace_export import TraceExport

# Probes say nothing, and an event stream asks the database for hours.
_UNTRACED = r"/healthz$,/readyz$,/metrics$,/events(\?|$)"
_ADDRESSES = ("http.url", "http.target", "url.full", "url.query")


def trace_requests(app: FastAPI, settings: CurationSettings) -> "TraceExport | None":
    """Make a span of each request that `app` will serve, if the settings name a collector."""
    export = start_tracing(settings, service="winnow-api")
    if export is not None:
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor  # noqa: PLC0415

        FastAPIInstrumentor.instrument_app(
            app,
            excluded_urls=_UNTRACED,
            exclude_spans=["receive", "send"],
            server_request_hook=_forget_query,
        )
    return export


def _forget_query(span: trace.Span, _scope: dict[str, Any]) -> None:  # Any: ASGI's own.
    """Cut the query off the addresses of a span: it may name samples."""
    attributes = getattr(span, "attributes", None) or {}
    for name in _ADDRESSES:
        value = attributes.get(name)
        if value:
            span.set_attribute(name, "" if name == "url.query" else value.partition("?")[0])
