"""Named domain errors; each carries what a user needs to understand and mend the cause."""

from collections.abc import Mapping


class CurationError(Exception):
    """A refusal that is safe to show to the user who caused it.

    Attributes:
        reason: Stable code in UPPER_SNAKE, for programs.
        detail: One sentence for people; it holds no secret and no traceback.
        field: The request field, column or array at fault, or None.
        row: The row at fault, counted from 1 in the user's own file, or None.
        cure: What to do about it, or None where nothing can be done.
    """

    def __init__(
        self,
        reason: str,
        detail: str,
        *,
        field: str | None = None,
        row: int | None = None,
        cure: str | None = None,
    ) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.field = field
        self.row = row
        self.cure = cure


class UnauthenticatedError(CurationError):
    """No key was given, or one that does not open anything (any more)."""


class ForbiddenError(CurationError):
    """The key is good, but its scopes do not reach this far."""


class NotFoundError(CurationError):
    """No such row in the caller's workspace; another workspace's rows look the same."""


class ConflictError(CurationError):
    """The row's present state does not allow what was asked."""


class ClaimLostError(ConflictError):
    """The job belongs to a later attempt: whatever this runner holds must not be written."""


class GoneError(CurationError):
    """What was asked for existed once, and its content was removed for good."""


class PreconditionError(CurationError):
    """The row has changed since the version that the caller named."""


class TooLargeError(CurationError):
    """The input is above a limit of this installation."""


class QuotaExceededError(CurationError):
    """A limit of the workspace is reached for the moment; the same request may succeed later."""


class StorageFullError(CurationError):
    """The disk that should take a file has no room for it; only the operator can make some."""


class RateLimitedError(CurationError):
    """The key has called more often than it may.

    Attributes:
        retry_after_seconds: When there is room for another call.
        headers: Header fields that tell of the limit.
    """

    def __init__(self, retry_after_seconds: int, headers: Mapping[str, str]) -> None:
        super().__init__(
            "RATE_LIMITED",
            "This key calls more often than it may.",
            cure=f"Send the request again in {retry_after_seconds} seconds.",
        )
        self.retry_after_seconds = retry_after_seconds
        self.headers = headers


class InvalidInputError(CurationError):
    """The input cannot be accepted as it is: field, row and cure say why and what helps."""
