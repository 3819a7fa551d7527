"""What users may set is exactly what the learning library takes."""

import dataclasses
from enum import StrEnum
from typing import Any

import pytest

from curation.errors import InvalidInputError
from curation.job_config import job_config_schemas, resolve_job_config
from mts_core.errors import ConfigError
from mts_core.pipeline_config import (
    PipelineConfig,
    config_to_json,
    pipeline_config_from_mapping,
)

FIELDS = {field.name: field for field in dataclasses.fields(PipelineConfig)}
PROPERTIES: dict[str, dict[str, Any]] = job_config_schemas()["mts"]["properties"]


def alternatives(name: str) -> list[dict[str, Any]]:
    """Return the schemas of which a value has to satisfy one."""
    described = PROPERTIES[name]
    return list(described.get("anyOf", [described]))


def test_both_sides_know_the_same_settings_in_the_same_order() -> None:
    assert list(PROPERTIES) == list(FIELDS)


@pytest.mark.parametrize("name", FIELDS)
def test_default_is_the_same_on_both_sides(name: str) -> None:
    assert PROPERTIES[name]["default"] == config_to_json(PipelineConfig())[name]


@pytest.mark.parametrize("name", FIELDS)
def test_range_is_the_same_on_both_sides(name: str) -> None:
    bounds = [
        (schema.get("minimum"), schema.get("maximum"))
        for schema in alternatives(name)
        if schema.get("type") in {"integer", "number"}
    ]

    low, high = FIELDS[name].metadata["range"]
    assert bounds == ([] if low is None else [(low, high)])


@pytest.mark.parametrize("name", ["encoder", "classifier", "alignment"])
def test_choices_are_the_same_on_both_sides(name: str) -> None:
    kind = type(FIELDS[name].default)
    assert issubclass(kind, StrEnum)

    named = [schema["enum"] for schema in alternatives(name) if "enum" in schema]
    assert named == [[str(member) for member in kind]]


@pytest.mark.parametrize(
    "encoder",
    [
        "timm:resnet18.a1_in1k",
        "timm:../weights",
        "timm:/etc/passwd",
        "timm:a/b/c",
        "timm:",
        "sentence_transformers:intfloat/e5-small-v2",
        "sentence_transformers:",
        "sentence_transformers:.hidden",
        "sentence_transformers:owner/",
        "sentence_transformers:name\n",
        "torchvision:resnet18",
        "resnet18",
        f"timm:{'a' * 140}",
    ],
)
def test_both_sides_agree_on_what_is_a_name_of_a_model(encoder: str) -> None:
    is_name = encoder in {"timm:resnet18.a1_in1k", "sentence_transformers:intfloat/e5-small-v2"}
    if is_name:
        resolved = resolve_job_config("mts", {"encoder": encoder})
        assert resolved["encoder"] == encoder
        assert config_to_json(pipeline_config_from_mapping(resolved)) == resolved
        return
    with pytest.raises(InvalidInputError) as refused:
        resolve_job_config("mts", {"encoder": encoder})
    assert refused.value.field == "config.encoder"
    with pytest.raises(ConfigError):
        pipeline_config_from_mapping({"encoder": encoder})


@pytest.mark.parametrize("name", FIELDS)
def test_help_is_the_same_on_both_sides(name: str) -> None:
    assert PROPERTIES[name]["description"] == FIELDS[name].metadata["help"]


def test_resolved_settings_are_taken_by_the_library() -> None:
    resolved = resolve_job_config("mts", {"steps": 3, "classifier": "cnn"})

    assert config_to_json(pipeline_config_from_mapping(resolved)) == resolved
