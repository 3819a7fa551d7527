"""Holds compiled classifiers to plain ones, and says what a run does without a compiler."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mts_core.compilation import settle_compilation
from mts_core.config import MtsConfig

COMPARISON = Path(__file__).parent / "compiled_runs.py"

WITHOUT_COMPILER = """
import torch
from mts_core.compilation import compilation_summary, settle_compilation
from mts_core.config import MtsConfig
config, note = settle_compilation(MtsConfig(compile=True), torch.device("cpu"))
assert not config.compile
print(compilation_summary(note))
"""


def test_job_that_asks_for_nothing_is_told_nothing() -> None:
    config = MtsConfig()
    assert settle_compilation(config, torch.device("cpu")) == (config, None)


@pytest.mark.slow
def test_worker_without_a_compiler_runs_the_network_as_it_is(tmp_path: Path) -> None:
    # A process of its own, since the answer is kept; nothing lies in its search path.
    environment = {
        **os.environ,
        "PATH": str(tmp_path),
        "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache"),
    }
    environment.pop("CXX", None)
    told = _run(["-c", WITHOUT_COMPILER], environment)
    assert "'is_used': False" in told
    assert "its operator can install a C++ compiler" in told
    assert str(tmp_path) not in told


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_compiled_runs_agree_with_plain_ones() -> None:
    found = json.loads(_run([str(COMPARISON)], dict(os.environ)).splitlines()[-1])
    if found["problem"] is not None:
        pytest.skip(found["problem"])
    # Single precision, with sums over some thousand products in another order.
    assert found["passes"] < 1e-4
    # The same, grown over three steps.
    assert found["job"]["scores"] < 1e-3
    assert found["job"]["told"] == {"is_used": True, "problem": None}
    assert not found["job"]["is_told_unasked"]


def _run(arguments: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout
