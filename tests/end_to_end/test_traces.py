"""One trace leads from a request through the broker to the attempt, and every span arrives."""

import io
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from embedding_jobs import make_samples
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from served import served
from service import Service
from sqlalchemy import Engine
from worker_processes import WorkerProcesses

from curation.clock import utc_now
from curation.database import unit_of_work
from curation.keys import create_key
from curation.settings import CurationSettings, LogFormat

pytestmark = pytest.mark.slow

SAMPLES_NAME = "a-private-name.npz"


@dataclass(frozen=True)
class SentSpan:
    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, str]


@dataclass
class Collector:
    """A server that takes spans as a collector does."""

    address: str
    spans: list[SentSpan] = field(default_factory=list)

    def traces_with(self, name: str) -> list[list[SentSpan]]:
        """Return every trace that holds a span of this name."""
        trace_ids = {span.trace_id for span in self.spans if span.name == name}
        return [[span for span in self.spans if span.trace_id == wanted] for wanted in trace_ids]


@contextmanager
def collector() -> Iterator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            body = self.rfile.read(int(self.headers["content-length"]))
            here.spans.extend(decoded(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    here = Collector(f"http://127.0.0.1:{server.server_port}")
    with served(server):
        yield here


def decoded(body: bytes) -> Iterator[SentSpan]:
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        service = values(resource.resource.attributes)["service.name"]
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield SentSpan(
                    service=service,
                    name=span.name,
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    attributes=values(span.attributes),
                )


def values(attributes: Any) -> dict[str, str]:
    return {
        pair.key: str(getattr(pair.value, pair.value.WhichOneof("value"))) for pair in attributes
    }


@pytest.fixture
def key(engine: Engine) -> str:
    with unit_of_work(engine) as session:
        _, key = create_key(
            session, workspace_name="traces", name="test", scopes=["read", "write"], now=utc_now()
        )
    return key


@pytest.fixture
def socket() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="winnow-api-") as folder:
        yield Path(folder) / "api.sock"


@pytest.fixture
def traced(settings: CurationSettings) -> Callable[[str], CurationSettings]:
    # Nothing is rung for twice, so that every task has a request for its parent.
    changes = {"log_format": LogFormat.JSON, "lease_seconds": 20.0, "ring_backoff_seconds": 600.0}
    return lambda address: settings.model_copy(update={**changes, "otlp_endpoint": address})


def test_one_trace_leads_from_the_request_to_the_attempt_and_its_phases(
    traced: Callable[[str], CurationSettings],
    key: str,
    socket: Path,
    tmp_path: Path,
    emptied_broker_url: str,  # noqa: ARG001 - Without others' messages.
) -> None:
    log = tmp_path / "log"
    with (
        collector() as found,
        log.open("wb") as output,
        WorkerProcesses(traced(found.address), tmp_path, output=output) as processes,
        Service(socket, key) as service,
    ):
        api = processes.start_api(socket)
        short = processes.start("short")
        acts = ("progress=0.5", "sleep=0.5", "fail=On purpose.")
        train = processes.start_scripted(*acts)
        service.wait_until_ready()
        datasets = {f"{role}_id": upload(service, role) for role in ("synthetic", "reference")}
        job = service.run_job(**datasets)
        assert job["failure"]["reason"] == "NON_FINITE"
        # Who leaves sends what waits.
        for process in (train, api, short):
            process.terminate()
            process.wait(60)
    (trace,) = found.traces_with("attempt")
    named = {span.name: span for span in trace}
    request, attempt = named["POST /v1/jobs"], named["attempt"]
    assert (request.service, attempt.service) == ("winnow-api", "winnow-train")
    assert request.parent_id == ""
    assert attempt.parent_id == request.span_id
    assert attempt.attributes["winnow.job_id"] == job["id"]
    assert attempt.attributes["winnow.outcome"] == "Broken"
    assert named["train"].parent_id == attempt.span_id
    assert named["task winnow.run_job"].parent_id == request.span_id
    # Queries of both processes, though not each heartbeat and progress.
    queries = [span for span in trace if "db.system" in span.attributes]
    assert {"winnow-api", "winnow-train"} <= {span.service for span in queries}
    assert len(trace) < 100
    follow_uploads(found)
    check_log(log, trace_id=request.trace_id, job_id=job["id"])
    everything = json.dumps([span.attributes for span in found.spans])
    for secret in (key, SAMPLES_NAME):
        assert secret not in everything


def upload(service: Service, role: str) -> str:
    samples = make_samples(20, seed=1)
    content = io.BytesIO()
    np.savez(content, x=samples.embeddings, y=np.array(samples.labels))
    dataset = service.upload(role, SAMPLES_NAME, content.getvalue())
    assert dataset["state"] == "ready", dataset
    return str(dataset["id"])


def follow_uploads(found: Collector) -> None:
    traces = found.traces_with("task winnow.validate_dataset")
    assert len(traces) == 2
    for trace in traces:
        named = {span.name: span for span in trace}
        task = named["task winnow.validate_dataset"]
        assert task.service == "winnow-short"
        assert task.parent_id == named["PUT /v1/datasets/{dataset_id}/content"].span_id
    # Every span's parent was sent, too, so that no part of a trace hangs in the air.
    sent = {span.span_id for span in found.spans} | {""}
    assert [span for span in found.spans if span.parent_id not in sent] == []
    # Neither a probe nor a sweep begins a trace.
    roots = {span.name for span in found.spans if span.parent_id == ""}
    assert roots
    assert all("/v1/" in name for name in roots), roots


def check_log(log: Path, *, trace_id: str, job_id: str) -> None:
    said = [line for line in log.read_text(encoding="utf-8").splitlines() if line[:1] == "{"]
    lines = [json.loads(line) for line in said]
    for event in ("job_created", "job_claimed", "attempt_ended"):
        (line,) = [line for line in lines if line["event"] == event]
        assert (line["job_id"], line["trace_id"]) == (job_id, trace_id)


def test_collector_that_is_away_holds_up_neither_requests_nor_the_end(
    traced: Callable[[str], CurationSettings], key: str, socket: Path, tmp_path: Path
) -> None:
    with (
        WorkerProcesses(traced("http://127.0.0.1:1"), tmp_path) as processes,
        Service(socket, key) as service,
    ):
        api = processes.start_api(socket)
        service.wait_until_ready()
        assert service.request("GET", "/v1/jobs")["items"] == []
        api.terminate()
        began = time.monotonic()
        api.wait(60)
        assert time.monotonic() - began < 30
