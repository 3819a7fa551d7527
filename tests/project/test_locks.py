"""The locks agree with the lists that they were made from, and with each other."""

import re
from pathlib import Path

import pytest

REQUIREMENTS = Path(__file__).parents[2] / "requirements"
INPUTS_OF_LOCK = {
    "api": ["curation", "api"],
    "worker": ["curation", "worker"],
    "stack": ["curation", "api", "worker", "stack"],
    "dev": ["curation", "api", "worker", "stack", "dev"],
    "docs": ["docs"],
}
# torch is pinned apart, without a hash, because its CPU and CUDA builds differ.
PINNED_APART = {"torch"}


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _listed_names(list_name: str) -> set[str]:
    lines = (REQUIREMENTS / f"{list_name}.in").read_text().splitlines()
    names = (re.match(r"[A-Za-z0-9._-]+", line) for line in lines if not line.startswith("#"))
    return {_canonical(match.group()) for match in names if match}


def _pins(lock_name: str) -> dict[str, str]:
    text = (REQUIREMENTS / f"{lock_name}.txt").read_text()
    return {
        _canonical(name): version
        for name, version in re.findall(r"^([A-Za-z0-9._-]+)==(\S+) \\$", text, re.MULTILINE)
    }


@pytest.mark.parametrize("lock_name", INPUTS_OF_LOCK)
def test_lock_pins_every_listed_package(lock_name: str) -> None:
    listed = set().union(*(_listed_names(name) for name in INPUTS_OF_LOCK[lock_name]))
    assert listed - PINNED_APART <= _pins(lock_name).keys()


@pytest.mark.parametrize("lock_name", INPUTS_OF_LOCK)
def test_every_pin_carries_a_hash_and_no_address(lock_name: str) -> None:
    text = (REQUIREMENTS / f"{lock_name}.txt").read_text()
    blocks = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)
    unhashed = [
        block.splitlines()[0] for block in blocks if block and "--hash=sha256:" not in block
    ]
    assert unhashed == []
    assert not re.search(r"https?://|file:|--index-url|--find-links", text)


def test_locks_never_disagree_on_a_version() -> None:
    every_tool = _pins("dev")
    for lock_name in INPUTS_OF_LOCK:
        pins = _pins(lock_name)
        shared = pins.keys() & every_tool.keys()
        assert {name: pins[name] for name in shared} == {name: every_tool[name] for name in shared}


@pytest.mark.parametrize("lock_name", ["api", "worker", "stack"])
def test_tools_are_installed_with_all_that_runs(lock_name: str) -> None:
    assert _pins(lock_name).keys() <= _pins("dev").keys()


def test_api_image_holds_no_numerical_library() -> None:
    assert not _pins("api").keys() & {"torch", "scipy", "scikit-learn", "faiss-cpu"}
