"""The endings of manifests' files, each of which says in what format the service writes it."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from winnow.errors import InputError

MANIFEST_ENDINGS: Mapping[str, str] = MappingProxyType(
    {
        ".parquet": "parquet",
        ".jsonl": "jsonl",
        ".csv": "csv",
        ".npy": "npy",
        ".imagefolder.zip": "imagefolder",
        ".webdataset.zip": "webdataset",
        ".fiftyone.zip": "fiftyone",
        "croissant.json": "croissant",
    }
)
ENDINGS_IN_WORDS = ", ".join(list(MANIFEST_ENDINGS)[:-1]) + " or " + list(MANIFEST_ENDINGS)[-1]


def manifest_format(target: Path) -> str | None:
    """Returns the format that a file's ending names, or None where it names none."""
    known = (kind for ending, kind in MANIFEST_ENDINGS.items() if target.name.endswith(ending))
    return next(known, None)


def manifest_params(target: Path, *, is_kept_only: bool | None) -> dict[str, str]:
    """Returns the query that asks for a manifest.

    Args:
        target: The file that it is written to.
        is_kept_only: Whether dropped samples are left out; None leaves that to the format.

    Raises:
        InputError: the ending is none of a manifest.
    """
    kind = manifest_format(target)
    if kind is None:
        raise InputError(f"{target.name} has to end in {ENDINGS_IN_WORDS}.")
    if is_kept_only is None:
        return {"format": kind}
    return {"format": kind, "kept_only": str(is_kept_only).lower()}
