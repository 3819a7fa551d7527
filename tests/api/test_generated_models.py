"""Models that a generator makes of the OpenAPI document parse what the service really answers."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from callers import Finished, Sets
from fastapi.testclient import TestClient
from pydantic import BaseModel

REPOSITORY = Path(__file__).parents[2]
DOCUMENT = REPOSITORY / "docs" / "openapi.json"
# Read by a proxy or by people; their answers have no model, or hold no one's data.
UNASKED = {"get_metrics", "get_readiness"}
QUERIES = {"list_samples": {"position": 0}}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """Models as a stranger's program has them, which refuse what the document does not say."""
    target = tmp_path_factory.mktemp("generated") / "models.py"
    command = [sys.executable, "-m", "datamodel_code_generator", "--input", str(DOCUMENT)]
    command += ["--input-file-type", "openapi", "--output", str(target), "--disable-timestamp"]
    command += ["--output-model-type", "pydantic_v2.BaseModel", "--extra-fields", "forbid"]
    command += ["--target-python-version", "3.11", "--formatters", "builtin"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    spec = importlib.util.spec_from_file_location("generated_models", target)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Forward references are looked up in the module by its name.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def readable(document: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Return the path and the answer's model of every operation that reads JSON, by its id."""
    found = {}
    for path, operations in document["paths"].items():
        operation = operations.get("get")
        if operation is None:
            continue
        content = operation["responses"]["200"].get("content", {})
        schema = content.get("application/json", {}).get("schema", {})
        if "$ref" in schema:
            found[operation["operationId"]] = (path, schema["$ref"].rpartition("/")[2])
    return found


def test_every_answer_that_is_read_parses(
    client: TestClient, finished: Finished, sets: Sets, models: ModuleType
) -> None:
    names = make_rows(client, finished, sets)
    operations = readable(json.loads(DOCUMENT.read_text()))
    assert len(operations) > 20
    for operation, (path, name) in operations.items():
        if operation in UNASKED:
            continue
        response = client.get(path.format(**names), params=QUERIES.get(operation, {}))
        assert response.status_code == 200, (operation, response.text)
        parse(models, name, response.content)


def make_rows(client: TestClient, finished: Finished, sets: Sets) -> dict[str, str]:
    """Return a row for each name in the paths, made where there is none yet."""
    job = f"/v1/jobs/{finished.job_id}"
    cut = client.post(f"{job}/selections", json={"name": "all", "rule": {"kind": "suggested"}})
    hook = client.post(
        "/v1/webhooks", json={"url": "https://example.org/", "events": ["job.failed"]}
    ).json()["webhook"]
    key = client.post("/v1/keys", json={"name": "eyes", "scopes": ["read"]}).json()["key"]
    return {
        "job_id": str(finished.job_id),
        "dataset_id": str(sets.synthetic_id),
        "position": "0",
        "selection_id": cut.json()["id"],
        "selector_id": client.get("/v1/selectors").json()["items"][0]["id"],
        "webhook_id": hook["id"],
        "delivery_id": client.post(f"/v1/webhooks/{hook['id']}:ping").json()["id"],
        "key_id": key["id"],
    }


def parse(models: ModuleType, name: str, content: bytes) -> BaseModel:
    model: type[BaseModel] = getattr(models, name)
    return model.model_validate_json(content)


def test_refusals_parse_too(client: TestClient, models: ModuleType) -> None:
    refused = [
        client.get("/v1/jobs/01890000-0000-7000-8000-000000000000"),
        client.post("/v1/jobs", json={"synthetic_id": 3}),
        client.get("/v1/jobs", headers={"Authorization": "Bearer wnw_a_b"}),
    ]
    assert [answer.status_code for answer in refused] == [404, 422, 401]
    for answer in refused:
        parse(models, "Problem", answer.content)


def test_generated_models_would_notice_a_field_that_the_document_lacks(
    client: TestClient, models: ModuleType
) -> None:
    usage = client.get("/v1/usage").json()
    with pytest.raises(ValueError, match="Extra inputs are not permitted"):
        parse(models, "UsageView", json.dumps(usage | {"unsaid": 1}).encode())
