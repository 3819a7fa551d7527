"""The sets `handwriting`, `nuclei` and `penguins`: small tables, and rows between their rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from quality_sets import Quality, QualitySet, make_set, shuffled_pool
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.neighbors import NearestNeighbors

from sets.plotnine_tables import read_plotnine_table

Rows = NDArray[np.float64]
Classes = NDArray[np.int64]

SEED: Final = 65
SHARES: Final[Mapping[Quality, float]] = {
    Quality.GOOD: 0.4,
    Quality.WRONG_LABEL: 0.32,
    Quality.OFF_DISTRIBUTION: 0.16,
    Quality.STYLE: 0.08,
    Quality.DUPLICATE: 0.04,
}
"""Shares of the pool samples of each label."""
SOURCE_SHARE: Final = 0.5
"""Share of the real rows of a class that the pool is made from; none of them is in another part."""
NEIGHBOURS: Final = 5
"""Among how many nearest rows of its class a row's partner is drawn."""
BETWEEN: Final = (0.35, 0.65)
"""Where between rows of two classes a sample lies that belongs to neither."""
STYLE_NOISE: Final = 1.0
"""Standard deviation of what is added to a column, in those of the source rows."""
COPIES: Final = 10
"""Nearly identical rows of each duplicated row."""
COPY_NOISE: Final = 0.01


def handwriting() -> QualitySet:
    """Return 10 digits as 64 counts of ink: 2000 pool samples (40 % good), 100 references.

    Source: optical recognition of handwritten digits (UCI), as scikit-learn ships it.
    """
    found = load_digits()
    names = tuple(str(name) for name in found.target_names)
    sizes = _Sizes(pool=200, reference=10)
    return _interpolated("handwriting", names, found.data, found.target, per_class=sizes)


def nuclei() -> QualitySet:
    """Return 2 kinds of tumour as 30 measures of cells: 2000 pool samples, 20 references.

    Source: Breast Cancer Wisconsin (diagnostic, UCI), as scikit-learn ships it.
    """
    found = load_breast_cancer()
    names = tuple(str(name) for name in found.target_names)
    sizes = _Sizes(pool=1000, reference=10)
    return _interpolated("nuclei", names, found.data, found.target, per_class=sizes)


def penguins() -> QualitySet:
    """Return 3 species of either sex as 4 measures: 1800 pool samples, 30 references.

    Source: palmerpenguins (CC0), as plotnine ships it.

    Raises:
        ModuleNotFoundError: plotnine is not installed.
    """
    table = read_plotnine_table("penguins").dropna()
    kinds = pd.Categorical(table["species"] + ", " + table["sex"])
    measures = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
    return _interpolated(
        "penguins",
        tuple(kinds.categories),
        table[measures].to_numpy(np.float64),
        kinds.codes.astype(np.int64),
        per_class=_Sizes(pool=300, reference=5),
    )


@dataclass(frozen=True)
class _Sizes:
    """How many samples of each class the pool and the reference set have."""

    pool: int
    reference: int


@dataclass(frozen=True, eq=False)
class RowSource:
    """Real rows that pool samples are made from.

    Attributes:
        by_class: [row, column] of each class.
        partners: [row, neighbour] of each class: the nearest rows of the same class.
        generator: Source of every draw.
    """

    by_class: Sequence[Rows]
    partners: Sequence[NDArray[np.int64]]
    generator: np.random.Generator

    def draw(self, label: int) -> Rows:
        """Return a row between one of a class and a near one of it, after [chawla2002smote]."""
        rows = self.by_class[label]
        one = self.generator.integers(len(rows))
        other = self.generator.choice(self.partners[label][one])
        return _between(rows[one], rows[other], self.generator.random())

    def other_class(self, label: int) -> int:
        """Return another class, each as probable."""
        return int(self.generator.choice(np.delete(np.arange(len(self.by_class)), label)))

    def draw_between_classes(self) -> Rows:
        """Return a row that lies about halfway between two classes."""
        one = int(self.generator.integers(len(self.by_class)))
        share = self.generator.uniform(*BETWEEN)
        return _between(self.draw(one), self.draw(self.other_class(one)), share)

    def noise(self, scale: float, columns: int) -> Rows:
        """Return normal numbers, one for each column."""
        return self.generator.normal(scale=scale, size=columns)


def _between(one: Rows, other: Rows, share: float) -> Rows:
    return one + share * (other - one)


def _interpolated(
    name: str,
    class_names: tuple[str, ...],
    rows: Rows,
    labels: Classes,
    *,
    per_class: _Sizes,
) -> QualitySet:
    generator = np.random.default_rng((SEED, len(class_names)))
    source, reference, test = _split(labels, per_class.reference, generator)
    # Standardised by the source: a user of the pool would not know more.
    scale = rows[source].std(axis=0)
    standardised = (rows - rows[source].mean(axis=0)) / np.where(scale > 0, scale, 1.0)
    by_class = [standardised[source[labels[source] == label]] for label in range(len(class_names))]
    made = RowSource(by_class, [_partners(own) for own in by_class], generator)
    drawn = [
        (row.astype(np.float32), label, quality)
        for label in range(len(class_names))
        for quality, share in SHARES.items()
        for row in _draw_quality(quality, label, round(share * per_class.pool), made)
    ]
    parts = (
        (standardised[part].astype(np.float32), labels[part].astype(np.int64))
        for part in (reference, test)
    )
    return make_set(
        name,
        class_names,
        pool=shuffled_pool(drawn, generator),
        reference=next(parts),
        test=next(parts),
    )


def _split(
    labels: Classes, reference_per_class: int, generator: np.random.Generator
) -> tuple[Classes, Classes, Classes]:
    """Return row numbers of source, reference and test, none in two of them."""
    members = [
        generator.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)
    ]
    starts = [round(SOURCE_SHARE * len(own)) for own in members]
    stops = [start + reference_per_class for start in starts]
    source = [own[:start] for own, start in zip(members, starts, strict=True)]
    reference = [own[start:stop] for own, start, stop in zip(members, starts, stops, strict=True)]
    test = [own[stop:] for own, stop in zip(members, stops, strict=True)]
    return np.concatenate(source), np.concatenate(reference), np.concatenate(test)


def _partners(rows: Rows) -> NDArray[np.int64]:
    nearest = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(rows).kneighbors(return_distance=False)
    return np.asarray(nearest, dtype=np.int64)


def _draw_quality(quality: Quality, label: int, count: int, source: RowSource) -> list[Rows]:
    match quality:
        case Quality.WRONG_LABEL:
            return [source.draw(source.other_class(label)) for _ in range(count)]
        case Quality.OFF_DISTRIBUTION:
            return [source.draw_between_classes() for _ in range(count)]
        case Quality.STYLE:
            rows = [source.draw(label) for _ in range(count)]
            return [row + source.noise(STYLE_NOISE, len(row)) for row in rows]
        case Quality.DUPLICATE:
            originals = [source.draw(label) for _ in range(-(-count // COPIES))]
            copies = [original for original in originals for _ in range(COPIES)][:count]
            return [copy + source.noise(COPY_NOISE, len(copy)) for copy in copies]
        case _:
            return [source.draw(label) for _ in range(count)]
