"""What a client receives about the results of a job."""

from typing import Any

from pydantic import ConfigDict, Field, JsonValue, RootModel

from api.schemas.fields import Page, ResponseModel

# A plain JSON value, typed loosely because that is all that pydantic takes it for.
_EXAMPLE_REPORT: dict[str, Any] = {
    "rows": [
        {
            "method": "winnow_weighted",
            "accuracy_mean": 0.9,
            "accuracy_ci95": [0.88, 0.92],
            "seeds": 5,
            "kept": 3000,
            "steps": 400,
            "reference_weight": 10.0,
        }
    ],
    "recommendation": "winnow_weighted",
    "reference_weight": 10.0,
    "critical_batch_size": {"value": 96.0, "ci95": [64.0, 128.0]},
    "config": {"steps": 400},
    "suggested_cut": {"kind": "top_fraction", "fraction": 0.5},
    "seconds_by_phase": {"encode": 1.0, "features": 2.0, "train": 30.0, "evaluate": 10.0},
}


class WeightView(ResponseModel):
    """The result for one sample of the pool."""

    position: int = Field(description="Addresses the sample within its dataset, from 0.")
    sample_id: str = Field(examples=["seven/0001.png"])
    label: int = Field(description="Index of the class.")
    class_name: str = Field(examples=["seven"])
    score: float = Field(description="The value of record, in [0, 1].", examples=[0.83])
    weight: float = Field(description="score / mean(score): 1 on average.", examples=[1.21])
    rank: int = Field(description="0 is the best sample of the pool.")
    keep: bool = Field(description="Whether the suggested cut keeps it.")


class WeightPage(Page):
    """One page of samples, in the order that was asked for."""

    items: list[WeightView]


class TraceSeries(ResponseModel):
    """One quantity over the steps of training."""

    steps: list[int]
    values: list[float | None] = Field(description="Null where the quantity was not finite.")


class TracesView(ResponseModel):
    """Every series that training recorded."""

    series: dict[str, TraceSeries]


class ReportView(RootModel[dict[str, JsonValue]]):
    """Accuracy before and after curation, and the settings that gave it.

    Its keys are the training pipeline's; `rows` holds one entry a method, and `reference_weight`
    says how often a reference sample counts beside the weights of the pool.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE_REPORT]})


class HistogramClass(ResponseModel):
    """The bins of one class."""

    name: str
    counts: list[int]


class HistogramView(ResponseModel):
    """How the scores are spread, in bins of equal width over [0, 1]."""

    edges: list[float] = Field(description="One more than there are bins.")
    counts: list[int] = Field(description="A bin holds its lower edge, the last one both.")
    classes: list[HistogramClass]


class FeatureView(ResponseModel):
    """One of the features from which a sample's weight was learned."""

    name: str = Field(examples=["gradient_norm"])
    value: float | None
    percentile_among_kept: float | None = Field(
        description="Share of kept samples with a lower value, times 100."
    )


class NeighbourView(WeightView):
    """A sample that lies near another one."""

    cosine: float = Field(
        description="Of the angle between both, by the encoder's 32 leading components."
    )


class SampleView(WeightView):
    """One sample with its features and those that lie nearest to it."""

    features: list[FeatureView]
    neighbours: list[NeighbourView] = Field(
        description="Nearest first; empty where a selector made the scores."
    )
