"""Puts small tabular datasets straight into the database, without an upload."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from embedding_jobs import CLASS_NAMES, JobPlace, normalised_file, store_ready

from curation.feature_columns import ColumnKind, FeatureColumn
from curation.identifiers import DatasetId
from curation.models import Modality, Role
from curation.sample_files import FEATURE_PREFIX

_CITIES = (("Rome", "Oslo"), ("Bern", "Kyiv"))


@dataclass(frozen=True)
class Rows:
    """Rows of one table, with labels as class names."""

    columns: Mapping[str, Sequence[object]]
    labels: Sequence[str]
    kinds: Mapping[str, ColumnKind] = field(
        default_factory=lambda: {"age": ColumnKind.NUMBER, "city": ColumnKind.CATEGORY}
    )


def make_rows(count: int, *, seed: int, bad_fraction: float = 0.0) -> Rows:
    """Return rows of two classes that age and city tell apart; a bad row has the other's name."""
    generator = np.random.default_rng(seed)
    classes = np.arange(count) % len(CLASS_NAMES)
    ages = 30.0 + 20.0 * classes + generator.normal(size=count)
    cities = [_CITIES[kind][int(place)] for kind, place in zip(classes, ages % 2, strict=True)]
    is_bad = generator.random(count) < bad_fraction
    labels = [CLASS_NAMES[index] for index in np.where(is_bad, 1 - classes, classes)]
    return Rows({"age": ages.tolist(), "city": cities}, labels)


def add_rows(place: JobPlace, role: Role, rows: Rows) -> DatasetId:
    """Store rows as validation would, and return their ready dataset."""
    columns = {f"{FEATURE_PREFIX}{name}": pa.array(own) for name, own in rows.columns.items()}
    return store_ready(
        place,
        role,
        normalised_file(role, rows.labels, class_names=CLASS_NAMES, **columns),
        labels=rows.labels,
        class_names=CLASS_NAMES,
        modality=Modality.TABULAR,
        input_shape=[len(rows.columns)],
        feature_columns=[FeatureColumn(name, kind) for name, kind in rows.kinds.items()],
    )
