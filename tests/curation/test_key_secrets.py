"""API keys: shown once, stored as a hash, and good for one workspace until they end."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sample_world import Service
from sqlalchemy import select, text

from curation.database import unit_of_work
from curation.errors import InvalidInputError, UnauthenticatedError
from curation.keys import Principal, Scope, authenticate, create_key
from curation.models import ApiKey, Workspace

REPOSITORY = Path(__file__).parents[2]


def make(service: Service, *, workspace: str = "tests", **changes: object) -> str:
    with unit_of_work(service.engine) as session:
        _, key = create_key(
            session,
            workspace_name=workspace,
            name="a key",
            scopes=["read", "write"],
            now=service.now,
            **changes,  # type: ignore[arg-type]
        )
    return key


def check(service: Service, key: str, *, later: timedelta = timedelta()) -> Principal:
    with unit_of_work(service.engine) as session:
        return authenticate(session, key, service.now + later)


def test_key_opens_its_workspace_with_its_scopes(service: Service) -> None:
    key = make(service)
    assert key.startswith("wnw_")
    principal = check(service, key)
    assert principal.workspace_id == service.workspace
    assert principal.scopes == {Scope.READ, Scope.WRITE}


def test_secret_is_nowhere_in_the_database(service: Service) -> None:
    key = make(service)
    secret = key.split("_", 2)[2]
    with service.engine.connect() as connection:
        rows = connection.execute(text("SELECT api_keys::text FROM api_keys")).scalars().all()
    assert len(rows) == 1
    assert secret not in rows[0]
    assert secret.encode().hex() not in rows[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda key: key[:-1] + ("A" if key[-1] != "A" else "B"),
        lambda key: key.replace("wnw_", "abc_"),
        lambda key: key.rsplit("_", 1)[0],
        lambda _: "",
        lambda _: "wnw_%_x",
        lambda _: "wnw_0123456789ab_" + "x" * 43,
    ],
)
def test_any_other_word_opens_nothing(service: Service, change: object) -> None:
    key = make(service)
    assert callable(change)
    with pytest.raises(UnauthenticatedError):
        check(service, change(key))


def test_key_ends_when_it_expires_or_is_revoked(service: Service) -> None:
    key = make(service, expires_at=service.now + timedelta(hours=1))
    check(service, key)
    with pytest.raises(UnauthenticatedError):
        check(service, key, later=timedelta(hours=1))
    lasting = make(service)
    with unit_of_work(service.engine) as session:
        for row in session.scalars(select(ApiKey)):
            row.revoked_at = service.now
    with pytest.raises(UnauthenticatedError):
        check(service, lasting)


def test_last_use_is_noted_but_not_with_every_request(service: Service) -> None:
    key = make(service)
    seen = []
    for seconds in (0, 30, 90):
        check(service, key, later=timedelta(seconds=seconds))
        with unit_of_work(service.engine) as session:
            seen.append(session.scalars(select(ApiKey.last_used_at)).one())
    assert seen == [service.now, service.now, service.now + timedelta(seconds=90)]


def test_two_keys_share_a_workspace_by_its_name(service: Service) -> None:
    first, second = make(service, workspace="new"), make(service, workspace="new")
    assert check(service, first).workspace_id == check(service, second).workspace_id
    assert check(service, first).workspace_id != service.workspace


@pytest.mark.parametrize("scopes", [[], ["root"], ["read", ""]])
def test_unknown_scope_is_refused(service: Service, scopes: list[str]) -> None:
    with pytest.raises(InvalidInputError), unit_of_work(service.engine) as session:
        create_key(session, workspace_name="x", name="x", scopes=scopes, now=service.now)


def test_command_prints_the_first_key_alone(service: Service) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "WINNOW_DATABASE_URL": service.settings.database_url,
        "WINNOW_BROKER_URL": service.settings.broker_url,
        "WINNOW_OBJECT_STORE": service.settings.object_store,
    }
    command = [sys.executable, "-m", "curation.keys", "create", "--workspace", "default"]
    done = subprocess.run(
        [*command, "--name", "first", "--scopes", "read,write,admin"],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    principal = check(service, done.stdout.strip())
    assert principal.scopes == set(Scope)
    with unit_of_work(service.engine) as session:
        workspace = session.get_one(Workspace, principal.workspace_id)
        assert workspace.name == "default"
    assert done.stderr == ""
