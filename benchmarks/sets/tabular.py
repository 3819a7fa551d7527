"""The set `tabular`: diamonds, and rows that a Gaussian copula draws in their place."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from quality_sets import Pool, Quality, QualitySet, make_set
from scipy.special import ndtr, ndtri

from sets.plotnine_tables import read_plotnine_table

Rows = NDArray[np.float64]

SEED: Final = 63
CUTS: Final = ("Fair", "Good", "Very Good", "Premium", "Ideal")
COLOURS: Final = tuple("DEFGHIJ")
CLARITIES: Final = ("I1", "SI2", "SI1", "VS2", "VS1", "VVS2", "VVS1", "IF")
NUMBERS: Final = ("carat", "depth", "table", "price", "x", "y", "z")
REFERENCE_PER_CLASS: Final = 10
TEST_PER_CLASS: Final = 240
SOURCE_PER_CLASS: Final = 1000
"""Real rows of each class that the copula is fitted to; none of them is in a set."""
COPIES: Final = 10
"""Nearly identical rows of each duplicated row."""
POOL_PER_CLASS: Final[Mapping[Quality, int]] = {
    Quality.GOOD: 320,
    Quality.WRONG_LABEL: 240,
    Quality.OFF_DISTRIBUTION: 120,
    Quality.STYLE: 80,
    Quality.DUPLICATE: 40,
}
"""Pool samples of each quality for each label: 800, of which 40 % are good."""
OVER_DISPERSION: Final = 2.0
COPY_JITTER: Final = 0.02
"""Standard deviation between copies, in standard deviations of the copula."""


@dataclass(frozen=True, eq=False)
class Copula:
    """A Gaussian copula with the marginals of real rows.

    Attributes:
        sorted_columns: [row, column] float64, each column of the real rows in rising order.
        factor: [column, column] float64, lower triangular factor of the correlation.
    """

    sorted_columns: Rows
    factor: Rows

    def draw_latent(self, count: int, generator: np.random.Generator) -> Rows:
        """Return correlated standard normal rows, [count, column]."""
        return np.asarray(generator.standard_normal((count, len(self.factor))) @ self.factor.T)

    def rows(self, latent: Rows) -> Rows:
        """Return the rows that latent ones stand for: values that real rows have."""
        places = (ndtr(latent) * len(self.sorted_columns)).astype(np.int64)
        places = np.minimum(places, len(self.sorted_columns) - 1)
        return np.take_along_axis(self.sorted_columns, places, axis=0)


def tabular() -> QualitySet:
    """Return 5 cuts of diamonds: 4000 generated rows, 50 references, 1200 tests.

    A column is a number or an ordered category. The pool comes from a copula fitted to other real
    rows, class by class: 40 % good, 30 % drawn for another class, 15 % with columns that do not
    belong together, 10 % over-dispersed, and 5 % copies with a little noise.

    Source: the diamonds of ggplot2 (MIT licence), as plotnine ships them; [nelsen2006introduction]
    for the copula.
    """
    generator = np.random.default_rng(SEED)
    rows, labels = _read_diamonds()
    test, reference, source = _split(labels, generator)
    copulas = [fit_copula(rows[source[labels[source] == label]]) for label in range(len(CUTS))]
    pool, pool_labels, quality = _draw_pool(copulas, generator)
    tables = [pool, rows[reference], rows[test]]
    pool_inputs, reference_inputs, test_inputs = _encode(tables)
    return make_set(
        "tabular",
        CUTS,
        pool=Pool(pool_inputs, pool_labels, quality),
        reference=(reference_inputs, labels[reference]),
        test=(test_inputs, labels[test]),
    )


def fit_copula(rows: Rows) -> Copula:
    """Return the copula of real rows, [row, column] float64; ties are broken by order."""
    ranks = rows.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
    latent = ndtri((ranks + 0.5) / len(rows))
    return Copula(np.sort(rows, axis=0), np.linalg.cholesky(np.corrcoef(latent.T)))


def _read_diamonds() -> tuple[Rows, NDArray[np.int64]]:
    """Return columns as numbers, categories by their place in order, and the cut of each row.

    Raises:
        ModuleNotFoundError: plotnine is not installed.
    """
    table = read_plotnine_table("diamonds")
    # A few diamonds have no measured length, width or height.
    table = table[(table[["x", "y", "z"]] > 0).all(axis=1)]
    columns = [table[name].to_numpy(np.float64) for name in NUMBERS]
    for name, order in (("color", COLOURS), ("clarity", CLARITIES)):
        columns.append(pd.Categorical(table[name], order).codes.astype(np.float64))
    labels = pd.Categorical(table["cut"], CUTS).codes.astype(np.int64)
    return np.column_stack(columns), labels


def _split(
    labels: NDArray[np.int64], generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return row numbers of test, reference and source, none in two of them."""
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    sizes = (TEST_PER_CLASS, REFERENCE_PER_CLASS, SOURCE_PER_CLASS)
    for label in range(len(CUTS)):
        members = generator.permutation(np.flatnonzero(labels == label))
        ends = np.cumsum(sizes)
        for part, end, size in zip(parts, ends, sizes, strict=True):
            part.extend(members[end - size : end].tolist())
    test, reference, source = (np.array(part, dtype=np.int64) for part in parts)
    return test, reference, source


def _draw_pool(
    copulas: list[Copula], generator: np.random.Generator
) -> tuple[Rows, NDArray[np.int64], NDArray[np.str_]]:
    parts, labels, quality = [], [], []
    for label in range(len(CUTS)):
        for kind, count in POOL_PER_CLASS.items():
            parts.append(_draw_quality(kind, label, count, copulas, generator))
            labels += [label] * count
            quality += [str(kind)] * count
    order = generator.permutation(len(labels))
    return np.concatenate(parts)[order], np.array(labels)[order], np.array(quality)[order]


def _draw_quality(
    quality: Quality,
    label: int,
    count: int,
    copulas: list[Copula],
    generator: np.random.Generator,
) -> Rows:
    own = copulas[label]
    match quality:
        case Quality.WRONG_LABEL:
            others = [copula for copula in copulas if copula is not own]
            shown = generator.integers(len(others), size=count)
            return _rows_of_each(others, shown, generator)
        case Quality.OFF_DISTRIBUTION:
            # Shuffling each column of a copula's rows by itself leaves only its marginals.
            shown = generator.integers(len(copulas), size=count)
            return generator.permuted(_rows_of_each(copulas, shown, generator), axis=0)
        case Quality.STYLE:
            # Twice the spread in the latent space piles rows up at both ends of every column.
            return own.rows(OVER_DISPERSION * own.draw_latent(count, generator))
        case Quality.DUPLICATE:
            originals = np.repeat(own.draw_latent(count // COPIES, generator), COPIES, axis=0)
            return own.rows(originals + COPY_JITTER * generator.standard_normal(originals.shape))
        case _:
            return own.rows(own.draw_latent(count, generator))


def _rows_of_each(
    copulas: list[Copula], shown: NDArray[np.int64], generator: np.random.Generator
) -> Rows:
    """Return one row of each copula that `shown` counts up."""
    parts = [copulas[place].rows(copulas[place].draw_latent(1, generator)) for place in shown]
    return np.concatenate(parts)


def _encode(tables: list[Rows]) -> list[NDArray[np.float32]]:
    """Return tables as a user would bring them: logarithms, categories apart, standardised.

    The numbers' mean and spread are those of pool and reference set; no label enters.
    """
    logarithmic = [NUMBERS.index(name) for name in ("carat", "price")]
    numbers = [table[:, : len(NUMBERS)].copy() for table in tables]
    for part in numbers:
        part[:, logarithmic] = np.log(part[:, logarithmic])
    known = np.concatenate(numbers[:2])
    encoded = []
    for part, table in zip(numbers, tables, strict=True):
        colours, clarities = table[:, len(NUMBERS) :].astype(np.int64).T
        standardised = (part - known.mean(axis=0)) / known.std(axis=0)
        columns = [standardised, np.eye(len(COLOURS))[colours], np.eye(len(CLARITIES))[clarities]]
        encoded.append(np.hstack(columns).astype(np.float32))
    return encoded
