"""What a client sends and receives about API keys."""

from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator, Field

from api.schemas.fields import (
    DisplayName,
    Identifier,
    Page,
    RequestModel,
    ResponseModel,
    UtcTime,
    Whole,
)
from curation.keys import Scope
from curation.models import ApiKey

MAX_OVERLAP_SECONDS = 30 * 86_400


def _require_text(moment: object) -> object:
    """Return a time that is written out; the framework would take a count of seconds, too.

    Raises:
        ValueError: It is something else.
    """
    if not isinstance(moment, str) or "T" not in moment.upper():
        raise ValueError("must be a date and a time such as 2030-01-31T12:00:00Z")
    return moment


Expiry = Annotated[AwareDatetime, BeforeValidator(_require_text)]
OverlapSeconds = Annotated[int, Field(strict=True, ge=0, le=MAX_OVERLAP_SECONDS), Whole]


class KeyCreate(RequestModel):
    """A key to be made for the workspace."""

    name: DisplayName = Field(examples=["nightly run"])
    scopes: list[Scope] = Field(min_length=1, max_length=len(Scope), examples=[["read", "write"]])
    expires_at: Expiry | None = Field(default=None, description="Null lets it live for ever.")


class KeyRotate(RequestModel):
    """How a key is replaced."""

    overlap_seconds: OverlapSeconds = Field(
        default=0, description="How long the old key still opens."
    )


class KeyView(ResponseModel):
    """A key, without what opens with it."""

    id: Identifier
    name: str
    prefix: str = Field(description="Middle part of the key, by which people know it.")
    scopes: list[Scope]
    created_at: UtcTime
    expires_at: UtcTime | None
    revoked_at: UtcTime | None
    last_used_at: UtcTime | None = Field(description="To the minute.")

    @classmethod
    def from_row(cls, row: ApiKey) -> "KeyView":
        """Return the wire form of a key's row."""
        return cls(
            id=row.id,
            name=row.name,
            prefix=row.prefix,
            scopes=[Scope(scope) for scope in row.scopes],
            created_at=row.created_at,
            expires_at=row.expires_at,
            revoked_at=row.revoked_at,
            last_used_at=row.last_used_at,
        )


class NewKeyView(ResponseModel):
    """A new key with the word that opens with it, which is shown this once."""

    key: KeyView
    secret: str = Field(description="The whole of `wnw_<prefix>_<secret>`.")


class KeyPage(Page):
    """One page of keys, newest first."""

    items: list[KeyView]
