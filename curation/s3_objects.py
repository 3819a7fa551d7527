"""The object store in a bucket of S3, or of what speaks like it."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import S3Store

from curation.objects import (
    DIGEST,
    HashingFile,
    ObjectMissingError,
    ObjectWriter,
    StoredObject,
    StoreUnavailableError,
    told_when_full,
)
from curation.s3_addresses import S3Address

if TYPE_CHECKING:
    from obstore.store import RetryConfig

# Ten thousand parts, which is all that S3 takes, make 160 GB.
_PART_BYTES: Final = 16 << 20
_PARTS_AT_ONCE: Final = 2
_COPY_BYTES: Final = 1 << 20
_LISTED_AT_ONCE: Final = 1000
# S3 tells the time of writing in whole seconds only, too coarse to tell who wrote last.
_WRITTEN_AT: Final = "winnow-written-at"


class _SpooledWriter(HashingFile):
    """Writes to a local temporary file, since only a whole file has a digest to be named by."""

    def __init__(self, store: "S3ObjectStore") -> None:
        self._store = store
        with told_when_full():
            super().__init__(tempfile.TemporaryFile(prefix="winnow-object-"))  # noqa: SIM115 - Closed by __exit__.

    def finish(self) -> StoredObject:
        stored = self.flush()
        self._file.seek(0)
        self._store.send(cast("BinaryIO", self._file), stored.digest)
        return stored


def open_bucket(address: S3Address, retries: "RetryConfig | None" = None) -> S3Store:
    """Return the library's access to what lies under an address, without contacting it.

    The credentials come from where AWS's own programs find them: `AWS_ACCESS_KEY_ID` and
    `AWS_SECRET_ACCESS_KEY`, or the machine's role.

    Args:
        address: The bucket and a prefix of all its keys.
        retries: How often a request is tried again; None leaves it to the library.
    """
    config: dict[str, str] = {}
    if address.endpoint is not None:
        config["endpoint"] = address.endpoint
    if address.region is not None:
        config["region"] = address.region
    return S3Store(
        address.bucket,
        prefix=address.prefix or None,
        config=config,  # type: ignore[arg-type] # A TypedDict of these very keys.
        client_options={"allow_http": (address.endpoint or "").startswith("http://")},
        retry_config=retries,
    )


class S3ObjectStore:
    """Objects under a prefix of a bucket.

    An object is sent in bounded parts and appears when it is whole. Putting a content again
    renews its time of writing. Faults of the network are `OSError`, as those of a disk are.
    """

    def __init__(self, address: S3Address) -> None:
        """Name the bucket without contacting it.

        Args:
            address: The bucket, and where in it objects lie.
        """
        self._store = open_bucket(address)

    def open_writer(self) -> AbstractContextManager[ObjectWriter]:
        """Return a writer into a nameless local file, which is sent when it is finished."""
        return _SpooledWriter(self)

    def put_bytes(self, content: bytes) -> StoredObject:
        """Store a short content and return its reference."""
        with self.open_writer() as writer:
            writer.write(content)
            return writer.finish()

    def put_file(self, path: Path) -> StoredObject:
        """Store a copy of a file and return its reference."""
        with path.open("rb") as source:
            digest = hashlib.file_digest(source, "sha256").hexdigest()
            size_bytes = source.tell()
            source.seek(0)
            self.send(source, digest)
        return StoredObject(digest, size_bytes)

    def send(self, source: BinaryIO, digest: str) -> None:
        """Send a whole file under its digest, a few parts at a time."""
        attributes = {_WRITTEN_AT: datetime.now(UTC).isoformat()}
        with _told_as_os_error():
            target = obstore.open_writer(
                self._store,
                _key(digest),
                attributes=attributes,
                buffer_size=_PART_BYTES,
                max_concurrency=_PARTS_AT_ONCE,
            )
            while piece := source.read(_COPY_BYTES):
                target.write(piece)
            # Only this makes the object appear; a file that is left open before it never does.
            target.close()

    def open(self, digest: str) -> BinaryIO:
        """Return a seekable reader of a nameless local copy, or raise ObjectMissingError."""
        with told_when_full():
            file = tempfile.TemporaryFile(prefix="winnow-object-")  # noqa: SIM115 - The caller closes it.
        try:
            self._fetch(digest, cast("BinaryIO", file))
        except BaseException:
            file.close()
            raise
        file.seek(0)
        return cast("BinaryIO", file)

    @contextmanager
    def local_path(self, digest: str) -> Iterator[Path]:
        """Yield the path of a local copy, or raise ObjectMissingError."""
        with told_when_full():
            descriptor, name = tempfile.mkstemp(prefix="winnow-object-")
        path = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                self._fetch(digest, file)
            yield path
        finally:
            path.unlink(missing_ok=True)

    def exists(self, digest: str) -> bool:
        """Return whether the object lies in the bucket."""
        key = _key(digest)
        try:
            with _told_as_os_error():
                obstore.head(self._store, key)
        except FileNotFoundError:
            return False
        return True

    def delete(self, digest: str, *, written_before: datetime | None = None) -> bool:
        """Remove an object, unless it was put again since `written_before`."""
        key = _key(digest)
        try:
            with _told_as_os_error():
                if written_before is not None and self._written_at(key) >= written_before:
                    return False
                obstore.head(self._store, key)
                obstore.delete(self._store, key)
        except FileNotFoundError:
            return False
        return True

    def list_digests(self, *, written_before: datetime | None = None) -> Iterator[str]:
        """Yield the digests of the objects, in no particular order."""
        with _told_as_os_error():
            for page in obstore.list(self._store, chunk_size=_LISTED_AT_ONCE):
                for found in page:
                    name = found["path"].rpartition("/")[2]
                    if DIGEST.fullmatch(name) and (
                        written_before is None or found["last_modified"] < written_before
                    ):
                        yield name

    def remove_unfinished(self, *, written_before: datetime) -> int:  # noqa: ARG002 - Of the protocol.
        """Return 0: a broken upload's parts cannot be seen from here.

        A rule of the bucket removes them (AbortIncompleteMultipartUpload).
        """
        return 0

    def download_url(self, digest: str, *, seconds: float) -> str | None:
        """Return an address from which anybody who has it may read the object for a while."""
        with _told_as_os_error():
            return obstore.sign(
                self._store, "GET", _key(digest), expires_in=timedelta(seconds=seconds)
            )

    def _fetch(self, digest: str, target: BinaryIO) -> None:
        try:
            with _told_as_os_error():
                for piece in obstore.get(self._store, _key(digest)).stream(_COPY_BYTES):
                    with told_when_full():
                        target.write(bytes(piece))
        except FileNotFoundError as error:
            raise ObjectMissingError(digest) from error
        with told_when_full():
            target.flush()

    def _written_at(self, key: str) -> datetime:
        found = obstore.get(self._store, key, options={"head": True})
        said = found.attributes.get(_WRITTEN_AT)
        return found.meta["last_modified"] if said is None else datetime.fromisoformat(said)


def _key(digest: str) -> str:
    if not DIGEST.fullmatch(digest):
        raise ValueError(f"not a SHA-256 digest: {digest!r}")
    return f"{digest[:2]}/{digest}"


@contextmanager
def _told_as_os_error() -> Iterator[None]:
    """Turn the library's errors into those that callers know from a disk.

    Raises:
        FileNotFoundError: There is no such object.
        StoreUnavailableError: The store cannot be reached, or refuses.
    """
    try:
        yield
    except NotFoundError as error:
        raise FileNotFoundError("there is no such object") from error
    except BaseError as error:
        # The library's text may hold the address and more of the request: it goes to the log at
        # most, never to a user.
        raise StoreUnavailableError(f"the object store failed: {type(error).__name__}") from error
    except OSError as error:
        # The library's writer has errors without a number, a disk's have one.
        if error.errno is not None or isinstance(error, StoreUnavailableError | FileNotFoundError):
            raise
        raise StoreUnavailableError("the object store failed") from error
