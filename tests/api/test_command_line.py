"""The command line's short commands against the real application, as a person or a program."""

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import structlog
from callers import POOL_SIZE, Finished, Sets, wait_until
from sqlalchemy import Engine, select, update

from curation.database import unit_of_work
from curation.ingest import validate_and_record
from curation.models import Dataset, DatasetState
from curation.objects import LocalObjectStore
from curation.settings import CurationSettings
from winnow.cli import run
from winnow.exit_codes import ExitCode

Say = Callable[..., str]


@pytest.fixture
def say(
    address: str,
    key: str,
    object_store: LocalObjectStore,  # noqa: ARG001 - It is empty.
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Say:
    """Runs a command that must end with the code, and returns what it printed."""
    # The application runs in this process too, and logs to what the command prints on.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(io.StringIO()))
    monkeypatch.setenv("WINNOW_SERVER", address)
    monkeypatch.setenv("WINNOW_API_KEY", key)

    def run_it(*words: object, code: int = ExitCode.OK) -> str:
        arguments = [str(word) for word in words]
        ended = run(arguments)
        said = capsys.readouterr()
        assert ended == code, said.err
        return said.out if code == ExitCode.OK else said.err

    return run_it


def answer(say: Say, *words: object) -> Any:
    return json.loads(say(*words, "--output", "json"))


def test_keys_are_listed_created_replaced_and_ended(say: Say) -> None:
    made = answer(say, "keys", "create", "nightly", "--scope", "read", "--days", 3)
    assert made["key"]["scopes"] == ["read"]
    assert made["key"]["expires_at"] is not None
    identifier = made["key"]["id"]
    said = say("keys", "rotate", identifier, "--overlap-hours", 0.5)
    assert "secret   wnw_" in said
    assert said.endswith("Keep the secret: it is not shown again.\n")
    assert say("keys", "revoke", identifier) == f"Revoked key {identifier} (nightly)\n"
    states = {k["id"]: k["revoked_at"] is not None for k in answer(say, "keys", "list")}
    assert states[identifier]
    assert len(states) == 3
    [row] = [line for line in say("keys", "list").splitlines() if identifier in line]
    assert "revoked" in row
    assert "KEY_NOT_FOUND" in say(
        "keys", "revoke", "01890000-0000-7000-8000-000000000000", code=ExitCode.REFUSED
    )


def test_webhooks_are_created_tried_and_deleted(say: Say) -> None:
    made = answer(say, "webhooks", "create", "https://example.org/hook", "--event", "job.failed")
    hook = made["webhook"]["id"]
    assert made["webhook"]["events"] == ["job.failed"]
    assert made["secret"].startswith("whsec_")
    assert "secret  whsec_" in say("webhooks", "rotate", hook)
    assert "disabled" in say("webhooks", "disable", hook)
    assert answer(say, "webhooks", "enable", hook)["is_enabled"]
    assert "webhook.ping" in say("webhooks", "test", hook)
    [sent] = answer(say, "webhooks", "deliveries", hook)
    assert "webhook.ping" in say("webhooks", "delivery", sent["id"])
    again = answer(say, "webhooks", "redeliver", sent["id"])
    assert again["message_id"] == sent["message_id"]
    assert say("webhooks", "deliveries", hook).count("webhook.ping") == 2
    assert "https://example.org/hook" in say("webhooks", "list")
    assert answer(say, "webhooks", "delete", hook) == {"deleted": hook}
    assert answer(say, "webhooks", "list") == []


def test_import_waits_for_its_validation_and_tells_a_failure(say: Say, engine: Engine) -> None:
    def fail_import() -> None:
        with unit_of_work(engine) as session:
            failed = update(Dataset).values(
                state=DatasetState.INVALID,
                failure_reason="IMPORT_NOT_FOUND",
                failure_detail="There is no such file.",
            )
            wait_until(lambda: session.execute(failed.returning(Dataset.id)).all() != [])

    failing = Thread(target=fail_import)
    failing.start()
    said = say(
        *("datasets", "import", "s3://pools/open/digits.zip", "--role", "synthetic"),
        code=ExitCode.REFUSED,
    )
    failing.join()
    assert "'digits.zip' is invalid: IMPORT_NOT_FOUND: There is no such file." in said


def test_upload_tells_that_texts_were_taken_as_categories(
    say: Say,
    engine: Engine,
    object_store: LocalObjectStore,
    settings: CurationSettings,
    tmp_path: Path,
) -> None:
    table = tmp_path / "reviews.csv"
    rows = [f"Room {n} was clean and quiet,{('good', 'bad')[n % 2]}" for n in range(20)]
    table.write_text("\n".join(["review,label", *rows]), encoding="utf-8")

    def validate() -> None:
        waiting = select(Dataset.id).where(Dataset.state == DatasetState.VALIDATING)
        with engine.connect() as connection:
            wait_until(lambda: connection.execute(waiting).first() is not None)
            [dataset_id] = connection.scalars(waiting)
        now = datetime.now(UTC)
        assert validate_and_record(engine, object_store, dataset_id, settings, now)

    validating = Thread(target=validate)
    validating.start()
    said = answer(say, "datasets", "upload", table, "--role", "synthetic", "--quiet")
    validating.join()
    [warning] = said["warnings"]
    assert (warning["reason"], warning["field"]) == ("TEXT_AS_CATEGORY", "review")
    assert answer(say, "datasets", "show", said["id"])["dataset"]["warnings"] == [warning]
    assert "warning   The column 'review' looks like" in say("datasets", "show", said["id"])


def test_cuts_are_made_listed_shown_and_written(
    say: Say, finished: Finished, tmp_path: Path
) -> None:
    job = finished.job_id
    cut = answer(say, "select", job, "--keep", 0.5, "--balance")
    assert cut["kept_count"] == POOL_SIZE // 2
    assert [c["id"] for c in answer(say, "selections", "list", job)] == [cut["id"]]
    assert "best 0.5 of the pool, balanced" in say("selections", "list", job)
    assert answer(say, "selections", "show", cut["id"]) == cut
    assert f"kept     {POOL_SIZE // 2}" in say("selections", "show", cut["id"])
    target = tmp_path / "cut.csv"
    written = answer(say, "download", "--selection", cut["id"], "--out", target, "--kept-only")
    assert written == [str(target)]
    assert len(target.read_text().splitlines()) == POOL_SIZE // 2 + 1


def test_results_are_downloaded_with_a_word_or_quietly(
    say: Say, finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"  {tmp_path / 'out' / 'manifest.parquet'}\n" in say(
        "download", finished.job_id, "--out", tmp_path / "out"
    )
    words = ["download", str(finished.job_id), "--out", str(tmp_path / "all.jsonl")]
    assert run(words) == ExitCode.OK
    assert capsys.readouterr().err.startswith("Downloading\n")
    assert run([*words, "--quiet"]) == ExitCode.OK
    assert capsys.readouterr().err == ""
    assert len((tmp_path / "all.jsonl").read_text().splitlines()) == POOL_SIZE
    refused = say(
        "download", finished.job_id, "--out", tmp_path / "out", "--all", code=ExitCode.REFUSED
    )
    assert "--all go with a file" in refused


def test_lists_are_filtered_and_rows_deleted(say: Say, finished: Finished) -> None:
    [pool] = answer(say, "datasets", "list", "--role", "synthetic")
    assert answer(say, "datasets", "list", "--role", "test") == []
    assert answer(say, "datasets", "list", "--state", "invalid") == []
    assert answer(say, "datasets", "show", pool["id"])["dataset"] == pool
    [job] = answer(say, "jobs", "list", "--state", "succeeded")
    assert job == answer(say, "jobs", "show", finished.job_id)
    assert answer(say, "jobs", "watch", finished.job_id) == job
    [selector] = answer(say, "selectors", "list")
    assert answer(say, "selectors", "delete", selector["id"]) == {"deleted": selector["id"]}
    assert say("jobs", "delete", job["id"]) == f"Deleted job {job['id']}\n"
    assert answer(say, "datasets", "delete", pool["id"]) == {"deleted": pool["id"]}
    assert "DATASET_NOT_FOUND" in say("datasets", "show", pool["id"], code=ExitCode.REFUSED)


def test_job_is_estimated_then_created(say: Say, sets: Sets) -> None:
    words = ["jobs", "create", "--synthetic", sets.synthetic_id, "--reference", sets.reference_id]
    words += ["--method", "mts", "--config", "steps=9", "--seed", 4]
    said = say(*words, "--estimate")
    assert "rests on  a rough rule\n" in said
    assert "\nwarning: 2 of 2 classes have fewer than 5 samples" in said
    assert answer(say, *words, "--estimate")["basis"] == "rule"
    assert answer(say, "jobs", "list") == []
    made = answer(say, *words)
    assert (made["method"], made["config"]["steps"], made["seed"]) == ("mts", 9, 4)
    assert [job["id"] for job in answer(say, "jobs", "list")] == [made["id"]]


def test_unknown_key_exits_as_if_no_service_answered(say: Say) -> None:
    assert "error: " in say("jobs", "list", "--api-key", "wnw_a_b", code=ExitCode.UNREACHABLE)
