"""What a client sends and receives about selections, the named cuts of a finished job."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from api.schemas.fields import (
    Count,
    DisplayName,
    Identifier,
    Page,
    RequestModel,
    ResponseModel,
    UtcTime,
)
from curation.models import Selection


class _Rule(RequestModel):
    balanced: bool = Field(
        default=False,
        strict=True,
        description="Keep the same share of every class, as many samples in all.",
    )


class TopFractionRule(_Rule):
    """Keep this fraction of the samples, best first."""

    kind: Literal["top_fraction"]
    fraction: float = Field(strict=True, gt=0, le=1, examples=[0.5])


class TopCountRule(_Rule):
    """Keep this many samples, best first."""

    kind: Literal["top_count"]
    count: Count = Field(examples=[1000])


class ThresholdRule(_Rule):
    """Keep every sample whose score is at least this."""

    kind: Literal["threshold"]
    threshold: float = Field(strict=True, ge=0, le=1, examples=[0.5])


class SuggestedRule(_Rule):
    """Keep what the job itself suggests."""

    kind: Literal["suggested"]


SelectionRule = Annotated[
    TopFractionRule | TopCountRule | ThresholdRule | SuggestedRule, Field(discriminator="kind")
]
_RULE_FROM_ROW: TypeAdapter[SelectionRule] = TypeAdapter(SelectionRule)


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

    @classmethod
    def from_row(cls, row: Selection) -> "SelectionView":
        """Return the wire form of a selection's row."""
        return cls(
            id=row.id,
            job_id=row.job_id,
            name=row.name,
            rule=_RULE_FROM_ROW.validate_python(row.rule),
            kept_count=row.kept_count,
            created_at=row.created_at,
        )


class SelectionPage(Page):
    """One page of a job's selections, newest first."""

    items: list[SelectionView]
