"""The features of one sample, and where they lie among those of the kept samples."""

import json
import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from api.schemas.results import FeatureView
from curation import results
from curation.errors import NotFoundError
from curation.identifiers import JobId
from curation.objects import ObjectStore

_FEATURES = "features"
_FEATURE_NAMES = "feature_names"


@dataclass(frozen=True)
class FeatureTable:
    """Where the features of a job's samples lie.

    Attributes:
        values_digest: Raw float32, [sample, feature], row by row.
        names_digest: JSON list of the features' names.
    """

    values_digest: str
    names_digest: str

    @classmethod
    def of_job(cls, session: Session, job_id: JobId) -> Self:
        """Return the table of a job.

        Raises:
            NotFoundError: The job's method has no features.
        """
        values = results.job_object(session, job_id, _FEATURES)
        names = results.job_object(session, job_id, _FEATURE_NAMES)
        if values is None or names is None:
            raise NotFoundError("FEATURES_NOT_FOUND", "The job has recorded no features.")
        return cls(values_digest=values, names_digest=names)


def describe_sample(
    store: ObjectStore, table: FeatureTable, *, position: int, keep: NDArray[np.bool_]
) -> list[FeatureView]:
    """Return the features of the sample at `position`; linear in the number of samples.

    Args:
        store: Holds the table's files.
        table: The features of all samples.
        position: The sample, from 0.
        keep: [sample], bool: the samples to compare with.
    """
    with store.open(table.names_digest) as file:
        names: list[str] = json.load(file)
    with store.local_path(table.values_digest) as path:
        # Mapped, not read: a page of the file is fetched when a comparison needs it.
        flat = np.memmap(path, dtype="<f4", mode="r")
        values = flat.reshape(-1, len(names))
        own = np.asarray(values[position])
        below = _count_below(values, own, keep)
    kept_count = int(keep.sum())
    return [
        FeatureView(
            name=name,
            value=float(value) if math.isfinite(value) else None,
            percentile_among_kept=100.0 * float(count) / kept_count if kept_count else None,
        )
        for name, value, count in zip(names, own, below, strict=True)
    ]


# Rows compared at once: a few megabytes, whatever the number of samples.
_BLOCK_ROWS = 65_536


def _count_below(
    values: NDArray[np.float32], own: NDArray[np.float32], keep: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return for each feature how many kept samples have a lower value."""
    below = np.zeros(own.shape[0], dtype=np.int64)
    for start in range(0, values.shape[0], _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        below += (values[block][keep[block]] < own).sum(axis=0)
    return below
