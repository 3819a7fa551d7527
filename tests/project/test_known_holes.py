"""No lock holds a version of a package whose hole is known."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.version import Version

REQUIREMENTS = Path(__file__).parents[2] / "requirements"
HOLES = tomllib.loads((REQUIREMENTS / "known_holes.toml").read_text(encoding="utf-8"))
LOCKS = ("api", "worker", "stack", "dev", "torch")


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(lock: str) -> dict[str, Version]:
    text = (REQUIREMENTS / f"{lock}.txt").read_text(encoding="utf-8")
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", text, re.MULTILINE)
    return {canonical(name): Version(version) for name, version in found}


def open_holes(found: dict[str, Version]) -> list[str]:
    return [
        f"{name} {found[name]} is below {hole['lowest_safe']}: {hole['why']}"
        for name, hole in HOLES.items()
        if name in found and found[name] < Version(hole["lowest_safe"])
    ]


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_has_no_known_hole(lock: str) -> None:
    found = pins(lock)
    assert found
    assert open_holes(found) == []


def test_version_below_the_lowest_safe_one_is_found() -> None:
    assert len(open_holes({"pillow": Version("12.1"), "torch": Version("2.13.0")})) == 1


def test_list_names_only_what_some_lock_holds() -> None:
    held = {name for lock in LOCKS for name in pins(lock)}
    assert set(HOLES) <= held
    assert {"pillow", "pyarrow", "torch"} <= set(HOLES)
    assert all(canonical(name) == name and hole["why"] for name, hole in HOLES.items())
