"""Reads the benchmark sets, whose samples' true quality is known."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mts_core.curation_data import CurationData

Reader = Callable[[str], bytes]


@dataclass(frozen=True, eq=False)
class QualitySet:
    """A curation problem with the truth about its pool.

    Attributes:
        name: Name of the folder.
        data: Pool, reference and test set.
        is_good: [sample] bool, for evaluation alone.
    """

    name: str
    data: CurationData
    is_good: NDArray[np.bool_]


def find_set(folder: Path, name: str) -> Path | None:
    """Return a set's folder or zip archive inside a folder, or none where it is absent."""
    candidates = [folder / name, folder / f"{name}.zip"]
    return next((path for path in candidates if path.exists()), None)


def load_set(path: Path) -> QualitySet:
    """Return the set that lies in a folder or in a zip archive of one."""
    with _open(path) as (read, prefix):
        records = _json_lines(read(f"{prefix}manifest.jsonl"))
        tags = _json_lines(read(f"{prefix}quality_tags.jsonl"))
        quality = {str(tag["id"]): tag["quality"] for tag in tags}
        names = sorted({str(record["label"]) for record in records})
        parts = {}
        for part in ("train_synthetic", "reference_real", "test_real"):
            own = [record for record in records if str(record["path"]).startswith(f"{part}/")]
            own.sort(key=lambda record: str(record["id"]))
            images = np.stack([_decode(read(f"{prefix}{record['path']}")) for record in own])
            labels = np.array([names.index(str(record["label"])) for record in own])
            parts[part] = images, labels.astype(np.int64), [str(record["id"]) for record in own]
    pool, pool_labels, identifiers = parts["train_synthetic"]
    data = CurationData(
        pool_inputs=pool,
        pool_labels=pool_labels,
        pool_is_real=np.zeros(len(pool), dtype=np.bool_),
        reference_inputs=parts["reference_real"][0],
        reference_labels=parts["reference_real"][1],
        test_inputs=parts["test_real"][0],
        test_labels=parts["test_real"][1],
        class_count=len(names),
    )
    is_good = np.array([quality[identifier] == "good" for identifier in identifiers])
    return QualitySet(path.stem, data, is_good)


@contextmanager
def _open(path: Path) -> Iterator[tuple[Reader, str]]:
    if path.is_dir():
        yield (lambda name: (path / name).read_bytes()), ""
        return
    with zipfile.ZipFile(path) as archive:
        manifest = next(name for name in archive.namelist() if name.endswith("manifest.jsonl"))
        yield archive.read, manifest.removesuffix("manifest.jsonl")


def _json_lines(content: bytes) -> list[dict[str, object]]:
    return [json.loads(line) for line in content.splitlines() if line.strip()]


def _decode(content: bytes) -> NDArray[np.uint8]:
    """Return an image as [channel, height, width]."""
    image = Image.open(io.BytesIO(content))
    pixels = np.asarray(image if image.mode in {"L", "RGB"} else image.convert("RGB"))
    return np.atleast_3d(pixels).transpose(2, 0, 1)
