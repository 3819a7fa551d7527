"""Requests and answers as plain values, and the error that a refusal becomes."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from winnow.errors import ApiError, Problem, WinnowError, api_error

Progress = Callable[[int], None]
"""Called with the number of bytes that have passed so far."""

FILE_SECONDS = 900.0
"""A large upload is written through to the disk, and a large file put together, before the
answer."""

AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request.

    Attributes:
        method: The HTTP method.
        path: Path below the server's address, such as ``/v1/jobs``.
        params: Query parameters; those of value None are left out.
        headers: Further headers.
        body: Sent as JSON where not None.
        is_repeatable: Whether sending it twice does no more than sending it once.
        wait_seconds: How long the answer may take beyond the usual minute.
    """

    method: str
    path: str
    params: Mapping[str, Any] | None = None  # Whatever has a text form.
    headers: Mapping[str, str] | None = None
    body: Any = None  # Whatever JSON holds.
    is_repeatable: bool = True
    wait_seconds: float = 0.0

    @property
    def given_params(self) -> dict[str, Any]:
        """The query parameters that have a value."""
        return {name: value for name, value in (self.params or {}).items() if value is not None}


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        status: The HTTP status.
        headers: By lower-case name.
        content: The body; empty where it is streamed.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""

    @property
    def is_wanted(self) -> bool:
        """Whether it answers the question, rather than refusing it."""
        is_success = HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES
        return is_success or self.status == HTTPStatus.NOT_MODIFIED


def parse_answer(kind: type[AnswerT], said: Any) -> AnswerT:  # Said is whatever JSON holds.
    """Returns JSON as a value of the kind.

    Raises:
        WinnowError: it does not fit.
    """
    try:
        return TypeAdapter(kind).validate_python(said)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise WinnowError(
            f"The service's answer is not what this client expects ({place}: {first['msg']}); "
            "client and service may be of different versions."
        ) from error


def refusal_of(answer: Answer) -> ApiError:
    """Returns the error that an answer which refuses becomes."""
    retry_after = _seconds_of(answer.headers.get("retry-after"))
    return api_error(_problem_of(answer), retry_after_seconds=retry_after)


def _problem_of(answer: Answer) -> Problem:
    """Reads the problem, or makes one where a proxy or another program answered."""
    try:
        said = json.loads(answer.content)
    except ValueError:
        # Not JSON, so not Winnow's own words; the status is all that is known.
        said = None
    if not isinstance(said, dict) or "reason" not in said:
        return Problem(
            status=answer.status,
            reason=f"HTTP_{answer.status}",
            detail=f"The server answered {answer.status} {_phrase_of(answer.status)}".rstrip()
            + ".",
            request_id=answer.headers.get("x-request-id"),
        )
    return Problem(
        status=answer.status,
        reason=str(said["reason"]),
        detail=str(said.get("detail", "")),
        field=said.get("field"),
        row=said.get("row"),
        cure=said.get("cure"),
        request_id=said.get("request_id"),
    )


def _phrase_of(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        # A status of the server's own making has no usual name.
        return ""


def _seconds_of(retry_after: str | None) -> float | None:
    """Returns the seconds that a ``Retry-After`` names, as a number or as a date."""
    if retry_after is None:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        # The other form is a date.
        pass
    try:
        moment = parsedate_to_datetime(retry_after)
    except ValueError:
        # An unreadable header is as good as none.
        return None
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
