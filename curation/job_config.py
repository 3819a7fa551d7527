"""The settings of each method: the schema that users see and that a job is checked against."""

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from curation.errors import InvalidInputError

Auto = Literal["auto"]


class JobConfig(BaseModel):
    """Settings of the method `mts`; what is `auto` is resolved from the data by the run."""

    # Strict, so that true is no number and "3" no count.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, title="mts")

    encoder: Literal["auto", "identity", "efficientnet_lite0", "pixels_pca"] = Field(
        "auto",
        description="Space for position features; auto takes the view in which the reference set"
        " predicts itself best.",
    )
    classifier: Literal["auto", "linear", "mlp", "cnn", "resnet20"] = Field(
        "auto", description="Model to train; auto takes a small network on the encoding."
    )
    alignment: Literal["auto", "head", "exact", "finite_difference"] = Field(
        "auto",
        description="Estimator of gradient alignment; auto takes the last layer's closed form for"
        " heads and the exact one for the convolutional networks.",
    )
    steps: Annotated[int, Field(ge=1, le=1_000_000)] | Auto = Field(
        "auto", description="Training steps of the weighting run."
    )
    batch_size: Annotated[int, Field(ge=2, le=1_048_576)] | Auto = Field(
        "auto",
        description="Samples in a training batch; auto starts with at most 256 and lets the"
        " gradient's noise choose up to four times as many.",
    )
    micro_batch_size: Annotated[int, Field(ge=1, le=1_048_576)] | None = Field(
        None, description="Samples held in memory at once; none takes the whole batch."
    )
    use_autocast: bool = Field(
        False,
        description="Whether to train the classifier in bfloat16 while scores are learned, where"
        " the device is a CUDA GPU.",
    )
    classifier_learning_rate: Annotated[float, Field(ge=1e-8, le=10.0)] | Auto = Field(
        "auto", description="Learning rate of the classifier."
    )
    momentum: float = Field(
        0.9, ge=0.0, le=0.999, description="Momentum of the classifier's optimiser."
    )
    classifier_weight_decay: float = Field(
        5e-4, ge=0.0, le=1.0, description="Weight decay of the classifier."
    )
    meta_learning_rate: Annotated[float, Field(ge=1e-8, le=1.0)] | Auto = Field(
        "auto", description="Learning rate of the meta-network."
    )
    meta_weight_decay: float = Field(
        1e-4, ge=0.0, le=1.0, description="Weight decay of the meta-network."
    )
    meta_every: int = Field(
        1, ge=1, le=10_000, description="Classifier steps between two meta-network steps."
    )
    score_floor: float = Field(
        0.05, ge=0.0, le=0.9, description="Lowest score of a sample, against collapse."
    )
    gsnr_every: int = Field(
        25,
        ge=0,
        le=1_000_000,
        description="Steps between two measurements of the gradient's noise; 0 for none.",
    )
    gsnr_partitions: int = Field(
        4, ge=1, le=1000, description="Random partitions averaged in each measurement of noise."
    )
    evaluate: bool = Field(True, description="Whether to measure the before and after table.")
    evaluation_seeds: int = Field(
        5, ge=2, le=100, description="Paired repetitions behind each row of the table."
    )
    keep: Annotated[float, Field(ge=1e-6, le=1.0)] | Auto = Field(
        "auto",
        description="Fraction of the pool that the suggested cut keeps; auto asks the reference"
        " set.",
    )
    balance: bool = Field(
        False, description="Whether the suggested cut keeps the same fraction of every class."
    )


METHODS: Mapping[str, type[BaseModel]] = MappingProxyType({"mts": JobConfig})


def job_config_schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of each method's settings, with defaults, ranges and help."""
    return {method: model.model_json_schema() for method, model in METHODS.items()}


def resolve_job_config(
    method: str,
    raw: Mapping[str, Any],  # JSON values as the user sent them.
) -> dict[str, Any]:
    """Return the user's settings with the defaults filled in, as JSON values.

    Args:
        method: How the samples are weighed.
        raw: Settings that differ from the defaults.

    Raises:
        InvalidInputError: The method or a key is unknown (`UNKNOWN_METHOD`,
            `UNKNOWN_CONFIG_KEY`), or a value is not allowed (`OUT_OF_RANGE`).
    """
    model = METHODS.get(method)
    if model is None:
        raise InvalidInputError(
            "UNKNOWN_METHOD",
            f"There is no method {method!r}.",
            field="method",
            cure=f"Use one of: {', '.join(METHODS)}.",
        )
    try:
        return model.model_validate(dict(raw)).model_dump(mode="json")
    except ValidationError as error:
        raise _refusal(model, error) from error


def _refusal(model: type[BaseModel], error: ValidationError) -> InvalidInputError:
    first = error.errors(include_url=False, include_context=False)[0]
    key = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        return _unknown_key(model, key)
    return InvalidInputError(
        "OUT_OF_RANGE",
        f"{key} is {_shown(first['input'])}, which is not allowed.",
        field=f"config.{key}",
        cure=f"{key} has to be {_allowed(model.model_json_schema()['properties'][key])}.",
    )


def _unknown_key(model: type[BaseModel], key: str) -> InvalidInputError:
    known = list(model.model_fields)
    near = get_close_matches(key, known, n=1)
    hint = f"Did you mean {near[0]}? " if near else ""
    return InvalidInputError(
        "UNKNOWN_CONFIG_KEY",
        f"There is no setting {_shown(key)}.",
        field=f"config.{key[:_LONGEST_SHOWN]}",
        cure=f"{hint}The settings are: {', '.join(known)}.",
    )


_LONGEST_SHOWN = 80


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def _allowed(schema: Mapping[str, Any]) -> str:  # A property of a JSON Schema.
    return " or ".join(_kind(part) for part in schema.get("anyOf", [schema]))


def _kind(schema: Mapping[str, Any]) -> str:  # One alternative of a property.
    match schema.get("type"):
        case "integer":
            return f"a whole number from {schema['minimum']} to {schema['maximum']}"
        case "number":
            return f"a number from {schema['minimum']:g} to {schema['maximum']:g}"
        case "boolean":
            return "true or false"
        case "null":
            return "null"
        case _:
            values = schema.get("enum") or [schema.get("const")]
            return " or ".join(f'"{value}"' for value in values)
