"""The command that holds the store against the database finds what is wrong, and only that."""

from datetime import timedelta
from pathlib import Path

import pytest
from sample_world import World
from sqlalchemy import update

from curation import store_check
from curation.clock import utc_now
from curation.database import unit_of_work
from curation.datasets import get_dataset
from curation.jobs import register_checkpoint
from curation.models import Base, ObjectRow
from curation.object_rows import naming_columns
from curation.objects import LocalObjectStore
from curation.store_check import Finding, Flaw, check_store


@pytest.fixture
def content(world: World) -> str:
    """The digest of the pool's upload."""
    with unit_of_work(world.engine) as session:
        digest = get_dataset(session, world.workspace, world.synthetic).content_digest
    assert digest is not None
    return digest


def path_of(store: LocalObjectStore, digest: str) -> Path:
    return store.unfinished_folder.parent / digest[:2] / digest


def findings(world: World, *, quick: bool = False, later: timedelta = timedelta()) -> list[Finding]:
    moment = utc_now() - timedelta(hours=1) + later
    found = check_store(world.engine, world.store, reads_files=not quick, written_before=moment)
    return list(found)


def test_sound_store_has_nothing_to_tell(world: World) -> None:
    world.finished_job()
    assert findings(world) == []


@pytest.mark.parametrize("quick", [False, True])
def test_lost_file_is_told_with_what_names_it(world: World, content: str, *, quick: bool) -> None:
    path_of(world.store, content).unlink()
    assert findings(world, quick=quick) == [
        Finding(Flaw.MISSING, content, [f"content of dataset {world.synthetic}"])
    ]


def test_changed_byte_is_found_by_reading(world: World, content: str) -> None:
    path = path_of(world.store, content)
    whole = path.read_bytes()
    path.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    assert [finding.flaw for finding in findings(world)] == [Flaw.DAMAGED]
    assert findings(world, quick=True) == []


def test_size_that_is_not_the_rows_is_found(world: World, content: str) -> None:
    with unit_of_work(world.engine) as session:
        session.execute(update(ObjectRow).where(ObjectRow.digest == content).values(size_bytes=3))
    assert [finding.flaw for finding in findings(world)] == [Flaw.DAMAGED]


def test_file_without_a_row_is_told_once_it_is_old(world: World) -> None:
    stray = world.store.put_bytes(b"nobody's")
    assert findings(world) == []
    assert findings(world, later=timedelta(hours=2)) == [Finding(Flaw.UNNAMED, stray.digest)]


def test_row_that_nothing_names_is_not_missed(world: World) -> None:
    """As it is between the deletion of a dataset and the next look of the sweep."""
    with unit_of_work(world.engine) as session:
        session.add(ObjectRow(digest="0" * 64, size_bytes=1))
    assert findings(world) == []


def test_every_column_that_refers_to_objects_has_a_name() -> None:
    """A table that comes to name objects is known to the sweep, which removes the others."""
    referring = {
        column
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if any(key.column is ObjectRow.__table__.c.digest for key in column.foreign_keys)
    }
    assert set(naming_columns()) == referring


def test_checkpoint_is_missed_only_while_an_attempt_may_go_on_from_it(world: World) -> None:
    claim = world.claimed_job()
    states = [world.store.put_bytes(f"state {step}".encode()) for step in range(2)]
    for step, state in enumerate(states):
        with unit_of_work(world.engine) as session:
            assert register_checkpoint(session, claim, phase="train", step=step, stored=state)
        path_of(world.store, state.digest).unlink()
    lost = Finding(Flaw.MISSING, states[1].digest, [f"checkpoint of job {claim.job_id}"])
    assert findings(world) == [lost]
    assert world.finish(claim)
    assert findings(world) == []


@pytest.fixture
def as_operator(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("database_url", "broker_url", "object_store"):
        monkeypatch.setenv(f"WINNOW_{name.upper()}", getattr(world.settings, name))


@pytest.mark.usefixtures("as_operator")
def test_command_says_what_is_wrong_and_by_its_exit_code(
    world: World, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert store_check.main([]) == 0
    assert capsys.readouterr().out == "0 missing, 0 damaged, 0 unnamed\n"
    path_of(world.store, content).unlink()
    assert store_check.main(["--quick"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"missing\t{content}\tcontent of dataset {world.synthetic}",
        "1 missing, 0 damaged, 0 unnamed",
    ]


@pytest.mark.usefixtures("as_operator", "world")
def test_command_tells_a_store_that_is_away_from_one_that_is_damaged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setenv("WINNOW_OBJECT_STORE", "s3://a?endpoint=http://127.0.0.1:1&region=here")
    assert store_check.main(["--quick"]) == 2
    assert "The store cannot be read" in capsys.readouterr().err
