"""The errors that Winnow's client, command line and one-machine stack raise."""

from dataclasses import dataclass
from uuid import UUID


class WinnowError(Exception):
    """Something that the user can read and act on; its text is safe to show."""


class InputError(WinnowError):
    """A file, folder or option that the user gave cannot be used."""


class ServerUnreachableError(WinnowError):
    """No Winnow service answers at the address."""


class ServerStartError(WinnowError):
    """A process of the one-machine stack did not come up; the text says where its log lies."""


class PortInUseError(ServerStartError):
    """Another program listens on the port that the stack was told to use."""


class DataFolderInUseError(ServerStartError):
    """Another running process owns the data folder."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What the service says about a refused request (RFC 9457 with Winnow's extensions).

    Attributes:
        status: The HTTP status.
        reason: A stable code in upper snake case.
        detail: One sentence for people.
        field: The field at fault, as a dotted path.
        row: The row at fault, counted from 1 in the user's own file.
        cure: What would make the request succeed.
        request_id: Names the request in the service's log.
    """

    status: int
    reason: str
    detail: str
    field: str | None = None
    row: int | None = None
    cure: str | None = None
    request_id: str | None = None

    def __str__(self) -> str:
        return describe_refusal(
            self.reason, self.detail, field=self.field, row=self.row, cure=self.cure
        )


class ApiError(WinnowError):
    """The service refused a request, or could not answer it; ``problem`` says why.

    Each of its subclasses stands for a status, so that a caller can tell a row that is not there
    from a key that does not open.
    """

    def __init__(self, problem: Problem, *, retry_after_seconds: float | None = None) -> None:
        """Takes its text from the problem.

        Args:
            problem: What the service states.
            retry_after_seconds: When the same request is worth another try, where it says so.
        """
        super().__init__(str(problem))
        self.problem = problem
        self.retry_after_seconds = retry_after_seconds

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.problem.status

    @property
    def reason(self) -> str:
        """A stable word for programs, such as ``DATASET_IN_USE``."""
        return self.problem.reason

    @property
    def field(self) -> str | None:
        """The field at fault, as a dotted path."""
        return self.problem.field

    @property
    def request_id(self) -> str | None:
        """Names the request in the service's log."""
        return self.problem.request_id


class UnauthenticatedError(ApiError):
    """The service does not know the key, or it has ended (401)."""


class ForbiddenError(ApiError):
    """The key does not reach that far (403)."""


class NotFoundError(ApiError):
    """There is no such row, or it belongs to another workspace (404)."""


class ConflictError(ApiError):
    """The row is in a state that does not allow it (409)."""


class InvalidRequestError(ApiError):
    """What was sent is not acceptable (400, 413 or 422); ``field`` says which part."""


class TooManyRequestsError(ApiError):
    """A rate limit or a quota is used up (429); ``retry_after_seconds`` says for how long."""


class ServiceFaultError(ApiError):
    """The service, or a proxy before it, could not answer (5xx)."""


_ERRORS_BY_STATUS: dict[int, type[ApiError]] = {
    400: InvalidRequestError,
    401: UnauthenticatedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    413: InvalidRequestError,
    422: InvalidRequestError,
    429: TooManyRequestsError,
}
_FIRST_SERVER_FAULT = 500


def api_error(problem: Problem, *, retry_after_seconds: float | None = None) -> ApiError:
    """Returns the error that stands for the problem's status."""
    is_fault = problem.status >= _FIRST_SERVER_FAULT
    kind = ServiceFaultError if is_fault else _ERRORS_BY_STATUS.get(problem.status, ApiError)
    return kind(problem, retry_after_seconds=retry_after_seconds)


class WaitTimeoutError(WinnowError):
    """What was waited for has not come to its end in the time that the caller gave."""


class DatasetInvalidError(WinnowError):
    """Validation refused a dataset; the text names the reason, the place and the cure.

    Attributes:
        dataset_id: The dataset.
        reason: A stable word for programs.
        field: The field or column at fault.
        row: The row at fault, counted from 1.
    """

    def __init__(
        self,
        text: str,
        *,
        dataset_id: UUID,
        reason: str,
        field: str | None = None,
        row: int | None = None,
    ) -> None:
        """Keeps what validation found."""
        super().__init__(text)
        self.dataset_id = dataset_id
        self.reason = reason
        self.field = field
        self.row = row


class JobFailedError(WinnowError):
    """A job ended without a result; the text holds its reason.

    Attributes:
        job_id: The job.
        reason: A stable word for programs; None where the service gave none.
    """

    def __init__(self, text: str, *, job_id: UUID, reason: str | None) -> None:
        """Keeps which job it was, and why."""
        super().__init__(text)
        self.job_id = job_id
        self.reason = reason


class JobCancelledError(WinnowError):
    """A job was cancelled before it had a result.

    Attributes:
        job_id: The job.
    """

    def __init__(self, text: str, *, job_id: UUID) -> None:
        """Keeps which job it was."""
        super().__init__(text)
        self.job_id = job_id


def describe_refusal(
    reason: str, detail: str, *, field: str | None, row: int | None, cure: str | None
) -> str:
    """Returns one line: the reason, the sentence, the place at fault and the cure."""
    places = [f"field {field}" if field else None, None if row is None else f"row {row}"]
    named = ", ".join(place for place in places if place)
    parts = [f"{reason}: {detail}", f"({named})" if named else None, cure]
    return " ".join(part for part in parts if part)
