"""What a client receives of the audit log."""

from pydantic import Field

from api.schemas.fields import Identifier, Page, ResponseModel, UtcTime
from curation.models import AuditEntry


class AuditEntryView(ResponseModel):
    """Something that was done."""

    at: UtcTime
    key_prefix: str | None = Field(
        description="Middle part of the key that did it; null for the operator's command line."
    )
    action: str = Field(description="Id of the operation.", examples=["delete_dataset"])
    object_id: Identifier | None = Field(description="The row that it was done to.")

    @classmethod
    def from_row(cls, row: AuditEntry) -> "AuditEntryView":
        """Return the wire form of an entry's row."""
        return cls(at=row.at, key_prefix=row.key_prefix, action=row.action, object_id=row.object_id)


class AuditPage(Page):
    """One page of the log, newest first."""

    items: list[AuditEntryView]
