"""Sets up the log: one line for each event on standard error, with its data as fields."""

import logging
import re
import sys

import structlog
from opentelemetry import trace
from structlog.typing import EventDict, Processor

from curation.settings import CurationSettings, LogFormat

# These libraries write a line for each request or task at INFO, which our own events say already.
_CHATTY_LOGGERS = ("httpx2", "kombu", "amqp", "uvicorn.access")
# The server sets up handlers of its own, whose lines would have another form.
_LOGGERS_WITH_HANDLERS = ("uvicorn", "uvicorn.error", "uvicorn.access")
# JSON escapes these by itself.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def configure_logging(settings: CurationSettings) -> None:
    """Sends structlog's events and every library's own log lines to standard error, in one form.

    Args:
        settings: The least severe level that is written, and whether lines are JSON or for people.
    """
    shared = _shared_processors()
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(settings.log_format),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level)
    logging.captureWarnings(capture=True)
    for name in _LOGGERS_WITH_HANDLERS:
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    for name in _CHATTY_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)


def _shared_processors() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        _add_span,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]


def _add_span(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Return an event that names the trace and the span in which it happened, if there are any."""
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        event["trace_id"] = trace.format_trace_id(span.trace_id)
        event["span_id"] = trace.format_span_id(span.span_id)
    return event


def _renderers(log_format: LogFormat) -> list[Processor]:
    match log_format:
        case LogFormat.JSON:
            return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        case LogFormat.CONSOLE:
            # The default formatter prints every local value, secrets among them.
            plain = structlog.dev.plain_traceback
            return [
                _escape_controls,
                structlog.dev.ConsoleRenderer(
                    colors=sys.stderr.isatty(), exception_formatter=plain
                ),
            ]


def _escape_controls(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Return an event in which no text can end its line or steer a terminal."""
    # Tracebacks have lines of their own; the renderer has not made them texts yet.
    return {
        name: _CONTROL.sub(_escaped, value) if isinstance(value, str) else value
        for name, value in event.items()
    }


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
