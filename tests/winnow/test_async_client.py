"""The asynchronous client does what the blocking one does, and holds no other task up."""

import asyncio
import hashlib
import inspect
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from part_service import CUT, DATASET, PartService, part_service

from winnow import AsyncClient, Client
from winnow.errors import InvalidRequestError, ServiceFaultError
from winnow.resources import DatasetRequest, Role

SIZE_BYTES = 256_000
PART = 1 << 16
POOL = DatasetRequest(name="", role=Role.SYNTHETIC)


@pytest.fixture
def service() -> Iterator[PartService]:
    with part_service() as service:
        yield service


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "pool.csv"
    path.write_bytes(bytes(range(256)) * (SIZE_BYTES // 256))
    return path


async def fill(client: AsyncClient, table: Path, told: list[int]) -> None:
    with table.open("rb") as source:
        await client.upload_content(
            DATASET,
            source,
            file_name=table.name,
            size_bytes=SIZE_BYTES,
            on_progress=told.append,
            part_bytes=PART,
        )


def test_parts_arrive_through_faults_and_drops(service: PartService, table: Path) -> None:
    service.failures = [503, CUT, 502]
    told: list[int] = []

    async def upload() -> None:
        async with AsyncClient(service.address, "wnw_a_b") as client:
            await fill(client, table, told)

    asyncio.run(upload())
    assert b"".join(service.parts[n] for n in sorted(service.parts)) == table.read_bytes()
    assert service.completed[0]["sha256"] == hashlib.sha256(table.read_bytes()).hexdigest()
    assert told[-1] == SIZE_BYTES


def test_upload_that_failed_goes_on_where_it_ended(service: PartService, table: Path) -> None:
    async def upload() -> None:
        async with AsyncClient(service.address, "wnw_a_b", max_tries=1) as client:
            service.failures = [200, 200, 503]
            with pytest.raises(ServiceFaultError):
                await fill(client, table, [])
            assert sorted(service.parts) == [1, 2]
            await fill(client, table, [])

    asyncio.run(upload())
    assert service.received == [1, 2, 3, 3, 4]


def test_new_dataset_that_is_refused_is_deleted_again(service: PartService, table: Path) -> None:
    service.failures = [413]

    async def upload() -> None:
        async with AsyncClient(service.address, "wnw_a_b") as client:
            await client.upload_dataset(table, POOL)

    with pytest.raises(InvalidRequestError):
        asyncio.run(upload())
    assert (service.created, service.deletions) == (1, 1)


def test_other_tasks_go_on_while_a_request_waits_for_its_next_try(service: PartService) -> None:
    async def run() -> int:
        turns = 0
        async with AsyncClient(service.address, "wnw_a_b") as client, asyncio.TaskGroup() as group:
            service.failures = [503, 503]
            upload = group.create_task(
                client.upload_content(DATASET, io.BytesIO(b"x"), file_name="a.csv", size_bytes=1)
            )
            while not upload.done():
                turns += 1
                await asyncio.sleep(0.01)
        return turns

    # Two pauses of at least a quarter and half a second leave room for many turns.
    assert asyncio.run(run()) > 10
    assert service.received == [0, 0, 0]


def test_both_clients_offer_the_same_described_methods() -> None:
    def methods(client: Client | AsyncClient) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(member).parameters)
            for name, member in inspect.getmembers(client, callable)
            if not name.startswith("_")
        }

    blocking = Client("http://127.0.0.1:1")
    offered = methods(blocking)
    assert offered == methods(AsyncClient("http://127.0.0.1:1"))
    assert len(offered) > 40
    for name, parameters in offered.items():
        assert "transport" not in parameters, name
        assert inspect.getdoc(getattr(blocking, name)), name
