"""Reading docker-compose.yml as Compose reads it: variables replaced, anchors resolved."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

COMPOSE_FILE = Path(__file__).parents[2] / "docker-compose.yml"
REQUIRED = {"POSTGRES_PASSWORD": "abc123", "VALKEY_PASSWORD": "def456"}

_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?:(?P<kind>:[-?])(?P<rest>[^}]*))?\}")


class RequiredVariableMissingError(LookupError):
    """A variable without a default is not set."""


def interpolate(text: str, environment: Mapping[str, str]) -> str:
    """Return `text` with `${NAME:-default}` and `${NAME:?message}` replaced."""

    def value(match: re.Match[str]) -> str:
        if environment.get(match["name"]):
            return environment[match["name"]]
        if match["kind"] == ":-":
            return match["rest"]
        raise RequiredVariableMissingError(match["name"])

    return _VARIABLE.sub(value, text)


def read_compose(environment: Mapping[str, str]) -> Any:  # Any: parsed YAML.
    """Return the parsed file under the given environment."""
    text = COMPOSE_FILE.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    return yaml.safe_load(interpolate("\n".join(lines), environment))
