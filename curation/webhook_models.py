"""The tables of webhooks: endpoints, messages on their way to them, and every try."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from curation.table_root import Base, closed_set, one_of


class WebhookEvent(StrEnum):
    """What a webhook endpoint can be told."""

    JOB_SUCCEEDED = "job.succeeded"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"


class DeliveryState(StrEnum):
    """Where the delivery of a message to an endpoint stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class TryOutcome(StrEnum):
    """How one try of a delivery ended."""

    DELIVERED = "delivered"
    TIMEOUT = "timeout"
    ADDRESS_REFUSED = "address_refused"
    HOST_NOT_FOUND = "host_not_found"
    CONNECTION_FAILED = "connection_failed"
    STATUS_REFUSED = "status_refused"
    GONE = "gone"


class WebhookEndpoint(Base):
    """An address that a workspace wants to be told of events at."""

    __tablename__ = "webhook_endpoints"
    __table_args__ = (
        CheckConstraint(
            "cardinality(events) > 0 AND"
            " events <@ ARRAY['job.succeeded', 'job.failed', 'job.cancelled']",
            name="events_known",
        ),
        CheckConstraint("failed_deliveries >= 0", name="failed_not_negative"),
        CheckConstraint(
            "(previous_secret IS NULL) = (previous_secret_until IS NULL)", name="previous_ends"
        ),
        UniqueConstraint("workspace_id", "id"),
        Index(
            "ix_webhook_endpoints_workspace_id_created_at_id", "workspace_id", "created_at", "id"
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("workspaces.id", ondelete="CASCADE"))
    url: Mapped[str]
    description: Mapped[str]
    events: Mapped[list[str]] = mapped_column(ARRAY(Text))
    # To sign takes the secret itself, so unlike a key's it cannot be kept as a hash.
    secret: Mapped[str]
    previous_secret: Mapped[str | None]
    previous_secret_until: Mapped[datetime | None]
    failed_deliveries: Mapped[int] = mapped_column(server_default="0")
    disabled_at: Mapped[datetime | None]
    disabled_reason: Mapped[str | None]
    created_at: Mapped[datetime]


class WebhookDelivery(Base):
    """A message on its way to an endpoint; written in the transaction of what it tells."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        one_of("state", DeliveryState),
        CheckConstraint(
            "(state = 'pending') = (next_attempt_at IS NOT NULL)", name="pending_is_due"
        ),
        ForeignKeyConstraint(
            ["workspace_id", "endpoint_id"],
            ["webhook_endpoints.workspace_id", "webhook_endpoints.id"],
            ondelete="CASCADE",
        ),
        Index("ix_webhook_deliveries_endpoint_id_created_at_id", "endpoint_id", "created_at", "id"),
        Index(
            "ix_webhook_deliveries_due",
            "next_attempt_at",
            postgresql_where=text("state = 'pending'"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    workspace_id: Mapped[UUID]
    endpoint_id: Mapped[UUID]
    # The same for every endpoint and repetition, so that a receiver knows what it has seen.
    message_id: Mapped[str]
    event: Mapped[str]
    # As it is signed, byte for byte.
    body: Mapped[str]
    state: Mapped[DeliveryState] = mapped_column(closed_set(DeliveryState))
    attempt: Mapped[int] = mapped_column(server_default="0")
    next_attempt_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class WebhookAttempt(Base):
    """One try of a delivery; what the endpoint answered beyond its status is not kept."""

    __tablename__ = "webhook_attempts"

    delivery_id: Mapped[UUID] = mapped_column(
        ForeignKey("webhook_deliveries.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    seconds: Mapped[float]
    status_code: Mapped[int | None]
    error: Mapped[str | None]
