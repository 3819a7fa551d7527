"""What a worker does with messages: take one that is due, and record how its delivery went."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Engine, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from curation.database import unit_of_work
from curation.identifiers import DeliveryId
from curation.models import (
    DeliveryState,
    TryOutcome,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
)
from curation.running_totals import Total, add_to_total
from curation.settings import CurationSettings

_GONE = 410
_BACKOFF_FACTOR = 4
_IS_OF_ENDPOINT = WebhookEndpoint.id == WebhookDelivery.endpoint_id


@dataclass(frozen=True, slots=True)
class Message:
    """A message that this worker has taken.

    Attributes:
        delivery_id: The delivery.
        attempt: Which try this is, from 1.
        message_id: The same for every try and endpoint.
        url: Where it goes.
        body: What is signed and sent.
        secrets: By which it is signed; two for a while after a rotation.
    """

    delivery_id: DeliveryId
    attempt: int
    message_id: str
    url: str
    body: str
    secrets: tuple[str, ...]

    def __repr__(self) -> str:
        """Return a text without the secrets."""
        return f"Message({self.message_id}, attempt={self.attempt})"


@dataclass(frozen=True, slots=True)
class Reply:
    """How a try ended.

    Attributes:
        seconds: How long it took.
        status_code: What the endpoint answered, or None where it did not.
        error: Why not, or None.
    """

    seconds: float
    status_code: int | None = None
    error: TryOutcome | None = None

    @property
    def is_good(self) -> bool:
        """Whether the endpoint took the message."""
        return self.status_code is not None and 200 <= self.status_code < 300  # noqa: PLR2004 - HTTP's own.

    @property
    def outcome(self) -> TryOutcome:
        """How the try ended, in one word."""
        if self.error is not None:
            return self.error
        if self.is_good:
            return TryOutcome.DELIVERED
        return TryOutcome.GONE if self.status_code == _GONE else TryOutcome.STATUS_REFUSED


def has_due_message(session: Session, now: datetime) -> bool:
    """Return whether a message waits to be sent."""
    due = select(WebhookDelivery.id).join(WebhookEndpoint, _IS_OF_ENDPOINT).where(*_is_due(now))
    return session.scalars(due.limit(1)).one_or_none() is not None


def take_message(engine: Engine, settings: CurationSettings, now: datetime) -> Message | None:
    """Return the message that has waited longest, or None where none is due.

    It counts as tried from here on. A worker that dies with it leaves it to be taken again.
    """
    with unit_of_work(engine) as session:
        row = session.execute(
            select(WebhookDelivery, WebhookEndpoint)
            .join(WebhookEndpoint, _IS_OF_ENDPOINT)
            .where(*_is_due(now))
            .order_by(WebhookDelivery.next_attempt_at)
            .limit(1)
            .with_for_update(of=WebhookDelivery, skip_locked=True)
        ).one_or_none()
        if row is None:
            return None
        delivery, endpoint = row
        delivery.attempt += 1
        delivery.next_attempt_at = now + timedelta(seconds=2 * settings.webhook_timeout_seconds)
        return Message(
            delivery_id=DeliveryId(delivery.id),
            attempt=delivery.attempt,
            message_id=delivery.message_id,
            url=endpoint.url,
            body=delivery.body,
            secrets=_signing_secrets(endpoint, now),
        )


def record_reply(
    engine: Engine, message: Message, reply: Reply, settings: CurationSettings, now: datetime
) -> None:
    """Record a try: the message is delivered, due again later, or given up.

    An endpoint is disabled that says it is gone, or to which so many messages in a row were given
    up as the settings allow.
    """
    with unit_of_work(engine) as session:
        session.execute(
            insert(WebhookAttempt)
            .values(
                delivery_id=message.delivery_id,
                number=message.attempt,
                at=now,
                seconds=reply.seconds,
                status_code=reply.status_code,
                error=reply.error,
            )
            .on_conflict_do_nothing()
        )
        add_to_total(session, Total.WEBHOOK_TRIES, reply.outcome)
        delivery = session.scalars(
            select(WebhookDelivery)
            .where(
                WebhookDelivery.id == message.delivery_id,
                WebhookDelivery.attempt == message.attempt,
                WebhookDelivery.state == DeliveryState.PENDING,
            )
            .with_for_update()
        ).one_or_none()
        if delivery is None:
            return  # Somebody else has taken it since.
        endpoint = session.get_one(WebhookEndpoint, delivery.endpoint_id, with_for_update=True)
        if reply.is_good:
            _finish(session, delivery, DeliveryState.DELIVERED, now)
            endpoint.failed_deliveries = 0
            return
        if reply.status_code == _GONE:
            _finish(session, delivery, DeliveryState.FAILED, now)
            _disable(endpoint, "It answered 410 Gone.", now)
        elif delivery.attempt >= settings.webhook_max_attempts:
            _finish(session, delivery, DeliveryState.FAILED, now)
            endpoint.failed_deliveries += 1
            if endpoint.failed_deliveries >= settings.webhook_max_failures:
                count = endpoint.failed_deliveries
                _disable(endpoint, f"{count} messages in a row were given up.", now)
        else:
            delivery.next_attempt_at = now + backoff(delivery.attempt, settings)


def backoff(attempt: int, settings: CurationSettings) -> timedelta:
    """Return how long to wait after a failed try: four times as long after each."""
    return timedelta(seconds=settings.webhook_backoff_seconds * _BACKOFF_FACTOR ** (attempt - 1))


def _is_due(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        WebhookDelivery.state == DeliveryState.PENDING,
        WebhookDelivery.next_attempt_at <= now,
        WebhookEndpoint.disabled_at.is_(None),
    )


def _signing_secrets(endpoint: WebhookEndpoint, now: datetime) -> tuple[str, ...]:
    until, previous = endpoint.previous_secret_until, endpoint.previous_secret
    if until is None or previous is None or now >= until:
        return (endpoint.secret,)
    return (endpoint.secret, previous)


def _finish(
    session: Session, delivery: WebhookDelivery, state: DeliveryState, now: datetime
) -> None:
    delivery.state = state
    delivery.next_attempt_at = None
    delivery.finished_at = now
    add_to_total(session, Total.WEBHOOK_ENDS, state)


def _disable(endpoint: WebhookEndpoint, reason: str, now: datetime) -> None:
    if endpoint.disabled_at is None:
        endpoint.disabled_at = now
        endpoint.disabled_reason = reason
