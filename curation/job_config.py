"""Holds a job's settings to the schema of its method, and says what is wrong with them."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from curation.errors import InvalidInputError
from curation.method_settings import METHODS


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


def allowed_values(
    schema: Mapping[str, Any],  # A property of a JSON Schema.
) -> str:
    """Return in words which values a setting's schema allows."""
    return " or ".join(_kind(part) for part in schema.get("anyOf", [schema]))


def _refusal(model: type[BaseModel], error: ValidationError) -> InvalidInputError:
    first = error.errors(include_url=False, include_context=False)[0]
    key = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        return _unknown_key(model, key)
    return InvalidInputError(
        "OUT_OF_RANGE",
        f"{key} is {_shown(first['input'])}, which is not allowed.",
        field=f"config.{key}",
        cure=f"{key} has to be {allowed_values(model.model_json_schema()['properties'][key])}.",
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


def _kind(schema: Mapping[str, Any]) -> str:  # One alternative of a property.
    if "pattern" in schema:
        return f"of the form {' or '.join(schema['examples'])}"
    match schema.get("type"):
        case "integer":
            text = f"a whole number from {schema['minimum']} to {schema['maximum']}"
        case "number":
            text = f"a number from {schema['minimum']:g} to {schema['maximum']:g}"
        case "boolean":
            text = "true or false"
        case "null":
            text = "null"
        case "array":
            text = f"a list without repetition of {_kind(schema['items'])}"
        case _:
            values = schema.get("enum") or [schema.get("const")]
            text = " or ".join(f'"{value}"' for value in values)
    return text
