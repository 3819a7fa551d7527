"""Tables (CSV, JSONL, Parquet) whose rows are the samples."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from curation.census import shown
from curation.embeddings import checked_vector, embedding_type, wrong_dimension
from curation.errors import InvalidInputError
from curation.intake import Content, Intake, Sample, ValidationRequest
from curation.objects import is_full_disk
from curation.row_fields import FieldColumns, RowError, find_columns, is_storable, read_fields
from curation.sample_files import EMBEDDING_COLUMN, ROW_GROUP_ROWS, TEXT_COLUMN
from curation.sample_kinds import Modality
from curation.text_columns import TextColumnWatch
from curation.text_tables import NumberedRow, Row, iterate_csv, iterate_jsonl, peek_columns
from curation.upload_kinds import UploadKind

FILE_NAME_COLUMN = "file_name"


def read_table(path: Path, kind: UploadKind, request: ValidationRequest, intake: Intake) -> Content:
    """Hand in every row of a table, and return what the samples are.

    Raises:
        InvalidInputError: The file or its columns cannot be used.
    """
    match kind:
        case UploadKind.PARQUET:
            return _read_parquet(path, request, intake)
        case UploadKind.CSV:
            with path.open("rb") as file:
                return _read_rows(iterate_csv(file), request, intake)
        case _:
            with path.open("rb") as file:
                return _read_rows(iterate_jsonl(file), request, intake)


def _read_rows(rows: Iterator[NumberedRow], request: ValidationRequest, intake: Intake) -> Content:
    names, all_rows = peek_columns(rows)
    if not names:
        _reject_all(all_rows, intake)
        return Content(request.modality or Modality.TABULAR, None)
    return _hand_in(all_rows, names, request, intake)


def _reject_all(rows: Iterator[NumberedRow], intake: Intake) -> None:
    for number, row in rows:
        if isinstance(row, RowError):
            intake.reject(number, row)


def _hand_in(
    rows: Iterator[NumberedRow], names: Sequence[str], request: ValidationRequest, intake: Intake
) -> Content:
    columns = find_columns(names, label_column=request.label_column, id_column=request.id_column)
    modality = _modality(names, request.modality)
    match modality:
        case Modality.EMBEDDING:
            return _hand_in_embeddings(rows, columns, intake)
        case Modality.TEXT:
            intake.begin(TEXT_COLUMN, pa.string())
            _hand_in_each(rows, columns, intake, modality)
            return Content(modality, None)
        case _:
            intake.begin(None, None)
            # Who says that the table is tabular needs no telling.
            watch = TextColumnWatch() if request.modality is None else None
            _hand_in_each(rows, columns, intake, modality, watch)
            features = [name for name in names if name not in columns.names]
            return Content(modality, [len(features)], () if watch is None else watch.warnings())


def _modality(names: Sequence[str], wanted: Modality | None) -> Modality:
    if wanted is Modality.IMAGE or (
        wanted is None
        and FILE_NAME_COLUMN in names
        and TEXT_COLUMN not in names
        and EMBEDDING_COLUMN not in names
    ):
        raise InvalidInputError(
            "UNSUPPORTED_FORMAT",
            "A table alone holds no images.",
            field="content",
            cure="Upload a zip of the images with the table in it as metadata.jsonl or .csv.",
        )
    if wanted is None:
        if TEXT_COLUMN in names:
            return Modality.TEXT
        return Modality.EMBEDDING if EMBEDDING_COLUMN in names else Modality.TABULAR
    needed = {Modality.TEXT: TEXT_COLUMN, Modality.EMBEDDING: EMBEDDING_COLUMN}.get(wanted)
    if needed is not None and needed not in names:
        raise InvalidInputError(
            "MODALITY_DIFFERS",
            f"A table of {wanted} samples needs a column {needed!r}; there is none.",
            field="modality",
            cure="Rename the column, or leave out the modality.",
        )
    return wanted


def _hand_in_embeddings(
    rows: Iterator[NumberedRow], columns: FieldColumns, intake: Intake
) -> Content:
    dimension: int | None = None
    for number, row in rows:
        try:
            sound = _sound(row)
            vector = checked_vector(_vector_of(sound.get(EMBEDDING_COLUMN)), EMBEDDING_COLUMN)
            fields = read_fields(sound, columns)
        except RowError as error:
            intake.reject(number, error)
            continue
        if dimension is None:
            dimension = len(vector)
            intake.begin(EMBEDDING_COLUMN, embedding_type(dimension))
        if len(vector) != dimension:
            raise wrong_dimension(number, len(vector), dimension)
        intake.add(
            Sample(
                row=number,
                fields=fields,
                payload=vector,
                size_bytes=vector.nbytes,
                extras=_others(sound, (*columns.names, EMBEDDING_COLUMN)),
            )
        )
    return Content(Modality.EMBEDDING, None if dimension is None else [dimension])


def _hand_in_each(
    rows: Iterator[NumberedRow],
    columns: FieldColumns,
    intake: Intake,
    modality: Modality,
    watch: TextColumnWatch | None = None,
) -> None:
    is_text = modality is Modality.TEXT
    consumed = (*columns.names, TEXT_COLUMN) if is_text else columns.names
    for number, row in rows:
        try:
            sound = _sound(row)
            fields = read_fields(sound, columns)
            payload = _text_of(sound.get(TEXT_COLUMN)) if is_text else None
            extras = _others(sound, consumed)
            if not is_text:
                _check_features(extras)
        except RowError as error:
            intake.reject(number, error)
            continue
        if watch is not None:
            watch.observe(extras)
        size_bytes = 0 if payload is None else len(payload)
        intake.add(
            Sample(row=number, fields=fields, payload=payload, size_bytes=size_bytes, extras=extras)
        )


def _sound(row: Row | RowError) -> Row:
    if isinstance(row, RowError):
        raise row
    return row


def _others(row: Row, consumed: Sequence[str]) -> dict[str, Any]:  # JSON values.
    return {name: value for name, value in row.items() if name not in consumed}


def _text_of(value: Any) -> str:  # Any cell.
    if value is None:
        raise RowError("TEXT_MISSING", "The row has no text.", TEXT_COLUMN)
    if not isinstance(value, str) or not is_storable(value):
        raise RowError("TEXT_INVALID", f"{shown(value)} is no text.", TEXT_COLUMN)
    if not value.strip():
        raise RowError("TEXT_MISSING", "The row's text is blank.", TEXT_COLUMN)
    return str(value)


def _check_features(features: Mapping[str, Any]) -> None:  # JSON values.
    for name, value in features.items():
        if isinstance(value, float) and np.isinf(value):
            raise RowError("NOT_FINITE", f"The value of {shown(name)} is infinite.", name)


def _vector_of(value: Any) -> NDArray[np.float32]:  # Any cell.
    """Return the vector in a cell: an array, a list, or a list written as JSON."""
    if isinstance(value, np.ndarray):
        return value
    if value is None:
        raise RowError("EMBEDDING_MISSING", "The row has no embedding.", EMBEDDING_COLUMN)
    try:
        numbers = json.loads(value) if isinstance(value, str) else value
        # A number too large for float32 becomes infinite, which the check names.
        with np.errstate(over="ignore"):
            return np.asarray(numbers, dtype=np.float64).astype(np.float32)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise RowError(
            "EMBEDDING_UNREADABLE", "The embedding is no list of numbers.", EMBEDDING_COLUMN
        ) from error


def _read_parquet(path: Path, request: ValidationRequest, intake: Intake) -> Content:
    with _parquet_errors(path):
        file = pq.ParquetFile(path, memory_map=True)
        schema = file.schema_arrow
        if len(set(schema.names)) != len(schema.names):
            raise InvalidInputError(
                "BAD_HEADER",
                "Two columns have the same name.",
                field="content",
                cure="Give every column a name of its own.",
            )
        # Bytes have no place in a manifest.
        names = [field.name for field in schema if not _is_bytes(field.type)]
        content = _hand_in(_parquet_rows(file, names), names, request, intake)
        file.close()
    return content


def _parquet_rows(file: pq.ParquetFile, names: Sequence[str]) -> Iterator[NumberedRow]:
    number = 0
    for batch in file.iter_batches(batch_size=ROW_GROUP_ROWS, columns=list(names)):
        vectors = None
        if EMBEDDING_COLUMN in names and _is_list(batch.schema.field(EMBEDDING_COLUMN).type):
            vectors = _vectors(batch.column(EMBEDDING_COLUMN))
            batch = batch.drop_columns([EMBEDDING_COLUMN])  # noqa: PLW2901 - it has been read.
        for index, row in enumerate(batch.to_pylist()):
            number += 1
            if vectors is not None:
                row[EMBEDDING_COLUMN] = vectors[index]
            yield number, row


def _vectors(column: pa.Array) -> list[NDArray[np.float32] | None]:
    """Return each row's vector, without making a Python number of each of its numbers."""
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
    with np.errstate(over="ignore"):
        flat = pc.cast(column.flatten(), pa.float64()).to_numpy(zero_copy_only=False)
        numbers = flat.astype(np.float32)
    is_null = column.is_null().to_pylist()
    if len(numbers) != int(lengths[~np.asarray(is_null)].sum()):
        raise ValueError("the lengths of lists do not add up")
    ends = np.cumsum(np.where(is_null, 0, lengths))
    starts = np.concatenate([[0], ends[:-1]])
    return [
        None if missing else numbers[start:end]
        for missing, start, end in zip(is_null, starts, ends, strict=True)
    ]


@contextmanager
def _parquet_errors(path: Path) -> Iterator[None]:
    try:
        yield
    # Dates beyond Python's own calendar overflow.
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        if isinstance(error, OSError) and is_full_disk(error):
            # Of the normalised file, which is written meanwhile.
            raise
        with path.open("rb") as file:
            is_parquet = file.read(4) == b"PAR1"
        if not is_parquet:
            raise InvalidInputError(
                "NOT_WHAT_NAME_SAYS",
                "The file is no Parquet file, though its name says so.",
                field="content",
                cure="Upload a Parquet file, or give the file its right ending.",
            ) from error
        raise InvalidInputError(
            "DAMAGED_FILE",
            "The Parquet file is truncated or damaged.",
            field="content",
            cure="Write and upload it again.",
        ) from error


def _is_list(kind: pa.DataType) -> bool:
    is_sequence = (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )
    return bool(
        is_sequence
        and (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type))
    )


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
    )
