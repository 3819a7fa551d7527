"""The files inside a zip or tar archive, one by one, under caps and without unpacking to disk."""

import gzip
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Protocol, cast, final

from curation.census import shown
from curation.errors import InvalidInputError
from curation.upload_kinds import UploadKind
from curation.validation_limits import ValidationLimits

_BLOCK_BYTES = 512  # Of a tar archive.
_ZIP_SYMLINK_SHIFT = 16
_ENCRYPTED_FLAG = 0x1
_MAX_DEPTH = 32
_MAX_NAME_LENGTH = 1024
# Below this an archive is harmless however well it was packed.
_RATIO_FLOOR_BYTES = 64 << 20
_LOCAL_HEADER_BYTES = 30  # Of a zip member, before its name.
_READ_ERRORS = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError)


class MemberError(Exception):
    """One file of the archive cannot be read; the others may be sound."""


@final
@dataclass(frozen=True, slots=True)
class Member:
    """A file of an archive.

    Attributes:
        name: Its path, relative and with forward slashes; it does not leave the archive.
        size_bytes: Its length, as the archive says.
        is_regular: False for links, devices and other things that are never read.
        read_all: Returns its content; only until the next member is asked for.
    """

    name: str
    size_bytes: int
    is_regular: bool
    read_all: Callable[[], bytes]


def iterate_members(path: Path, kind: UploadKind, limits: ValidationLimits) -> Iterator[Member]:
    """Yield the files of an archive in their order; folders are passed over.

    Raises:
        InvalidInputError: The archive is truncated, damaged, encrypted, too large, has too many
            members, or holds a path that leaves it.
    """
    match kind:
        case UploadKind.ZIP:
            members = _zip_members(path, limits)
        case UploadKind.TAR:
            members = _tar_members(path, limits, is_packed=False)
        case UploadKind.TAR_GZ:
            members = _tar_members(path, limits, is_packed=True)
        case _:
            raise ValueError(f"{kind} is no archive")
    for count, member in enumerate(members):
        if count >= limits.max_archive_members:
            raise InvalidInputError(
                "TOO_MANY_MEMBERS",
                f"The archive holds more than {limits.max_archive_members} files.",
                field="content",
                cure="Split the dataset, or leave out files that are no samples.",
            )
        yield member


@contextmanager
def open_zip(path: Path, limits: ValidationLimits) -> Iterator[zipfile.ZipFile]:
    """Yield an opened zip archive whose declared sizes are within the caps.

    Raises:
        InvalidInputError: It is truncated, no zip at all, encrypted or too large.
    """
    try:
        archive = zipfile.ZipFile(path)
    # NotImplementedError is zipfile's word for a version or a method of packing that it lacks.
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise _unreadable_zip(path) from error
    with archive:
        _check_declared_sizes(archive, path.stat().st_size, limits)
        yield archive


def truncated_archive() -> InvalidInputError:
    """Return the refusal of an archive whose end is missing."""
    return InvalidInputError(
        "TRUNCATED_ARCHIVE",
        "The archive ends before its content does, or is damaged on the way.",
        field="content",
        cure="Upload the whole file again.",
    )


def read_whole(file: IO[bytes], size_bytes: int) -> bytes:
    """Return the content of one member, of which no more than its declared length is read.

    Raises:
        MemberError: It is damaged, or its length is not what the archive says.
    """
    try:
        content = file.read(size_bytes + 1)
    except _READ_ERRORS as error:
        raise MemberError("is damaged inside the archive") from error
    if len(content) != size_bytes:
        raise MemberError("is not as long as the archive says")
    return content


def _zip_members(path: Path, limits: ValidationLimits) -> Iterator[Member]:
    with open_zip(path, limits) as archive:
        for info in archive.infolist():
            name = _checked_name(info.orig_filename)
            if info.is_dir() or name is None:
                continue
            mode = info.external_attr >> _ZIP_SYMLINK_SHIFT
            is_regular = stat.S_IFMT(mode) in {0, stat.S_IFREG}

            def read_all(info: zipfile.ZipInfo = info) -> bytes:
                try:
                    with archive.open(info) as file:
                        return read_whole(file, info.file_size)
                # As above; RuntimeError is its word for a member that asks for a password.
                except (*_READ_ERRORS, NotImplementedError, RuntimeError) as error:
                    raise MemberError("is damaged inside the archive") from error

            yield Member(name, info.file_size, is_regular, read_all)


def _check_declared_sizes(
    archive: zipfile.ZipFile, packed_bytes: int, limits: ValidationLimits
) -> None:
    total = 0
    for info in archive.infolist():
        total += info.file_size
        if info.flag_bits & _ENCRYPTED_FLAG:
            raise InvalidInputError(
                "ENCRYPTED_ARCHIVE",
                "The archive is encrypted.",
                field="content",
                cure="Upload it without a password.",
            )
    _check_size(total, packed_bytes, limits)
    _refuse_overlaps(archive)


def _refuse_overlaps(archive: zipfile.ZipFile) -> None:
    """Refuse members that share packed bytes, by which a small file claims many large ones.

    Raises:
        InvalidInputError: Two members overlap.
    """
    end = 0
    for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
        if info.header_offset < end:
            raise InvalidInputError(
                "OVERLAPPING_MEMBERS",
                f"The archive's member {shown(info.orig_filename)} overlaps another.",
                field="content",
                cure="Pack the folder again.",
            )
        # The local header's own name and extra field may be longer, never shorter than nothing.
        end = info.header_offset + _LOCAL_HEADER_BYTES + info.compress_size


def _check_size(total_bytes: int, packed_bytes: int, limits: ValidationLimits) -> None:
    ratio_bytes = max(_RATIO_FLOOR_BYTES, int(packed_bytes * limits.max_archive_ratio))
    if total_bytes > min(limits.max_archive_bytes, ratio_bytes):
        raise InvalidInputError(
            "ARCHIVE_TOO_LARGE",
            f"Unpacked, the archive is larger than {limits.max_archive_bytes} bytes or than"
            f" {limits.max_archive_ratio:g} times its packed size.",
            field="content",
            cure="Split the dataset, or upload its files as they are.",
        )


def _unreadable_zip(path: Path) -> InvalidInputError:
    with path.open("rb") as file:
        start = file.read(4)
    if start == b"PK\x03\x04":
        return truncated_archive()
    return InvalidInputError(
        "NOT_WHAT_NAME_SAYS",
        "The file is no zip archive, though its name says so.",
        field="content",
        cure="Upload a zip archive, or give the file its right ending.",
    )


class _Source(Protocol):
    def read(self, size: int, /) -> bytes: ...


@final
class _CountingReader:
    """Reads a tar stream under the caps, and remembers the end of what it read."""

    def __init__(self, source: _Source, packed_bytes: int, limits: ValidationLimits) -> None:
        self._source = source
        self._packed_bytes = packed_bytes
        self._limits = limits
        self._total = 0
        self._last = b""
        self._last_start = 0

    def read(self, size: int) -> bytes:
        data = self._source.read(size)
        if data:
            self._last, self._last_start = data, self._total
            self._total += len(data)
            _check_size(self._total, self._packed_bytes, self._limits)
        return data

    def block_at(self, offset: int) -> bytes:
        """Return the block at an offset that lies in what was read last."""
        start = offset - self._last_start
        return self._last[start : start + _BLOCK_BYTES] if start >= 0 else b""


def _tar_members(path: Path, limits: ValidationLimits, *, is_packed: bool) -> Iterator[Member]:
    with path.open("rb") as file, _tar_errors(path, is_packed=is_packed):
        source: _Source = gzip.GzipFile(fileobj=file) if is_packed else file
        stream = _CountingReader(source, path.stat().st_size, limits)
        # A stream, so that a packed archive is unpacked once and never seeks.
        with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|") as archive:
            while (info := archive.next()) is not None:
                # Where the next header is said to lie: a forged length would be skipped block by
                # block, for hours, though the file ended long before.
                _check_size(archive.offset, path.stat().st_size, limits)
                name = _checked_name(info.name)
                if not info.isdir() and name is not None:
                    yield _tar_member(archive, info, name, path, is_packed=is_packed)
                # tarfile keeps every header that it has seen; millions would fill the memory.
                archive.members.clear()  # type: ignore[attr-defined]  # typeshed leaves it out.
            # tarfile takes a missing end for the end; a sound archive ends with blocks of zeros.
            if stream.block_at(archive.offset) != bytes(_BLOCK_BYTES):
                raise truncated_archive()


def _tar_member(
    archive: tarfile.TarFile, info: tarfile.TarInfo, name: str, path: Path, *, is_packed: bool
) -> Member:
    def read_all() -> bytes:
        with _tar_errors(path, is_packed=is_packed):
            file = archive.extractfile(info)
            if file is None:
                raise MemberError("is no regular file")
            return file.read()

    # A sparse file claims lengths that it does not hold.
    is_regular = info.isreg() and not info.issparse()
    return Member(name, info.size, is_regular, read_all)


@contextmanager
def _tar_errors(path: Path, *, is_packed: bool) -> Iterator[None]:
    """Turn what a damaged stream raises into a refusal: nothing after the damage can be read."""
    try:
        yield
    # Extended headers are parsed as numbers and text wherever they claim to be either.
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError, OverflowError) as error:
        raise _unreadable_tar(path, is_packed=is_packed) from error


def _unreadable_tar(path: Path, *, is_packed: bool) -> InvalidInputError:
    with path.open("rb") as file:
        start = file.read(_BLOCK_BYTES)
    is_right = start.startswith(b"\x1f\x8b") if is_packed else _is_tar_header(start)
    if is_right:
        return truncated_archive()
    return InvalidInputError(
        "NOT_WHAT_NAME_SAYS",
        "The file is no tar archive, though its name says so.",
        field="content",
        cure="Upload a tar archive, or give the file its right ending.",
    )


def _is_tar_header(block: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _checked_name(raw: str) -> str | None:
    """Return a member's path without redundant parts, or None for the archive's own root.

    Raises:
        InvalidInputError: The path leaves the archive, or is no path that can be kept.
    """
    parts = [part for part in raw.split("/") if part not in {"", "."}]
    has_drive = bool(parts) and len(parts[0]) > 1 and parts[0][1] == ":"
    if raw.startswith("/") or "\\" in raw or "\x00" in raw or ".." in parts or has_drive:
        raise InvalidInputError(
            "PATH_ESCAPES_ARCHIVE",
            f"The archive holds the path {shown(raw)}, which leads out of it.",
            field="content",
            cure="Pack the folder with relative paths and forward slashes, without `..`.",
        )
    if len(parts) > _MAX_DEPTH or len(raw) > _MAX_NAME_LENGTH:
        raise InvalidInputError(
            "PATH_TOO_LONG",
            f"The archive holds the path {shown(raw)}, which is too long or too deep.",
            field="content",
            cure=f"Use at most {_MAX_DEPTH} levels and {_MAX_NAME_LENGTH} characters.",
        )
    return str(PurePosixPath(*parts)) if parts else None
