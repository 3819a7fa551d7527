"""The set `digits`: the sample data that the repository ships."""

import io
import json
import zipfile
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from quality_sets import Pool, QualitySet, make_set

FOLDER: Final = Path(__file__).parents[2] / "examples" / "digits"
CLASS_NAMES: Final = tuple("0123456789")


def digits() -> QualitySet:
    """Return 10 classes: 3000 rendered digits, 40 % of them good, 100 references, 2000 tests.

    examples/digits/README.md says how they were made and what is wrong with the others.
    """
    pictures, labels, names = _read_archive("synthetic")
    lines = (FOLDER / "quality_tags.jsonl").read_text(encoding="utf-8").splitlines()
    tags = {tag["file_name"]: tag["quality"] for tag in map(json.loads, lines)}
    return make_set(
        "digits",
        CLASS_NAMES,
        pool=Pool(pictures, labels, [tags[name] for name in names]),
        reference=_read_archive("reference")[:2],
        test=_read_archive("test")[:2],
    )


def _read_archive(name: str) -> tuple[NDArray[np.uint8], NDArray[np.int64], list[str]]:
    """Return pictures [sample, 1, 28, 28], labels and file names of one archive."""
    with zipfile.ZipFile(FOLDER / f"{name}.zip") as archive:
        names = archive.namelist()
        pictures = [np.asarray(Image.open(io.BytesIO(archive.read(each)))) for each in names]
    labels = [CLASS_NAMES.index(each.partition("/")[0]) for each in names]
    return np.stack(pictures)[:, None], np.array(labels, dtype=np.int64), names
