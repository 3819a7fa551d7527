"""The page of job settings says what the schemas hold, method by method."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from curation.job_config import allowed_values, job_config_schemas

PAGE = Path(__file__).parents[2] / "docs" / "job-settings.md"
SCHEMAS = job_config_schemas()


def documented_rows(method: str) -> dict[str, str]:
    """The rest of each row of the tables that a method's settings stand in, by the name."""
    parts = PAGE.read_text(encoding="utf-8").split("\n## ")[1:]
    rows = []
    for part in parts:
        heading, _, body = part.partition("\n")
        if heading == "Settings of every method" or f"`{method}`" in heading:
            rows += re.findall(r"^\| `(\w+)` \| (.+) \|$", body, re.MULTILINE)
    assert len(rows) == len(dict(rows)), "a setting is listed twice"
    return dict(rows)


def written(schema: dict[str, Any]) -> str:
    """A row of the table, but for the setting's name."""
    cells = [
        f"`{json.dumps(schema['default'])}`",
        allowed_values(schema),
        schema.get("symbol", ""),
        schema["description"],
    ]
    return re.sub(r" +", " ", " | ".join(cells))


@pytest.mark.parametrize("method", SCHEMAS)
def test_every_setting_stands_in_the_tables_as_the_schema_has_it(method: str) -> None:
    properties = SCHEMAS[method]["properties"]
    assert documented_rows(method) == {name: written(properties[name]) for name in properties}


def test_every_method_stands_in_the_list() -> None:
    listed = PAGE.read_text(encoding="utf-8").partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", listed, re.MULTILINE) == list(SCHEMAS)
