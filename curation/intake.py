"""Where the readers of all formats hand in their rows, sound and unsound."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, final

import numpy as np
import pyarrow as pa

from curation.census import Census, Rejection
from curation.dataset_warnings import DatasetWarning
from curation.feature_columns import FeatureColumn
from curation.row_fields import RowError, RowFields
from curation.sample_files import (
    FEATURE_PREFIX,
    ROW_GROUP_BYTES,
    ROW_GROUP_ROWS,
    USER_PREFIX,
    SampleBatch,
    SampleFileWriter,
)
from curation.sample_kinds import Modality, Role
from curation.validation_limits import ValidationLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationRequest:
    """What the user said about an upload.

    Attributes:
        file_name: The upload's name; its ending tells the format.
        role: What the dataset is for.
        modality: What its samples are, or None to see it in the content.
        label_column: The column that holds the class, or None for `label`.
        id_column: The column that names samples, or None for `id` where there is one.
        image_size: Side in pixels to which images will be resized, or None.
    """

    file_name: str
    role: Role
    modality: Modality | None = None
    label_column: str | None = None
    id_column: str | None = None
    image_size: int | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """What a reader found the samples to be.

    Attributes:
        modality: What the samples are.
        input_shape: `[dimension]`, `[channels, height, width]`, or None for texts.
        warnings: What the user may have meant otherwise.
    """

    modality: Modality
    input_shape: list[int] | None
    warnings: tuple[DatasetWarning, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One sound row.

    Attributes:
        row: Its number in the user's file, counted from 1.
        fields: Class, name and source; the name falls back on the file's, then on the row's.
        file_name: Path inside the archive, or None.
        payload: What is learned from, or None for tables.
        size_bytes: About how much memory the payload takes.
        extras: The other columns, as JSON values.
    """

    row: int
    fields: RowFields
    file_name: str | None = None
    payload: Any = None  # Bytes, text or a vector, by modality.
    size_bytes: int = 0
    extras: Mapping[str, Any] | None = None  # JSON values.

    @property
    def name(self) -> str:
        """The sample's id."""
        return self.fields.sample_id or self.file_name or f"row-{self.row}"


@final
class Intake:
    """Gathers rows into row groups, counts them, and writes the normalised file."""

    def __init__(self, draft: Path, limits: ValidationLimits) -> None:
        """Begin empty.

        Args:
            draft: Path of the draft of the normalised file.
            limits: Caps.
        """
        self._draft = draft
        self.census = Census(max_rejections=limits.max_rejections_stored)
        self._writer: SampleFileWriter | None = None
        self._payload_type: pa.DataType | None = None
        self._waiting: list[Sample] = []
        self._waiting_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def begin(self, payload_column: str | None, payload_type: pa.DataType | None) -> None:
        """Say what is learned from, once it is known; before any sample is added."""
        self._payload_type = payload_type
        self._writer = SampleFileWriter(
            self._draft, payload_column=payload_column, payload_type=payload_type
        )

    def add(self, sample: Sample) -> None:
        """Take a sound row.

        Raises:
            InvalidInputError: Its name is taken already, or there are too many classes or columns.
        """
        self._waiting.append(sample)
        self._waiting_bytes += sample.size_bytes
        if len(self._waiting) >= ROW_GROUP_ROWS or self._waiting_bytes >= ROW_GROUP_BYTES:
            self._flush()

    def reject(self, row: int | None, error: RowError, name: str | None = None) -> None:
        """Take note of a row that is left out, and of what is wrong with it."""
        self.census.reject(Rejection(row, name, error.field, error.reason, error.detail))

    def finish(self, destination: Path, role: Role, modality: Modality) -> Sequence[FeatureColumn]:
        """Check the whole, write the normalised file, and return its other columns.

        Raises:
            InvalidInputError: Too little is left.
        """
        self._flush()
        self.census.check(role)
        if self._writer is None:
            raise ValueError("samples were accepted before their type was known")
        prefix = FEATURE_PREFIX if modality is Modality.TABULAR else USER_PREFIX
        self._writer.finish(destination, self.census, prefix=prefix)
        return self._writer.columns

    def _flush(self) -> None:
        if not self._waiting:
            return
        if self._writer is None:
            raise ValueError("the type of the samples is not known yet")
        samples, self._waiting, self._waiting_bytes = self._waiting, [], 0
        payload = None
        if self._payload_type is not None:
            payload = _payload_array([sample.payload for sample in samples], self._payload_type)
        self._writer.append(
            SampleBatch(
                rows=[sample.row for sample in samples],
                sample_ids=[sample.name for sample in samples],
                labels=[sample.fields.label for sample in samples],
                is_real=[sample.fields.is_real for sample in samples],
                file_names=[sample.file_name for sample in samples],
                payload=payload,
                extras=[sample.extras or {} for sample in samples],
            ),
            self.census,
        )


def _payload_array(values: list[Any], kind: pa.DataType) -> pa.Array:  # Any: by modality.
    if pa.types.is_fixed_size_list(kind):
        # Arrow would walk through each vector number by number.
        return pa.FixedSizeListArray.from_arrays(np.concatenate(values), type=kind)
    return pa.array(values, kind)
