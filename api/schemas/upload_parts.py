"""What a client sends and receives about an upload by parts."""

from typing import Annotated

from pydantic import Field, StringConstraints

from api.schemas.fields import FileName, Page, RequestModel, ResponseModel, UtcTime, Whole
from curation.models import UploadPart
from curation.upload_parts import MAX_PARTS

PartCount = Annotated[int, Field(strict=True, ge=1, le=MAX_PARTS), Whole]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class UploadPartView(ResponseModel):
    """A part that has arrived."""

    number: int = Field(description="Its place in the file, from 1.")
    size_bytes: int
    sha256: str = Field(description="Lower-case hexadecimal SHA-256 of the part.")
    created_at: UtcTime = Field(description="When it arrived.")

    @classmethod
    def from_row(cls, row: UploadPart) -> "UploadPartView":
        """Return the wire form of a part's row."""
        return cls(
            number=row.number,
            size_bytes=row.size_bytes,
            sha256=row.digest,
            created_at=row.created_at,
        )


class UploadPartPage(Page):
    """One page of the parts that have arrived, by number."""

    items: list[UploadPartView]


class UploadComplete(RequestModel):
    """What the parts make when they are put together."""

    file_name: FileName = Field(description="Name of the file; its ending says how to read it.")
    sha256: Sha256 = Field(description="Lower-case hexadecimal SHA-256 of the whole file.")
    part_count: PartCount = Field(description="How many parts it has; numbered from 1.")
