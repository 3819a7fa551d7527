"""The compose file follows the compose specification and the code that it starts."""

import importlib
import importlib.util
import json
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
import yaml
from compose_file import REQUIRED, RequiredVariableMissingError, read_compose
from compose_spec import PyCompose
from dockerfile import read_stages

from api.settings import ApiSettings
from curation.settings import CurationSettings
from worker.settings import WorkerSettings

OURS = ("migrate", "api", "train", "train-gpu", "short")
SETTINGS = {
    "migrate": CurationSettings,
    "api": ApiSettings,
    "train": WorkerSettings,
    "train-gpu": WorkerSettings,
    "short": WorkerSettings,
}


@pytest.fixture
def compose() -> Any:  # Any: parsed YAML.
    return read_compose(REQUIRED)


def seconds(duration: str) -> int:
    assert duration.endswith("s")
    return int(duration.removesuffix("s"))


def test_file_follows_the_compose_specification_schema(compose: Any) -> None:
    vendored = files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    schema = json.loads(vendored.read_text(encoding="utf-8"))
    validator = jsonschema.validators.validator_for(schema)(schema)
    assert [error.message for error in validator.iter_errors(compose)] == []
    # The schema can refuse: a misspelt key is found.
    assert list(validator.iter_errors({"services": {"a": {"image": "x", "volumez": []}}}))


def test_every_network_and_volume_that_a_service_names_is_declared(compose: Any) -> None:
    PyCompose.from_yaml(yaml.safe_dump(compose)).validate()
    del compose["volumes"]["objects"]
    with pytest.raises(ValueError, match="objects"):
        PyCompose.from_yaml(yaml.safe_dump(compose)).validate()


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_no_secret_has_a_default(name: str) -> None:
    with pytest.raises(RequiredVariableMissingError, match=name):
        read_compose({key: value for key, value in REQUIRED.items() if key != name})


@pytest.mark.parametrize("service", OURS)
def test_every_winnow_variable_is_a_setting(compose: Any, service: str) -> None:
    known = {f"WINNOW_{field}".upper() for field in SETTINGS[service].model_fields}
    given = {name for name in compose["services"][service]["environment"] if "WINNOW" in name}
    assert given <= known


@pytest.mark.parametrize("service", OURS)
def test_the_given_settings_are_valid(
    compose: Any, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in compose["services"][service]["environment"].items():
        monkeypatch.setenv(name, str(value or ""))
    settings = SETTINGS[service]()
    assert settings.database_url == "postgresql+psycopg://winnow:abc123@postgres:5432/winnow"
    assert settings.object_store == "file:///var/lib/winnow/objects"


@pytest.mark.parametrize("service", ["api", "train", "train-gpu", "short"])
def test_processes_start_after_migration_and_share_the_objects(compose: Any, service: str) -> None:
    definition = compose["services"][service]
    conditions = {name: on["condition"] for name, on in definition["depends_on"].items()}
    assert conditions == {
        "migrate": "service_completed_successfully",
        "postgres": "service_healthy",
        "valkey": "service_healthy",
    }
    assert "objects:/var/lib/winnow/objects" in definition["volumes"]


def test_every_service_that_stays_has_a_health_check(compose: Any) -> None:
    staying = {name for name in compose["services"] if name != "migrate"}
    assert {name for name in staying if "healthcheck" in compose["services"][name]} == staying


@pytest.mark.parametrize("service", ["train", "train-gpu", "short"])
def test_compose_waits_longer_for_a_worker_than_the_worker_for_its_job(
    compose: Any, service: str
) -> None:
    definition = compose["services"][service]
    grace = float(definition["environment"]["WINNOW_GRACE_SECONDS"])
    heartbeat = CurationSettings.model_fields["heartbeat_seconds"].default
    assert seconds(definition["stop_grace_period"]) > grace + heartbeat


@pytest.mark.parametrize("service", OURS)
def test_the_modules_that_are_started_exist(compose: Any, service: str) -> None:
    target = compose["services"][service]["build"]["target"]
    commands = dict(read_stages()[target].instructions)
    command = compose["services"][service].get("command") or json.loads(commands["CMD"])
    assert command[:2] == ["python", "-m"]
    module = "uvicorn" if command[2] == "uvicorn" else command[2]
    assert importlib.util.find_spec(module) is not None
    factory = next((word for word in command if ":" in word), None)
    if factory is not None:
        name, _, attribute = factory.partition(":")
        assert callable(getattr(importlib.import_module(name), attribute))


@pytest.mark.parametrize("service", OURS)
def test_processes_run_without_privileges(compose: Any, service: str) -> None:
    definition = compose["services"][service]
    assert definition["cap_drop"] == ["ALL"]
    assert definition["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in definition
    assert "user" not in definition


def test_only_the_api_opens_a_port_and_only_to_this_machine(compose: Any) -> None:
    ports = {name: definition.get("ports") for name, definition in compose["services"].items()}
    assert {name for name, opened in ports.items() if opened} == {"api"}
    assert all(port.startswith("127.0.0.1:") for port in ports["api"])


def test_the_broker_is_durable_protected_and_never_evicts(compose: Any) -> None:
    command = compose["services"]["valkey"]["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options == {
        "--requirepass": REQUIRED["VALKEY_PASSWORD"],
        "--appendonly": "yes",
        "--maxmemory-policy": "noeviction",
    }


def test_the_gpu_worker_starts_only_on_request(compose: Any) -> None:
    services = compose["services"]
    assert {name for name in services if "profiles" in services[name]} == {"train-gpu"}
    devices = services["train-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert [device["capabilities"] for device in devices] == [["gpu"]]
