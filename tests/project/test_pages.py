"""Every page of the documentation is in its navigation, and what is there exists."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


class _Loader(yaml.SafeLoader):
    """Reads the file without the packages that mkdocs' own tags name."""


_Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)


def configuration() -> dict[str, Any]:
    loader = _Loader((ROOT / "mkdocs.yml").read_text("utf-8"))
    try:
        settings: dict[str, Any] = loader.get_single_data()
    finally:
        loader.dispose()
    return settings


def entries(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    elif isinstance(nav, dict):
        for below in nav.values():
            yield from entries(below)
    else:
        for below in nav:
            yield from entries(below)


def test_navigation_holds_every_page_once() -> None:
    assets = {path.relative_to(DOCS) for path in (DOCS / "assets").rglob("*.md")}
    pages = {path.relative_to(DOCS) for path in DOCS.rglob("*.md")} - assets
    listed = [Path(entry) for entry in entries(configuration()["nav"])]
    assert sorted(listed) == sorted(pages)


def test_styles_and_scripts_lie_beside_the_pages() -> None:
    settings = configuration()
    named = [*settings["extra_css"], *settings["extra_javascript"], settings["theme"]["logo"]]
    assert [name for name in named if not (DOCS / name).is_file()] == []


def test_pages_load_nothing_from_elsewhere() -> None:
    settings = configuration()
    assert settings["theme"]["font"] is False
    texts = [path.read_text("utf-8") for path in DOCS.rglob("*.md")]
    texts += [path.read_text("utf-8") for path in (DOCS / "assets").rglob("*.css")]
    loading = re.compile(r"""(?:src=|url\(|@import |!\[[^]]*\]\()["']?(?:https?:)?//""")
    assert [text for text in texts if loading.search(text)] == []


def test_formulas_stay_what_both_readers_take_for_formulas() -> None:
    """GitHub and the pages agree on `$...$` and on `$$` with an empty line around it."""
    for page in DOCS.rglob("*.md"):
        text = page.read_text("utf-8")
        for found in re.finditer(r"^\$\$", text, re.MULTILINE):
            before, after = text[: found.start()], text[found.start() :]
            end = after.index("$$", 2) + 2
            assert before.endswith("\n\n"), f"{page.name}: {after[:60]!r}"
            assert after[end:].startswith(("\n\n", "\n")), f"{page.name}: {after[:60]!r}"
