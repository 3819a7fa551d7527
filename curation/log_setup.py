"""Sets up the log: one line for each event on standard error, with its data as fields."""

import logging
import sys

import structlog
from structlog.typing import Processor

from curation.settings import CurationSettings, LogFormat

# These libraries write a line for each request or task at INFO, which our own events say already.
_CHATTY_LOGGERS = ("httpx2", "kombu", "amqp", "uvicorn.access")


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
    for name in _CHATTY_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)


def _shared_processors() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]


def _renderers(log_format: LogFormat) -> list[Processor]:
    match log_format:
        case LogFormat.JSON:
            return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        case LogFormat.CONSOLE:
            # The default formatter prints every local value, secrets among them.
            plain = structlog.dev.plain_traceback
            return [
                structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)
            ]
