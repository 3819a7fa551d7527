"""The way of an upload into the database, with the decoding in a process of its own."""

import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest
from sample_world import Service, embeddings, npz_bytes
from sqlalchemy import func, select, update
from uploads import class_folders, zipped

from curation.database import unit_of_work
from curation.datasets import (
    DatasetRequest,
    attach_content,
    create_dataset,
    delete_dataset,
    get_dataset,
    list_datasets,
    list_rejections,
)
from curation.errors import ConflictError, InvalidInputError, NotFoundError
from curation.identifiers import DatasetId, WorkspaceId, new_id
from curation.ingest import validate_and_record
from curation.intake import ValidationRequest
from curation.models import Dataset, DatasetRejection, DatasetState, Modality, ObjectRow, Role
from curation.object_rows import remove_files
from curation.validation import Refusal, Validation
from curation.validation_limits import ValidationLimits
from curation.validation_process import ValidationInterruptedError, run_validation

SOUND = npz_bytes(**embeddings(20))
BROKEN = b"\x00\x01 is no archive"


def upload(service: Service, content: bytes, file_name: str = "a.npz") -> DatasetId:
    stored = service.store.put_bytes(content)
    with unit_of_work(service.engine) as session:
        request = DatasetRequest(name="upload", role=Role.SYNTHETIC)
        row = create_dataset(session, service.workspace, request, service.now)
        attach_content(session, service.workspace, DatasetId(row.id), stored, file_name)
        return DatasetId(row.id)


def validate(service: Service, dataset_id: DatasetId) -> bool:
    return validate_and_record(
        service.engine, service.store, dataset_id, service.settings, service.now
    )


def row_of(service: Service, dataset_id: DatasetId) -> Dataset:
    with unit_of_work(service.engine) as session:
        return get_dataset(session, service.workspace, dataset_id)


def test_sound_upload_becomes_ready(service: Service) -> None:
    dataset_id = upload(service, SOUND)
    assert validate(service, dataset_id)
    row = row_of(service, dataset_id)
    assert (row.state, row.modality, row.sample_count) == (
        DatasetState.READY,
        Modality.EMBEDDING,
        20,
    )
    assert (row.class_names, row.class_counts) == (["0", "1"], {"0": 10, "1": 10})
    assert (row.input_shape, row.validated_at) == ([4], service.now)
    assert row.samples_digest is not None
    with service.store.open(row.samples_digest) as file:
        assert pq.read_metadata(file).num_rows == 20


def test_broken_upload_becomes_invalid_and_may_be_replaced(service: Service) -> None:
    dataset_id = upload(service, BROKEN)
    assert validate(service, dataset_id)
    row = row_of(service, dataset_id)
    assert (row.state, row.failure_reason, row.failure_field) == (
        DatasetState.INVALID,
        "NOT_WHAT_NAME_SAYS",
        "content",
    )
    assert row.failure_detail
    assert row.failure_cure
    assert row.samples_digest is None
    stored = service.store.put_bytes(SOUND)
    with unit_of_work(service.engine) as session:
        attach_content(session, service.workspace, dataset_id, stored, "b.npz")
    assert validate(service, dataset_id)
    row = row_of(service, dataset_id)
    assert (row.state, row.failure_reason, row.content_name) == (DatasetState.READY, None, "b.npz")


def test_rejected_rows_are_recorded_with_their_reasons(service: Service) -> None:
    files = class_folders(12) | {f"cat/bad{index}.png": b"hello" for index in range(3)}
    dataset_id = upload(service, zipped(files), "a.zip")
    assert validate(service, dataset_id)
    assert row_of(service, dataset_id).rejected_count == 3
    with unit_of_work(service.engine) as session:
        page = list_rejections(session, service.workspace, dataset_id, limit=2)
        rest = list_rejections(session, service.workspace, dataset_id, after=page[-1].ordinal)
    assert [(r.ordinal, r.row, r.name, r.reason) for r in [*page, *rest]] == [
        (0, 13, "cat/bad0.png", "NOT_WHAT_NAME_SAYS"),
        (1, 14, "cat/bad1.png", "NOT_WHAT_NAME_SAYS"),
        (2, 15, "cat/bad2.png", "NOT_WHAT_NAME_SAYS"),
    ]


def test_second_validation_changes_nothing(service: Service) -> None:
    dataset_id = upload(service, SOUND)
    assert validate(service, dataset_id)
    assert not validate(service, dataset_id)
    assert row_of(service, dataset_id).validation_attempts == 1


def test_validation_that_somebody_holds_is_left_to_them(service: Service) -> None:
    dataset_id = upload(service, SOUND)
    with unit_of_work(service.engine) as session:
        later = func.now() + timedelta(minutes=1)
        session.execute(
            update(Dataset).values(validation_attempts=1, validation_lease_expires_at=later)
        )
    assert not validate(service, dataset_id)


def test_late_validation_writes_nothing(service: Service) -> None:
    dataset_id = upload(service, SOUND)

    def take_over() -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with unit_of_work(service.engine) as session:
                taken = session.scalars(
                    update(Dataset)
                    .where(Dataset.validation_attempts == 1)
                    .values(validation_attempts=2)
                    .returning(Dataset.id)
                ).one_or_none()
            if taken is not None:
                return

    thief = threading.Thread(target=take_over)
    thief.start()
    assert not validate(service, dataset_id)
    thief.join()
    assert row_of(service, dataset_id).state is DatasetState.VALIDATING
    with unit_of_work(service.engine) as session:
        assert session.scalar(select(func.count()).select_from(ObjectRow)) == 1


def test_content_that_is_lost_is_told(service: Service) -> None:
    dataset_id = upload(service, SOUND)
    digest = row_of(service, dataset_id).content_digest
    assert digest is not None
    service.store.delete(digest)
    assert validate(service, dataset_id)
    assert row_of(service, dataset_id).failure_reason == "CONTENT_LOST"


def test_dataset_that_is_gone_is_no_error(service: Service) -> None:
    assert not validate(service, DatasetId(new_id()))


def test_deleting_a_dataset_leaves_no_row_and_no_object(service: Service) -> None:
    files = class_folders(12) | {"cat/bad.png": b"hello"}
    dataset_id = upload(service, zipped(files), "a.zip")
    assert validate(service, dataset_id)
    assert len(list(service.store.list_digests())) == 2
    with unit_of_work(service.engine) as session:
        orphans = delete_dataset(session, service.workspace, dataset_id)
    assert remove_files(service.store, orphans) == 2
    assert list(service.store.list_digests()) == []
    with unit_of_work(service.engine) as session:
        for model in (Dataset, DatasetRejection, ObjectRow):
            assert session.scalar(select(func.count()).select_from(model)) == 0
    with pytest.raises(NotFoundError):
        row_of(service, dataset_id)


@pytest.mark.parametrize("state", [DatasetState.VALIDATING, DatasetState.READY])
def test_content_that_was_taken_in_does_not_change(service: Service, state: DatasetState) -> None:
    dataset_id = upload(service, SOUND)
    if state is DatasetState.READY:
        assert validate(service, dataset_id)
    stored = service.store.put_bytes(BROKEN)
    with pytest.raises(ConflictError) as caught, unit_of_work(service.engine) as session:
        attach_content(session, service.workspace, dataset_id, stored, "b.npz")
    assert caught.value.reason == "DATASET_HAS_CONTENT"


@pytest.mark.parametrize(
    ("content", "file_name", "reason"),
    [(SOUND, "a.exe", "UNSUPPORTED_FORMAT"), (b"", "a.npz", "EMPTY_DATASET")],
)
def test_content_that_can_never_pass_is_refused_at_once(
    service: Service, content: bytes, file_name: str, reason: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        upload(service, content, file_name)
    assert caught.value.reason == reason
    assert caught.value.cure


def test_lists_are_paged_and_kept_apart_by_workspace(service: Service) -> None:
    made = [upload(service, SOUND) for _ in range(3)]
    with unit_of_work(service.engine) as session:
        first = list_datasets(session, service.workspace, limit=2)
        last = first[-1]
        rest = list_datasets(session, service.workspace, after=(last.created_at, last.id), limit=2)
        assert [row.id for row in [*first, *rest]] == made[::-1]
        assert list_datasets(session, service.workspace, role=Role.TEST) == []
        assert list_datasets(session, WorkspaceId(new_id())) == []


@pytest.fixture
def run(tmp_path: Path, limits: ValidationLimits) -> Callable[..., Validation | Refusal]:
    """Runs the child on a sound upload, under other limits."""

    def run_child(
        content: bytes = SOUND,
        file_name: str = "a.npz",
        *,
        keep_going: Callable[[], bool] = lambda: True,
        **caps: int,
    ) -> Validation | Refusal:
        path = tmp_path / "upload"
        path.write_bytes(content)
        return run_validation(
            path,
            tmp_path / "samples.parquet",
            request=ValidationRequest(file_name=file_name, role=Role.SYNTHETIC),
            limits=replace(limits, **caps),
            keep_going=keep_going,
        )

    return run_child


def test_child_that_needs_too_much_memory_is_refused(
    run: Callable[..., Validation | Refusal],
) -> None:
    # Column after column, so all of its 400 MB have to be in memory at once.
    buffer = io.BytesIO()
    vectors = np.zeros((100_000, 500), dtype=np.float64, order="F")
    np.savez_compressed(buffer, x=vectors, y=np.arange(100_000) % 2)
    outcome = run(
        buffer.getvalue(), max_validation_memory_bytes=600 << 20, max_archive_ratio=10_000
    )
    assert isinstance(outcome, Refusal)
    assert outcome.error.reason == "VALIDATION_OUT_OF_MEMORY"


def test_child_that_takes_too_long_is_refused(run: Callable[..., Validation | Refusal]) -> None:
    outcome = run(max_validation_seconds=0)
    assert isinstance(outcome, Refusal)
    assert outcome.error.reason == "VALIDATION_TOO_SLOW"


def test_child_whose_claim_is_lost_is_ended(run: Callable[..., Validation | Refusal]) -> None:
    with pytest.raises(ValidationInterruptedError):
        run(keep_going=lambda: False)


VALIDATE = """
import json, sys
from pathlib import Path
from curation.intake import ValidationRequest
from curation.models import Role
from curation.validation_limits import ValidationLimits
from curation.validation_process import run_validation
path, limits = Path(sys.argv[1]), ValidationLimits(**json.loads(sys.argv[2]))
request = ValidationRequest(file_name="a.csv", role=Role.TEST)
destination = path.with_name("samples.parquet")
run_validation(path, destination, request=request, limits=limits, keep_going=lambda: True)
"""


def test_child_ends_with_its_parent(tmp_path: Path, limits: ValidationLimits) -> None:
    # Nobody ever writes to it, so the child that reads it does not end by itself.
    endless = tmp_path / "upload"
    os.mkfifo(endless)
    command = [sys.executable, "-c", VALIDATE, str(endless), json.dumps(asdict(limits))]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2]) as parent:
        children = psutil.Process(parent.pid).children
        wait_until(lambda: bool(children()) and is_limited(children()[0]))
        (child,) = children()
        parent.kill()
    psutil.wait_procs([child], timeout=10)
    assert not child.is_running()


def is_limited(process: psutil.Process) -> bool:
    """Whether a child has limited itself, which it does just before it decodes."""
    return process.rlimit(psutil.RLIMIT_NOFILE)[0] == 64


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
