"""The decoded samples of a set as plain files: written under limits, read by whoever learns.

Numbers lie there as they lie in memory, and texts as their lengths and their UTF-8 bytes, so that
whoever reads them decodes nothing and checks little.
"""

import math
import mmap
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, NewType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from worker.sample_arrays import Inputs, InvalidDataError, Payload, SetFacts

BATCH_ROWS: Final = 1024
_INPUTS: Final = "inputs"
_LABELS: Final = "labels"
_IS_REAL: Final = "is_real"
_NAMES: Final = "names"
_LENGTHS: Final = ".lengths"
# Arrow's usual texts count their bytes by 32 bits, so that long columns are taken in pieces.
_PIECE_ROWS: Final = 1 << 20

ClassMap = NewType("ClassMap", NDArray[np.int64])


@dataclass(frozen=True)
class LoadedSet:
    """The samples of one set.

    Attributes:
        inputs: [sample, ...] what `Payload` describes.
        labels: [sample] int64, by the class map.
        is_real: [sample] bool.
        sample_ids: Names, by position.
        mapping: File behind the inputs, where they are too many to stay in memory.
    """

    inputs: Inputs
    labels: NDArray[np.int64]
    is_real: NDArray[np.bool_]
    sample_ids: pa.ChunkedArray
    mapping: mmap.mmap | None


def inputs_bytes(facts: SetFacts, payload: Payload) -> int:
    """Return the size of a set's inputs; 0 for texts, which only the file itself tells."""
    if payload.dtype is np.object_:
        return 0
    return facts.sample_count * math.prod(payload.shape) * np.dtype(payload.dtype).itemsize


def write_samples(path: Path, facts: SetFacts, payload: Payload, folder: Path) -> None:
    """Decode a normalised file into files of `folder`, a part at a time.

    Args:
        path: The file, which may hold anything.
        facts: What the database says of it.
        payload: How its inputs are read.
        folder: An empty folder.

    Raises:
        InvalidDataError: The file holds other samples than recorded, or an image does not decode.
    """
    columns = ["sample_id", "label", "is_real", *payload.columns]
    written = 0
    with ExitStack() as stack:
        inputs = _SampleWriter(stack, folder / _INPUTS)
        labels = _SampleWriter(stack, folder / _LABELS)
        is_real = _SampleWriter(stack, folder / _IS_REAL)
        names = _SampleWriter(stack, folder / _NAMES)
        # Buffering ahead would hold the whole file in memory before the first batch.
        file = stack.enter_context(pq.ParquetFile(path, pre_buffer=False))
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=columns):
            written += batch.num_rows
            if written > facts.sample_count:
                raise InvalidDataError(f"The {facts.role} set holds more samples than recorded.")
            if payload.dtype is np.object_:
                inputs.write_texts(batch.column(payload.columns[0]))
            else:
                values = np.ascontiguousarray(payload.decode(batch), dtype=payload.dtype)
                if values.shape != (batch.num_rows, *payload.shape):
                    raise InvalidDataError(f"The {facts.role} set has samples of another shape.")
                inputs.write(values)
            labels.write(batch.column("label").to_numpy().astype(np.int64))
            is_real.write(batch.column("is_real").to_numpy(zero_copy_only=False).astype(np.uint8))
            names.write_texts(batch.column("sample_id"))
    if written != facts.sample_count:
        raise InvalidDataError(f"The {facts.role} set holds fewer samples than recorded.")


def read_samples(
    folder: Path, facts: SetFacts, payload: Payload, *, class_map: ClassMap, is_held: bool
) -> LoadedSet:
    """Return the samples that `write_samples` left in `folder`.

    Args:
        folder: The folder, which holds no file afterwards.
        facts: The set.
        payload: How its inputs were read.
        class_map: New label of each of the set's own.
        is_held: Whether the inputs are to stay in memory; texts always do.

    Raises:
        InvalidDataError: The files do not hold what they should.
    """
    count = facts.sample_count
    mapping = None
    if payload.dtype is np.object_:
        inputs: Inputs = _read_texts(folder / _INPUTS, count).to_numpy(zero_copy_only=False)
    else:
        # Mapped even where they are held, which saves a copy.
        mapping = _map_file(folder / _INPUTS, inputs_bytes(facts, payload))
        content = b"" if mapping is None else mapping
        inputs = np.frombuffer(content, dtype=payload.dtype).reshape(count, *payload.shape)
    labels = _read_numbers(folder / _LABELS, np.int64, count)
    if count and not 0 <= labels.min() <= labels.max() < len(facts.class_names):
        raise InvalidDataError(f"The {facts.role} set has labels without a class.")
    is_real = _read_numbers(folder / _IS_REAL, np.uint8, count) != 0
    names = _in_pieces(_read_texts(folder / _NAMES, count))
    return LoadedSet(inputs, class_map[labels], is_real, names, None if is_held else mapping)


class _SampleWriter:
    """Writes values one after another, texts with their lengths beside them."""

    def __init__(self, stack: ExitStack, path: Path) -> None:
        self._stack = stack
        self._path = path
        self._file = stack.enter_context(path.open("wb"))
        self._lengths: BinaryIO | None = None

    def write(self, values: Inputs) -> None:
        self._file.write(_bytes_of(values))

    def write_texts(self, texts: pa.Array) -> None:
        if texts.null_count:
            raise InvalidDataError("A stored text is missing.")
        if self._lengths is None:
            path = self._path.with_suffix(_LENGTHS)
            self._lengths = self._stack.enter_context(path.open("wb"))
        large = texts.cast(pa.large_binary())
        offsets = np.frombuffer(large.buffers()[1], dtype=np.int64)
        offsets = offsets[large.offset : large.offset + len(large) + 1]
        self._lengths.write(_bytes_of(np.diff(offsets)))
        if offsets[-1] > offsets[0]:
            self._file.write(memoryview(large.buffers()[2])[offsets[0] : offsets[-1]])


def _bytes_of(values: Inputs) -> memoryview | bytes:
    return values.data.cast("B") if values.size else b""


def _read_numbers(path: Path, dtype: type[np.generic], count: int) -> Inputs:
    _check_size(path, count * np.dtype(dtype).itemsize)
    values: Inputs = np.fromfile(path, dtype=dtype)
    path.unlink()
    return values


def _map_file(path: Path, size_bytes: int) -> mmap.mmap | None:
    """Return the file's memory and remove its name; a table without any value has no memory."""
    _check_size(path, size_bytes)
    with path.open("r+b") as file:
        mapping = mmap.mmap(file.fileno(), 0) if size_bytes else None
    path.unlink()
    return mapping


def _read_texts(path: Path, count: int) -> pa.LargeStringArray:
    lengths = _read_numbers(path.with_suffix(_LENGTHS), np.int64, count).astype(np.int64)
    size_bytes = path.stat().st_size
    # Each is looked at before their sum, which could overflow.
    if count and not 0 <= lengths.min() <= lengths.max() <= size_bytes:
        raise _garbled()
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    if np.diff(offsets).min(initial=0) < 0 or offsets[-1] != size_bytes:
        raise _garbled()
    content = pa.py_buffer(path.read_bytes())
    path.unlink()
    texts = pa.LargeStringArray.from_buffers(count, pa.py_buffer(offsets), content)
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid as error:
        raise _garbled() from error
    return texts


def _in_pieces(texts: pa.LargeStringArray) -> pa.ChunkedArray:
    starts = range(0, len(texts), _PIECE_ROWS)
    try:
        pieces = [texts.slice(start, _PIECE_ROWS).cast(pa.string()) for start in starts]
    except pa.ArrowInvalid as error:
        raise _garbled() from error
    return pa.chunked_array(pieces, type=pa.string())


def _check_size(path: Path, size_bytes: int) -> None:
    if path.stat().st_size != size_bytes:
        raise _garbled()


def _garbled() -> InvalidDataError:
    return InvalidDataError("The samples came out of their decoding in a wrong form.")
