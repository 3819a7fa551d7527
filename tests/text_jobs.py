"""Puts small text datasets straight into the database, without an upload."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
from embedding_jobs import CLASS_NAMES, JobPlace, normalised_file, store_ready

from curation.identifiers import DatasetId
from curation.models import Modality, Role

_WORDS = (("An ant", "carries a leaf", "home"), ("A bee", "flies over flowers", "for honey"))


@dataclass(frozen=True)
class Texts:
    """Texts of one set, with labels as class names."""

    texts: Sequence[str]
    labels: Sequence[str]


def make_texts(count: int) -> Texts:
    """Return texts of two classes in turn, each of them another text."""
    kinds = [index % len(CLASS_NAMES) for index in range(count)]
    texts = [f"{' '.join(_WORDS[kind])}, {index} times." for index, kind in enumerate(kinds)]
    return Texts(texts, [CLASS_NAMES[kind] for kind in kinds])


def add_texts(place: JobPlace, role: Role, samples: Texts) -> DatasetId:
    """Store texts as validation would, and return their ready dataset."""
    column = pa.array(samples.texts)
    return store_ready(
        place,
        role,
        normalised_file(role, samples.labels, class_names=CLASS_NAMES, text=column),
        labels=samples.labels,
        class_names=CLASS_NAMES,
        modality=Modality.TEXT,
        input_shape=None,
    )
