"""What a client sends and receives about selections, the named cuts of a finished job."""

from typing import Annotated, Literal

from pydantic import Field

from api.schemas.fields import (
    MAX_POSTGRESQL_INTEGER,
    DisplayName,
    Identifier,
    Page,
    RequestModel,
    ResponseModel,
    UtcTime,
)


class TopFractionRule(RequestModel):
    """Keep this fraction of the samples, best first."""

    kind: Literal["top_fraction"]
    fraction: float = Field(gt=0, le=1, examples=[0.5])
    balanced: bool = Field(default=False, description="Take the fraction within each class.")


class TopCountRule(RequestModel):
    """Keep this many samples, best first."""

    kind: Literal["top_count"]
    count: int = Field(ge=1, le=MAX_POSTGRESQL_INTEGER, examples=[1000])
    balanced: bool = Field(default=False, description="Spread the count evenly over the classes.")


class ThresholdRule(RequestModel):
    """Keep every sample whose score is at least this."""

    kind: Literal["threshold"]
    threshold: float = Field(ge=0, le=1, examples=[0.5])


class SuggestedRule(RequestModel):
    """Keep what the job itself suggests."""

    kind: Literal["suggested"]


SelectionRule = Annotated[
    TopFractionRule | TopCountRule | ThresholdRule | SuggestedRule, Field(discriminator="kind")
]


class SelectionCreate(RequestModel):
    """A cut to be made and kept under a name."""

    name: DisplayName = Field(examples=["best half"])
    rule: SelectionRule


class SelectionView(ResponseModel):
    """A named cut; it never changes."""

    id: Identifier
    job_id: Identifier
    name: str
    rule: SelectionRule
    kept_count: int
    created_at: UtcTime


class SelectionPage(Page):
    """One page of a job's selections, newest first."""

    items: list[SelectionView]
