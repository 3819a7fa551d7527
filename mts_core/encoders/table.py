"""Encodes rows of a table: scaled numbers, marks of missing values, and one column a category."""

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Final, final

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    QuantileTransformer,
    StandardScaler,
)

from mts_core.table_columns import ColumnKind, TableColumn

FEWEST_OF_CATEGORY: Final = 10
"""Samples below which a category is counted among the rare ones."""
MOST_CATEGORIES: Final = 32
"""Categories of a column that are told apart, the rare ones counted as one."""
_MOST_DIMENSIONS: Final = 4096
"""Vectors are not longer than about this, for the sake of the conditioning's eigenvectors."""
_FEWEST_CATEGORIES: Final = 2
_LARGEST_DEVIATION: Final = 3.0
"""Standard deviations beyond which a scaled number says no more than "far out"."""
_QUANTILES: Final = 200
_CATEGORIES: Final = "categories"


class NumberScaling(StrEnum):
    """How the numbers of a table are brought to one scale."""

    STANDARD = "table_scaled"
    QUANTILES = "table_quantiles"


@final
class TableEncoder:
    """Makes vectors of rows, by what a sample of rows without labels shows.

    Numbers become deviations from their mean, by `STANDARD`, or the normal quantiles of their
    ranks, by `QUANTILES`; both end at three standard deviations, so that no tail outweighs all
    other columns. A missing value becomes 0 and is marked by a column of its own. A category is a
    column of its own where it is not rare, "missing" being one of them; rare categories share one
    with those that were not seen.

    Attributes:
        name: Name by which a job asks for it.
        dimension: Length of a vector.
        transformer: Maps rows to vectors.
    """

    def __init__(
        self,
        scaling: NumberScaling,
        columns: Sequence[TableColumn],
        rows: NDArray[np.float64],
    ) -> None:
        """Fit on a sample of rows.

        Args:
            scaling: How numbers are scaled.
            columns: What the columns are.
            rows: [sample, column] float64, NaN where a value is missing; a few thousand are enough.
        """
        self.name = str(scaling)
        self.transformer: ColumnTransformer = _transformer(scaling, columns, rows).fit(rows)
        self.dimension = self.encode(rows[:1]).shape[1]

    def encode(self, inputs: NDArray[np.generic]) -> NDArray[np.float32]:
        """Return vectors, [sample, dimension] float32."""
        return np.asarray(self.transformer.transform(inputs), dtype=np.float32)

    def told_apart(self, columns: Sequence[TableColumn]) -> tuple[TableColumn, ...]:
        """Return columns with the codes alone that have a place of their own in the vectors.

        To the encoder, all other categories are as good as unknown ones.

        Args:
            columns: The columns that the encoder was fitted on.
        """
        frequent: dict[int, set[float]] = {}
        for name, one_hot, places in self.transformer.transformers_:
            if name == _CATEGORIES and len(places):
                found = zip(one_hot.categories_, one_hot.infrequent_categories_, strict=True)
                for place, (all_codes, rare) in zip(places, found, strict=True):
                    frequent[place] = set(all_codes) - set(() if rare is None else rare)
        return tuple(
            replace(
                column,
                codes={
                    word: code
                    for word, code in column.codes.items()
                    if code in frequent.get(index, ())
                },
            )
            for index, column in enumerate(columns)
        )


def _transformer(
    scaling: NumberScaling, columns: Sequence[TableColumn], rows: NDArray[np.float64]
) -> ColumnTransformer:
    row_count = len(rows)
    # A column without a value in the sample has no mean, and nothing is known of it.
    seen = set(np.flatnonzero(~np.isnan(rows).all(axis=0)).tolist())
    numbers, booleans, categories = (
        [index for index, column in enumerate(columns) if index in seen and column.kind is kind]
        for kind in (ColumnKind.NUMBER, ColumnKind.BOOLEAN, ColumnKind.CATEGORY)
    )
    most = _MOST_DIMENSIONS // max(1, len(categories))
    one_hot = OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        # A small table has no category often enough to be told from a rare one.
        min_frequency=min(FEWEST_OF_CATEGORY, max(1, row_count // FEWEST_OF_CATEGORY)),
        max_categories=min(MOST_CATEGORIES, max(_FEWEST_CATEGORIES, most)),
        sparse_output=False,
    )
    return ColumnTransformer(
        [
            ("numbers", _scaler(scaling, row_count), numbers),
            ("booleans", _filled(StandardScaler()), booleans),
            (
                "missing",
                MissingIndicator(features="missing-only", error_on_new=False),
                [*numbers, *booleans],
            ),
            (_CATEGORIES, one_hot, categories),
        ]
    )


def _scaler(scaling: NumberScaling, row_count: int) -> Pipeline:
    if scaling is NumberScaling.STANDARD:
        return _filled(StandardScaler())
    return _filled(
        QuantileTransformer(
            n_quantiles=min(_QUANTILES, row_count),
            output_distribution="normal",
            # All rows are taken, so nothing is drawn.
            subsample=None,
        )
    )


def _filled(scaler: StandardScaler | QuantileTransformer) -> Pipeline:
    """Return a scaler that cuts tails off and puts the mean where a value is missing."""
    limits = {"min": -_LARGEST_DEVIATION, "max": _LARGEST_DEVIATION}
    clip = FunctionTransformer(np.clip, kw_args=limits)
    return make_pipeline(scaler, clip, SimpleImputer(strategy="constant", fill_value=0.0))
