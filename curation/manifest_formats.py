"""The file formats in which a job's samples come out, and what each of them is called."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class TableFormat(StrEnum):
    """The format of a plain table."""

    PARQUET = "parquet"
    JSONL = "jsonl"
    CSV = "csv"


class ManifestFormat(StrEnum):
    """The format of a manifest."""

    PARQUET = "parquet"
    JSONL = "jsonl"
    CSV = "csv"
    NPY = "npy"
    IMAGEFOLDER = "imagefolder"
    WEBDATASET = "webdataset"
    FIFTYONE = "fiftyone"
    CROISSANT = "croissant"


@dataclass(frozen=True, slots=True)
class FormatFacts:
    """What a client sees of a format.

    Attributes:
        media_type: The file's media type.
        ending: What follows the first dot of the file's name.
        is_kept_only: Whether dropped samples are left out where the request does not say.
        holds_images: Whether the file carries the images, which other samples do not have.
    """

    media_type: str
    ending: str
    is_kept_only: bool = False
    holds_images: bool = False


_ZIP = "application/zip"

MANIFEST_FORMATS: Mapping[ManifestFormat, FormatFacts] = MappingProxyType(
    {
        ManifestFormat.PARQUET: FormatFacts("application/vnd.apache.parquet", "parquet"),
        ManifestFormat.JSONL: FormatFacts("application/x-ndjson", "jsonl"),
        ManifestFormat.CSV: FormatFacts("text/csv; charset=utf-8", "csv"),
        ManifestFormat.NPY: FormatFacts("application/octet-stream", "npy", is_kept_only=True),
        ManifestFormat.IMAGEFOLDER: FormatFacts(
            _ZIP, "imagefolder.zip", is_kept_only=True, holds_images=True
        ),
        ManifestFormat.WEBDATASET: FormatFacts(
            _ZIP, "webdataset.zip", is_kept_only=True, holds_images=True
        ),
        ManifestFormat.FIFTYONE: FormatFacts(
            _ZIP, "fiftyone.zip", is_kept_only=True, holds_images=True
        ),
        ManifestFormat.CROISSANT: FormatFacts("application/ld+json", "croissant.json"),
    }
)
TABLE_MEDIA_TYPES: Mapping[TableFormat, str] = MappingProxyType(
    {kind: MANIFEST_FORMATS[ManifestFormat(kind)].media_type for kind in TableFormat}
)
