"""The Celery process supervises and never learns: it is light, and set up as it should be."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from curation.job_queue import RUN_JOB, SWEEP, VALIDATE_DATASET
from curation.settings import CurationSettings
from worker.celery_app import WorkerKind, command_line, configure_worker, main
from worker.scratch import attempt_scratch
from worker.services import Services, build_services
from worker.settings import WorkerSettings
from worker.supervisor import Supervisor
from worker.tasks import register_short_tasks, register_training

IMPORT = """
import sys
import worker.celery_app
sys.exit("torch" in sys.modules or "mts_core" in sys.modules)
"""


@pytest.fixture
def worker_settings(settings: CurationSettings) -> WorkerSettings:
    return WorkerSettings(**settings.model_dump())


@pytest.fixture
def services(worker_settings: WorkerSettings) -> Services:
    return build_services(worker_settings)


def test_worker_process_does_not_import_torch() -> None:
    subprocess.run([sys.executable, "-c", IMPORT], check=True)


def test_training_worker_takes_one_job_at_a_time_on_a_thread(
    worker_settings: WorkerSettings,
) -> None:
    line = command_line(WorkerKind.TRAIN, worker_settings)

    assert {"--pool=threads", "--concurrency=1", "--queues=train"} <= set(line)
    assert {"--without-gossip", "--without-mingle", "--without-heartbeat"} <= set(line)


def test_short_worker_runs_processes(worker_settings: WorkerSettings) -> None:
    line = command_line(WorkerKind.SHORT, worker_settings)

    assert {"--pool=prefork", "--concurrency=2", "--queues=short"} <= set(line)


def test_training_message_is_acknowledged_before_the_work_and_has_no_time_limit(
    services: Services, worker_settings: WorkerSettings
) -> None:
    supervisor = Supervisor(
        services.engine, worker_settings, ring=print, clock=services.clock, child_command=()
    )
    register_training(services.app, supervisor)
    configure_worker(services.app)

    task = services.app.tasks[RUN_JOB]
    assert not task.acks_late
    assert task.ignore_result
    assert task.time_limit is None
    assert services.app.conf.task_time_limit is None
    assert services.app.conf.worker_disable_prefetch


@pytest.mark.parametrize("name", [VALIDATE_DATASET, SWEEP])
def test_short_message_is_acknowledged_after_the_work_within_the_visibility_timeout(
    services: Services, name: str
) -> None:
    register_short_tasks(services.app, services)

    task = services.app.tasks[name]
    assert task.acks_late
    assert task.max_retries is not None
    visibility = services.app.conf.broker_transport_options["visibility_timeout"]
    assert task.time_limit <= visibility / 2


def test_settings_are_json_only_and_no_wait_is_endless(services: Services) -> None:
    configure_worker(services.app)
    conf = services.app.conf

    assert conf.accept_content == ["json"]
    assert conf.task_serializer == "json"
    assert {"socket_timeout", "socket_keepalive", "health_check_interval"} <= set(
        conf.broker_transport_options
    )


def test_worker_that_hangs_in_a_transaction_holds_its_rows_for_one_lease_at_most(
    engine: Engine, worker_settings: WorkerSettings
) -> None:
    services = build_services(worker_settings.model_copy(update={"lease_seconds": 1.0}))
    lock = text("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE")
    with services.engine.connect() as hanging, engine.begin() as other:
        hanging.execute(lock)
        began = time.monotonic()
        other.execute(text("SET LOCAL lock_timeout = '20s'"))
        other.execute(lock)
        assert time.monotonic() - began > 0.5
        # The server has ended it.
        hanging.invalidate()
    services.engine.dispose()


@pytest.mark.usefixtures("engine", "object_store")
def test_sweep_removes_what_a_killed_worker_left_on_this_machine(
    worker_settings: WorkerSettings, tmp_path: Path
) -> None:
    scratch = tmp_path / "scratch"
    services = build_services(worker_settings.model_copy(update={"scratch_dir": scratch}))
    with attempt_scratch(scratch) as in_use:
        (scratch / "winnow-attempt-killed").mkdir()
        services.sweep_and_ring()
        assert list(scratch.iterdir()) == [in_use]


@pytest.mark.parametrize("arguments", [[], ["both"], ["train", "now"]])
def test_wrong_arguments_are_answered_with_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert "train|short" in capsys.readouterr().err
