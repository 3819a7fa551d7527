"""The data that one curation run learns from."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mts_core.errors import MissingClassError, MtsError
from mts_core.table_columns import TableColumn

_IMAGE_AXES: Final = 4
_VECTOR_AXES: Final = 2


class InputKind(StrEnum):
    """What the samples of a run are."""

    IMAGE = "image"
    EMBEDDING = "embedding"
    TABLE = "table"
    TEXT = "text"


@dataclass(frozen=True, eq=False)
class CurationData:
    """Pool, reference set and optional test set of one run.

    Arrays may be memory-mapped: they are read in chunks and never copied whole.

    Attributes:
        pool_inputs: [sample, channel, height, width] uint8 images; [sample, dimension] float32
            embeddings; [sample, column] float64 rows of a table, NaN where a value is missing; or
            [sample] texts, as objects.
        pool_labels: [sample] int64 in [0, class_count).
        pool_is_real: [sample] bool, true for real samples inside the pool.
        reference_inputs: like `pool_inputs`, [reference, ...].
        reference_labels: [reference] int64.
        test_inputs: like `pool_inputs`, [test, ...]; none where there is no test set.
        test_labels: [test] int64; none where there is no test set.
        class_count: Number of classes.
        table_columns: What the columns of a table are; none where the inputs are no table.

    Raises:
        MtsError: Shapes disagree, or a label lies outside the classes.
        MissingClassError: The reference set lacks a class.
    """

    pool_inputs: NDArray[np.generic]
    pool_labels: NDArray[np.int64]
    pool_is_real: NDArray[np.bool_]
    reference_inputs: NDArray[np.generic]
    reference_labels: NDArray[np.int64]
    test_inputs: NDArray[np.generic] | None
    test_labels: NDArray[np.int64] | None
    class_count: int
    table_columns: tuple[TableColumn, ...] | None = None

    def __post_init__(self) -> None:
        """Refuses data that no run can learn from."""
        _check_part("pool", self.pool_inputs, self.pool_labels, self)
        _check_part("reference", self.reference_inputs, self.reference_labels, self)
        if self.pool_is_real.shape != self.pool_labels.shape:
            raise MtsError("The pool needs one real flag for each label.")
        if (self.test_inputs is None) != (self.test_labels is None):
            raise MtsError("A test set needs both inputs and labels.")
        if self.test_inputs is not None and self.test_labels is not None:
            _check_part("test", self.test_inputs, self.test_labels, self)
        counts = np.bincount(self.reference_labels, minlength=self.class_count)
        if not counts.all():
            missing = [int(index) for index in np.flatnonzero(counts == 0)]
            raise MissingClassError(
                f"The reference set holds no sample of class {', '.join(map(str, missing))}.",
                classes=missing,
            )

    @property
    def kind(self) -> InputKind:
        """What the inputs are."""
        if self.table_columns is not None:
            return InputKind.TABLE
        match self.pool_inputs.ndim:
            case 1:
                return InputKind.TEXT
            case 2:
                return InputKind.EMBEDDING
            case _:
                return InputKind.IMAGE

    @property
    def is_image(self) -> bool:
        """Whether the inputs are images."""
        return self.kind is InputKind.IMAGE


def _check_part(
    name: str,
    inputs: NDArray[np.generic],
    labels: NDArray[np.int64],
    data: CurationData,
) -> None:
    if len(inputs) == 0 or len(inputs) != len(labels):
        raise MtsError(f"The {name} set needs as many labels as inputs, and at least one.")
    if inputs.shape[1:] != data.pool_inputs.shape[1:]:
        raise MtsError(f"The {name} set's samples differ in shape from the pool's.")
    is_image = inputs.ndim == _IMAGE_AXES and inputs.dtype == np.uint8
    is_vector = inputs.ndim == _VECTOR_AXES and np.issubdtype(inputs.dtype, np.floating)
    is_text = inputs.ndim == 1 and inputs.dtype == np.object_
    if not is_image and not is_vector and not is_text:
        raise MtsError(
            f"The {name} set holds neither uint8 images, nor float vectors, nor texts as objects."
        )
    columns = data.table_columns
    if columns is not None and inputs.shape[1:] != (len(columns),):
        raise MtsError(f"The {name} set has another number of columns than are described.")
    if labels.min() < 0 or labels.max() >= data.class_count:
        raise MtsError(f"The {name} set has a label outside its {data.class_count} classes.")
