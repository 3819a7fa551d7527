"""Large files go in parts, of which only those are sent that have not arrived."""

import hashlib
import io
from collections.abc import Iterator

import pytest
from part_service import DATASET, PartService, part_service

from winnow.client import Client
from winnow.errors import ApiError
from winnow.operations.uploads import sends_parts

PART = 10
CONTENT = b"0123456789abcdefghijKLM"
PARTS = [CONTENT[start : start + PART] for start in range(0, len(CONTENT), PART)]


@pytest.fixture
def service() -> Iterator[PartService]:
    with part_service() as service:
        yield service


@pytest.fixture
def client(service: PartService) -> Iterator[Client]:
    with Client(service.address, "wnw_a_b") as client:
        yield client


def upload(client: Client, content: bytes = CONTENT) -> list[int]:
    told: list[int] = []
    client.upload_content(
        DATASET,
        io.BytesIO(content),
        file_name="a.csv",
        size_bytes=len(content),
        on_progress=told.append,
        part_bytes=PART,
    )
    return told


def test_file_goes_in_parts_and_is_completed_with_its_hash(
    client: Client, service: PartService
) -> None:
    told = upload(client)
    assert [service.parts[number] for number in (1, 2, 3)] == PARTS
    assert service.completed == [
        {
            "file_name": "a.csv",
            "sha256": hashlib.sha256(CONTENT).hexdigest(),
            "part_count": 3,
        }
    ]
    assert told == sorted(told)
    assert told[-1] == len(CONTENT)


def test_part_is_sent_again_after_a_passing_fault(client: Client, service: PartService) -> None:
    service.failures = [503, 503]
    upload(client)
    assert service.received == [1, 1, 1, 2, 3]
    assert len(service.completed) == 1


def test_second_call_sends_only_what_has_not_arrived_or_is_another(
    client: Client, service: PartService
) -> None:
    service.parts = {1: PARTS[0], 2: b"other"}
    told = upload(client)
    assert service.received == [2, 3]
    assert told[0] == PART


def test_refused_part_ends_the_upload(client: Client, service: PartService) -> None:
    service.failures = [413]
    with pytest.raises(ApiError):
        upload(client)
    assert service.completed == []


def test_small_file_is_one_request() -> None:
    assert not sends_parts(PART, part_bytes=PART)
    assert sends_parts(PART + 1, part_bytes=PART)
