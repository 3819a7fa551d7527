"""What a client sends and receives about selectors."""

from pydantic import Field

from api.schemas.fields import (
    Count,
    Identifier,
    Page,
    RequestModel,
    ResponseModel,
    UtcTime,
)
from curation.models import Modality, Selector


class SelectorView(ResponseModel):
    """What a finished job learned, ready to score samples that it never saw."""

    id: Identifier
    job_id: Identifier | None = Field(description="Null once the job is deleted.")
    method: str = Field(description="How the job learned its scores.", examples=["mts"])
    encoder: str = Field(examples=["efficientnet_lite0"])
    modality: Modality = Field(description="What a dataset must hold to be scored.")
    input_shape: list[int] | None = Field(
        description="Shape of one sample; null for texts.", examples=[[1, 28, 28]]
    )
    class_names: list[str] = Field(description="Classes that it knows; others are refused.")
    sample_count: int = Field(description="Samples in the pool of the job.")
    created_at: UtcTime

    @classmethod
    def from_row(cls, row: Selector) -> "SelectorView":
        """Return the wire form of a selector's row."""
        return cls(
            id=row.id,
            job_id=row.job_id,
            method=row.method,
            encoder=row.encoder,
            modality=row.modality,
            input_shape=row.input_shape,
            class_names=row.class_names,
            sample_count=row.sample_count,
            created_at=row.created_at,
        )


class SelectorPage(Page):
    """One page of selectors, newest first."""

    items: list[SelectorView]


class ScoreCreate(RequestModel):
    """A dataset to be scored without training."""

    dataset_id: Identifier = Field(description="A ready dataset of role synthetic.")
    max_runtime_seconds: Count | None = Field(
        default=None, description="Null takes the service's own limit."
    )
