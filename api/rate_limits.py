"""How often a key may call: counted in Redis, so that all processes of the API agree."""

import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

import redis
import structlog
from limits import RateLimitItemPerSecond
from limits.errors import StorageError
from limits.storage import RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis.backoff import NoBackoff
from redis.retry import Retry

from api.settings import ApiSettings
from curation.errors import RateLimitedError
from curation.identifiers import KeyId

RATE_HEADERS_SCOPE_KEY: Final = "winnow_rate_limit_headers"
# No request waits long for a counter; while it does not answer, it is not asked each time.
_TIMEOUT_SECONDS = 0.25
_REST_SECONDS = 5.0
_PREFIX = "winnow-rate"

_log = structlog.get_logger()


@dataclass(frozen=True)
class Allowance:
    """What is left to a key.

    Attributes:
        limit: Calls in a window.
        window_seconds: Length of the window.
        remaining: Calls left now.
        reset_seconds: Until there is room for another one.
    """

    limit: int
    window_seconds: int
    remaining: int
    reset_seconds: int

    def headers(self) -> Mapping[str, str]:
        """Return the header fields that tell a client of it."""
        return {
            "RateLimit-Policy": f'"key";q={self.limit};w={self.window_seconds}',
            "RateLimit": f'"key";r={self.remaining};t={self.reset_seconds}',
        }


@final
class RateLimiter:
    """Counts the calls of each key; where the counter is away, every call passes."""

    def __init__(self, settings: ApiSettings) -> None:
        """Prepare to count; nothing connects before the first call."""
        self.is_on = settings.rate_limit_requests > 0
        self._item = RateLimitItemPerSecond(
            max(1, settings.rate_limit_requests), settings.rate_limit_seconds
        )
        pool = redis.ConnectionPool.from_url(
            _redis_url(settings.broker_url),
            socket_timeout=_TIMEOUT_SECONDS,
            socket_connect_timeout=_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        storage = RedisStorage(
            "redis://", connection_pool=pool, key_prefix=_PREFIX, wrap_exceptions=True
        )
        self._limiter = SlidingWindowCounterRateLimiter(storage)
        self._pool = pool
        self._lock = threading.Lock()
        self._rests_until = 0.0

    def close(self) -> None:
        """Close the connections."""
        self._pool.disconnect()

    def count(self, key_id: KeyId) -> Allowance | None:
        """Count a call and return what is left, or None where nothing is counted.

        Raises:
            RateLimitedError: The key has used up its calls.
        """
        if not self.is_on or time.monotonic() < self._rests_until:
            return None
        try:
            is_allowed = self._limiter.hit(self._item, str(key_id))
            stats = self._limiter.get_window_stats(self._item, str(key_id))
        except StorageError as error:
            self._rest(error)
            return None
        allowance = Allowance(
            limit=self._item.amount,
            window_seconds=self._item.get_expiry(),
            remaining=stats.remaining if is_allowed else 0,
            reset_seconds=max(1, math.ceil(stats.reset_time - time.time())),
        )
        if not is_allowed:
            raise RateLimitedError(allowance.reset_seconds, allowance.headers())
        return allowance

    def _rest(self, error: StorageError) -> None:
        with self._lock:
            if time.monotonic() < self._rests_until:
                return
            self._rests_until = time.monotonic() + _REST_SECONDS
        # A service that cannot count still serves. No more than the kind: the text may hold the
        # address.
        _log.warning("rate_limit_unavailable", error=type(error.storage_error).__name__)


def _redis_url(broker_url: str) -> str:
    """Return kombu's form of a broker's address in the form of the Redis client."""
    if not broker_url.startswith("redis+socket://"):
        return broker_url
    return broker_url.replace("redis+socket://", "unix://", 1).replace("virtual_host=", "db=", 1)
