"""The page of what is survived promises nothing without a test, and names no test that is not."""

import ast
import json
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reliability.md"
HEADER = ["fault or attack", "what is promised", "the test that shows it"]


def table_rows() -> list[list[str]]:
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line[:1] == "|"]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if row != HEADER and set("".join(row)) != {"-"}]


@cache
def functions_of(path: Path) -> frozenset[str]:
    functions = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return frozenset(node.name for node in functions if isinstance(node, ast.FunctionDef))


def exists(shown_by: str) -> bool:
    """Whether a test, or a figure of a benchmark's results (`file.json#key`), is there."""
    file, separator, name = re.split("(::|#)", shown_by, maxsplit=1)
    path = ROOT / file
    if not path.is_file():
        return False
    if separator == "#":
        return name in json.loads(path.read_text(encoding="utf-8"))
    return name in functions_of(path)


@pytest.mark.parametrize("row", table_rows(), ids=lambda row: row[0])
def test_every_promise_is_shown_by_tests_that_exist(row: list[str]) -> None:
    fault, promise, shown_by = row
    named = re.findall(r"`([^`]+(?:::|#)\w+)`", shown_by)
    assert fault
    assert promise
    assert named
    assert [name for name in named if not exists(name)] == []


def test_no_promise_is_made_twice() -> None:
    faults = [row[0] for row in table_rows()]
    assert len(faults) > 10
    assert sorted(set(faults)) == sorted(faults)
