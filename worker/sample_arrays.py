"""How the samples of a normalised file become arrays: which columns, and how each is decoded."""

import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from curation.feature_columns import FeatureColumn
from curation.sample_files import EMBEDDING_COLUMN, IMAGE_COLUMN, TEXT_COLUMN
from curation.sample_kinds import Modality
from worker.table_arrays import TableReader

_IMAGE_FORMATS: Final = ("PNG", "JPEG", "WEBP")
_MODES: Final = {1: "L", 3: "RGB"}

Inputs: TypeAlias = NDArray[np.generic]


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


def payload_of(facts: SetFacts, table: TableReader | None, *, max_pixels: int) -> Payload:
    """Return how the inputs of a set are read.

    Args:
        facts: The set.
        table: Reads the rows of all tables of a job; none where the sets are no tables.
        max_pixels: Width times height of an image at most.
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
                lambda batch: _decode_images(batch.column(IMAGE_COLUMN), facts, max_pixels),
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


def _decode_embeddings(column: pa.Array, facts: SetFacts) -> Inputs:
    values: Inputs = column.flatten().to_numpy()
    expected = len(column) * facts.input_shape[0]
    if values.size != expected:
        raise InvalidDataError(f"The {facts.role} set has embeddings of different lengths.")
    return values.reshape(len(column), -1)


def _decode_texts(batch: pa.RecordBatch) -> Inputs:
    texts: Inputs = batch.column(TEXT_COLUMN).to_numpy(zero_copy_only=False)
    return texts


def _decode_images(column: pa.Array, facts: SetFacts, max_pixels: int) -> Inputs:
    return np.stack(
        [
            decode_image(value.as_buffer(), facts.input_shape, max_pixels=max_pixels)
            for value in column
        ]
    )


def decode_image(
    content: Any,  # Any: bytes-like.
    shape: Sequence[int],
    *,
    max_pixels: int,
) -> NDArray[np.uint8]:
    """Return one image in the form of its dataset.

    Args:
        content: PNG, JPEG or WebP file, as bytes or a buffer.
        shape: Channels (1 or 3), height and width of the result; other sizes are resized.
        max_pixels: Width times height at most; looked at before any pixel is decoded.

    Returns:
        [channel, height, width], uint8.

    Raises:
        InvalidDataError: The file does not decode, or is too large.
    """
    channels, height, width = shape
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            with Image.open(io.BytesIO(content), formats=_IMAGE_FORMATS) as image:
                if image.width * image.height > max_pixels:
                    raise InvalidDataError(f"A stored image has more than {max_pixels} pixels.")
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
