"""The field types that several wire schemas share."""

from typing import Annotated
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
)

from api.schemas.patterns import FILE_NAME, IMPORT_URL, NOT_BLANK, PRINTABLE

MAX_PAGE_SIZE = 1000
DEFAULT_PAGE_SIZE = 100
# Larger integers lose digits in a browser's JSON.
MAX_SAFE_INTEGER = 2**53 - 1
# The largest value of PostgreSQL's integer, the type of every position and count.
MAX_POSTGRESQL_INTEGER = 2**31 - 1


def _refuse_path(name: str) -> str:
    """Return `name` where it is a bare file name.

    Raises:
        ValueError: `name` has a folder part.
    """
    if "/" in name or "\\" in name or name in {".", ".."}:
        raise ValueError("must be a file name without a folder")
    return name


def _as_whole(value: object) -> object:
    """Return a float without a fraction as an integer, which JSON Schema does not tell apart."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = BeforeValidator(_as_whole)

DisplayName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=NOT_BLANK),
]
ColumnName = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=PRINTABLE)]
FileName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=255, pattern=PRINTABLE),
    AfterValidator(_refuse_path),
    WithJsonSchema({"type": "string", "maxLength": 255, "pattern": FILE_NAME}),
]
ImportUrl = Annotated[
    str,
    StringConstraints(min_length=1, max_length=2000, pattern=PRINTABLE),
    WithJsonSchema({"type": "string", "maxLength": 2000, "pattern": IMPORT_URL}),
]
# A uniform 64-bit seed would not survive JSON in a browser.
Seed = Annotated[int, Field(strict=True, ge=0, le=MAX_SAFE_INTEGER), Whole]
Count = Annotated[int, Field(strict=True, ge=1, le=MAX_POSTGRESQL_INTEGER), Whole]

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
