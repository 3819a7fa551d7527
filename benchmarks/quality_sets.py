"""Reads the benchmark sets, whose samples' true quality is known."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mts_core.curation_data import CurationData

Reader = Callable[[str], bytes]
Labelled = tuple[NDArray[np.generic], NDArray[np.int64]]
"""Inputs [sample, ...] and labels [sample]."""


class Quality(StrEnum):
    """What is right or wrong with a pool sample."""

    GOOD = "good"
    WRONG_LABEL = "wrong_label"
    OFF_DISTRIBUTION = "off_distribution"
    STYLE = "style"
    DUPLICATE = "duplicate"


@dataclass(frozen=True, eq=False)
class QualitySet:
    """A curation problem with the truth about its pool.

    Attributes:
        name: Name of the set.
        data: Pool, reference and test set; nothing in it tells good samples from bad ones.
        class_names: Name of each class.
        quality: [sample] of `Quality`, for evaluation alone.
    """

    name: str
    data: CurationData
    class_names: tuple[str, ...]
    quality: NDArray[np.str_]

    @property
    def is_good(self) -> NDArray[np.bool_]:
        """Which pool samples are good, [sample] bool, for evaluation alone."""
        return self.quality == Quality.GOOD


@dataclass(frozen=True, eq=False)
class Pool:
    """Pool samples and the truth about them.

    Attributes:
        inputs: [sample, ...].
        labels: [sample] int64.
        quality: [sample] of `Quality`.
    """

    inputs: NDArray[np.generic]
    labels: NDArray[np.int64]
    quality: Sequence[str] | NDArray[np.str_]


def shuffled_pool(
    drawn: Sequence[tuple[NDArray[np.generic], int, Quality]], generator: np.random.Generator
) -> Pool:
    """Return samples in random order, so that no place in the pool tells the quality.

    Args:
        drawn: Input, label and quality of each sample.
        generator: Source of the order.
    """
    shuffled = [drawn[place] for place in generator.permutation(len(drawn))]
    return Pool(
        np.stack([inputs for inputs, _, _ in shuffled]),
        np.array([label for _, label, _ in shuffled], dtype=np.int64),
        [quality for _, _, quality in shuffled],
    )


def make_set(
    name: str,
    class_names: tuple[str, ...],
    *,
    pool: Pool,
    reference: Labelled,
    test: Labelled,
) -> QualitySet:
    """Return a set whose pool is all synthetic.

    Args:
        name: Name of the set.
        class_names: Name of each class.
        pool: Samples of mixed quality.
        reference: Inputs and labels.
        test: Inputs and labels.
    """
    data = CurationData(
        pool_inputs=pool.inputs,
        pool_labels=pool.labels,
        pool_is_real=np.zeros(len(pool.labels), dtype=np.bool_),
        reference_inputs=reference[0],
        reference_labels=reference[1],
        test_inputs=test[0],
        test_labels=test[1],
        class_count=len(class_names),
    )
    quality = np.array([str(each) for each in pool.quality])
    return QualitySet(name, data, class_names, quality)


def find_set(folder: Path, name: str) -> Path | None:
    """Return a set's folder or zip archive inside a folder, or none where it is absent."""
    candidates = [folder / name, folder / f"{name}.zip"]
    return next((path for path in candidates if path.exists()), None)


def load_set(path: Path) -> QualitySet:
    """Return the set that lies in a folder or in a zip archive of one."""
    with _open(path) as (read, prefix):
        records = _json_lines(read(f"{prefix}manifest.jsonl"))
        lines = _json_lines(read(f"{prefix}quality_tags.jsonl"))
        quality_by_id = {str(line["id"]): str(line["quality"]) for line in lines}
        names = tuple(sorted({str(record["label"]) for record in records}))
        parts: dict[str, Labelled] = {}
        for part in ("train_synthetic", "reference_real", "test_real"):
            own = [record for record in records if str(record["path"]).startswith(f"{part}/")]
            own.sort(key=lambda record: str(record["id"]))
            images = np.stack([_decode(read(f"{prefix}{record['path']}")) for record in own])
            labels = np.array([names.index(str(record["label"])) for record in own])
            parts[part] = images, labels.astype(np.int64)
            if part == "train_synthetic":
                quality = [quality_by_id[str(record["id"])] for record in own]
    return make_set(
        path.stem,
        names,
        pool=Pool(*parts["train_synthetic"], quality),
        reference=parts["reference_real"],
        test=parts["test_real"],
    )


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
