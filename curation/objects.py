"""The object store: immutable files named by the SHA-256 of their content."""

import errno
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, BinaryIO, Protocol, Self

from curation.errors import StorageFullError

DIGEST = re.compile(r"[0-9a-f]{64}")
"""What a SHA-256 looks like as text."""

_COPY_BYTES = 1 << 20
_FULL_DISK = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A file that lies complete in the store.

    Attributes:
        digest: SHA-256 of the content, 64 lower-case hexadecimal digits.
        size_bytes: Length of the content.
    """

    digest: str
    size_bytes: int


class ObjectMissingError(LookupError):
    """The store holds no object of this digest."""


class StoreUnavailableError(OSError):
    """The store does not answer, or refuses, for a reason that is none of the user's."""


class ObjectWriter(Protocol):
    """A file on its way into the store."""

    @property
    def digest(self) -> str:
        """SHA-256 of what was written so far, 64 lower-case hexadecimal digits."""

    def write(self, data: bytes) -> int:
        """Append bytes and return their number.

        Raises:
            StorageFullError: The store has no room for them.
        """

    def finish(self) -> StoredObject:
        """Make the file durable and visible under its digest, and return its reference.

        Raises:
            StorageFullError: The store has no room for the rest of it.
        """


class ObjectStore(Protocol):
    """Where files lie; rows name them by digest."""

    def open_writer(self) -> AbstractContextManager[ObjectWriter]:
        """Return a writer; what was not finished when its context ends is removed."""

    def put_bytes(self, content: bytes) -> StoredObject:
        """Store a short content and return its reference."""

    def put_file(self, path: Path) -> StoredObject:
        """Store a copy of a file and return its reference."""

    def open(self, digest: str) -> BinaryIO:
        """Return a seekable reader.

        Raises:
            ObjectMissingError: No such object.
        """

    def local_path(self, digest: str) -> AbstractContextManager[Path]:
        """Return a context that holds the object as a read-only local file.

        Raises:
            ObjectMissingError: No such object.
        """

    def exists(self, digest: str) -> bool:
        """Return whether the object lies in the store."""

    def delete(self, digest: str, *, written_before: datetime | None = None) -> bool:
        """Remove an object and return whether it was removed.

        Args:
            digest: The object.
            written_before: Leave the object where it was put (again) at this time or later: the
                one who put it is about to record a row that names it.
        """

    def list_digests(self, *, written_before: datetime | None = None) -> Iterator[str]:
        """Yield the digests of all objects, or of those that were last put before a time."""

    def remove_unfinished(self, *, written_before: datetime) -> int:
        """Remove what broken uploads left behind, and return the number of files."""

    def download_url(self, digest: str, *, seconds: float) -> str | None:
        """Return an address from which anybody who has it may read the object for a while.

        None where the store gives its files to this process alone.
        """


class HashingFile:
    """An open file that hashes what is written to it; both kinds of store write through one."""

    def __init__(self, file: IO[bytes]) -> None:
        """Take over a new file, which is closed with the context.

        Args:
            file: Open for writing.
        """
        self._file = file
        self._hash = hashlib.sha256()
        self._size_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A full disk refuses the rest of the buffer once more, and nobody needs it.
        with suppress(OSError):
            self._file.close()

    @property
    def digest(self) -> str:
        """SHA-256 of what was written so far."""
        return self._hash.hexdigest()

    def write(self, data: bytes) -> int:
        """Append bytes and return their number, or raise StorageFullError."""
        self._hash.update(data)
        self._size_bytes += len(data)
        with told_when_full():
            return self._file.write(data)

    def flush(self) -> StoredObject:
        """Empty the buffer and return what the file is, or raise StorageFullError."""
        with told_when_full():
            self._file.flush()
        return StoredObject(self.digest, self._size_bytes)


class _LocalWriter(HashingFile):
    """Writes to a temporary file of the store's own folder."""

    def __init__(self, store: "LocalObjectStore") -> None:
        self._store = store
        with told_when_full():
            descriptor, name = tempfile.mkstemp(dir=store.unfinished_folder)
        self._path = Path(name)
        super().__init__(os.fdopen(descriptor, "wb"))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)
        self._path.unlink(missing_ok=True)

    def finish(self) -> StoredObject:
        stored = self.flush()
        with told_when_full():
            os.fsync(self._file.fileno())
            self._file.close()
            self._store.adopt(self._path, stored.digest)
        return stored


class LocalObjectStore:
    """Objects as files of one folder that nobody else can read.

    A file is written aside, flushed to disk and renamed to its digest, so a reader sees a whole
    object or none. Putting a content again renews the file's time of writing.
    """

    def __init__(self, root: Path) -> None:
        """Open the folder, and make it where it is missing.

        Args:
            root: Absolute path of the folder.
        """
        self._root = root
        self.unfinished_folder = root / "unfinished"
        for folder in (root, self.unfinished_folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def open_writer(self) -> AbstractContextManager[ObjectWriter]:
        """Return a writer into the folder of unfinished files."""
        return _LocalWriter(self)

    def put_bytes(self, content: bytes) -> StoredObject:
        """Store a short content and return its reference."""
        with self.open_writer() as writer:
            writer.write(content)
            return writer.finish()

    def put_file(self, path: Path) -> StoredObject:
        """Store a copy of a file and return its reference."""
        with self.open_writer() as writer, path.open("rb") as source:
            while piece := source.read(_COPY_BYTES):
                writer.write(piece)
            return writer.finish()

    def adopt(self, unfinished: Path, digest: str) -> None:
        """Rename a complete file of the unfinished folder to its digest, durably."""
        target = self._path(digest)
        target.parent.mkdir(mode=0o700, exist_ok=True)
        unfinished.replace(target)
        # Without this the rename itself may be lost in a power cut, after a row names the file.
        for folder in (target.parent, self._root):
            _flush_folder(folder)

    def open(self, digest: str) -> BinaryIO:
        """Return a seekable reader, or raise ObjectMissingError."""
        try:
            return self._path(digest).open("rb")
        except FileNotFoundError as error:
            raise ObjectMissingError(digest) from error

    @contextmanager
    def local_path(self, digest: str) -> Iterator[Path]:
        """Yield the object's own path, or raise ObjectMissingError."""
        path = self._path(digest)
        if not path.is_file():
            raise ObjectMissingError(digest)
        yield path

    def exists(self, digest: str) -> bool:
        """Return whether the object lies in the store."""
        return self._path(digest).is_file()

    def delete(self, digest: str, *, written_before: datetime | None = None) -> bool:
        """Remove an object, unless it was put again since `written_before`."""
        path = self._path(digest)
        # The file is taken out of sight before its time is read: a put after that makes a new
        # file, and a put before it is seen in the time and undone by putting the file back.
        taken = self.unfinished_folder / f"removed-{digest}-{os.urandom(8).hex()}"
        try:
            path.rename(taken)
        except FileNotFoundError:
            return False
        if written_before is None or _written_at(taken) < written_before:
            taken.unlink()
            return True
        with suppress(FileExistsError):
            os.link(taken, path)
        taken.unlink()
        return False

    def list_digests(self, *, written_before: datetime | None = None) -> Iterator[str]:
        """Yield the digests of the objects, in no particular order."""
        for folder in sorted(self._root.iterdir()):
            if folder == self.unfinished_folder or not folder.is_dir():
                continue
            for path in folder.iterdir():
                if DIGEST.fullmatch(path.name) and _is_older(path, written_before):
                    yield path.name

    def remove_unfinished(self, *, written_before: datetime) -> int:
        """Remove what broken uploads left behind, and return the number of files."""
        removed = 0
        for path in self.unfinished_folder.iterdir():
            if _is_older(path, written_before):
                path.unlink(missing_ok=True)
                removed += 1
        return removed

    def download_url(self, digest: str, *, seconds: float) -> str | None:  # noqa: ARG002 - Of the protocol.
        """Return None: a folder has no address."""
        return None

    def _path(self, digest: str) -> Path:
        if not DIGEST.fullmatch(digest):
            raise ValueError(f"not a SHA-256 digest: {digest!r}")
        # Two hundred and fifty-six folders keep each listing short.
        return self._root / digest[:2] / digest


@contextmanager
def told_when_full() -> Iterator[None]:
    """Turn the system's word for a full disk into the domain's.

    Raises:
        StorageFullError: The disk is full or a quota is used up.
    """
    try:
        yield
    except OSError as error:
        if not is_full_disk(error):
            raise
        raise storage_full() from error


def storage_full() -> StorageFullError:
    """Return the error that tells a user of a full disk."""
    return StorageFullError(
        "STORAGE_FULL",
        "There is no room left where files are stored.",
        cure="Try again once the operator has made room.",
    )


def is_full_disk(error: OSError) -> bool:
    """Return whether a disk or a quota had no room left."""
    return error.errno in _FULL_DISK


def _written_at(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, tz=UTC)


def _is_older(path: Path, moment: datetime | None) -> bool:
    if moment is None:
        return True
    try:
        return _written_at(path) < moment
    except FileNotFoundError:
        return False  # Somebody else removed it in the meantime.


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
