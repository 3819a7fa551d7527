"""From where the operator allows datasets to be imported, and what a user's address names there."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from curation.errors import ForbiddenError, InvalidInputError
from curation.s3_addresses import S3Address, parse_s3_address

_SCHEME = "s3://"


@dataclass(frozen=True, slots=True)
class ImportTarget:
    """An object that may be imported.

    Attributes:
        source: The operator's own address, whose bucket holds the object.
        key: The object's key in the bucket.
    """

    source: S3Address
    key: str

    @property
    def bucket(self) -> S3Address:
        """The bucket as a whole, in which the key counts from the beginning."""
        return replace(self.source, prefix="")

    @property
    def url(self) -> str:
        """The address as a user writes it."""
        return f"{_SCHEME}{self.source.bucket}/{self.key}"

    @property
    def file_name(self) -> str:
        """The last part of the key."""
        return self.key.rpartition("/")[2]


def parse_import_sources(text: str | None) -> tuple[S3Address, ...]:
    """Return the addresses of a list such as `s3://pools, s3://other/sets?region=eu-central-1`.

    Raises:
        ValueError: One of them is none.
    """
    return tuple(parse_s3_address(part.strip()) for part in (text or "").split(",") if part.strip())


def find_import_target(url: str, sources: Sequence[S3Address]) -> ImportTarget:
    """Return what a user's address names; it names a bucket and a key, and nothing else.

    Args:
        url: `s3://bucket/key`, the key as it is: nothing in it is escaped, and `?` and `#` are
            letters like any other.
        sources: What the operator allows.

    Raises:
        InvalidInputError: It is no such address.
        ForbiddenError: Imports are switched off, or the object lies under none of the sources.
    """
    if not sources:
        raise ForbiddenError(
            "IMPORTS_DISABLED",
            "This installation imports nothing.",
            field="url",
            cure="Upload the file, or ask the operator to set WINNOW_IMPORT_SOURCES.",
        )
    bucket, _, key = url.removeprefix(_SCHEME).partition("/")
    # A part such as `..` would lie under a prefix by its text alone, and S3 has no use for it.
    if not url.startswith(_SCHEME) or not bucket or {"", ".", ".."} & set(key.split("/")):
        raise InvalidInputError(
            "INVALID_IMPORT_URL",
            "The address is not s3://bucket/key.",
            field="url",
            cure="Name the bucket and the whole key of one file.",
        )
    for source in sources:
        if bucket == source.bucket and (not source.prefix or key.startswith(f"{source.prefix}/")):
            return ImportTarget(source, key)
    raise ForbiddenError(
        "IMPORT_NOT_ALLOWED",
        "The operator does not allow imports from there.",
        field="url",
        cure="Import from a bucket that is allowed, or upload the file.",
    )
