"""The pages name only what exists, and every reason that a user can meet."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *ROOT.glob("examples/*/*.md")])
REASON = re.compile(r"[A-Z]+(_[A-Z]+)+")
OUR_FOLDERS = ("api", "benchmarks", "curation", "examples", "migrations", "mts_core", "worker")


def page_name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def reasons_in_code(folder: str) -> set[str]:
    """Every string of the folder's code that is written like a reason."""
    statements = [
        statement
        for path in (ROOT / folder).rglob("*.py")
        for statement in ast.parse(path.read_text(encoding="utf-8")).body
        if not _lists_public_names(statement)
    ]
    texts = {
        node.value
        for statement in statements
        for node in ast.walk(statement)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return {text for text in texts if REASON.fullmatch(text)}


def _lists_public_names(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__"


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_link_inside_the_repository_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_file_of_ours_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = re.findall(rf"`((?:{'|'.join(OUR_FOLDERS)})/[\w./-]*\w)`", text)
    assert [path for path in named if not (ROOT / path).exists()] == []


def cited_keys() -> set[str]:
    """Every key that a docstring or a page cites."""
    sources = [path for folder in OUR_FOLDERS for path in (ROOT / folder).rglob("*.py")]
    texts = [path.read_text(encoding="utf-8") for path in [*sources, *PAGES]]
    return {key for text in texts for key in re.findall(r"\[([a-z]+[12]\d{3}[a-z]+)\]", text)}


def test_every_reference_that_is_cited_is_listed_and_whole() -> None:
    text = (ROOT / "docs" / "references.bib").read_text(encoding="utf-8")
    entries = dict(re.findall(r"^@\w+\{(\w+),\n(.*?)^\}$", text, re.MULTILINE | re.DOTALL))
    # An entry that lost its end would swallow the next.
    assert text.count("@") == len(entries)
    for key, body in entries.items():
        fields = re.findall(r"^  (\w+) += \{.+\},?$", body, re.MULTILINE)
        assert len(fields) == len(set(fields)) == len(body.splitlines()), key
        assert {"author", "title", "year"} <= set(fields), key
    assert "williams2001nystrom" in cited_keys()
    assert cited_keys() - set(entries) == set()


# Of the command that makes keys and of a runner that came late, and names of environment
# variables: none of them ever reaches a user of the API.
NOT_FOR_USERS = {
    "CLAIM_LOST",
    "ARROW_DEFAULT_MEMORY_POOL",
    "LC_ALL",
    "MALLOC_ARENA_MAX",
    "OMP_NUM_THREADS",
    "PROMETHEUS_MULTIPROC_DIR",
}


def test_every_reason_is_explained() -> None:
    pages = [ROOT / "docs" / name for name in ("data-formats.md", "errors.md", "runbooks.md")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    in_code = reasons_in_code("curation") | reasons_in_code("api")
    assert {"DATASET_IN_USE", "API_KEY_MISSING"} <= in_code
    assert in_code - NOT_FOR_USERS - {match[0] for match in REASON.finditer(text)} == set()
