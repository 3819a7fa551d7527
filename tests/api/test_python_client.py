"""The Python clients against the real application over a socket, with results at hand."""

import asyncio
import io
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pyarrow.parquet as pq
import pytest
from callers import POOL_SIZE, Finished, Sets
from sqlalchemy import Engine

from curation import jobs
from curation.database import unit_of_work
from curation.objects import LocalObjectStore
from winnow import (
    AsyncClient,
    Client,
    ConflictError,
    DatasetRequest,
    ForbiddenError,
    InputError,
    InvalidRequestError,
    JobEstimate,
    JobFailedError,
    JobRequest,
    JobState,
    KeyRequest,
    NotFoundError,
    Role,
    Scope,
    TopFraction,
    UnauthenticatedError,
    WebhookEvent,
    WebhookRequest,
)
from winnow.resources import DatasetId, JobId
from winnow.torch import load_weights

NOWHERE = UUID("01890000-0000-7000-8000-000000000000")


@pytest.fixture
def python(address: str, key: str, object_store: LocalObjectStore) -> Iterator[Client]:  # noqa: ARG001 - It is empty.
    with Client(address, key) as client:
        yield client


@pytest.fixture
def job_id(finished: Finished) -> JobId:
    return JobId(finished.job_id)


def test_results_become_tables_of_every_library(python: Client, job_id: JobId) -> None:
    job = python.finished_job(job_id)
    frame = job.weights().to_pandas()
    assert len(frame) == POOL_SIZE
    assert frame["weight"].mean() == pytest.approx(1.0, abs=1e-5)
    assert job.weights().to_polars()["score"].to_list() == frame["score"].to_list()
    kept = job.kept().to_arrow()
    assert kept.num_rows == job.manifest().to_arrow()["keep"].to_pylist().count(True)
    assert set(kept["keep"].to_pylist()) == {True}
    assert "classifier_loss" in job.traces()["series"]
    assert job.report()["recommendation"] == "mts_weighted"


def test_job_gives_its_weights_as_a_tensor(python: Client, job_id: JobId) -> None:
    weights = load_weights(python.finished_job(job_id))
    assert weights.shape == (POOL_SIZE,)
    assert float(weights.mean()) == pytest.approx(1.0, abs=1e-5)


def test_cut_is_named_after_its_rule_and_downloaded_whole(
    python: Client, job_id: JobId, tmp_path: Path
) -> None:
    cut = python.finished_job(job_id).select(TopFraction(fraction=0.25))
    assert cut.name == "best 0.25 of the pool"
    target = tmp_path / "cut.parquet"
    python.download_selection_manifest(cut.id, target, is_kept_only=True)
    assert pq.read_table(target).num_rows == cut.kept_count == POOL_SIZE // 4
    assert python.get_selection_table(cut.id).to_arrow().num_rows == POOL_SIZE
    assert [path.name for path in tmp_path.iterdir()] == ["cut.parquet"]


def test_whole_folder_is_downloaded(python: Client, job_id: JobId, tmp_path: Path) -> None:
    files = python.finished_job(job_id).download(tmp_path / "out")
    assert {path.name for path in files} == {path.name for path in (tmp_path / "out").iterdir()}
    assert pq.read_table(tmp_path / "out" / "manifest.parquet").num_rows == POOL_SIZE
    (tmp_path / "file").touch()
    with pytest.raises(InputError):
        python.finished_job(job_id).download(tmp_path / "file")


def test_async_client_reads_the_same_results(
    address: str, key: str, python: Client, job_id: JobId
) -> None:
    async def read() -> tuple[list[float], list[str]]:
        async with AsyncClient(address, key) as client:
            job = await client.finished_job(job_id)
            table, kept = await asyncio.gather(job.weights(), job.kept())
            assert kept.to_arrow().num_rows < table.to_arrow().num_rows
            states = [job.state.value async for job in client.watch_job(job_id)]
            return table.to_arrow()["score"].to_pylist(), states

    scores, states = asyncio.run(read())
    # JSON carries the shortest decimals that mean the same float32.
    assert scores == pytest.approx([row.score for row in python.list_weights(job_id)])
    assert states == ["succeeded"]


def test_job_is_watched_as_it_goes(python: Client, claim: jobs.Claim, engine: Engine) -> None:
    seen = []
    for job in python.watch_job(JobId(claim.job_id)):
        seen.append((job.state, job.fraction))
        with unit_of_work(engine) as session:
            if job.fraction == 0.0:
                progress = jobs.Progress(phase="train", fraction=0.5, step=1, total_steps=2)
                assert jobs.record_progress(session, claim, progress)
            else:
                failure = jobs.Failure(jobs.FailureReason.NON_FINITE, "The loss was not finite.")
                jobs.fail_job(session, claim, failure, datetime.now(UTC))
    assert seen[-1][0] is JobState.FAILED
    assert (JobState.RUNNING, 0.5) in seen
    with pytest.raises(JobFailedError) as caught:
        python.finished_job(JobId(claim.job_id))
    assert caught.value.reason == "NON_FINITE"


def test_refusals_are_told_apart_by_type(
    python: Client, address: str, sets: Sets, job_id: JobId
) -> None:
    with pytest.raises(NotFoundError) as missing:
        python.get_job(JobId(NOWHERE))
    assert (missing.value.status, missing.value.reason) == (404, "JOB_NOT_FOUND")
    assert missing.value.request_id
    request = JobRequest(
        synthetic_id=DatasetId(sets.synthetic_id),
        reference_id=DatasetId(sets.reference_id),
        config={"stepz": 3},
    )
    with pytest.raises(InvalidRequestError) as invalid:
        python.create_job(request)
    assert (invalid.value.reason, invalid.value.field) == ("UNKNOWN_CONFIG_KEY", "config.stepz")
    with pytest.raises(ConflictError):
        python.delete_dataset(python.get_job(job_id).synthetic_id)
    with Client(address, "wnw_a_b") as stranger, pytest.raises(UnauthenticatedError):
        next(stranger.list_jobs())
    reader_key = python.create_key(KeyRequest(name="eyes", scopes=[Scope.READ]))
    with Client(address, reader_key.secret) as reader:
        assert reader.get_job(job_id).id == job_id
        with pytest.raises(ForbiddenError):
            reader.delete_job(job_id)


def test_same_idempotency_key_makes_one_job(python: Client, sets: Sets) -> None:
    request = JobRequest(
        synthetic_id=DatasetId(sets.synthetic_id), reference_id=DatasetId(sets.reference_id)
    )
    first, second = (python.create_job(request, idempotency_key="once") for _ in range(2))
    assert first.id == second.id
    assert len(list(python.list_jobs())) == 1


def test_job_is_estimated_and_not_created(python: Client, sets: Sets, address: str) -> None:
    request = JobRequest(
        synthetic_id=DatasetId(sets.synthetic_id), reference_id=DatasetId(sets.reference_id)
    )
    reader_key = python.create_key(KeyRequest(name="eyes", scopes=[Scope.READ]))

    async def ask() -> JobEstimate:
        async with AsyncClient(address, reader_key.secret) as reader:
            return await reader.estimate_job(request)

    found = python.estimate_job(request)
    assert asyncio.run(ask()) == found
    assert found.seconds_low < found.seconds < found.seconds_high
    assert [warning.reason for warning in found.warnings] == ["FEW_REFERENCE_SAMPLES"]
    with pytest.raises(InvalidRequestError) as caught:
        python.estimate_job(replace(request, config={"stepz": 3}))
    assert (caught.value.reason, caught.value.field) == ("UNKNOWN_CONFIG_KEY", "config.stepz")
    assert list(python.list_jobs()) == []


def test_content_arrives_by_parts(python: Client) -> None:
    dataset = python.create_dataset(DatasetRequest(name="pool", role=Role.SYNTHETIC))
    content = b"a,label\n" + b"1,x\n2,y\n" * 100
    python.upload_content(
        dataset.id,
        io.BytesIO(content),
        file_name="pool.csv",
        size_bytes=len(content),
        part_bytes=1 << 8,
    )
    uploaded = python.get_dataset(dataset.id).content
    assert uploaded is not None
    assert uploaded.size_bytes == len(content)
    assert python.get_usage().datasets.used == 1


def test_keys_are_made_replaced_and_ended(python: Client, address: str) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    made = python.create_key(
        KeyRequest(name="nightly", scopes=[Scope.READ, Scope.WRITE], expires_at=tomorrow)
    )
    assert made.key.expires_at == tomorrow
    fresh = python.rotate_key(made.key.id, overlap_seconds=60)
    assert {key.id for key in python.list_keys()} >= {made.key.id, fresh.key.id}
    assert python.revoke_key(fresh.key.id).revoked_at is not None
    with Client(address, fresh.secret) as ended, pytest.raises(UnauthenticatedError):
        next(ended.list_jobs())
    actions = [entry.action for entry in python.list_audit(object_id=made.key.id)]
    assert actions == ["rotate_key", "create_key"]


def test_webhooks_are_made_tried_and_deleted(python: Client) -> None:
    request = WebhookRequest(
        url="https://example.org/hook", events=[WebhookEvent.JOB_FAILED], description="for tests"
    )
    made = python.create_webhook(request)
    assert made.secret.startswith("whsec_")
    hook = made.webhook.id
    assert python.update_webhook(hook, request, is_enabled=False).is_enabled is False
    assert python.update_webhook(hook, request).is_enabled is True
    assert python.rotate_webhook_secret(hook).secret != made.secret
    ping = python.ping_webhook(hook)
    log = python.get_webhook_delivery(ping.id)
    assert log.delivery.event == "webhook.ping"
    again = python.redeliver_webhook(ping.id)
    assert again.message_id == ping.message_id
    assert [d.id for d in python.list_webhook_deliveries(hook)] == [again.id, ping.id]
    python.delete_webhook(hook)
    assert list(python.list_webhooks()) == []
    with pytest.raises(NotFoundError):
        python.get_webhook(hook)


def test_libraries_for_tables_and_training_load_only_when_asked() -> None:
    script = (
        "import sys, winnow, winnow.cli\n"
        "heavy = {'pandas', 'polars', 'pyarrow', 'torch', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
