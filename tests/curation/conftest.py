"""Fixtures of the domain: uploads that are validated, and a workspace with datasets."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sample_world import POOL_SIZE, Service, World, embeddings, mark_ready, npz_bytes
from sqlalchemy import Engine

from curation.database import unit_of_work
from curation.datasets import DatasetRequest, attach_content, create_dataset
from curation.identifiers import DatasetId, WorkspaceId
from curation.ingest import limits_of
from curation.intake import ValidationRequest
from curation.models import Role
from curation.object_rows import record_object
from curation.objects import LocalObjectStore
from curation.settings import CurationSettings
from curation.validation import Refusal, Validation, validate_dataset
from curation.validation_limits import ValidationLimits

Validated = dict[tuple[bytes, str, Role], tuple[Validation, bytes]]


@pytest.fixture
def limits(settings: CurationSettings) -> ValidationLimits:
    return limits_of(settings)


@pytest.fixture
def validate(tmp_path: Path, limits: ValidationLimits) -> Callable[..., Validation | Refusal]:
    """Validates bytes in this process; the normalised file is tmp_path/samples.parquet."""

    def run(
        content: bytes, file_name: str, *, role: Role = Role.SYNTHETIC, **changes: Any
    ) -> Validation | Refusal:
        path = tmp_path / "upload"
        path.write_bytes(content)
        caps = {name: changes.pop(name) for name in list(changes) if name.startswith("max_")}
        request = ValidationRequest(file_name=file_name, role=role, **changes)
        return validate_dataset(
            path, tmp_path / "samples.parquet", request, replace(limits, **caps)
        )

    return run


@pytest.fixture
def service(
    engine: Engine,
    object_store: LocalObjectStore,
    settings: CurationSettings,
    workspace: WorkspaceId,
    now: datetime,
) -> Service:
    return Service(engine, object_store, settings, workspace, now)


@pytest.fixture(scope="session")
def validated() -> Validated:
    """What was validated before; most tests begin with the same two uploads."""
    return {}


@pytest.fixture
def ready_dataset(
    service: Service,
    validate: Callable[..., Validation | Refusal],
    validated: Validated,
    tmp_path: Path,
) -> Callable[..., DatasetId]:
    """Makes datasets that passed validation, without the cost of a process for each."""

    def make(
        content: bytes,
        file_name: str,
        *,
        role: Role = Role.SYNTHETIC,
        workspace_id: WorkspaceId = service.workspace,
    ) -> DatasetId:
        key = (content, file_name, role)
        if key not in validated:
            outcome = validate(content, file_name, role=role)
            assert isinstance(outcome, Validation), outcome
            validated[key] = outcome, (tmp_path / "samples.parquet").read_bytes()
        outcome, normalised = validated[key]
        samples = service.store.put_bytes(normalised)
        stored = service.store.put_bytes(content)
        request = DatasetRequest(name="a", role=role)
        with unit_of_work(service.engine) as session:
            row = create_dataset(session, workspace_id, request, service.now)
            attach_content(session, workspace_id, DatasetId(row.id), stored, file_name)
            record_object(session, samples)
            mark_ready(row, outcome, samples.digest, service.now)
            return DatasetId(row.id)

    return make


@pytest.fixture
def world(service: Service, ready_dataset: Callable[..., DatasetId]) -> World:
    return World(
        service,
        synthetic=ready_dataset(npz_bytes(**embeddings(POOL_SIZE)), "pool.npz"),
        reference=ready_dataset(npz_bytes(**embeddings(8)), "ref.npz", role=Role.REFERENCE),
    )
