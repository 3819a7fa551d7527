"""The doorbell: rung in a moment where the broker listens, and never a hindrance where not."""

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from celery import Celery

from curation.identifiers import DatasetId, JobId, new_id
from curation.job_queue import (
    RUN_JOB,
    SHORT_QUEUE,
    SHORT_TIME_LIMIT_SECONDS,
    TRAIN_QUEUE,
    VALIDATE_DATASET,
    VISIBILITY_TIMEOUT_SECONDS,
    make_celery,
    ring_job,
    ring_validation,
)


def messages(app: Celery, queue: str) -> list[dict[str, object]]:
    with app.connection_for_read() as connection:
        found = connection.default_channel.client.lrange(queue, 0, -1)
        return [json.loads(message) for message in found]


def test_job_is_rung_on_the_training_queue_by_name_and_id(emptied_broker_url: str) -> None:
    app = make_celery(emptied_broker_url)
    job_id = JobId(new_id())
    assert ring_job(app, job_id)
    (message,) = messages(app, TRAIN_QUEUE)
    headers, properties = message["headers"], message["properties"]
    assert isinstance(headers, dict)
    assert isinstance(properties, dict)
    assert headers["task"] == RUN_JOB
    assert headers["argsrepr"] == f"['{job_id}']"
    assert message["content-type"] == "application/json"
    assert messages(app, SHORT_QUEUE) == []


def test_validation_is_rung_on_the_short_queue(emptied_broker_url: str) -> None:
    app = make_celery(emptied_broker_url)
    assert ring_validation(app, DatasetId(new_id()))
    (message,) = messages(app, SHORT_QUEUE)
    headers = message["headers"]
    assert isinstance(headers, dict)
    assert headers["task"] == VALIDATE_DATASET


def test_dead_broker_is_no_error_and_costs_a_moment() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    start = time.monotonic()
    assert not ring_job(make_celery(f"redis://127.0.0.1:{port}/0"), JobId(new_id()))
    assert time.monotonic() - start < 1.5


def publishing() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "winnow-publish"]


def test_silent_broker_is_no_error_costs_a_moment_and_piles_up_no_threads(
    emptied_broker_url: str,
) -> None:
    # It takes connections and never says a word.
    with socket.create_server(("127.0.0.1", 0)) as server:
        app = make_celery(f"redis://127.0.0.1:{server.getsockname()[1]}/0")
        start = time.monotonic()
        with ThreadPoolExecutor(24) as pool:
            assert not any(pool.map(lambda _: ring_job(app, JobId(new_id())), range(24)))
        assert time.monotonic() - start < 8
        assert 0 < len(publishing()) <= 8
    deadline = time.monotonic() + 60
    while publishing() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not publishing()
    assert ring_job(make_celery(emptied_broker_url), JobId(new_id()))


def test_messages_are_json_alone_and_nothing_waits_for_results(broker_url: str) -> None:
    conf = make_celery(broker_url).conf
    assert (conf.task_serializer, list(conf.accept_content)) == ("json", ["json"])
    assert conf.task_ignore_result
    assert conf.result_backend is None
    assert conf.worker_disable_prefetch
    assert not conf.task_acks_late
    assert conf.task_time_limit is None
    options = conf.broker_transport_options
    assert options["socket_timeout"]
    assert options["socket_keepalive"]
    assert options["health_check_interval"]
    # A short task that still runs must never be delivered a second time.
    assert SHORT_TIME_LIMIT_SECONDS * 3 < VISIBILITY_TIMEOUT_SECONDS
