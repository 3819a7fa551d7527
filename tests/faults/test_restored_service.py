"""A service is lost with all that it held, and comes back elsewhere from its documented backup."""

import hashlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from embedding_jobs import TINY_CONFIG, JobPlace
from job_watch import CATCHABLE, JobWatch
from s3_server import S3Server, s3_server
from service import Service
from sqlalchemy import delete, make_url, select
from test_backups import REPOSITORY, programs, revise
from validation_watch import npz_content
from worker_processes import WorkerProcesses, wait_until

from curation.clock import utc_now
from curation.database import create_database_engine, unit_of_work
from curation.identifiers import JobId, WorkspaceId
from curation.keys import create_key
from curation.models import Checkpoint, Dataset, JobState, MaintenanceMark, ObjectRow, Workspace
from curation.object_rows import is_outdated_checkpoint
from curation.object_stores import open_object_store
from curation.settings import CurationSettings
from curation.sweep import sweep
from winnow.embedded_postgres import EmbeddedPostgres
from winnow.embedded_valkey import EmbeddedValkey

pytestmark = pytest.mark.slow

OPERATING = REPOSITORY / "docs" / "operating.md"


def documented(beginning: str, **places: Path) -> list[str]:
    """Return the words of the one command of the operator's page that begins so.

    Args:
        beginning: The command's first words.
        places: What stands for the folders `/objects` and `/backup` of the page.
    """
    page = OPERATING.read_text(encoding="utf-8").replace("\\\n", " ")
    (command,) = set(re.findall(rf"\b({re.escape(beginning)}\b[^\n<>]*)", page))
    words = shlex.split(command)
    for name, place in places.items():
        words = [re.sub(rf"^/{name}\b", str(place), word) for word in words]
    return words


class Objects(Protocol):
    """Where the files of two installations lie, and the copy of the first."""

    first: str
    second: str

    def back_up(self) -> None: ...

    def lose(self) -> None: ...

    def restore(self) -> None: ...


class Folders:
    """Files in a folder, copied as the operator's page says."""

    def __init__(self, root: Path) -> None:
        self._first, self._second, self._backup = (root / name for name in ("a", "b", "backup"))
        self._second.mkdir(mode=0o700)
        self._backup.mkdir()
        self.first, self.second = self._first.as_uri(), self._second.as_uri()

    def back_up(self) -> None:
        words = documented(
            "tar -C /objects --exclude=./unfinished", objects=self._first, backup=self._backup
        )
        subprocess.run(words, check=True)

    def lose(self) -> None:
        shutil.rmtree(self._first)

    def restore(self) -> None:
        words = documented("tar -C /objects -xpf", objects=self._second, backup=self._backup)
        subprocess.run(words, check=True)


class Buckets:
    """Files in a bucket, copied into a second one, out of which a third is made."""

    def __init__(self, server: S3Server) -> None:
        self._client = server.client
        self.first, self._copy, self.second = (server.new_bucket() for _ in range(3))

    def back_up(self) -> None:
        self._copy_all(self.first, self._copy)

    def lose(self) -> None:
        for key in self._keys(self.first):
            self._client.delete_object(Bucket=urlsplit(self.first).netloc, Key=key)

    def restore(self) -> None:
        self._copy_all(self._copy, self.second)

    def _copy_all(self, source: str, target: str) -> None:
        for key in self._keys(source):
            origin = {"Bucket": urlsplit(source).netloc, "Key": key}
            self._client.copy_object(Bucket=urlsplit(target).netloc, Key=key, CopySource=origin)

    def _keys(self, address: str) -> list[str]:
        found = self._client.list_objects_v2(Bucket=urlsplit(address).netloc)
        return [entry["Key"] for entry in found.get("Contents", [])]


@pytest.fixture
def objects(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Objects]:
    if request.param == "folder":
        yield Folders(tmp_path)
        return
    with s3_server() as server:
        for name, value in server.credentials.items():
            monkeypatch.setenv(name, value)
        yield Buckets(server)


@pytest.fixture
def databases(server_folder: Path) -> Iterator[list[EmbeddedPostgres]]:
    """Two servers that know nothing of each other."""
    servers = [EmbeddedPostgres(server_folder / name) for name in ("lost", "restored")]
    yield servers
    for server in servers:
        server.destroy()


@pytest.fixture
def places(
    objects: Objects,
    databases: list[EmbeddedPostgres],
    settings: CurationSettings,
    emptied_broker_url: str,
    empty_broker_url: str,
) -> tuple[CurationSettings, CurationSettings]:
    """The settings of both installations, which share nothing."""
    lost, restored = (
        settings.model_copy(
            update={"database_url": database.start(), "broker_url": broker, "object_store": store}
        )
        for database, broker, store in (
            (databases[0], emptied_broker_url, objects.first),
            (databases[1], empty_broker_url, objects.second),
        )
    )
    return lost, restored


@pytest.fixture
def empty_broker_url(server_folder: Path) -> Iterator[str]:
    """A broker that has seen no message."""
    server = EmbeddedValkey(server_folder / "restored-broker")
    yield server.start()
    server.stop()


@dataclass(frozen=True)
class Installation:
    """One running service, and its database."""

    service: Service
    processes: WorkerProcesses
    place: JobPlace

    def watch(self, job: Mapping[str, Any]) -> JobWatch:
        return JobWatch(self.place, JobId(UUID(job["id"])))

    def digests_of(self, dataset: str) -> set[str]:
        """Return the files of a dataset that is ready."""
        with unit_of_work(self.place.engine) as session:
            row = session.get_one(Dataset, UUID(dataset))
            digests = {row.content_digest, row.samples_digest}
        assert None not in digests
        return {str(digest) for digest in digests}


@contextmanager
def installation(settings: CurationSettings, folder: Path, key: str) -> Iterator[Installation]:
    engine = create_database_engine(settings.database_url)
    with unit_of_work(engine) as session:
        workspace = WorkspaceId(session.scalars(select(Workspace.id)).one())
    with (
        tempfile.TemporaryDirectory(prefix="winnow-api-") as socket_folder,
        WorkerProcesses(settings, folder) as processes,
        Service(Path(socket_folder) / "api.sock", key) as service,
    ):
        processes.start_api(service.socket)
        processes.start("short")
        service.wait_until_ready()
        store = open_object_store(settings.object_store)
        yield Installation(service, processes, JobPlace(engine, store, workspace, settings))
    engine.dispose()


def first_key(url: str) -> str:
    engine = create_database_engine(url)
    with unit_of_work(engine) as session:
        _, key = create_key(
            session, workspace_name="a", name="a", scopes=["read", "write"], now=utc_now()
        )
    engine.dispose()
    return key


def run_on_database(url: str, words: list[str], **streams: Any) -> None:
    """Run a program of PostgreSQL's own, as the page does within the server's container."""
    host = make_url(url).query["host"]
    program, *arguments = words
    subprocess.run([str(programs() / program), f"--host={host}", *arguments], check=True, **streams)


def upload(service: Service, role: str, count: int) -> str:
    dataset = service.upload(role, f"{role}.npz", npz_content(count))
    assert dataset["state"] == "ready", dataset
    return str(dataset["id"])


def shown(service: Service, paths: list[str]) -> dict[str, tuple[bytes, str | None]]:
    """Return what the service answers to each path, with its entity tag."""
    answers = {path: service.ask("GET", path) for path in paths}
    assert {answer.status_code for answer in answers.values()} == {200}
    return {path: (got.content, got.headers.get("etag")) for path, got in answers.items()}


def unnamed_objects(settings: CurationSettings) -> set[str]:
    """Run the documented check, which must find no other flaw than files too much; return those.

    To it every file is old enough to be nobody's.
    """
    named = {
        f"WINNOW_{name.upper()}": getattr(settings, name)
        for name in ("database_url", "broker_url", "object_store")
    }
    done = subprocess.run(
        [sys.executable, *documented("python -m curation.store_check")[1:]],
        env={**os.environ, **named, "WINNOW_ORPHAN_SECONDS": "0.001"},
        cwd=REPOSITORY,
        check=False,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    *findings, counts = done.stdout.splitlines()
    assert counts == f"0 missing, 0 damaged, {len(findings)} unnamed"
    return {finding.split("\t")[1] for finding in findings}


def sweep_at_once(settings: CurationSettings) -> None:
    """Sweep as a service does later, when every file is old enough to be nobody's."""
    engine = create_database_engine(settings.database_url)
    store = open_object_store(settings.object_store)
    with unit_of_work(engine) as session:
        session.execute(delete(MaintenanceMark))
    later = settings.model_copy(update={"orphan_seconds": 0.001})
    # A worker that was just stopped may hold the lock of its last sweep for a moment.
    wait_until(lambda: sweep(engine, store, later, utc_now() + timedelta(seconds=1)).ran)
    engine.dispose()


@dataclass(frozen=True)
class Past:
    """What was in the service before it was lost.

    Attributes:
        sets: The datasets of a job.
        finished: The job.
        said: Answers about them, by path.
    """

    sets: Mapping[str, str]
    finished: str
    said: Mapping[str, tuple[bytes, str | None]]


def work(service: Service) -> Past:
    """Upload, run a job, cut and download."""
    sets = {
        "synthetic_id": upload(service, "synthetic", 64),
        "reference_id": upload(service, "reference", 16),
    }
    finished = service.run_job(**sets, config=TINY_CONFIG)
    assert finished["state"] == "succeeded", finished
    job = f"/v1/jobs/{finished['id']}"
    rule = {"kind": "top_count", "count": 10}
    cut = service.request("POST", f"{job}/selections", 201, json={"name": "a", "rule": rule})
    paths = [
        *(f"/v1/datasets/{dataset}" for dataset in sets.values()),
        *(f"{job}{tail}" for tail in ("", "/report", "/traces", "/weights", "/samples/0")),
        *(f"{job}/weights.{kind}" for kind in ("parquet", "csv")),
        *(f"{job}/manifest?format={kind}" for kind in ("parquet", "jsonl")),
        f"/v1/selections/{cut['id']}/manifest?kept_only=true",
    ]
    return Past(sets, job, shown(service, paths))


def begin_run(before: Installation, sets: Mapping[str, str], trainer_pid: int) -> dict[str, Any]:
    """Begin a long job, kill its worker in the middle, and return the job."""
    config = {**TINY_CONFIG, **CATCHABLE}
    job = before.service.request("POST", "/v1/jobs", 202, json={**sets, "config": config})
    wait_until(lambda: before.watch(job).trained_step > 0)
    os.kill(trainer_pid, signal.SIGKILL)
    return dict(job)


@pytest.mark.parametrize(
    ("objects", "has_work"), [("folder", True), ("bucket", False)], indirect=["objects"]
)
def test_lost_service_is_restored_elsewhere_from_its_backup(
    objects: Objects,
    databases: list[EmbeddedPostgres],
    places: tuple[CurationSettings, CurationSettings],
    tmp_path: Path,
    *,
    has_work: bool,
) -> None:
    first, second = places
    revise(make_url(first.database_url), "head")
    key = first_key(first.database_url)
    with installation(first, tmp_path / "first", key) as before:
        trainer = before.processes.start("train")
        past = work(before.service)
        run = begin_run(before, past.sets, trainer.pid) if has_work else None
        with (tmp_path / "winnow.dump").open("wb") as dump:
            run_on_database(first.database_url, documented("pg_dump"), stdout=dump)
        late_set = upload(before.service, "test", 30)
        late = before.digests_of(late_set)
        objects.back_up()

    objects.lose()
    databases[0].destroy()

    with (tmp_path / "winnow.dump").open("rb") as dump:
        run_on_database(second.database_url, documented("pg_restore"), stdin=dump)
    objects.restore()

    # What came after the dump is there too much: an upload and its samples, and perhaps the state
    # that a killed run was saving, and old states that a sweep was removing.
    assert late <= unnamed_objects(second)
    assert_objects_are_whole(second)
    with installation(second, tmp_path / "second", key) as after:
        saved = 0 if run is None else after.watch(run).trained_step
        assert shown(after.service, list(past.said)) == past.said
        after.service.request("GET", f"/v1/datasets/{late_set}", 404)
        if run is not None:
            after.processes.start("train")
            assert_new_job_has_the_same_result(after.service, past)
            watch = after.watch(run)
            wait_until(lambda: watch.is_in(JobState.SUCCEEDED))
            assert min(watch.steps_saved_by_attempt()[-1]["train"]) >= saved > 0

    sweep_at_once(second)
    assert unnamed_objects(second) == set()
    assert_objects_are_whole(second)


def assert_new_job_has_the_same_result(service: Service, past: Past) -> None:
    job = service.run_job(**past.sets, config=TINY_CONFIG)
    assert job["state"] == "succeeded", job
    new = service.request("GET", f"/v1/jobs/{job['id']}/weights")["items"]
    assert new == service.request("GET", f"{past.finished}/weights")["items"]


def assert_objects_are_whole(settings: CurationSettings) -> None:
    store = open_object_store(settings.object_store)
    engine = create_database_engine(settings.database_url)
    # A sweep may have come between the two copies.
    outdated = select(Checkpoint.digest).where(is_outdated_checkpoint())
    with unit_of_work(engine) as session:
        needed = select(ObjectRow.digest).where(ObjectRow.digest.not_in(outdated))
        digests = list(session.scalars(needed))
    engine.dispose()
    assert len(digests) > 5
    for digest in digests:
        with store.open(digest) as file:
            assert hashlib.sha256(file.read()).hexdigest() == digest
