"""Turns what the user names (a folder, an archive, a table) into one file to upload."""

import os
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from winnow.errors import InputError

_FILE_ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".parquet", ".jsonl", ".csv", ".npz")
_ARRAY_FILES = frozenset({"x.npy", "y.npy", "id.npy"})
_EPOCH = (1980, 1, 1, 0, 0, 0)
_PLAIN_FILE_MODE = 0o100644 << 16
_COPY_BYTES = 1 << 20


@dataclass(frozen=True)
class PreparedInput:
    """One file, open for reading.

    Attributes:
        name: What the user called it, for lists.
        file_name: Its ending says the format.
        size_bytes: Its length.
        source: The open file.
    """

    name: str
    file_name: str
    size_bytes: int
    source: IO[bytes]


@contextmanager
def open_input(path: Path) -> Iterator[PreparedInput]:
    """Opens what the user named; a folder is packed into a nameless temporary file.

    The same folder always gives the same bytes, whatever its files' dates and modes. A nameless
    file leaves nothing behind, however this process ends.

    Raises:
        InputError: there is nothing there that the service could read.
    """
    name = path.absolute().name
    if path.is_dir():
        with tempfile.TemporaryFile() as packed:
            file_name = f"{name}{_pack(path, packed)}"
            size_bytes = packed.seek(0, os.SEEK_END)
            packed.seek(0)
            yield PreparedInput(name, file_name, size_bytes, packed)
    elif path.is_file():
        if not path.name.lower().endswith(_FILE_ENDINGS):
            raise InputError(
                f"{path} is of no known kind; name a folder or a file that ends in "
                f"{', '.join(_FILE_ENDINGS)}."
            )
        try:
            source = path.open("rb")
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}.") from error
        with source:
            yield PreparedInput(name, path.name, os.fstat(source.fileno()).st_size, source)
    else:
        raise InputError(f"{path} does not exist.")


def _pack(folder: Path, target: IO[bytes]) -> str:
    """Packs the folder's files and returns the ending that fits them."""
    members = sorted(_members(folder), key=lambda member: member.as_posix())
    names = {member.as_posix() for member in members}
    if not names:
        raise InputError(f"The folder {folder} holds no files.")
    # Images are compressed already, and another version of zlib might give other bytes.
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for member in members:
            _add(archive, folder / member, member.as_posix())
    # An .npz is a zip of .npy files, so a pair of arrays becomes one by being packed.
    return ".npz" if {"x.npy", "y.npy"} <= names <= _ARRAY_FILES else ".zip"


def _members(folder: Path) -> Iterator[Path]:
    """Yields the files' paths relative to the folder, those that begin with a dot left out."""

    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename} cannot be read: {error.strerror}.") from error

    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in folders:
            if Path(parent, name).is_symlink():
                raise InputError(
                    f"{Path(parent, name)} is a link to a folder, which is not followed; "
                    "put the folder itself there, or upload an archive."
                )
        for name in files:
            path = Path(parent, name)
            if not name.startswith(".") and path.is_file():
                yield path.relative_to(folder)


def _add(archive: zipfile.ZipFile, path: Path, name: str) -> None:
    entry = zipfile.ZipInfo(name, date_time=_EPOCH)
    entry.external_attr = _PLAIN_FILE_MODE
    try:
        with path.open("rb") as file:
            # Told in advance, so that a file beyond 2 GiB gets the large header.
            entry.file_size = os.fstat(file.fileno()).st_size
            with archive.open(entry, "w") as member:
                while chunk := file.read(_COPY_BYTES):
                    member.write(chunk)
    except UnicodeEncodeError as error:
        raise InputError(f"The file name {name!r} is not valid text.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
