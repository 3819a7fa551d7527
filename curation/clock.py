"""The clock that entry points inject, so that tests decide what time it is."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the present time in UTC, with its zone."""
    return datetime.now(UTC)
