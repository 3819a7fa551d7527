"""Reads a normalised file of samples into arrays, in memory or mapped from a file."""

import io
import math
import mmap
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NewType, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from curation.feature_columns import FeatureColumn
from curation.models import Modality
from curation.sample_files import EMBEDDING_COLUMN, IMAGE_COLUMN, TEXT_COLUMN
from worker.table_arrays import TableReader

BATCH_ROWS: Final = 1024
_RELEASE_ROWS: Final = 64 * BATCH_ROWS
_IMAGE_FORMATS: Final = ("PNG", "JPEG", "WEBP")
_MODES: Final = {1: "L", 3: "RGB"}

Inputs: TypeAlias = NDArray[np.generic]
ClassMap = NewType("ClassMap", NDArray[np.int64])


class InvalidDataError(Exception):
    """A dataset cannot be trained on as it is; the message says why and is safe to show."""


@dataclass(frozen=True)
class SetFacts:
    """What the database says about one dataset.

    Attributes:
        role: What the set is to the job.
        digest: Digest of its normalised file.
        modality: What its samples are.
        sample_count: Samples in the file.
        input_shape: Shape of one sample; () of a text.
        class_names: Names of the classes, by label.
        feature_columns: What is learned from, for tables; none for other samples.
    """

    role: str
    digest: str
    modality: Modality
    sample_count: int
    input_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    feature_columns: tuple[FeatureColumn, ...]


@dataclass(frozen=True)
class Payload:
    """How the inputs of one set are read.

    Attributes:
        columns: Columns of the normalised file.
        shape: Shape of one input.
        dtype: Type of an input's values.
        decode: Returns the inputs of a batch of rows.
    """

    columns: Sequence[str]
    shape: tuple[int, ...]
    dtype: type[np.generic]
    decode: Callable[[pa.RecordBatch], Inputs]


@dataclass(frozen=True)
class LoadedSet:
    """The samples of one set.

    Attributes:
        inputs: [sample, ...] what `Payload` describes.
        labels: [sample] int64, by the class map.
        is_real: [sample] bool.
        sample_ids: Names, by position.
        mapping: File behind the inputs, or none where they are held.
    """

    inputs: Inputs
    labels: NDArray[np.int64]
    is_real: NDArray[np.bool_]
    sample_ids: pa.ChunkedArray
    mapping: mmap.mmap | None


def payload_of(facts: SetFacts, table: TableReader | None) -> Payload:
    """Return how the inputs of a set are read.

    Args:
        facts: The set.
        table: Reads the rows of all tables of a job; none where the sets are no tables.
    """
    if table is not None:
        shape = (len(table.table_columns),)
        return Payload(table.stored_names, shape, np.float64, table.read)
    match facts.modality:
        case Modality.IMAGE:
            return Payload(
                [IMAGE_COLUMN],
                facts.input_shape,
                np.uint8,
                lambda batch: _decode_images(batch.column(IMAGE_COLUMN), facts),
            )
        case Modality.TEXT:
            return Payload([TEXT_COLUMN], (), np.object_, _decode_texts)
        case _:
            return Payload(
                [EMBEDDING_COLUMN],
                facts.input_shape,
                np.float32,
                lambda batch: _decode_embeddings(batch.column(EMBEDDING_COLUMN), facts),
            )


def _size_bytes(facts: SetFacts, payload: Payload) -> int:
    if payload.dtype is np.object_:
        # Texts are Python's own objects, which no file can be mapped to.
        return 0
    return facts.sample_count * math.prod(payload.shape) * np.dtype(payload.dtype).itemsize


def array_file_of(
    facts: SetFacts, payload: Payload, scratch: Path, memory_map_bytes: int
) -> Path | None:
    """Return the file that inputs are mapped to, or none where they are small enough to be held.

    Args:
        facts: The set.
        payload: How its inputs are read.
        scratch: Folder for mapped arrays.
        memory_map_bytes: Inputs larger than this are mapped.
    """
    is_mapped = _size_bytes(facts, payload) > memory_map_bytes
    return scratch / f"{facts.role}.array" if is_mapped else None


def load_set(
    path: Path,
    facts: SetFacts,
    payload: Payload,
    *,
    class_map: ClassMap,
    array_file: Path | None,
) -> LoadedSet:
    """Return the samples of a normalised file.

    Args:
        path: The file.
        facts: What the database says of it.
        payload: How its inputs are read.
        class_map: New label of each of the set's own.
        array_file: Where to map the inputs, or none to hold them.

    Raises:
        InvalidDataError: The file holds other samples than recorded, or an image does not decode.
    """
    inputs, mapping = _allocate((facts.sample_count, *payload.shape), payload.dtype, array_file)
    labels = np.empty(facts.sample_count, dtype=np.int64)
    is_real = np.empty(facts.sample_count, dtype=np.bool_)
    sample_ids: list[pa.Array] = []
    columns = ["sample_id", "label", "is_real", *payload.columns]
    start = 0
    # Buffering ahead would hold the whole file in memory before the first batch.
    with pq.ParquetFile(path, pre_buffer=False) as file:
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=columns):
            end = start + batch.num_rows
            if end > facts.sample_count:
                raise InvalidDataError(f"The {facts.role} set holds more samples than recorded.")
            inputs[start:end] = payload.decode(batch)
            labels[start:end] = class_map[batch.column("label").to_numpy()]
            is_real[start:end] = batch.column("is_real").to_numpy(zero_copy_only=False)
            sample_ids.append(batch.column("sample_id"))
            start = end
            if mapping is not None and start % _RELEASE_ROWS == 0:
                # Pages that were written count as this process's memory until they are given up.
                mapping.madvise(mmap.MADV_DONTNEED)
    if start != facts.sample_count:
        raise InvalidDataError(f"The {facts.role} set holds fewer samples than recorded.")
    names = pa.chunked_array(sample_ids, type=pa.string())
    return LoadedSet(inputs, labels, is_real, names, mapping)


def _allocate(
    shape: tuple[int, ...], dtype: type[np.generic], array_file: Path | None
) -> tuple[Inputs, mmap.mmap | None]:
    if array_file is None:
        return np.empty(shape, dtype=dtype), None
    with array_file.open("w+b") as file:
        file.truncate(math.prod(shape) * np.dtype(dtype).itemsize)
        mapping = mmap.mmap(file.fileno(), 0)
    return np.frombuffer(mapping, dtype=dtype).reshape(shape), mapping


def _decode_embeddings(column: pa.Array, facts: SetFacts) -> Inputs:
    values: Inputs = column.flatten().to_numpy()
    expected = len(column) * facts.input_shape[0]
    if values.size != expected:
        raise InvalidDataError(f"The {facts.role} set has embeddings of different lengths.")
    return values.reshape(len(column), -1)


def _decode_texts(batch: pa.RecordBatch) -> Inputs:
    texts: Inputs = batch.column(TEXT_COLUMN).to_numpy(zero_copy_only=False)
    return texts


def _decode_images(column: pa.Array, facts: SetFacts) -> Inputs:
    return np.stack([decode_image(value.as_buffer(), facts.input_shape) for value in column])


def decode_image(content: Any, shape: Sequence[int]) -> NDArray[np.uint8]:  # Any: bytes-like.
    """Return one image in the form of its dataset.

    Args:
        content: PNG, JPEG or WebP file, as bytes or a buffer.
        shape: Channels (1 or 3), height and width of the result; other sizes are resized.

    Returns:
        [channel, height, width], uint8.

    Raises:
        InvalidDataError: The file does not decode.
    """
    channels, height, width = shape
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            with Image.open(io.BytesIO(content), formats=_IMAGE_FORMATS) as image:
                pixels = _as_eight_bits(image).convert(_MODES[channels])
        except (OSError, SyntaxError, Warning, Image.DecompressionBombError) as error:
            raise InvalidDataError("A stored image does not decode.") from error
    if pixels.size != (width, height):
        pixels = pixels.resize((width, height), Image.Resampling.BILINEAR)
    array = np.asarray(pixels, dtype=np.uint8).reshape(height, width, channels)
    return np.ascontiguousarray(array.transpose(2, 0, 1))


def _as_eight_bits(image: Image.Image) -> Image.Image:
    # Pillow would clip sixteen bits to eight, and so make nearly every grey white.
    if not image.mode.startswith("I;16"):
        return image
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
