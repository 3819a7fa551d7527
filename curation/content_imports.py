"""Fetches the content of an imported dataset from the operator's bucket into the object store."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import obstore
from obstore.exceptions import (
    BaseError,
    NotFoundError,
    PermissionDeniedError,
    UnauthenticatedError,
)

from curation.errors import InvalidInputError
from curation.import_sources import ImportTarget
from curation.objects import ObjectStore, StoredObject
from curation.s3_objects import open_bucket
from curation.validation_process import ValidationInterruptedError

if TYPE_CHECKING:
    from obstore import GetOptions, ObjectMeta
    from obstore.store import RetryConfig, S3Store

# Short requests: each may take half a minute, and is tried again by itself.
_RANGE_BYTES: Final = 16 << 20
_RETRIES: "RetryConfig" = {"max_retries": 3, "retry_timeout": timedelta(seconds=30)}


class SourceAwayError(Exception):
    """The bucket does not answer, or the object changed meanwhile; it may be there later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLimits:
    """How much one fetch may cost.

    Attributes:
        max_bytes: Largest object.
        max_seconds: Longest fetch.
    """

    max_bytes: int
    max_seconds: float


def fetch_object(
    target: ImportTarget,
    store: ObjectStore,
    limits: FetchLimits,
    *,
    admit: Callable[[int], None],
    keep_going: Callable[[], bool],
) -> StoredObject:
    """Return an object of a bucket as one of the store.

    Args:
        target: The object.
        store: Where it goes.
        limits: Caps.
        admit: Called with the object's length before its first byte is fetched; raises where the
            length is refused.
        keep_going: Asked before each range; False ends the fetch.

    Raises:
        InvalidInputError: The object is missing, closed to the service, empty or too large, or
            takes too long.
        SourceAwayError: The bucket does not answer.
        StorageFullError: The store has no room for it.
        ValidationInterruptedError: `keep_going` said no.
    """
    deadline = time.monotonic() + limits.max_seconds
    bucket = open_bucket(target.bucket, _RETRIES)
    with _told():
        found = obstore.head(bucket, target.key)
    _check_size(found["size"], limits)
    admit(found["size"])
    with store.open_writer() as writer:
        for piece in _ranges(bucket, found):
            if not keep_going():
                raise ValidationInterruptedError("the claim on the dataset is lost")
            if time.monotonic() > deadline:
                raise _refused(
                    "IMPORT_TOO_SLOW",
                    f"Fetching the file took longer than {limits.max_seconds:g} seconds.",
                    cure="Split the dataset, or raise WINNOW_MAX_IMPORT_SECONDS.",
                )
            writer.write(piece)
        return writer.finish()


def _ranges(bucket: "S3Store", found: "ObjectMeta") -> Iterator[bytes]:
    """Yield an object range by range, all of the version that was found."""
    for start in range(0, found["size"], _RANGE_BYTES):
        end = min(start + _RANGE_BYTES, found["size"])
        options: GetOptions = {"range": (start, end)}
        if found["e_tag"] is not None:
            options["if_match"] = found["e_tag"]
        with _told():
            piece = bytes(obstore.get(bucket, found["path"], options=options).bytes())
        yield piece


def _check_size(size_bytes: int, limits: FetchLimits) -> None:
    if size_bytes == 0:
        raise _refused("EMPTY_DATASET", "The file is empty.", cure="Import another.")
    if size_bytes > limits.max_bytes:
        raise _refused(
            "IMPORT_TOO_LARGE",
            f"The file has {size_bytes} bytes; {limits.max_bytes} are allowed.",
            cure="Split the dataset, or raise WINNOW_MAX_UPLOAD_BYTES.",
        )


@contextmanager
def _told() -> Iterator[None]:
    """Turn the library's errors into those of a dataset; its texts may hold addresses."""
    try:
        yield
    except (NotFoundError, FileNotFoundError) as error:
        raise _refused(
            "IMPORT_NOT_FOUND",
            "There is no such file in the bucket, or no such bucket.",
            cure="Look at bucket and key, then import it again.",
        ) from error
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise _refused(
            "IMPORT_DENIED",
            "The bucket does not let the service read the file.",
            cure="Ask the operator to let the service's account read there.",
        ) from error
    except BaseError as error:
        raise SourceAwayError(f"the bucket failed: {type(error).__name__}") from error


def _refused(reason: str, detail: str, *, cure: str) -> InvalidInputError:
    return InvalidInputError(reason, detail, field="url", cure=cure)
