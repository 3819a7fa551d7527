"""What a client sends and receives about webhooks."""

from typing import Annotated

from pydantic import Field, StringConstraints, WithJsonSchema

from api.schemas.fields import (
    DisplayName,
    Identifier,
    Page,
    RequestModel,
    ResponseModel,
    UtcTime,
)
from api.schemas.patterns import WEBHOOK_URL
from curation.models import (
    DeliveryState,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
)

WebhookUrl = Annotated[
    str,
    StringConstraints(min_length=1, max_length=2000),
    WithJsonSchema({"type": "string", "maxLength": 2000, "pattern": WEBHOOK_URL}),
]


class WebhookCreate(RequestModel):
    """An address that is to be told of events."""

    url: WebhookUrl = Field(examples=["https://example.org/winnow"])
    events: list[WebhookEvent] = Field(min_length=1, max_length=len(WebhookEvent))
    description: DisplayName | None = Field(default=None, description="For people.")


class WebhookUpdate(WebhookCreate):
    """The whole of what can be changed."""

    is_enabled: bool = Field(
        default=True, strict=True, description="True also takes back that failures disabled it."
    )


class WebhookView(ResponseModel):
    """An endpoint of webhooks."""

    id: Identifier
    url: str
    events: list[WebhookEvent]
    description: str | None
    is_enabled: bool
    disabled_at: UtcTime | None
    disabled_reason: str | None
    failed_deliveries: int = Field(description="Messages given up since the last that arrived.")
    created_at: UtcTime

    @classmethod
    def from_row(cls, row: WebhookEndpoint) -> "WebhookView":
        """Return the wire form of an endpoint's row, without its secret."""
        return cls(
            id=row.id,
            url=row.url,
            events=[WebhookEvent(event) for event in row.events],
            description=row.description or None,
            is_enabled=row.disabled_at is None,
            disabled_at=row.disabled_at,
            disabled_reason=row.disabled_reason,
            failed_deliveries=row.failed_deliveries,
            created_at=row.created_at,
        )


class WebhookSecretView(ResponseModel):
    """An endpoint with its secret, which is shown this once."""

    webhook: WebhookView
    secret: str = Field(examples=["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"])


class WebhookPage(Page):
    """One page of endpoints, newest first."""

    items: list[WebhookView]


class DeliveryView(ResponseModel):
    """A message on its way to an endpoint."""

    id: Identifier
    webhook_id: Identifier
    message_id: str = Field(description="The header webhook-id; repetitions have the same.")
    event: str = Field(examples=["job.succeeded"])
    state: DeliveryState
    attempt: int = Field(description="Tries so far.")
    next_attempt_at: UtcTime | None
    created_at: UtcTime
    finished_at: UtcTime | None

    @classmethod
    def from_row(cls, row: WebhookDelivery) -> "DeliveryView":
        """Return the wire form of a delivery's row."""
        return cls(
            id=row.id,
            webhook_id=row.endpoint_id,
            message_id=row.message_id,
            event=row.event,
            state=row.state,
            attempt=row.attempt,
            next_attempt_at=row.next_attempt_at,
            created_at=row.created_at,
            finished_at=row.finished_at,
        )


class DeliveryPage(Page):
    """One page of deliveries, newest first."""

    items: list[DeliveryView]


class DeliveryAttemptView(ResponseModel):
    """One try of a delivery."""

    number: int
    at: UtcTime
    seconds: float
    status_code: int | None
    error: str | None = Field(
        description="timeout, address_refused, host_not_found or connection_failed."
    )

    @classmethod
    def from_row(cls, row: WebhookAttempt) -> "DeliveryAttemptView":
        """Return the wire form of a try's row."""
        return cls(
            number=row.number,
            at=row.at,
            seconds=row.seconds,
            status_code=row.status_code,
            error=row.error,
        )


class DeliveryLog(ResponseModel):
    """A delivery with what was sent and each of its tries."""

    delivery: DeliveryView
    body: str = Field(description="What was signed and sent, byte for byte.")
    attempts: list[DeliveryAttemptView]
