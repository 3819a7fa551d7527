"""What users may set is exactly what the learning library takes."""

import dataclasses
from enum import StrEnum
from typing import Any

import pytest

from curation.job_config import job_config_schemas, resolve_job_config
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

    assert PROPERTIES[name]["enum"] == [str(member) for member in kind]


@pytest.mark.parametrize("name", FIELDS)
def test_help_is_the_same_on_both_sides(name: str) -> None:
    assert PROPERTIES[name]["description"] == FIELDS[name].metadata["help"]


def test_resolved_settings_are_taken_by_the_library() -> None:
    resolved = resolve_job_config("mts", {"steps": 3, "classifier": "cnn"})

    assert config_to_json(pipeline_config_from_mapping(resolved)) == resolved
