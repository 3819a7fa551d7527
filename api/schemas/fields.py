"""The field types that several wire schemas share."""

from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

MAX_PAGE_SIZE = 1000
DEFAULT_PAGE_SIZE = 100
# Larger integers lose digits in a browser's JSON.
MAX_SAFE_INTEGER = 2**53 - 1
# The largest value of PostgreSQL's integer, the type of every position and count.
MAX_POSTGRESQL_INTEGER = 2**31 - 1

# PostgreSQL's text holds no NUL, and control characters in a name only ever mislead a reader.
_PRINTABLE = r"^[^\x00-\x1f\x7f]+$"


def _refuse_path(name: str) -> str:
    """Return `name` where it is a bare file name.

    Raises:
        ValueError: `name` has a folder part.
    """
    if "/" in name or "\\" in name or name in {".", ".."}:
        raise ValueError("must be a file name without a folder")
    return name


DisplayName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=_PRINTABLE),
]
ColumnName = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_PRINTABLE)]
FileName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=255, pattern=_PRINTABLE),
    AfterValidator(_refuse_path),
]
# A uniform 64-bit seed would not survive JSON in a browser.
Seed = Annotated[int, Field(strict=True, ge=0, le=MAX_SAFE_INTEGER)]

Identifier = UUID
UtcTime = AwareDatetime


class RequestModel(BaseModel):
    """A body sent by a client; a field that it misspells is refused instead of ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ResponseModel(BaseModel):
    """A body sent by the service."""

    model_config = ConfigDict(frozen=True)


class Page(ResponseModel):
    """What every paged list says beside its items."""

    next_cursor: str | None = Field(
        description="Give it back as `cursor` for the next page; null on the last page.",
        examples=["eyJhIjoiMDE5YWIifQ"],
    )
