"""Puts small embedding datasets and jobs straight into the database, without an upload."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from sqlalchemy import Engine

from curation.clock import utc_now
from curation.database import unit_of_work
from curation.feature_columns import FeatureColumn, columns_to_json
from curation.identifiers import DatasetId, JobId, SelectorId, WorkspaceId, new_id
from curation.job_requests import JobRequest, ScoreRequest
from curation.jobs import create_job, create_score_job, get_job
from curation.models import Dataset, DatasetState, Job, Modality, Role
from curation.object_rows import record_object
from curation.objects import ObjectStore
from curation.settings import CurationSettings

CLASS_NAMES = ("ant", "bee")
DIMENSION = 6
# A run that passes through every phase in a second or two.
TINY_CONFIG: dict[str, Any] = {
    "classifier": "linear",
    "steps": 12,
    "batch_size": 16,
    "gsnr_every": 4,
    "evaluate": False,
}


@dataclass(frozen=True)
class Samples:
    """Embeddings of one set, with labels as class names."""

    embeddings: NDArray[np.float32]
    labels: Sequence[str]


@dataclass(frozen=True)
class JobPlace:
    """Where jobs are put: a database, a store, a workspace and the installation's settings."""

    engine: Engine
    store: ObjectStore
    workspace: WorkspaceId
    settings: CurationSettings


def make_samples(count: int, *, seed: int, bad_fraction: float = 0.0) -> Samples:
    """Return two classes of Gaussian embeddings; bad samples carry the other class's name."""
    generator = np.random.default_rng(seed)
    classes = np.arange(count) % len(CLASS_NAMES)
    centres = np.where(classes == 0, -1.0, 1.0)[:, None]
    embeddings = (centres + generator.normal(size=(count, DIMENSION))).astype(np.float32)
    is_bad = generator.random(count) < bad_fraction
    labels = [CLASS_NAMES[index] for index in np.where(is_bad, 1 - classes, classes)]
    return Samples(embeddings, labels)


def add_dataset(
    place: JobPlace,
    role: Role,
    samples: Samples,
    *,
    class_names: Sequence[str] = CLASS_NAMES,
) -> DatasetId:
    """Store samples as validation would, and return their ready dataset."""
    return store_ready(
        place,
        role,
        normalised_parquet(role, samples, class_names=class_names),
        labels=samples.labels,
        class_names=class_names,
        modality=Modality.EMBEDDING,
        input_shape=[samples.embeddings.shape[1]],
    )


def store_ready(  # noqa: PLR0913 - what validation says of a dataset.
    place: JobPlace,
    role: Role,
    normalised: bytes,
    *,
    labels: Sequence[str],
    class_names: Sequence[str],
    modality: Modality,
    input_shape: list[int] | None,
    feature_columns: Sequence[FeatureColumn] | None = None,
) -> DatasetId:
    """Store a normalised file and return the ready dataset that it is the content of."""
    stored = place.store.put_bytes(normalised)
    dataset_id = DatasetId(new_id())
    now = utc_now()
    row = Dataset(
        id=dataset_id,
        workspace_id=place.workspace,
        name=f"tiny {role}",
        role=role,
        modality=modality,
        state=DatasetState.READY,
        content_digest=stored.digest,
        content_name="tiny.npz",
        content_bytes=stored.size_bytes,
        samples_digest=stored.digest,
        sample_count=len(labels),
        rejected_count=0,
        class_names=list(class_names),
        class_counts={name: list(labels).count(name) for name in class_names},
        input_shape=input_shape,
        feature_columns=columns_to_json(feature_columns),
        created_at=now,
        validated_at=now,
    )
    with unit_of_work(place.engine) as session:
        record_object(session, stored)
        session.add(row)
    return dataset_id


def normalised_parquet(role: Role, samples: Samples, *, class_names: Sequence[str]) -> bytes:
    """Return the file that validation makes of embeddings."""
    vectors = pa.array(samples.embeddings.reshape(-1))
    column = pa.FixedSizeListArray.from_arrays(vectors, samples.embeddings.shape[1])
    return normalised_file(role, samples.labels, class_names=class_names, embedding=column)


def normalised_file(
    role: Role, labels: Sequence[str], *, class_names: Sequence[str], **inputs: pa.Array
) -> bytes:
    """Return the file that validation makes of samples, with their inputs as named columns."""
    index = {name: position for position, name in enumerate(class_names)}
    count = len(labels)
    table = pa.table(
        {
            "position": pa.array(range(count), pa.int32()),
            "sample_id": [f"{role}/{position}" for position in range(count)],
            "file_name": pa.nulls(count, pa.string()),
            "label": pa.array([index[name] for name in labels], pa.int64()),
            "is_real": pa.array([role is not Role.SYNTHETIC] * count),
            **inputs,
        }
    )
    content = io.BytesIO()
    pq.write_table(table, content, row_group_size=1024)
    return content.getvalue()


def queue_tiny_job(place: JobPlace, **config: Any) -> JobId:  # JSON values.
    """Return a queued job on 64 synthetic and 16 reference samples."""
    return queue_job(
        place,
        add_dataset(place, Role.SYNTHETIC, make_samples(64, seed=1, bad_fraction=0.3)),
        add_dataset(place, Role.REFERENCE, make_samples(16, seed=2)),
        **config,
    )


def queue_job(
    place: JobPlace,
    synthetic_id: DatasetId,
    reference_id: DatasetId,
    **config: Any,  # JSON values.
) -> JobId:
    """Return a queued job on two datasets, with settings on top of the tiny ones."""
    request = JobRequest(
        synthetic_id=synthetic_id,
        reference_id=reference_id,
        config={**TINY_CONFIG, **config},
    )
    with unit_of_work(place.engine) as session:
        created = create_job(
            session,
            workspace_id=place.workspace,
            request=request,
            settings=place.settings,
            now=utc_now(),
        )
        return JobId(created.job.id)


def queue_score_job(place: JobPlace, selector_id: SelectorId, synthetic_id: DatasetId) -> JobId:
    """Return a queued job that scores a dataset by a selector."""
    with unit_of_work(place.engine) as session:
        created = create_score_job(
            session,
            workspace_id=place.workspace,
            request=ScoreRequest(selector_id=selector_id, synthetic_id=synthetic_id),
            settings=place.settings,
            now=utc_now(),
        )
        return JobId(created.job.id)


def read_job(place: JobPlace, job_id: JobId) -> Job:
    """Return a job as the database has it now."""
    with unit_of_work(place.engine) as session:
        return get_job(session, place.workspace, job_id)
