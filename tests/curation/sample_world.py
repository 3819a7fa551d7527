"""Datasets, jobs and results that are made the way the service makes them."""

import io
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import Engine

from curation.database import unit_of_work
from curation.identifiers import DatasetId, JobId, WorkspaceId
from curation.jobs import Claim, JobRequest, claim_job, create_job
from curation.models import Dataset, DatasetState
from curation.objects import LocalObjectStore
from curation.results import ResultRows, TraceSeries, finish_job, stage_results
from curation.settings import CurationSettings
from curation.validation import Validation

POOL_SIZE = 40
REPORT = {"rows": [], "recommendation": "mts_weighted"}


@dataclass(frozen=True)
class Service:
    """What every test of the domain needs."""

    engine: Engine
    store: LocalObjectStore
    settings: CurationSettings
    workspace: WorkspaceId
    now: datetime


@dataclass(frozen=True)
class World:
    """A workspace with two datasets that fit together."""

    service: Service
    synthetic: DatasetId
    reference: DatasetId

    @property
    def engine(self) -> Engine:
        return self.service.engine

    @property
    def store(self) -> LocalObjectStore:
        return self.service.store

    @property
    def settings(self) -> CurationSettings:
        return self.service.settings

    @property
    def workspace(self) -> WorkspaceId:
        return self.service.workspace

    @property
    def now(self) -> datetime:
        return self.service.now

    def request(self, **changes: Any) -> JobRequest:
        values = {"synthetic_id": self.synthetic, "reference_id": self.reference, "config": {}}
        return JobRequest(**{**values, **changes})

    def create_job(self, **changes: Any) -> JobId:
        key = changes.pop("idempotency_key", None)
        with unit_of_work(self.engine) as session:
            created = create_job(
                session,
                workspace_id=changes.pop("workspace_id", self.workspace),
                request=self.request(**changes),
                settings=self.settings,
                now=self.now,
                idempotency_key=key,
            )
            return JobId(created.job.id)

    def claim(self, job_id: JobId, *, lease_seconds: float = 60.0) -> Claim | None:
        with unit_of_work(self.engine) as session:
            return claim_job(session, job_id, runner="a test", lease_seconds=lease_seconds)

    def claimed_job(self, *, lease_seconds: float = 60.0, **changes: Any) -> Claim:
        claim = self.claim(self.create_job(**changes), lease_seconds=lease_seconds)
        assert claim is not None
        return claim

    def finish(self, claim: Claim, rows: ResultRows | None = None) -> bool:
        staged = stage_results(self.engine, claim, [rows or result_rows()])
        features = self.store.put_bytes(np.ones((POOL_SIZE, 22), np.float32).tobytes())
        with unit_of_work(self.engine) as session:
            return finish_job(
                session,
                claim,
                staged,
                traces={"classifier_loss": TraceSeries([1, 2, 3], [0.5, 0.25, 0.125])},
                report=REPORT,
                objects={"features": features},
                now=self.now,
            )

    def finished_job(self, rows: ResultRows | None = None) -> JobId:
        claim = self.claimed_job()
        assert self.finish(claim, rows)
        return claim.job_id


def result_rows(count: int = POOL_SIZE, **changes: Any) -> ResultRows:
    """Results whose scores fall with the position of the permutation 7 i mod n."""
    order = (7 * np.arange(count)) % count
    scores = ((count - order) / (count + 1)).astype(np.float32)
    values = {
        "first_position": 0,
        "sample_ids": [f"sample {index}" for index in range(count)],
        "labels": np.arange(count, dtype=np.int64) % 2,
        "scores": scores,
        "weights": scores / scores.mean(),
        "ranks": order.astype(np.int64),
        "keep": order < count // 2,
    }
    return ResultRows(**{**values, **changes})


def npz_bytes(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def embeddings(count: int, *, classes: int = 2, dimension: int = 4) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(count)
    return {
        "x": generator.normal(size=(count, dimension)).astype(np.float32),
        "y": np.arange(count) % classes,
    }


def mark_ready(row: Dataset, outcome: Validation, digest: str, now: datetime) -> None:
    values = {
        "state": DatasetState.READY,
        "modality": outcome.modality,
        "samples_digest": digest,
        "sample_count": outcome.sample_count,
        "class_names": list(outcome.class_names),
        "class_counts": dict(outcome.class_counts),
        "input_shape": list(outcome.input_shape) if outcome.input_shape else None,
        "feature_columns": [asdict(column) for column in outcome.feature_columns] or None,
        "validated_at": now,
    }
    for name, value in values.items():
        setattr(row, name, value)
