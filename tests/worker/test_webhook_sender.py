"""Messages reach their endpoint signed, are tried again, and go nowhere that they must not."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from served import served
from sqlalchemy import Engine, select
from standardwebhooks import Webhook, WebhookVerificationError

from curation.database import unit_of_work
from curation.identifiers import WorkspaceId
from curation.models import DeliveryState, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from curation.outbound_addresses import parse_networks
from curation.running_totals import Total, read_totals
from curation.settings import CurationSettings
from curation.webhook_deliveries import take_message
from curation.webhook_outbox import ping, redeliver
from curation.webhooks import EndpointRequest, WebhookEvent, create_endpoint, rotate_secret
from worker.webhook_sender import deliver_due


@dataclass
class Receiver:
    """A server that takes messages.

    Attributes:
        url: Its address.
        status: What it answers.
        location: Where it sends callers on to.
        wait_seconds: How long it takes.
        received: Headers and body of each request.
    """

    url: str
    status: int = 200
    location: str | None = None
    wait_seconds: float = 0.0
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@contextmanager
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            here.received.append(({k.lower(): v for k, v in self.headers.items()}, body))
            time.sleep(here.wait_seconds)
            self.send_response(here.status)
            if here.location:
                self.send_header("Location", here.location)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    here = Receiver(f"http://localhost:{server.server_port}/hook?a=1")
    with served(server):
        yield here


@pytest.fixture
def target() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


class Hooks:
    """An endpoint, its messages, and a clock that tests turn."""

    def __init__(
        self, engine: Engine, workspace: WorkspaceId, settings: CurationSettings, url: str
    ) -> None:
        self.engine = engine
        self.settings = settings.model_copy(
            update={
                # The hosts' own names may stand for both kinds of addresses.
                "outbound_networks": "127.0.0.0/8,::1/128",
                "webhook_timeout_seconds": 1.0,
                "webhook_max_attempts": 3,
                "webhook_max_failures": 2,
            }
        )
        self.now = datetime.now(UTC)
        allowed = parse_networks(self.settings.outbound_networks)
        asked = EndpointRequest(url=url, events=[WebhookEvent.JOB_FAILED])
        with unit_of_work(engine) as session:
            row = create_endpoint(session, workspace, asked, allowed, self.now)
            self.endpoint_id, self.secret = row.id, row.secret

    def ping(self) -> None:
        with unit_of_work(self.engine) as session:
            ping(session, session.get_one(WebhookEndpoint, self.endpoint_id), self.now)

    def deliver(self, *, later: float = 0.0) -> int:
        self.now += timedelta(seconds=later)
        return deliver_due(self.engine, self.settings, lambda: self.now)

    @property
    def endpoint(self) -> WebhookEndpoint:
        with unit_of_work(self.engine) as session:
            return session.get_one(WebhookEndpoint, self.endpoint_id)

    @property
    def deliveries(self) -> list[WebhookDelivery]:
        with unit_of_work(self.engine) as session:
            return list(session.scalars(select(WebhookDelivery).order_by(WebhookDelivery.id)))

    @property
    def tries(self) -> list[tuple[int | None, str | None]]:
        with unit_of_work(self.engine) as session:
            rows = session.scalars(select(WebhookAttempt).order_by(WebhookAttempt.number))
            return [(row.status_code, row.error) for row in rows]


@pytest.fixture
def hooks(
    engine: Engine, workspace: WorkspaceId, settings: CurationSettings, target: Receiver
) -> Hooks:
    return Hooks(engine, workspace, settings, target.url)


def test_message_arrives_signed_and_once(hooks: Hooks, target: Receiver) -> None:
    hooks.ping()
    assert hooks.deliver() == 1
    assert hooks.deliver() == 0
    ((headers, body),) = target.received
    assert Webhook(hooks.secret).verify(body, headers)["type"] == "webhook.ping"
    with pytest.raises(WebhookVerificationError):
        Webhook(hooks.secret).verify(body.replace(b"ping", b"pong"), headers)
    assert headers["host"] == target.url.split("/")[2]
    (delivery,) = hooks.deliveries
    assert (delivery.state, delivery.attempt) == (DeliveryState.DELIVERED, 1)
    assert headers["webhook-id"] == delivery.message_id


def test_both_secrets_sign_for_a_day_after_a_rotation(hooks: Hooks, target: Receiver) -> None:
    with unit_of_work(hooks.engine) as session:
        rotate_secret(session.get_one(WebhookEndpoint, hooks.endpoint_id), hooks.now)
    hooks.ping()
    hooks.deliver()
    (headers, body) = target.received[-1]
    for secret in (hooks.secret, hooks.endpoint.secret):
        assert Webhook(secret).verify(body, headers)
    with unit_of_work(hooks.engine) as session:
        row = session.get_one(WebhookEndpoint, hooks.endpoint_id)
        row.previous_secret_until = hooks.now
    hooks.ping()
    hooks.deliver()
    (headers, body) = target.received[-1]
    with pytest.raises(WebhookVerificationError):
        Webhook(hooks.secret).verify(body, headers)


def test_failed_message_is_tried_again_after_longer_and_longer(
    hooks: Hooks, target: Receiver
) -> None:
    target.status = 500
    hooks.ping()
    assert hooks.deliver() == 1
    assert hooks.deliver(later=4) == 0
    assert hooks.deliver(later=2) == 1
    assert hooks.deliver(later=18) == 0
    target.status = 204
    assert hooks.deliver(later=3) == 1
    assert hooks.tries == [(500, None), (500, None), (204, None)]
    assert hooks.deliveries[0].state is DeliveryState.DELIVERED
    assert len({headers["webhook-id"] for headers, _ in target.received}) == 1


def test_endpoint_is_disabled_after_repeated_failure_and_gets_nothing_more(
    hooks: Hooks, target: Receiver
) -> None:
    target.status = 503
    for _ in range(2):
        hooks.ping()
        for _ in range(3):
            hooks.deliver(later=1000)
    assert {row.state for row in hooks.deliveries} == {DeliveryState.FAILED}
    assert hooks.endpoint.disabled_at is not None
    assert "2 messages" in str(hooks.endpoint.disabled_reason)
    hooks.ping()
    assert hooks.deliver(later=1000) == 0
    assert len(target.received) == 6
    with unit_of_work(hooks.engine) as session:
        totals = read_totals(session)
    assert totals[Total.WEBHOOK_TRIES] == {("status_refused",): 6}
    assert totals[Total.WEBHOOK_ENDS] == {("failed",): 2}


def test_endpoint_that_is_gone_is_disabled_at_once(hooks: Hooks, target: Receiver) -> None:
    target.status = 410
    hooks.ping()
    hooks.deliver()
    assert hooks.endpoint.disabled_reason == "It answered 410 Gone."


def test_redirect_is_not_followed(hooks: Hooks, target: Receiver) -> None:
    with receiver() as elsewhere:
        target.status, target.location = 307, elsewhere.url
        hooks.ping()
        hooks.deliver()
        assert elsewhere.received == []
    assert hooks.tries == [(307, None)]
    assert hooks.deliveries[0].state is DeliveryState.PENDING


def test_endpoint_that_takes_too_long_is_left(hooks: Hooks, target: Receiver) -> None:
    target.wait_seconds = 1.5
    hooks.ping()
    hooks.deliver()
    assert hooks.tries == [(None, "timeout")]


def test_endpoint_that_does_not_listen_is_no_fault(
    engine: Engine, workspace: WorkspaceId, settings: CurationSettings
) -> None:
    hooks = Hooks(engine, workspace, settings, "http://127.0.0.1:1/")
    hooks.ping()
    hooks.deliver()
    assert hooks.tries == [(None, "connection_failed")]


def test_host_that_resolves_to_a_private_address_gets_no_connection(
    hooks: Hooks, target: Receiver
) -> None:
    # What was allowed when the endpoint was made need not be so when a message goes out.
    hooks.settings = hooks.settings.model_copy(update={"outbound_networks": "10.0.0.0/8"})
    hooks.ping()
    hooks.deliver()
    assert hooks.tries == [(None, "address_refused")]
    assert target.received == []


def test_connection_goes_to_the_address_that_was_checked(
    hooks: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo
    asked: list[str] = []

    def rebinding(host: str, *rest: Any, **options: Any) -> Any:
        # A name server that says something else when it is asked again.
        asked.append(host)
        return real("127.0.0.1" if len(asked) == 1 else "192.0.2.1", *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    hooks.ping()
    hooks.deliver()
    assert hooks.tries == [(200, None)]
    assert asked.count("localhost") == 1


def test_message_of_a_dead_worker_is_taken_again(hooks: Hooks, target: Receiver) -> None:
    hooks.ping()
    assert take_message(hooks.engine, hooks.settings, hooks.now) is not None
    assert hooks.deliver(later=1) == 0
    assert hooks.deliver(later=2) == 1
    assert json.loads(target.received[0][1])["type"] == "webhook.ping"


def test_redelivery_is_the_same_message(hooks: Hooks, target: Receiver) -> None:
    hooks.ping()
    hooks.deliver()
    with unit_of_work(hooks.engine) as session:
        redeliver(session, session.scalars(select(WebhookDelivery)).one(), hooks.now)
    hooks.deliver()
    (first, second) = target.received
    assert first[1] == second[1]
    assert first[0]["webhook-id"] == second[0]["webhook-id"]
