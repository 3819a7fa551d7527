"""The errors that Winnow's client, command line and one-machine stack raise."""

from dataclasses import dataclass


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
    """The service refused a request; ``problem`` says why."""

    def __init__(self, problem: Problem) -> None:
        """Takes its text from the problem."""
        super().__init__(str(problem))
        self.problem = problem


class DatasetInvalidError(WinnowError):
    """Validation refused a dataset; the text names the reason, the place and the cure."""


class JobFailedError(WinnowError):
    """A job ended without a result; the text holds its reason."""


class JobCancelledError(WinnowError):
    """A job was cancelled before it had a result."""


def describe_refusal(
    reason: str, detail: str, *, field: str | None, row: int | None, cure: str | None
) -> str:
    """Returns one line: the reason, the sentence, the place at fault and the cure."""
    places = [f"field {field}" if field else None, None if row is None else f"row {row}"]
    named = ", ".join(place for place in places if place)
    parts = [f"{reason}: {detail}", f"({named})" if named else None, cure]
    return " ".join(part for part in parts if part)
