"""The speed benchmark measures what it says."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from mts_core.config import AlignmentKind, ClassifierKind

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "speed.py"


@pytest.fixture(scope="module")
def speed() -> ModuleType:
    specification = importlib.util.spec_from_file_location("speed", SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["speed"] = module
    specification.loader.exec_module(module)
    return module


def test_ways_take_turns_and_the_first_round_does_not_count(speed: ModuleType) -> None:
    taken: list[str] = []

    def work_hard() -> None:
        taken.append("hard")
        torch.ones(300, 300) @ torch.ones(300, 300)

    medians = speed.median_seconds({"none": lambda: taken.append("none"), "hard": work_hard}, 3)

    assert taken == 4 * ["none", "hard"]
    assert 0 <= medians["none"] < medians["hard"]


def test_both_loops_take_steps_on_the_same_problem(speed: ModuleType) -> None:
    pool, reference = speed.make_problem(ClassifierKind.CNN, 120)
    config = speed.configure(ClassifierKind.CNN, AlignmentKind.EXACT, 16, micro_batch=8)
    step = speed.mts_step(pool, reference, config)
    assert [step().step for _ in range(2)] == [1, 2]
    plain = speed.plain_step(ClassifierKind.CNN, pool, 16, 8)
    assert speed.median_seconds({"plain": plain}, 1)["plain"] > 0


def test_a_process_does_not_start_with_the_peak_of_its_parent(speed: ModuleType) -> None:
    torch.ones(64 * 2**20)
    mine = speed.peak_bytes()
    program = "import sys; sys.path.insert(0, sys.argv[1]); import speed; print(speed.peak_bytes())"
    command = [sys.executable, "-c", program, str(SCRIPT.parent)]

    ended = subprocess.run(command, check=True, capture_output=True, text=True)

    assert int(ended.stdout) < mine - 100 * 2**20
