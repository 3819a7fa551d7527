"""The images hold what their processes need, and nothing that they must not reach."""

import fnmatch
import shlex
from pathlib import Path

import pytest
from dockerfile import Stage, lineage, read_stages

ROOT = Path(__file__).parents[2]
STAGES = read_stages()


def arguments_of(instruction: str, stages: list[Stage]) -> list[str]:
    return [rest for stage in stages for kind, rest in stage.instructions if kind == instruction]


def copied_from_context(stages: list[Stage]) -> set[str]:
    sources: set[str] = set()
    for arguments in arguments_of("COPY", stages):
        words = shlex.split(arguments)
        if not words[0].startswith("--from="):
            sources.update(words[:-1])
    return sources


def test_every_copied_source_exists() -> None:
    sources = copied_from_context(list(STAGES.values()))
    assert sources
    assert [source for source in sorted(sources) if not (ROOT / source).exists()] == []


def test_every_copied_source_passes_the_ignore_file() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = [line[1:].rstrip("/") for line in lines if line.startswith("!")]
    assert "*" in lines
    for source in copied_from_context(list(STAGES.values())):
        first = source.rstrip("/").partition("/")[0]
        assert any(fnmatch.fnmatch(first, pattern) for pattern in allowed), source


def test_nothing_is_let_through_that_no_image_needs() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = {line[1:].rstrip("/") for line in lines if line.startswith("!")}
    needed = {
        source.rstrip("/").partition("/")[0]
        for source in copied_from_context(list(STAGES.values()))
    }
    assert allowed == needed


def test_the_api_image_never_installs_torch_or_the_learning_library() -> None:
    stages = lineage("api", STAGES)
    commands = " ".join(
        rest for stage in stages for kind, rest in stage.instructions if kind == "RUN"
    )
    assert "torch" not in commands
    assert copied_from_context(stages).isdisjoint(
        {"mts_core/", "worker/", "requirements/worker.txt"}
    )
    lock = (ROOT / "requirements" / "api.txt").read_text(encoding="utf-8")
    assert not [line for line in lock.splitlines() if line.startswith(("torch", "faiss", "scipy"))]


def test_the_worker_image_takes_torch_from_an_index_of_choice() -> None:
    builder = [STAGES["worker-builder"]]
    assert any(rest.startswith("TORCH_INDEX_URL=") for rest in arguments_of("ARG", builder))
    commands = " ".join(arguments_of("RUN", builder))
    assert '--index-url "${TORCH_INDEX_URL}"' in commands


@pytest.mark.parametrize("image", ["api", "worker"])
def test_an_image_holds_the_packages_that_its_code_imports(image: str) -> None:
    folders = {"api": {"api/", "curation/"}, "worker": {"worker/", "curation/", "mts_core/"}}
    assert folders[image] <= copied_from_context(lineage(image, STAGES))


@pytest.mark.parametrize("image", ["api", "worker"])
def test_an_image_runs_as_a_user_without_rights(image: str) -> None:
    users = [
        rest
        for stage in lineage(image, STAGES)
        for kind, rest in stage.instructions
        if kind == "USER"
    ]
    assert users == ["10001:10001"]


def test_every_package_is_installed_from_a_lock_with_hashes() -> None:
    for arguments in arguments_of("RUN", list(STAGES.values())):
        for command in arguments.split("&&"):
            words = shlex.split(command)
            if words[:2] == ["pip", "install"] and words[-1] not in {".", "requirements/torch.txt"}:
                assert "--require-hashes" in words
