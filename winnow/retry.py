"""When a request is sent again, and after which pause."""

from collections.abc import Awaitable, Callable

import httpx2
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)

from winnow.errors import ApiError

_FIRST_PAUSE_SECONDS = 0.25
_MAX_PAUSE_SECONDS = 30.0
_RATE_LIMITED = 429
_PASSING_STATUSES = frozenset({502, 503, 504})
# Spread out, so that clients that failed together do not all come back together.
_spread = wait_random(0.0, _FIRST_PAUSE_SECONDS)
_pause = wait_exponential(multiplier=_FIRST_PAUSE_SECONDS, max=_MAX_PAUSE_SECONDS) + _spread


def retrying(
    *, is_repeatable: bool, max_tries: int, sleep: Callable[[float], Awaitable[None]]
) -> AsyncRetrying:
    """Returns what calls a coroutine function until it succeeds or fails for good.

    Args:
        is_repeatable: Whether sending the request twice does no more than sending it once.
        max_tries: How often it is sent at most.
        sleep: Waits the given seconds.
    """
    return AsyncRetrying(
        retry=lambda state: is_passing(_error_of(state), is_repeatable=is_repeatable),
        stop=stop_after_attempt(max_tries),
        wait=_pause_seconds,
        sleep=sleep,
        reraise=True,
    )


def is_passing(error: BaseException | None, *, is_repeatable: bool) -> bool:
    """Tells whether the same request is safe and worth to be sent again after this error."""
    match error:
        case ApiError() if (error.retry_after_seconds or 0.0) > _MAX_PAUSE_SECONDS:
            # A quota is freed by people, not by a pause: the caller is told at once.
            return False
        case ApiError(status=429):
            # What was turned away at the door was not begun.
            return True
        case ApiError():
            return is_repeatable and error.status in _PASSING_STATUSES
        case httpx2.ConnectError() | httpx2.ConnectTimeout():
            # A connection that was never made carried nothing.
            return True
        case httpx2.TransportError():
            return is_repeatable
        case _:
            return False


def _pause_seconds(state: RetryCallState) -> float:
    """Returns the next pause, and at least what the service asked for."""
    error = _error_of(state)
    asked = error.retry_after_seconds if isinstance(error, ApiError) else None
    return _pause(state) if asked is None else asked + _spread(state)


def _error_of(state: RetryCallState) -> BaseException | None:
    return None if state.outcome is None else state.outcome.exception()
