"""The table of environment variables says what the settings classes hold."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic.fields import FieldInfo

from api.settings import ApiSettings
from curation.settings import CurationSettings
from worker.settings import WorkerSettings

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "configuration.md"


def documented_rows() -> dict[str, tuple[str, str]]:
    """Reader and default of each variable in the first table, by name."""
    first_part = TABLE.read_text(encoding="utf-8").partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \| (.+?) \|$", first_part, re.MULTILINE)
    assert len(rows) == len({row[0] for row in rows}), "a variable is listed twice"
    return {name: (reader, default) for name, reader, default, _ in rows}


def settings_fields() -> dict[str, tuple[str, FieldInfo]]:
    """Reader and field of each setting, by the name of its variable."""
    shared = set(CurationSettings.model_fields)
    fields = {"all": CurationSettings, "api": ApiSettings, "worker": WorkerSettings}
    return {
        f"WINNOW_{name}".upper(): (reader, field)
        for reader, settings in fields.items()
        for name, field in settings.model_fields.items()
        if reader == "all" or name not in shared
    }


def written_default(value: Any) -> str:  # Any: whatever a setting's default is.
    if value is None:
        return "none"
    return f"`{value:.15g}`" if isinstance(value, float) else f"`{value}`"


def test_every_setting_stands_in_the_table_with_its_reader() -> None:
    documented = {
        name: reader for name, (reader, _) in documented_rows().items() if reader != "client"
    }
    assert documented == {name: reader for name, (reader, _) in settings_fields().items()}


@pytest.mark.parametrize("name", sorted(settings_fields()))
def test_the_default_in_the_table_is_the_default_of_the_code(name: str) -> None:
    _, default = documented_rows()[name]
    _, field = settings_fields()[name]
    if field.is_required():
        assert default == "required"
    elif field.default_factory is None:
        assert default == written_default(field.default)


def test_every_client_variable_is_named_by_the_client() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "winnow").rglob("*.py"))
    named = set(re.findall(r'"(WINNOW_[A-Z_]+)"', code))
    documented = {name for name, (reader, _) in documented_rows().items() if reader == "client"}
    assert documented <= named
