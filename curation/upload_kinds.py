"""The file formats of uploads, known by the ending of a name."""

from enum import StrEnum
from typing import Self


class UploadKind(StrEnum):
    """How an upload is read."""

    ZIP = "zip"
    TAR = "tar"
    TAR_GZ = "tar.gz"
    PARQUET = "parquet"
    JSONL = "jsonl"
    CSV = "csv"
    NPZ = "npz"

    @classmethod
    def of(cls, file_name: str) -> Self | None:
        """Return the kind that a name's ending says, in any case, or None."""
        lowered = file_name.lower()
        for ending, kind in _ENDINGS.items():
            if lowered.endswith(ending):
                return cls(kind)
        return None

    @classmethod
    def endings(cls) -> tuple[str, ...]:
        """Return every ending that is read."""
        return tuple(_ENDINGS)


_ENDINGS = {
    ".zip": "zip",
    ".tar": "tar",
    ".tar.gz": "tar.gz",
    ".tgz": "tar.gz",
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".csv": "csv",
    ".npz": "npz",
}
