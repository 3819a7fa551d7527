"""Datasets whose content a worker fetches from the operator's bucket."""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from urllib.parse import quote

import pytest
from s3_server import S3Server, s3_server
from sample_world import Service, embeddings, npz_bytes
from sqlalchemy import func, select, update

from curation.content_imports import FetchLimits, SourceAwayError, fetch_object
from curation.database import unit_of_work
from curation.datasets import DatasetRequest, attach_content, create_import, get_dataset
from curation.errors import CurationError, ForbiddenError, InvalidInputError
from curation.identifiers import DatasetId
from curation.import_sources import ImportTarget, find_import_target, parse_import_sources
from curation.ingest import validate_and_record
from curation.models import Dataset, DatasetState, ObjectRow, Role
from curation.s3_addresses import S3Address
from curation.settings import CurationSettings
from curation.sweep import sweep
from curation.validation_claims import ClaimKeeper, claim_validation
from curation.validation_process import ValidationInterruptedError

SOUND = npz_bytes(**embeddings(20))
# Nothing in a key is escaped, and none of these letters means anything in it.
KEY = "sets/a b%20c?d#é+&.npz"
SOURCES = "s3://bucket/sets/mine, s3://other?region=here"


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture
def bucket(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of an empty bucket."""
    for name, value in server.credentials.items():
        monkeypatch.setenv(name, value)
    return server.new_bucket().removeprefix("s3://").partition("/")[0]


@pytest.fixture
def importing(service: Service, server: S3Server, bucket: str) -> Service:
    """A service that may import what lies under `sets` in the bucket."""
    return allowed(service, f"s3://{bucket}/sets?endpoint={quote(server.endpoint)}&region=here")


def allowed(service: Service, sources: str, **changes: int) -> Service:
    settings = service.settings.model_copy(update={"import_sources": sources, **changes})
    return replace(service, settings=settings)


def put(server: S3Server, bucket: str, content: bytes, key: str = KEY) -> str:
    server.client.put_object(Bucket=bucket, Key=key, Body=content)
    return f"s3://{bucket}/{key}"


def begin_import(service: Service, url: str) -> DatasetId:
    target = find_import_target(url, parse_import_sources(service.settings.import_sources))
    with unit_of_work(service.engine) as session:
        request = DatasetRequest(name="import", role=Role.SYNTHETIC)
        row = create_import(session, service.workspace, request, target, service.now)
        return DatasetId(row.id)


def work(service: Service, dataset_id: DatasetId) -> bool:
    return validate_and_record(
        service.engine, service.store, dataset_id, service.settings, service.now
    )


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def row_of(service: Service, dataset_id: DatasetId) -> Dataset:
    with unit_of_work(service.engine) as session:
        return get_dataset(session, service.workspace, dataset_id)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://bucket/sets/mine/a.zip", "INVALID_IMPORT_URL"),
        ("s3://bucket", "INVALID_IMPORT_URL"),
        ("s3:///sets/mine/a.zip", "INVALID_IMPORT_URL"),
        ("s3://bucket/sets/mine/../yours/a.zip", "INVALID_IMPORT_URL"),
        ("s3://bucket/sets/mine//a.zip", "INVALID_IMPORT_URL"),
        ("s3://bucket/sets/mine/", "INVALID_IMPORT_URL"),
        ("s3://bucket/sets/mine2/a.zip", "IMPORT_NOT_ALLOWED"),
        ("s3://user@bucket/sets/mine/a.zip", "IMPORT_NOT_ALLOWED"),
        ("s3://nowhere/sets/mine/a.zip", "IMPORT_NOT_ALLOWED"),
    ],
)
def test_address_outside_of_what_is_allowed_is_refused(url: str, reason: str) -> None:
    with pytest.raises(CurationError) as caught:
        find_import_target(url, parse_import_sources(SOURCES))
    assert (caught.value.reason, caught.value.field) == (reason, "url")


def test_users_address_names_bucket_and_key_alone() -> None:
    url = "s3://other/a.zip?endpoint=169.254.169.254"
    target = find_import_target(url, parse_import_sources(SOURCES))
    assert target.bucket == S3Address("other", region="here")
    assert (target.key, target.url) == ("a.zip?endpoint=169.254.169.254", url)


def test_without_sources_nothing_is_imported(settings: CurationSettings) -> None:
    with pytest.raises(ForbiddenError, match="IMPORTS_DISABLED"):
        find_import_target("s3://a/b.zip", parse_import_sources(settings.import_sources))


def test_source_that_is_none_stops_the_start(settings: CurationSettings) -> None:
    with pytest.raises(ValueError, match="s3://bucket/prefix"):
        CurationSettings(**settings.model_dump() | {"import_sources": "https://example.org"})


def test_file_in_a_bucket_becomes_ready(importing: Service, server: S3Server, bucket: str) -> None:
    dataset_id = begin_import(importing, put(server, bucket, SOUND))
    assert row_of(importing, dataset_id).state is DatasetState.VALIDATING
    assert work(importing, dataset_id)
    row = row_of(importing, dataset_id)
    assert (row.state, row.sample_count) == (DatasetState.READY, 20)
    assert (row.content_name, row.content_bytes) == (KEY.removeprefix("sets/"), len(SOUND))
    assert row.content_digest == hashlib.sha256(SOUND).hexdigest()
    assert importing.store.exists(row.content_digest)


def test_large_file_comes_in_ranges_and_whole(
    importing: Service, server: S3Server, bucket: str
) -> None:
    content = os.urandom(17 << 20)
    url = put(server, bucket, content)
    target = find_import_target(url, parse_import_sources(importing.settings.import_sources))
    limits = FetchLimits(max_bytes=len(content), max_seconds=60)
    admitted: list[int] = []
    stored = fetch_object(
        target, importing.store, limits, admit=admitted.append, keep_going=lambda: True
    )
    assert stored.digest == hashlib.sha256(content).hexdigest()
    assert admitted == [len(content)]
    with pytest.raises(ValidationInterruptedError):
        fetch_object(target, importing.store, limits, admit=admit_any, keep_going=lambda: False)
    with pytest.raises(InvalidInputError, match="IMPORT_TOO_SLOW"):
        fetch_object(
            target,
            importing.store,
            replace(limits, max_seconds=0),
            admit=admit_any,
            keep_going=lambda: True,
        )


def admit_any(_: int) -> None:
    """Admits every length."""


@pytest.mark.parametrize(
    ("content", "changes", "reason"),
    [
        (None, {}, "IMPORT_NOT_FOUND"),
        (b"", {}, "EMPTY_DATASET"),
        (SOUND, {"max_upload_bytes": len(SOUND) - 1}, "IMPORT_TOO_LARGE"),
        (SOUND, {"quota_bytes": len(SOUND) - 1}, "QUOTA_BYTES_EXCEEDED"),
        (b"\x00\x01 is no archive", {}, "NOT_WHAT_NAME_SAYS"),
    ],
)
def test_file_that_cannot_be_taken_makes_the_dataset_invalid(  # noqa: PLR0913 - Fixtures and cases.
    importing: Service,
    server: S3Server,
    bucket: str,
    *,
    content: bytes | None,
    changes: dict[str, int],
    reason: str,
) -> None:
    url = f"s3://{bucket}/sets/gone.npz" if content is None else put(server, bucket, content)
    dataset_id = begin_import(importing, url)
    changed = allowed(importing, importing.settings.import_sources or "", **changes)
    assert work(changed, dataset_id)
    row = row_of(importing, dataset_id)
    assert (row.state, row.failure_reason) == (DatasetState.INVALID, reason)
    assert row.failure_detail
    assert row.failure_cure


def test_source_that_is_not_allowed_any_more_is_not_read(
    importing: Service, server: S3Server, bucket: str
) -> None:
    dataset_id = begin_import(importing, put(server, bucket, SOUND))
    assert work(allowed(importing, "s3://another"), dataset_id)
    assert row_of(importing, dataset_id).failure_reason == "IMPORT_NOT_ALLOWED"


def test_failed_import_may_be_replaced_by_an_upload(importing: Service, bucket: str) -> None:
    dataset_id = begin_import(importing, f"s3://{bucket}/sets/gone.npz")
    assert work(importing, dataset_id)
    stored = importing.store.put_bytes(SOUND)
    with unit_of_work(importing.engine) as session:
        attach_content(session, importing.workspace, dataset_id, stored, "a.npz")
    assert work(importing, dataset_id)
    row = row_of(importing, dataset_id)
    assert (row.state, row.failure_reason, row.import_url) == (DatasetState.READY, None, None)


def test_bucket_that_does_not_answer_is_asked_again_and_then_told(
    service: Service, bucket: str
) -> None:
    away = allowed(
        service,
        f"s3://{bucket}?endpoint=http://127.0.0.1:1&region=here",
        max_attempts=2,
        ring_backoff_seconds=0,
    )
    dataset_id = begin_import(away, f"s3://{bucket}/a.npz")
    assert not work(away, dataset_id)
    assert row_of(away, dataset_id).state is DatasetState.VALIDATING
    assert sweep(away.engine, away.store, away.settings, away.now).validate == [dataset_id]
    assert work(away, dataset_id)
    row = row_of(away, dataset_id)
    assert (row.state, row.failure_reason) == (DatasetState.INVALID, "IMPORT_UNREACHABLE")
    assert "127.0.0.1" not in f"{row.failure_detail} {row.failure_cure}"


def test_import_of_a_killed_worker_is_fetched_again(
    importing: Service, server: S3Server, bucket: str
) -> None:
    dataset_id = begin_import(importing, put(server, bucket, SOUND))
    with unit_of_work(importing.engine) as session:
        ticket = claim_validation(session, dataset_id, importing.settings)
        assert ticket is not None
        assert ticket.content_digest is None
    assert not work(importing, dataset_id)
    # The killed worker's lease runs out.
    with unit_of_work(importing.engine) as session:
        past = func.now() - timedelta(seconds=60)
        session.execute(update(Dataset).values(validation_lease_expires_at=past, last_rung_at=past))
    found = sweep(importing.engine, importing.store, importing.settings, importing.now)
    assert found.validate == [dataset_id]
    assert work(importing, dataset_id)
    assert row_of(importing, dataset_id).state is DatasetState.READY
    with unit_of_work(importing.engine) as session:
        assert session.scalar(select(func.count()).select_from(ObjectRow)) == 2


def test_claim_is_renewed_until_it_is_lost(
    importing: Service, server: S3Server, bucket: str
) -> None:
    dataset_id = begin_import(importing, put(server, bucket, SOUND))
    settings = importing.settings.model_copy(update={"heartbeat_seconds": 0.02})
    with unit_of_work(importing.engine) as session:
        ticket = claim_validation(session, dataset_id, settings)
    assert ticket is not None
    first = row_of(importing, dataset_id).validation_lease_expires_at
    with ClaimKeeper(importing.engine, ticket, settings) as keeper:
        wait_until(lambda: row_of(importing, dataset_id).validation_lease_expires_at != first)
        assert keeper.is_held()
        with unit_of_work(importing.engine) as session:
            session.execute(update(Dataset).values(validation_attempts=2))
        wait_until(lambda: not keeper.is_held())


class _Answers(BaseHTTPRequestHandler):
    """Answers a HEAD as a bucket with one object does, and a GET with the status it is told."""

    status = 403

    def do_HEAD(self) -> None:
        self.send_response(200 if self.status != 403 else 403)
        self.send_header("Content-Length", "5")
        self.send_header("ETag", '"first"')
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.end_headers()

    def do_GET(self) -> None:
        assert self.headers["If-Match"] == '"first"'
        self.send_error(self.status)

    def log_message(self, *_: object) -> None:
        """Keep the tests' output free of requests."""


@pytest.mark.parametrize(("status", "kind"), [(403, InvalidInputError), (412, SourceAwayError)])
def test_closed_bucket_is_told_from_an_object_that_changes_meanwhile(
    service: Service, bucket: str, status: int, kind: type[Exception]
) -> None:
    handler = type("Answers", (_Answers,), {"status": status})
    with HTTPServer(("127.0.0.1", 0), handler) as answering:
        Thread(target=answering.serve_forever, daemon=True).start()
        source = S3Address(bucket, endpoint=f"http://127.0.0.1:{answering.server_port}")
        limits = FetchLimits(max_bytes=100, max_seconds=60)
        try:
            with pytest.raises(kind) as caught:
                fetch_object(
                    ImportTarget(source, "a.npz"),
                    service.store,
                    limits,
                    admit=admit_any,
                    keep_going=lambda: True,
                )
        finally:
            answering.shutdown()
    assert isinstance(caught.value, SourceAwayError) or "IMPORT_DENIED" in str(caught.value)
