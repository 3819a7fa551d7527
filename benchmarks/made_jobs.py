"""Writes datasets and finished jobs of any size into a service, as its workers write them."""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from running_service import RunningService

from curation import jobs
from curation.clock import utc_now
from curation.database import unit_of_work
from curation.identifiers import DatasetId, JobId, new_id
from curation.models import Dataset, DatasetState, Modality, Role
from curation.object_rows import record_object
from curation.sample_files import ROW_GROUP_ROWS
from mts_core.embedding_map import NEIGHBOUR_COMPONENTS
from mts_core.encoders.conditioning import Conditioning
from mts_core.pipeline_report import CurationResult, EncodedRun
from worker.dataset_loader import PoolRows
from worker.phase_clock import PhaseClock
from worker.result_writer import write_result

FEATURE_COUNT: Final = 22
_BAD_SHARE: Final = 0.3
_KEPT_FROM: Final = 0.35
_LEASE_SECONDS: Final = 3600.0


@dataclass(frozen=True, eq=False)
class MadePool:
    """Samples that were never looked at, and what a run might have found of them.

    Attributes:
        class_names: Names of the classes.
        rows: Ids and labels, by position.
        result: Scores, weights, ranks, cut, features and map.
    """

    class_names: Sequence[str]
    rows: PoolRows
    result: CurationResult


def make_pool(class_names: Sequence[str], shares: Sequence[float], count: int) -> MadePool:
    """Return a pool of `count` samples, of which three tenths are bad.

    Args:
        class_names: Names of the classes.
        shares: How likely a sample is of each.
        count: Number of samples.
    """
    generator = np.random.default_rng(0)
    labels = generator.choice(len(shares), size=count, p=shares)
    is_bad = generator.random(count) < _BAD_SHARE
    scores = np.where(is_bad, generator.beta(1.2, 9, count), generator.beta(6, 2, count))
    scores = scores.astype(np.float32)
    ranks = np.empty(count, dtype=np.int64)
    ranks[np.argsort(-scores, kind="stable")] = np.arange(count)
    ids = pa.chunked_array([[f"{position}.png" for position in range(count)]])
    result = CurationResult(
        scores=scores,
        weights=scores / scores.mean(),
        ranks=ranks,
        keep=scores >= np.float32(_KEPT_FROM),
        features=generator.standard_normal((count, FEATURE_COUNT), dtype=np.float32),
        feature_names=tuple(f"feature {index}" for index in range(FEATURE_COUNT)),
        traces={},
        report={"rows": []},
        encoded=_encode(labels, is_bad, generator),
    )
    return MadePool(class_names=class_names, rows=PoolRows(ids, labels), result=result)


def _encode(
    labels: NDArray[np.int64], is_bad: NDArray[np.bool_], generator: np.random.Generator
) -> EncodedRun:
    """Return classes as clouds around a circle, with noise in the other components."""
    angles = 2 * np.pi * labels / (labels.max() + 1)
    spread = np.where(is_bad, 0.35, 0.16).astype(np.float32)[:, None]
    pool = spread * generator.standard_normal((len(labels), NEIGHBOUR_COMPONENTS), dtype=np.float32)
    pool[:, 0] += np.cos(angles)
    pool[:, 1] += np.sin(angles)
    axes = np.eye(NEIGHBOUR_COMPONENTS, dtype=np.float32)
    unmoved = Conditioning(mean=np.zeros(NEIGHBOUR_COMPONENTS, dtype=np.float32), projection=axes)
    return EncodedRun(
        encoder="made up", conditioning=unmoved, pool=pool, reference=pool[:1], fitted=None
    )


def add_sets(service: RunningService, pool: MadePool) -> tuple[DatasetId, DatasetId]:
    """Return a synthetic dataset of the pool's samples and a reference set of a hundred."""
    labels = pool.rows.labels
    sets = ((Role.SYNTHETIC, labels), (Role.REFERENCE, labels[:100]))
    synthetic, reference = (_add_set(service, pool.class_names, *part) for part in sets)
    return synthetic, reference


def _add_set(
    service: RunningService, class_names: Sequence[str], role: Role, labels: NDArray[np.int64]
) -> DatasetId:
    count = len(labels)
    names = [f"{position}.png" for position in range(count)]
    table = pa.table(
        {
            "position": pa.array(range(count), pa.int32()),
            "sample_id": names,
            "file_name": names,
            "label": pa.array(labels, pa.int64()),
            "is_real": pa.array([role is not Role.SYNTHETIC] * count),
        }
    )
    with tempfile.TemporaryDirectory(prefix="winnow-bench-") as folder:
        path = Path(folder) / "samples.parquet"
        pq.write_table(table, path, row_group_size=ROW_GROUP_ROWS)
        stored = service.store.put_file(path)
    dataset_id = DatasetId(new_id())
    counts = np.bincount(labels, minlength=len(class_names)).tolist()
    with unit_of_work(service.engine) as session:
        record_object(session, stored)
        session.add(
            Dataset(
                id=dataset_id, workspace_id=service.workspace_id, name=f"{count} {role}", role=role,
                modality=Modality.EMBEDDING, state=DatasetState.READY,
                content_digest=stored.digest, content_name="samples.npz",
                content_bytes=stored.size_bytes, samples_digest=stored.digest,
                sample_count=count, rejected_count=0, class_names=list(class_names),
                class_counts=dict(zip(class_names, counts, strict=True)), input_shape=[2],
                created_at=utc_now(), validated_at=utc_now(),
            )
        )  # fmt: skip
    return dataset_id


def queue_job(service: RunningService, sets: tuple[DatasetId, DatasetId]) -> JobId:
    """Return a new queued job."""
    with unit_of_work(service.engine) as session:
        created = jobs.create_job(
            session,
            workspace_id=service.workspace_id,
            request=jobs.JobRequest(synthetic_id=sets[0], reference_id=sets[1], config={}),
            settings=service.settings,
            now=utc_now(),
        )
    return JobId(created.job.id)


def start_job(service: RunningService, sets: tuple[DatasetId, DatasetId]) -> jobs.Claim:
    """Return the claim of a new job, which runs from now on."""
    job_id = queue_job(service, sets)
    with unit_of_work(service.engine) as session:
        claim = jobs.claim_job(session, job_id, runner="bench", lease_seconds=_LEASE_SECONDS)
    assert claim is not None
    return claim


def finish_job(service: RunningService, claim: jobs.Claim, pool: MadePool) -> None:
    """Write all that a run found, by the worker's own way, and end the job."""
    with tempfile.TemporaryDirectory(prefix="winnow-bench-") as scratch:
        is_written = write_result(
            service.engine,
            service.store,
            claim,
            rows=pool.rows,
            result=pool.result,
            selector=None,
            phase_clock=PhaseClock(time.monotonic),
            scratch=Path(scratch),
            clock=utc_now,
        )
    assert is_written, "the claim was lost"
