"""What users may set is exactly what the learning library takes, method by method."""

import dataclasses
from typing import Any

import pytest

from curation.errors import InvalidInputError
from curation.job_config import job_config_schemas, resolve_job_config
from mts_core.errors import ConfigError
from mts_core.methods import METHODS, pipeline_config_from_mapping
from mts_core.pipeline_config import config_to_json
from mts_core.setting import choice_kind

SCHEMAS = job_config_schemas()
SETTINGS = [
    pytest.param(str(method), field, id=f"{method}-{field.name}")
    for method, known in METHODS.items()
    for field in dataclasses.fields(known.settings)
]


def described(method: str, name: str) -> dict[str, Any]:
    """Return the JSON Schema of one setting."""
    return dict(SCHEMAS[method]["properties"][name])


def alternatives(method: str, name: str) -> list[dict[str, Any]]:
    """Return the schemas of which a value has to satisfy one."""
    schema = described(method, name)
    return list(schema.get("anyOf", [schema]))


def test_both_sides_know_the_same_methods() -> None:
    assert list(SCHEMAS) == [str(method) for method in METHODS]
    for method, known in METHODS.items():
        assert SCHEMAS[method]["title"] == known.settings.method == method


@pytest.mark.parametrize("method", METHODS)
def test_both_sides_know_the_same_settings_in_the_same_order(method: str) -> None:
    fields = dataclasses.fields(pipeline_config_from_mapping(method, {}))
    assert list(SCHEMAS[method]["properties"]) == [field.name for field in fields]


@pytest.mark.parametrize(("method", "field"), SETTINGS)
def test_default_is_the_same_on_both_sides(method: str, field: dataclasses.Field[Any]) -> None:
    defaults = config_to_json(pipeline_config_from_mapping(method, {}))
    assert described(method, field.name)["default"] == defaults[field.name]


@pytest.mark.parametrize(("method", "field"), SETTINGS)
def test_range_is_the_same_on_both_sides(method: str, field: dataclasses.Field[Any]) -> None:
    bounds = [
        (schema.get("minimum"), schema.get("maximum"))
        for schema in alternatives(method, field.name)
        if schema.get("type") in {"integer", "number"}
    ]

    low, high = field.metadata["range"]
    assert bounds == ([] if low is None else [(low, high)])


@pytest.mark.parametrize(("method", "field"), SETTINGS)
def test_choices_are_the_same_on_both_sides(method: str, field: dataclasses.Field[Any]) -> None:
    schema = described(method, field.name)

    named = [part["enum"] for part in alternatives(method, field.name) if "enum" in part]
    named += [schema["items"]["enum"]] if "items" in schema else []
    kind = choice_kind(field)
    assert named == ([] if kind is None else [[str(member) for member in kind]])
    assert (schema.get("type") == "array") == isinstance(field.default, tuple)


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
        assert config_to_json(pipeline_config_from_mapping("mts", resolved)) == resolved
        return
    with pytest.raises(InvalidInputError) as refused:
        resolve_job_config("mts", {"encoder": encoder})
    assert refused.value.field == "config.encoder"
    with pytest.raises(ConfigError):
        pipeline_config_from_mapping("mts", {"encoder": encoder})


@pytest.mark.parametrize(("method", "field"), SETTINGS)
def test_help_and_symbol_are_the_same_on_both_sides(
    method: str, field: dataclasses.Field[Any]
) -> None:
    schema = described(method, field.name)
    assert schema["description"] == field.metadata["help"]
    assert schema.get("symbol") == field.metadata["symbol"]


@pytest.mark.parametrize("method", METHODS)
def test_resolved_settings_are_taken_by_the_library(method: str) -> None:
    resolved = resolve_job_config(method, {"evaluation_seeds": 3, "classifier": "cnn"})

    assert config_to_json(pipeline_config_from_mapping(method, resolved)) == resolved
