"""The object store in a bucket, against a server that speaks S3."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from s3_server import S3Server, s3_server

from curation.object_stores import open_object_store
from curation.objects import ObjectMissingError, ObjectStore, StoreUnavailableError

CONTENT = b"some content" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture
def store(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    for name, value in server.credentials.items():
        monkeypatch.setenv(name, value)
    return open_object_store(server.new_bucket())


@pytest.fixture
def spool_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files, in which nothing may be left."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_content_is_found_by_its_digest(store: ObjectStore, spool_folder: Path) -> None:
    stored = store.put_bytes(CONTENT)
    assert (stored.digest, stored.size_bytes) == (DIGEST, len(CONTENT))
    path = spool_folder / "file"
    path.write_bytes(CONTENT)
    assert store.put_file(path) == stored
    path.unlink()
    assert store.exists(DIGEST)
    with store.open(DIGEST) as file:
        file.seek(5)
        assert file.read(7) == b"content"
    with store.local_path(DIGEST) as local:
        assert local.read_bytes() == CONTENT
    assert list(store.list_digests()) == [DIGEST]
    assert list(spool_folder.iterdir()) == []


def test_large_object_goes_in_several_parts_and_comes_back_whole(
    store: ObjectStore, server: S3Server
) -> None:
    content = os.urandom(40 << 20)
    stored = store.put_bytes(content)
    assert server.part_count(stored.digest) == 3
    with store.open(stored.digest) as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == stored.digest


def test_unfinished_object_leaves_nothing(store: ObjectStore, spool_folder: Path) -> None:
    with store.open_writer() as writer:
        writer.write(CONTENT)
    assert list(store.list_digests()) == []
    assert list(spool_folder.iterdir()) == []


def test_missing_object_is_named(store: ObjectStore, spool_folder: Path) -> None:
    with pytest.raises(ObjectMissingError, match=DIGEST):
        store.open(DIGEST)
    with pytest.raises(ObjectMissingError), store.local_path(DIGEST):
        pass
    assert not store.exists(DIGEST)
    assert not store.delete(DIGEST)
    assert not store.delete(DIGEST, written_before=datetime.now(UTC))
    assert list(spool_folder.iterdir()) == []


@pytest.mark.parametrize("digest", ["../../etc/passwd", "", "A" * 64, "0" * 63])
def test_what_is_no_digest_is_never_a_key(store: ObjectStore, digest: str) -> None:
    with pytest.raises(ValueError, match="not a SHA-256 digest"):
        store.exists(digest)


def test_deletion_spares_what_was_put_since(store: ObjectStore) -> None:
    store.put_bytes(CONTENT)
    # Within the same second, which is all that S3 itself tells.
    between = datetime.now(UTC)
    store.put_bytes(CONTENT)
    assert not store.delete(DIGEST, written_before=between)
    assert store.exists(DIGEST)
    assert store.delete(DIGEST, written_before=datetime.now(UTC))
    assert not store.exists(DIGEST)


def test_list_tells_old_objects_from_new_ones(store: ObjectStore) -> None:
    store.put_bytes(CONTENT)
    now = datetime.now(UTC)
    assert list(store.list_digests(written_before=now - timedelta(hours=1))) == []
    assert list(store.list_digests(written_before=now + timedelta(hours=1))) == [DIGEST]


def test_address_for_download_needs_no_credentials_and_ends(store: ObjectStore) -> None:
    store.put_bytes(CONTENT)
    address = store.download_url(DIGEST, seconds=60)
    assert address is not None
    assert httpx2.get(address).content == CONTENT
    assert "X-Amz-Expires=60" in address


def test_store_that_cannot_be_reached_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a secret")
    store = open_object_store("s3://bucket?endpoint=http://127.0.0.1:1&region=here")
    with pytest.raises(StoreUnavailableError) as caught:
        store.put_bytes(CONTENT)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["s3://", "s3://bucket?password=x", "gs://bucket"])
def test_unknown_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="s3://bucket/prefix"):
        open_object_store(url)
