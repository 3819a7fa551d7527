"""Looks at what happens to an uploaded dataset, for the tests that break something meanwhile."""

import io
from dataclasses import dataclass

import numpy as np
from embedding_jobs import JobPlace, make_samples

from curation.clock import utc_now
from curation.database import unit_of_work
from curation.datasets import DatasetRequest, attach_content, create_dataset, get_dataset
from curation.identifiers import DatasetId
from curation.job_queue import make_celery, ring_validation
from curation.models import Dataset, DatasetState, Role


@dataclass(frozen=True)
class ValidationWatch:
    """One uploaded dataset, from outside."""

    place: JobPlace
    dataset_id: DatasetId

    def ring(self) -> None:
        assert ring_validation(make_celery(self.place.settings.broker_url), self.dataset_id)

    @property
    def row(self) -> Dataset:
        with unit_of_work(self.place.engine) as session:
            return get_dataset(session, self.place.workspace, self.dataset_id)

    def is_in(self, state: DatasetState) -> bool:
        return self.row.state is state


def npz_content(count: int) -> bytes:
    """Return a sound upload of so many samples."""
    samples = make_samples(count, seed=count)
    content = io.BytesIO()
    np.savez(content, x=samples.embeddings, y=np.array(samples.labels))
    return content.getvalue()


def upload_sound_dataset(place: JobPlace, *, count: int = 40) -> ValidationWatch:
    """Return a dataset of so many samples whose content waits for its validation."""
    stored = place.store.put_bytes(npz_content(count))
    with unit_of_work(place.engine) as session:
        request = DatasetRequest(name="upload", role=Role.SYNTHETIC)
        row = create_dataset(session, place.workspace, request, utc_now())
        dataset_id = DatasetId(row.id)
        attach_content(session, place.workspace, dataset_id, stored, "samples.npz")
    return ValidationWatch(place, dataset_id)
