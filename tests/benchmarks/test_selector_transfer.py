import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_an_absent_set_is_listed_as_skipped() -> None:
    environment = {key: value for key, value in os.environ.items() if key != "WINNOW_BENCH_DATA"}
    finished = subprocess.run(
        [sys.executable, str(BENCHMARKS / "selector_transfer.py")],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    last = json.loads(finished.stdout.splitlines()[-1])
    assert last["sets"] == {}
    assert last["skipped"] == ["A_digits_fonts_to_mnist", "B_emoji_styles"]


def test_ratio_is_of_agreement_with_runs_to_agreement_among_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from selector_transfer import compare  # noqa: PLC0415  # A script's folder, not a package.

    rising = np.linspace(0, 1, 5, dtype=np.float32)
    swapped = rising[[1, 0, 2, 3, 4]]
    is_good = np.array([False, False, True, True, True])
    found = compare([rising], [rising, swapped], is_good)
    # Two neighbours swapped among five: 1 - 6 * 2 / (5 * 24) = 0.9.
    assert found["full_run_to_full_run"] == pytest.approx([0.9])
    assert found["selector_to_full_runs"] == pytest.approx([0.95])
    assert found["ratio"] == pytest.approx(0.95 / 0.9)
    assert found["auroc_selector"] == [1.0]
