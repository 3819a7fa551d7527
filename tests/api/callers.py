"""Callers of the application, real servers for it, and results as a worker would find them."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import kombu
import numpy as np
import uvicorn
from fastapi import FastAPI
from numpy.typing import NDArray
from sqlalchemy import Engine

from curation import results
from curation.database import unit_of_work
from curation.identifiers import DatasetId, JobId
from curation.keys import create_key

POOL_SIZE = 40
FEATURE_NAMES = ("alpha", "beta", "gamma")


@dataclass(frozen=True)
class Sets:
    """Ready datasets of one workspace that fit together."""

    synthetic_id: DatasetId
    reference_id: DatasetId


@dataclass(frozen=True)
class Finished:
    """A job with results, and what they are."""

    job_id: JobId
    rows: results.ResultRows
    features: NDArray[np.float32]


def make_key(engine: Engine, workspace: str, *scopes: str) -> str:
    with unit_of_work(engine) as session:
        _, key = create_key(
            session,
            workspace_name=workspace,
            name="test",
            scopes=scopes or ("read", "write"),
            now=datetime.now(UTC),
        )
    return key


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@contextmanager
def silent_server() -> Iterator[str]:
    """Yield host and port of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def wait_until(condition: Callable[[], bool], *, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def rung_ids(broker_url: str, queue: str, *, count: int) -> list[str]:
    """Return the ids in the next messages of a queue, which must come within seconds."""
    with kombu.Connection(broker_url) as connection:
        messages = connection.SimpleQueue(queue)
        ids = []
        for _ in range(count):
            message = messages.get(timeout=5)
            message.ack()
            (job_or_dataset_id,), _, _ = message.payload
            ids.append(job_or_dataset_id)
        messages.close()
    return ids


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """Yield the address of the application behind a real server."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive()
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def make_results() -> tuple[results.ResultRows, NDArray[np.float32]]:
    generator = np.random.default_rng(0)
    scores = generator.permutation(np.linspace(0.05, 1.0, POOL_SIZE)).astype(np.float32)
    ranks = np.empty(POOL_SIZE, dtype=np.int64)
    ranks[np.argsort(-scores)] = np.arange(POOL_SIZE)
    rows = results.ResultRows(
        first_position=0,
        sample_ids=[f"synthetic/{position}" for position in range(POOL_SIZE)],
        labels=np.arange(POOL_SIZE) % 2,
        scores=scores,
        weights=(scores / scores.mean()).astype(np.float32),
        ranks=ranks,
        keep=scores > np.float32(0.5),
    )
    features = generator.normal(size=(POOL_SIZE, len(FEATURE_NAMES))).astype(np.float32)
    return rows, features


def make_map() -> NDArray[np.float32]:
    """Return points on a half circle, so that neighbours by angle are neighbours by position."""
    angles = np.linspace(0, np.pi, POOL_SIZE)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
