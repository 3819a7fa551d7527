"""Embeddings: vectors of one length and finite numbers, from tables or from .npz files."""

import lzma
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curation.archive_members import open_zip
from curation.errors import InvalidInputError
from curation.intake import Content, Intake, Sample, ValidationRequest
from curation.row_fields import FieldColumns, RowError, read_fields
from curation.sample_files import EMBEDDING_COLUMN, ROW_GROUP_ROWS
from curation.sample_kinds import Modality
from curation.validation_limits import ValidationLimits

MAX_DIMENSION = 65_536
_VECTORS = "x"
_LABELS = "y"
_IDS = "id"
_MATRIX = 2  # Axes.
_HEADER_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def embedding_type(dimension: int) -> pa.DataType:
    """Return the Arrow type of vectors of a length.

    Raises:
        InvalidInputError: The length is zero or out of all proportion.
    """
    if not 0 < dimension <= MAX_DIMENSION:
        raise InvalidInputError(
            "WRONG_DIMENSION",
            f"The embeddings have {dimension} numbers.",
            field=EMBEDDING_COLUMN,
            row=1,
            cure=f"Use embeddings of 1 to {MAX_DIMENSION} numbers.",
        )
    return pa.list_(pa.float32(), dimension)


def checked_vector(vector: NDArray[np.float32], field: str) -> NDArray[np.float32]:
    """Return a vector that is one, and finite.

    Raises:
        RowError: It has another shape, or holds NaN or infinity.
    """
    if vector.ndim != 1:
        raise RowError("EMBEDDING_UNREADABLE", "The embedding is no list of numbers.", field)
    if not np.isfinite(vector).all():
        raise RowError("NOT_FINITE", "The embedding holds NaN or infinity.", field)
    return vector


def wrong_dimension(row: int, found: int, expected: int) -> InvalidInputError:
    """Return the refusal of vectors of different lengths."""
    return InvalidInputError(
        "WRONG_DIMENSION",
        f"The embedding of row {row} has {found} numbers, those before it {expected}.",
        field=EMBEDDING_COLUMN,
        row=row,
        cure="Make all embeddings with the same encoder.",
    )


def read_npz(
    path: Path, request: ValidationRequest, limits: ValidationLimits, intake: Intake
) -> Content:
    """Hand in every row of an .npz file of `x` [n, d], `y` [n] and optional `id` [n].

    Raises:
        InvalidInputError: The file or its arrays cannot be used.
    """
    if request.modality not in {None, Modality.EMBEDDING}:
        raise InvalidInputError(
            "MODALITY_DIFFERS",
            f"An .npz file holds embeddings, not {request.modality} samples.",
            field="modality",
            cure="Leave out the modality, or upload another format.",
        )
    with open_zip(path, limits) as archive:
        labels = _column(archive, request.label_column or _LABELS, "LABEL_COLUMN_MISSING")
        ids = _ids(archive, request.id_column)
        return _hand_in(archive, labels, ids, intake)


def _hand_in(
    archive: zipfile.ZipFile, labels: list[Any], ids: list[Any] | None, intake: Intake
) -> Content:
    columns = FieldColumns(_LABELS, None if ids is None else _IDS)
    with _open_array(archive, _VECTORS, "ARRAY_MISSING") as file:
        shape, is_fortran, dtype = _header(file, _VECTORS)
        if len(shape) != _MATRIX:
            raise InvalidInputError(
                "WRONG_DIMENSION",
                f"The array x has {len(shape)} axes.",
                field=_VECTORS,
                cure="Save x as [samples, dimension].",
            )
        count, dimension = shape
        _check_length(_LABELS, len(labels), count)
        if ids is not None:
            _check_length(_IDS, len(ids), count)
        if count:
            intake.begin(EMBEDDING_COLUMN, embedding_type(dimension))
        for row, vector in enumerate(_vectors(file, shape, dtype, is_fortran=is_fortran), start=1):
            values = {_LABELS: labels[row - 1], _IDS: None if ids is None else ids[row - 1]}
            try:
                fields = read_fields(values, columns)
                checked = checked_vector(vector, _VECTORS)
            except RowError as error:
                intake.reject(row, error)
                continue
            intake.add(Sample(row=row, fields=fields, payload=checked, size_bytes=vector.nbytes))
    return Content(Modality.EMBEDDING, [dimension] if count else None)


def _ids(archive: zipfile.ZipFile, wanted: str | None) -> list[Any] | None:
    name = wanted or _IDS
    if wanted is None and f"{name}.npy" not in archive.namelist():
        return None
    return _column(archive, name, "ID_COLUMN_MISSING")


def _column(archive: zipfile.ZipFile, name: str, reason: str) -> list[Any]:
    with _open_array(archive, name, reason) as file:
        shape, _, dtype = _header(file, name)
        if len(shape) != 1:
            raise InvalidInputError(
                "WRONG_DIMENSION",
                f"The array {name} has {len(shape)} axes.",
                field=name,
                cure=f"Save {name} with one value for each row of x.",
            )
        content = _read_exactly(file, shape[0] * dtype.itemsize)
        try:
            values: list[Any] = np.frombuffer(content, dtype=dtype).tolist()
        except SystemError as error:  # numpy's word for a code point that there is none of.
            raise _damaged() from error
        return values


def _open_array(archive: zipfile.ZipFile, name: str, reason: str) -> IO[bytes]:
    try:
        return archive.open(f"{name}.npy")
    except KeyError as error:
        found = ", ".join(member.removesuffix(".npy") for member in archive.namelist()[:20])
        raise InvalidInputError(
            reason,
            f"The file has no array {name!r}.",
            field=name,
            cure=f"Save arrays x, y and, if you like, id; the file has: {found or 'none'}.",
        ) from error
    # The last two are zipfile's words for a method of packing that it lacks, and for a password.
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise _damaged() from error


def _header(file: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    try:
        version = np.lib.format.read_magic(file)
        read = _HEADER_READERS[version]
        shape, is_fortran, dtype = read(file)
    except Exception as error:  # A parser of hostile text may raise anything.
        raise _damaged() from error
    if min(shape, default=0) < 0:
        raise _damaged()
    if dtype.hasobject:
        raise InvalidInputError(
            "PICKLED_ARRAY",
            f"The array {name} holds Python objects, which are never unpickled.",
            field=name,
            cure="Save numbers, or texts of a numpy string type such as U20.",
        )
    kinds = "fiu" if name == _VECTORS else "fiubU"
    # A type without a length would let a header claim any number of values.
    if dtype.kind not in kinds or dtype.itemsize == 0:
        raise InvalidInputError(
            "WRONG_TYPE",
            f"The array {name} is of the type {dtype}.",
            field=name,
            cure="Save x as numbers, y and id as whole numbers or texts.",
        )
    return shape, is_fortran, dtype


def _vectors(
    file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any], *, is_fortran: bool
) -> Iterator[NDArray[np.float32]]:
    count, dimension = shape
    if is_fortran:
        # Column after column: no row is complete before the whole is read.
        content = _read_exactly(file, count * dimension * dtype.itemsize)
        columns = np.frombuffer(content, dtype=dtype).reshape(dimension, count)
        yield from _as_float32(columns.T)
        return
    for start in range(0, count, ROW_GROUP_ROWS):
        rows = min(ROW_GROUP_ROWS, count - start)
        content = _read_exactly(file, rows * dimension * dtype.itemsize)
        yield from _as_float32(np.frombuffer(content, dtype=dtype).reshape(rows, dimension))


def _as_float32(numbers: NDArray[Any]) -> NDArray[np.float32]:
    # A number too large for float32 becomes infinite, which the check of each row names.
    with np.errstate(over="ignore"):
        return numbers.astype(np.float32)


def _read_exactly(file: IO[bytes], size_bytes: int) -> bytes:
    try:
        content = file.read(size_bytes)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError) as error:
        raise _damaged() from error
    if len(content) != size_bytes:
        raise _damaged()
    return content


def _check_length(name: str, found: int, expected: int) -> None:
    if found != expected:
        raise InvalidInputError(
            "LENGTHS_DIFFER",
            f"The array {name} has {found} values, x has {expected} rows.",
            field=name,
            cure=f"Save one value of {name} for each row of x.",
        )


def _damaged() -> InvalidInputError:
    return InvalidInputError(
        "DAMAGED_FILE",
        "An array of the file is truncated or damaged.",
        field="content",
        cure="Save the file again with numpy.savez or numpy.savez_compressed.",
    )
