"""Sends spans to an OpenTelemetry collector, over HTTP and from a thread of its own."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import (
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes
from sqlalchemy import Engine

# A collector that is away must not hold up the end of a process.
_FLUSH_MILLISECONDS = 2_000


@final
class TraceExport:
    """Makes the spans of this process and sends them; there is one in a process at most."""

    def __init__(self, endpoint: str, *, share: float, service: str) -> None:
        """Begin; `close` sends what waits and ends it.

        Args:
            endpoint: Address of the collector, without the path of the signal.
            share: Share of the traces that begin here and are kept, in [0, 1].
            service: Name of this kind of process.
        """
        resource = Resource.create({SERVICE_NAME: service, SERVICE_VERSION: version("winnow")})
        self._provider = TracerProvider(
            resource=resource, sampler=ParentBased(_NoLonelyQueries(share)), shutdown_on_exit=False
        )
        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        trace.set_tracer_provider(self._provider)

    def watch_queries(self, engine: Engine) -> None:
        """Make a span of each query of a request or a task; statements go without their values."""
        # Its list of versions ends below ours; a test holds that it works.
        SQLAlchemyInstrumentor().instrument(
            engine=engine, tracer_provider=self._provider, skip_dep_check=True
        )

    def close(self) -> None:
        """Send what waits, for two seconds at most, and stop."""
        self._provider.force_flush(_FLUSH_MILLISECONDS)
        self._provider.shutdown()


@final
class _NoLonelyQueries(Sampler):
    """Begins no trace with a query: sweeps and readiness checks would fill the collector."""

    def __init__(self, share: float) -> None:
        self._sampler = TraceIdRatioBased(share)

    def should_sample(  # noqa: PLR0913, PLR0917 - the library's own signature.
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Decide on a trace that would begin with this span."""
        if kind is SpanKind.CLIENT:
            return SamplingResult(Decision.DROP)
        return self._sampler.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )

    def get_description(self) -> str:
        """Return a name for the library's log."""
        return f"NoLonelyQueries({self._sampler.get_description()})"
