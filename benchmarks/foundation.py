"""Measures every method of the foundation on the benchmark sets, with negative controls.

Reads the sets from the folder that WINNOW_BENCH_DATA names. Prints a table for each set and, as its
last line, one JSON object, which it also writes to benchmarks/results/foundation.json.
"""

import argparse
import dataclasses
import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from quality_sets import QualitySet, find_set, load_set
from sklearn.metrics import roc_auc_score

from mts_core.baselines import NO_SELECTION, Row
from mts_core.before_after_table import mean_interval
from mts_core.pipeline import (
    CurationData,
    CurationResult,
    PipelineConfig,
    pipeline_config_from_mapping,
    run_pipeline,
)
from mts_core.plain_training import JoinedInputs, TrainingRun, train_runs
from mts_core.settings_resolution import resolve_settings
from mts_core.stages import EncodeStage, RunContext, classifier_sets

RESULTS: Final = Path(__file__).parent / "results" / "foundation.json"
BASELINES: Final = ("random", "el2n", "cosine")
SETTINGS: Final[dict[str, dict[str, object]]] = {
    "A_digits_fonts_to_mnist": {
        "classifier": "cnn",
        "evaluation_seeds": 2,
        "baselines": BASELINES,
    },
    "B_emoji_styles": {
        "classifier": "mlp",
        "encoder": "efficientnet_lite0",
        "baselines": BASELINES,
    },
}
"""Settings of each set that are not the defaults."""
FROZEN_RATE: Final = 1e-8
"""Learning rate at which the meta-network stays as it was drawn."""
OURS: Final = "mts_weighted"


def main() -> None:
    """Run the benchmark from the command line."""
    arguments = _parse_arguments()
    folder = Path(os.environ.get("WINNOW_BENCH_DATA", ""))
    torch.set_num_threads(arguments.threads)
    results: dict[str, Any] = {"seeds": arguments.seeds, "threads": arguments.threads, "sets": {}}
    skipped = []
    for name in arguments.sets or SETTINGS:
        path = find_set(folder, name) if "WINNOW_BENCH_DATA" in os.environ else None
        if path is None:
            skipped.append(name)
            print(f"{name}: skipped, not found in WINNOW_BENCH_DATA")
            continue
        results["sets"][name] = measure_set(load_set(path), arguments.seeds, arguments.controls)
    results["skipped"] = skipped
    if results["sets"]:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results))


def measure_set(problem: QualitySet, seeds: int, controls: bool) -> dict[str, Any]:  # noqa: FBT001  # One switch of a script.
    """Return all rows of one set, and what the negative controls show.

    Args:
        problem: The set.
        seeds: Repetitions of the whole pipeline.
        controls: Whether to run the negative controls.
    """
    config = pipeline_config_from_mapping("mts", SETTINGS[problem.name])
    started = time.perf_counter()
    runs = []
    for seed in range(seeds):
        runs.append(finish(problem.data, config, seed=seed))
        auroc = roc_auc_score(problem.is_good, runs[-1].scores)
        rows = [(row["method"], row["accuracy_mean"]) for row in runs[-1].report["rows"]]
        shown = ", ".join(f"{method} {100 * accuracy:.1f}" for method, accuracy in rows)
        print(f"seed {seed}: AUROC {auroc:.3f}; {shown}", file=sys.stderr, flush=True)
    summary = summarise(problem, runs)
    summary["seconds"] = time.perf_counter() - started
    if controls:
        steps = int(np.median(summary["rows"][0]["steps"]))
        summary["negative_controls"] = negative_controls(problem, config, seeds=seeds, steps=steps)
    print_table(problem.name, summary)
    return summary


def finish(data: CurationData, config: PipelineConfig, *, seed: int) -> CurationResult:
    """Return the result of one whole run."""
    last = None
    for report in run_pipeline(data, config, seed=seed):
        last = report
    if last is None or last.result is None:
        raise RuntimeError("The run ended without a result.")
    return last.result


def summarise(problem: QualitySet, runs: list[CurationResult]) -> dict[str, Any]:
    """Return means and intervals over runs, and how far our row lies above each other one."""
    accuracy = _accuracy_by_method(runs)
    rows = [
        {
            "method": method,
            "accuracy_mean": float(own.mean()),
            "accuracy_ci95": list(mean_interval(own)),
            "ours_minus_this": float((accuracy[OURS] - own).mean()),
            "ours_minus_this_ci95": list(mean_interval(accuracy[OURS] - own)),
            "steps": [run.report["rows"][index]["steps"] for run in runs],
            "kept": [run.report["rows"][index]["kept"] for run in runs],
        }
        for index, (method, own) in enumerate(accuracy.items())
    ]
    aurocs = np.array([roc_auc_score(problem.is_good, run.scores) for run in runs])
    return {
        "rows": rows,
        "auroc_mean": float(aurocs.mean()),
        "auroc_ci95": list(mean_interval(aurocs)),
        "score_exponents": [run.report["score_exponent"] for run in runs],
        "recommendations": [run.report["recommendation"] for run in runs],
        "config": runs[0].report["config"],
    }


def negative_controls(
    problem: QualitySet, config: PipelineConfig, *, seeds: int, steps: int
) -> dict[str, dict[str, Any]]:
    """Return what is left where nothing can be learned: no AUROC and no gain are to be found.

    Args:
        problem: The set.
        config: Settings of the real runs.
        seeds: Repetitions.
        steps: Training steps behind each accuracy.

    Returns:
        For a frozen meta-network and for permuted reference labels: AUROC of score against good,
        and gain over no selection in accuracy on the test set, with intervals.
    """
    scoring = dataclasses.replace(config, evaluate=False)
    frozen = dataclasses.replace(scoring, meta_learning_rate=FROZEN_RATE)
    found: dict[str, dict[str, Any]] = {}
    for name, settings in (("frozen_meta_network", frozen), ("permuted_reference", scoring)):
        aurocs, gains = np.empty(seeds), np.empty(seeds)
        for seed in range(seeds):
            data = problem.data
            if name == "permuted_reference":
                order = np.random.default_rng(seed).permutation(len(data.reference_labels))
                data = dataclasses.replace(data, reference_labels=data.reference_labels[order])
            scores = finish(data, settings, seed=seed).scores
            aurocs[seed] = roc_auc_score(problem.is_good, scores)
            gains[seed] = gain_of_weights(problem.data, config, scores, seed=seed, steps=steps)
        found[name] = {
            "auroc_mean": float(aurocs.mean()),
            "auroc_ci95": list(mean_interval(aurocs)),
            "gain_mean": float(gains.mean()),
            "gain_ci95": list(mean_interval(gains)),
        }
    return found


def gain_of_weights(
    data: CurationData,
    config: PipelineConfig,
    scores: NDArray[np.float32],
    *,
    seed: int,
    steps: int,
) -> float:
    """Return how much scores as weights add to the test accuracy of uniform weights.

    Args:
        data: Pool, reference and test set.
        config: Settings of the classifier.
        scores: [sample] float32.
        seed: Seed of starts and draws, shared by both classifiers.
        steps: Training steps of both.
    """
    context = RunContext(data, resolve_settings(config, data), seed, torch.device("cpu"))
    encode = EncodeStage(context, None, {})
    for _ in encode.advance():
        pass
    sets = classifier_sets(context, encode.encoding)
    accuracies = []
    for row in (Row(NO_SELECTION, np.ones_like(scores)), Row(OURS, scores)):
        weights = torch.from_numpy(row.weights(data.pool_labels, 0))
        everything = torch.cat([weights, torch.ones(sets.reference.sample_count).double()])
        run = TrainingRun(everything, repetition=0)
        samples = JoinedInputs(sets.pool, sets.reference)
        for step, predict in train_runs([run], samples, sets.recipe, steps=steps, seed=seed):
            if step == steps and sets.test is not None:
                is_hit = predict(sets.test.inputs)[0].argmax(dim=1) == sets.test.labels
                accuracies.append(float(is_hit.double().mean()))
    return accuracies[1] - accuracies[0]


def print_table(name: str, summary: Mapping[str, Any]) -> None:
    """Print one set's rows as a Markdown table."""
    print(f"\n{name}: AUROC of score against good {summary['auroc_mean']:.3f}\n")
    print("| method | accuracy | 95 % interval | ours minus this | 95 % interval |")
    print("|---|---|---|---|---|")
    for row in summary["rows"]:
        low, high = row["accuracy_ci95"]
        below, above = row["ours_minus_this_ci95"]
        print(
            f"| {row['method']} | {100 * row['accuracy_mean']:.1f} "
            f"| {100 * low:.1f} to {100 * high:.1f} | {100 * row['ours_minus_this']:+.1f} "
            f"| {100 * below:+.1f} to {100 * above:+.1f} |"
        )
    for control, found in summary.get("negative_controls", {}).items():
        auroc, gain = found["auroc_mean"], 100 * found["gain_mean"]
        print(f"\n{control}: AUROC {auroc:.3f}, gain {gain:+.1f} points")


def _accuracy_by_method(runs: list[CurationResult]) -> dict[str, NDArray[np.float64]]:
    methods = [row["method"] for row in runs[0].report["rows"]]
    return {
        method: np.array([run.report["rows"][index]["accuracy_mean"] for run in runs])
        for index, method in enumerate(methods)
    }


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sets", nargs="*", choices=list(SETTINGS))
    parser.add_argument("--no-controls", dest="controls", action="store_false")
    return parser.parse_args()


if __name__ == "__main__":
    main()
