"""Samples with their images, as archives of images get them."""

import io

import numpy as np
import pyarrow as pa
from PIL import Image

from curation.manifest_files import manifest_schema
from curation.manifest_rows import ImageRows

CLASSES = ["ant", "bee"]


def image_rows(count: int) -> ImageRows:
    """Return kept samples of two classes in turn, each a PNG file with noise of its own."""
    labels = np.arange(count) % len(CLASSES)
    columns = [
        pa.array([f"sample {index}" for index in range(count)]),
        pa.nulls(count, pa.string()),
        pa.array(labels, pa.int64()),
        pa.array(np.linspace(0, 1, count), pa.float32()),
        pa.array(np.linspace(0, 2, count), pa.float32()),
        pa.array([True] * count),
        pa.array(range(count), pa.int64()),
    ]
    rows = pa.RecordBatch.from_arrays(columns, schema=manifest_schema([], CLASSES))
    return ImageRows(np.arange(count), rows, pa.array([_png(index) for index in range(count)]))


def _png(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, size=(8, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()
