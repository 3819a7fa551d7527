"""What the service answers about API keys and webhooks, as frozen values."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType
from uuid import UUID

KeyId = NewType("KeyId", UUID)
WebhookId = NewType("WebhookId", UUID)
DeliveryId = NewType("DeliveryId", UUID)


class Scope(StrEnum):
    """How far a key reaches."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


@dataclass(frozen=True)
class Key:
    """An API key, without what opens with it."""

    id: KeyId
    name: str
    prefix: str
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True)
class NewKey:
    """A key with its secret, which is shown this once."""

    key: Key
    secret: str


@dataclass(frozen=True, kw_only=True)
class KeyRequest:
    """A key to be made for the workspace.

    Attributes:
        name: Shown in lists.
        scopes: How far it reaches.
        expires_at: With a time zone; None lets it live for ever.
    """

    name: str
    scopes: Sequence[Scope]
    expires_at: datetime | None = None


class WebhookEvent(StrEnum):
    """What an endpoint can be told."""

    JOB_SUCCEEDED = "job.succeeded"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"


class DeliveryState(StrEnum):
    """Where the delivery of a message stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True)
class Webhook:
    """An address that is told of events."""

    id: WebhookId
    url: str
    events: list[str]
    description: str | None
    is_enabled: bool
    disabled_at: datetime | None
    disabled_reason: str | None
    failed_deliveries: int
    created_at: datetime


@dataclass(frozen=True)
class NewWebhook:
    """An endpoint with the secret that signs its messages, which is shown this once."""

    webhook: Webhook
    secret: str


@dataclass(frozen=True, kw_only=True)
class WebhookRequest:
    """An endpoint to be made.

    Attributes:
        url: Where messages are sent.
        events: What it is told.
        description: For people.
    """

    url: str
    events: Sequence[WebhookEvent]
    description: str | None = None


@dataclass(frozen=True)
class Delivery:
    """A message on its way to an endpoint."""

    id: DeliveryId
    webhook_id: WebhookId
    message_id: str
    event: str
    state: DeliveryState
    attempt: int
    next_attempt_at: datetime | None
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True)
class DeliveryAttempt:
    """One try of a delivery."""

    number: int
    at: datetime
    seconds: float
    status_code: int | None
    error: str | None


@dataclass(frozen=True)
class DeliveryLog:
    """A delivery with what was sent and each of its tries."""

    delivery: Delivery
    body: str
    attempts: list[DeliveryAttempt]


@dataclass(frozen=True)
class AuditEntry:
    """Something that was done with a key."""

    at: datetime
    action: str
    key_prefix: str | None = None
    object_id: UUID | None = None
