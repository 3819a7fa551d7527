"""The object store: whole files or none, by content, for nobody else's eyes."""

import errno
import hashlib
import os
import resource
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from curation.errors import StorageFullError
from curation.object_stores import open_object_store
from curation.objects import (
    LocalObjectStore,
    ObjectMissingError,
    told_when_full,
)

CONTENT = b"some content" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def test_content_is_found_by_its_digest(object_store: LocalObjectStore, tmp_path: Path) -> None:
    stored = object_store.put_bytes(CONTENT)
    assert (stored.digest, stored.size_bytes) == (DIGEST, len(CONTENT))
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    assert object_store.put_file(path) == stored
    assert object_store.exists(DIGEST)
    with object_store.open(DIGEST) as file:
        file.seek(5)
        assert file.read(7) == b"content"
    with object_store.local_path(DIGEST) as local:
        assert local.read_bytes() == CONTENT
    assert list(object_store.list_digests()) == [DIGEST]


def test_unfinished_file_leaves_nothing(object_store: LocalObjectStore) -> None:
    with object_store.open_writer() as writer:
        writer.write(CONTENT)
    assert list(object_store.list_digests()) == []
    assert list(object_store.unfinished_folder.iterdir()) == []


def test_file_that_the_disk_refuses_leaves_nothing(object_store: LocalObjectStore) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # What is refused at the end is refused once more when the file is closed.
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            object_store.put_bytes(CONTENT[:4096])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(object_store.list_digests()) == []
    assert list(object_store.unfinished_folder.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_is_told_as_what_it_is(number: int) -> None:
    with pytest.raises(StorageFullError) as caught, told_when_full():
        raise OSError(number, os.strerror(number))
    assert caught.value.reason == "STORAGE_FULL"
    assert caught.value.cure


def test_other_troubles_of_files_are_passed_on() -> None:
    with pytest.raises(PermissionError), told_when_full():
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def test_nobody_else_can_look_in(object_store: LocalObjectStore, tmp_path: Path) -> None:
    object_store.put_bytes(CONTENT)
    for folder in [tmp_path / "objects", *(tmp_path / "objects").iterdir()]:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    with object_store.local_path(DIGEST) as path:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_missing_object_is_named(object_store: LocalObjectStore) -> None:
    with pytest.raises(ObjectMissingError, match=DIGEST):
        object_store.open(DIGEST)
    with pytest.raises(ObjectMissingError), object_store.local_path(DIGEST):
        pass
    assert not object_store.exists(DIGEST)
    assert not object_store.delete(DIGEST)


@pytest.mark.parametrize("digest", ["../../etc/passwd", "", "A" * 64, "0" * 63])
def test_what_is_no_digest_is_never_a_path(object_store: LocalObjectStore, digest: str) -> None:
    with pytest.raises(ValueError, match="not a SHA-256 digest"):
        object_store.exists(digest)


def test_deletion_spares_what_was_put_since(object_store: LocalObjectStore) -> None:
    before = datetime.now(UTC) - timedelta(minutes=1)
    object_store.put_bytes(CONTENT)
    assert not object_store.delete(DIGEST, written_before=before)
    assert object_store.open(DIGEST).read() == CONTENT
    assert list(object_store.unfinished_folder.iterdir()) == []
    assert object_store.delete(DIGEST, written_before=datetime.now(UTC) + timedelta(minutes=1))
    assert not object_store.exists(DIGEST)


def test_putting_again_renews_the_time(object_store: LocalObjectStore) -> None:
    object_store.put_bytes(CONTENT)
    with object_store.local_path(DIGEST) as path:
        os.utime(path, (0, 0))
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    assert list(object_store.list_digests(written_before=hour_ago)) == [DIGEST]
    object_store.put_bytes(CONTENT)
    assert list(object_store.list_digests(written_before=hour_ago)) == []


def test_old_unfinished_files_are_removed(object_store: LocalObjectStore) -> None:
    with object_store.open_writer() as writer:
        writer.write(CONTENT)
        now = datetime.now(UTC)
        assert object_store.remove_unfinished(written_before=now - timedelta(days=1)) == 0
        assert object_store.remove_unfinished(written_before=now + timedelta(days=1)) == 1


def test_store_is_opened_by_its_address(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    open_object_store(folder.as_uri()).put_bytes(CONTENT)
    assert list(LocalObjectStore(folder).list_digests()) == [DIGEST]


@pytest.mark.parametrize("url", ["s3://", "/just/a/path", "file://host/path", ""])
def test_unknown_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="s3://bucket/prefix"):
        open_object_store(url)
