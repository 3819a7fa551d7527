"""A broken upload goes on by ``--resume``, and what had arrived is never thrown away."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from part_service import DATASET, PartService, part_service

from winnow.cli import run
from winnow.exit_codes import ExitCode
from winnow.operations.uploads import PART_BYTES


@pytest.fixture
def service() -> Iterator[PartService]:
    with part_service() as service:
        yield service


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A file of two parts."""
    path = tmp_path / "pool.csv"
    with path.open("wb") as file:
        file.write(b"a" * PART_BYTES + b"the rest")
    return path


def upload(service: PartService, table: Path, *options: str) -> int:
    where = ("--server", service.address, "--api-key", "wnw_a_b", "-o", "json", "--quiet")
    return run(["datasets", "upload", str(table), "--role", "synthetic", *where, *options])


def test_broken_upload_goes_on_where_it_ended(
    service: PartService, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service.parts = {1: table.read_bytes()[:PART_BYTES]}
    assert upload(service, table, "--resume", str(DATASET)) == ExitCode.OK
    assert service.received == [2]
    assert service.parts[2] == b"the rest"
    assert [completed["part_count"] for completed in service.completed] == [2]
    assert json.loads(capsys.readouterr().out)["id"] == str(DATASET)
    assert service.created == 0


def test_upload_begun_in_shorter_parts_goes_on_in_those(service: PartService, table: Path) -> None:
    part_bytes = PART_BYTES // 4
    content = table.read_bytes()
    service.parts = {
        number: content[(number - 1) * part_bytes : number * part_bytes] for number in (1, 2, 3)
    }
    assert upload(service, table, "--resume", str(DATASET)) == ExitCode.OK
    assert service.received == [4, 5]
    assert b"".join(service.parts[number] for number in sorted(service.parts)) == content
    assert [completed["part_count"] for completed in service.completed] == [5]


@pytest.mark.parametrize("resumed_bytes", [PART_BYTES + 8, 20], ids=["by parts", "whole"])
def test_refused_resumed_dataset_stays(
    service: PartService, table: Path, resumed_bytes: int
) -> None:
    with table.open("r+b") as file:
        file.truncate(resumed_bytes)
    service.failures = [413]
    assert upload(service, table, "--resume", str(DATASET)) == ExitCode.REFUSED
    assert service.completed == []
    assert service.deletions == 0


def test_refused_new_dataset_goes(service: PartService, table: Path) -> None:
    service.failures = [413]
    assert upload(service, table) == ExitCode.REFUSED
    assert service.created == 1
    assert service.deletions == 1
