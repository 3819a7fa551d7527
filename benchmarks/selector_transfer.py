"""Measures how well a selector scores samples that its run never saw.

Each set in the folder that WINNOW_BENCH_DATA names is cut into two halves. A full run learns scores
on either half with each seed; the selector of each run scores the other half, and is compared there
with the full runs by rank correlation. The yardstick is how well full runs of different seeds agree
with each other there. Prints a table and, as its last line, one JSON object, which it also writes
to benchmarks/results/selectors.json.
"""

import argparse
import dataclasses
import itertools
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from quality_sets import QualitySet, find_set, load_set
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from mts_core.before_after_table import mean_interval
from mts_core.distillation import distil, finished_run
from mts_core.pipeline import (
    CurationData,
    CurationResult,
    run_pipeline,
)
from mts_core.selector import Selector
from mts_core.selector_scoring import UnseenSamples, run_selector
from mts_core.trainer_settings import MtsSettings

RESULTS: Final = Path(__file__).parent / "results" / "selectors.json"
SETS: Final = ("A_digits_fonts_to_mnist", "B_emoji_styles")
CONFIG: Final = MtsSettings(evaluate=False, gsnr_every=0)
SPLIT_SEED: Final = 0


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sets", nargs="*", choices=SETS, default=list(SETS))
    arguments = parser.parse_args()
    folder = os.environ.get("WINNOW_BENCH_DATA")
    torch.set_num_threads(arguments.threads)
    results: dict[str, Any] = {"seeds": arguments.seeds, "threads": arguments.threads, "sets": {}}
    skipped = []
    for name in arguments.sets:
        path = find_set(Path(folder), name) if folder else None
        if path is None:
            skipped.append(name)
            print(f"{name}: skipped, not found in WINNOW_BENCH_DATA")
            continue
        results["sets"][name] = measure_set(load_set(path), arguments.seeds)
    results["skipped"] = skipped
    if results["sets"]:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results))


def measure_set(problem: QualitySet, seeds: int) -> dict[str, Any]:
    """Return how selectors of one half agree with full runs on the other, in both directions.

    Args:
        problem: The set.
        seeds: Full runs on each half.
    """
    order = np.random.default_rng(SPLIT_SEED).permutation(len(problem.is_good))
    halves = [np.sort(part) for part in np.array_split(order, 2)]
    data = [_subset(problem.data, half) for half in halves]
    runs: list[list[CurationResult]] = [[], []]
    selectors: list[list[Selector]] = [[], []]
    seconds = []
    for side, seed in itertools.product((0, 1), range(seeds)):
        runs[side].append(_finish(data[side], seed))
        started = time.perf_counter()
        selectors[side].append(_distil(data[side], runs[side][-1], seed))
        seconds.append(time.perf_counter() - started)
        print(f"half {side}, seed {seed}: distilled", file=sys.stderr, flush=True)
    directions = []
    for side in (0, 1):
        other = data[1 - side]
        samples = UnseenSamples(other.pool_inputs, other.pool_labels, other.pool_is_real)
        directions.append(
            compare(
                [_score(selector, samples) for selector in selectors[side]],
                [run.scores for run in runs[1 - side]],
                problem.is_good[halves[1 - side]],
            )
        )
    summary = {"directions": directions, "distillation_seconds": float(np.median(seconds))}
    summary |= _mean_of(directions)
    _print(problem.name, summary)
    return summary


def compare(
    transferred: list[NDArray[np.float32]],
    full: list[NDArray[np.float32]],
    is_good: NDArray[np.bool_],
) -> dict[str, Any]:
    """Return rank correlations of one direction.

    A selector is compared with the full runs of all seeds, as full runs are with one another.
    """
    yardstick = [
        float(spearmanr(left, right).statistic) for left, right in itertools.combinations(full, 2)
    ]
    by_seed = np.array(
        [np.mean([spearmanr(scores, run).statistic for run in full]) for scores in transferred]
    )
    return {
        "selector_to_full_runs": [float(value) for value in by_seed],
        "full_run_to_full_run": yardstick,
        "ratio": float(by_seed.mean() / np.mean(yardstick)),
        "auroc_selector": [float(roc_auc_score(is_good, scores)) for scores in transferred],
        "auroc_full_run": [float(roc_auc_score(is_good, scores)) for scores in full],
    }


def _mean_of(directions: list[dict[str, Any]]) -> dict[str, Any]:
    def joined(name: str) -> NDArray[np.float64]:
        return np.concatenate([direction[name] for direction in directions])

    correlation = joined("selector_to_full_runs")
    return {
        "selector_to_full_runs_mean": float(correlation.mean()),
        "selector_to_full_runs_ci95": list(mean_interval(correlation)),
        "full_run_to_full_run_mean": float(joined("full_run_to_full_run").mean()),
        "ratio": float(correlation.mean() / joined("full_run_to_full_run").mean()),
        "auroc_selector_mean": float(joined("auroc_selector").mean()),
        "auroc_full_run_mean": float(joined("auroc_full_run").mean()),
    }


def _print(name: str, summary: dict[str, Any]) -> None:
    low, high = summary["selector_to_full_runs_ci95"]
    print(
        f"\n{name}: selector to full runs {summary['selector_to_full_runs_mean']:.3f} "
        f"({low:.3f} to {high:.3f}), full run to full run "
        f"{summary['full_run_to_full_run_mean']:.3f}, ratio {summary['ratio']:.3f}; AUROC "
        f"{summary['auroc_selector_mean']:.3f} against {summary['auroc_full_run_mean']:.3f}",
        flush=True,
    )


def _subset(data: CurationData, positions: NDArray[np.int64]) -> CurationData:
    return dataclasses.replace(
        data,
        pool_inputs=data.pool_inputs[positions],
        pool_labels=data.pool_labels[positions],
        pool_is_real=data.pool_is_real[positions],
        test_inputs=None,
        test_labels=None,
    )


def _finish(data: CurationData, seed: int) -> CurationResult:
    *_, last = run_pipeline(data, CONFIG, seed=seed)
    assert last.result is not None
    return last.result


def _distil(data: CurationData, result: CurationResult, seed: int) -> Selector:
    names = [str(index) for index in range(data.class_count)]
    *_, last = distil(finished_run(data, result, class_names=names, method="mts"), seed=seed)
    assert last.selector is not None
    return last.selector


def _score(selector: Selector, samples: UnseenSamples) -> NDArray[np.float32]:
    *_, last = run_selector(selector, samples)
    assert last.result is not None
    return last.result.scores


if __name__ == "__main__":
    main()
