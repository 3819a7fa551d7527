"""Measures where a method fails: small problems of every kind, derived from the benchmark sets.

Prints a table and, as its last line, one JSON object, which it also writes to
benchmarks/results/robustness.json after every problem.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from contenders import METHODS, scored_contenders, simple_contenders
from judge_views import RawViews, choose_view, look_at
from judges import COSTS, judge, judges
from probes import Probe, derive_problem, probes
from quality import DEFAULT_SETS, find_problem, judged_sets
from quality_sets import QualitySet
from quality_summary import describe
from shared_run import prepare_run

Measured = dict[str, Any]  # Any: a JSON object.

RESULTS: Final = Path(__file__).parent / "results" / "robustness.json"
SIZES: Final = (200, 1000, 4000)
LOSS: Final = -0.01
"""A difference below this counts as a loss."""


def main() -> None:
    """Run the probes from the command line."""
    arguments = _parse_arguments()
    torch.set_num_threads(arguments.threads)
    found: list[Measured] = []
    for name in arguments.sets:
        problem = find_problem(name)
        if problem is None:
            print(f"{name}: skipped, not found", file=sys.stderr)
            continue
        views = look_at(problem)
        for probe in probes(arguments.sizes):
            for seed in range(arguments.seeds):
                measured = measure_probe(problem, views, probe, arguments.method, seed=seed)
                found.append({"set": name, "probe": probe.name, "seed": seed, **measured})
                print(_line(found[-1]), file=sys.stderr, flush=True)
                arguments.output.parent.mkdir(parents=True, exist_ok=True)
                arguments.output.write_text(json.dumps(summarise(found), indent=2) + "\n")
    print_table(found)
    print(json.dumps(summarise(found)))


def measure_probe(
    problem: QualitySet, views: RawViews, probe: Probe, method: str, *, seed: int
) -> Measured:
    """Return accuracies of a method and of doing without it, by judge.

    Args:
        problem: The set that the probe is derived from.
        views: Its samples in each view.
        probe: What to derive.
        method: Name of the method.
        seed: Seed of the draws and of the run.

    Returns:
        The problem's sizes, accuracies by judge and row, and by row and judge the difference from
        the better of no selection and the reference set alone.
    """
    small, seen = derive_problem(problem, views, probe, seed=seed)
    data = small.data
    entry = METHODS[method]
    scores = prepare_run(data, seed=seed).learn(entry.method, entry.settings)
    count = len(data.pool_labels)
    ours = list(scored_contenders(method, entry.method, scores, data.pool_labels))
    simple = simple_contenders(count)
    sets = judged_sets(small, choose_view(seen, data, seed=seed), seed=seed)
    accuracies = {
        name: {
            row.name: judge(sets, fit, COSTS[name], row.candidates).accuracy
            for row in (*simple, *ours)
        }
        for name, fit in judges(sets).items()
    }
    differences = {
        row.name: {
            name: rows[row.name] - max(rows[other.name] for other in simple)
            for name, rows in accuracies.items()
        }
        for row in ours
    }
    return {
        "pool": count,
        "references": len(data.reference_labels),
        "good_share": float(small.is_good.mean()),
        "accuracies": accuracies,
        "differences": differences,
    }


def summarise(found: Sequence[Measured]) -> Measured:
    """Return all measurements, and how often each row lost to doing without it.

    Args:
        found: What was measured, one entry for each set, probe and seed.
    """
    rows = found[0]["differences"] if found else {}
    return {
        "rows": {row: _row_summary([each["differences"][row] for each in found]) for row in rows},
        "probes": list(found),
    }


def print_table(found: Sequence[Measured]) -> None:
    """Print one line for each set and probe, the mean over seeds and judges, in points."""
    groups: dict[tuple[str, str], list[Measured]] = {}
    for each in found:
        groups.setdefault((each["set"], each["probe"]), []).append(each)
    rows = list(found[0]["differences"]) if found else []
    print(f"| set | problem | {' | '.join(rows)} |")
    print("|" + "---|" * (len(rows) + 2))
    for (name, probe), members in groups.items():
        means = [
            np.mean([list(each["differences"][row].values()) for each in members]) for row in rows
        ]
        print(f"| {name} | {probe} | {' | '.join(f'{100 * mean:+.1f}' for mean in means)} |")


def _row_summary(differences: Sequence[Mapping[str, float]]) -> Measured:
    values = {name: np.array([each[name] for each in differences]) for name in differences[0]}
    return {
        name: {
            **describe(own),
            "worst": float(own.min()),
            "losses": int((own < LOSS).sum()),
            "problems": len(own),
        }
        for name, own in values.items()
    }


def _line(measured: Measured) -> str:
    shown = ", ".join(
        f"{row} {' '.join(f'{100 * value:+.1f}' for value in by_judge.values())}"
        for row, by_judge in measured["differences"].items()
    )
    return f"{measured['set']}, {measured['probe']}, seed {measured['seed']}: {shown}"


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sets", nargs="*", default=list(DEFAULT_SETS))
    parser.add_argument("--sizes", nargs="*", type=int, default=list(SIZES), help="pool sizes")
    parser.add_argument("--method", choices=list(METHODS), default=list(METHODS)[-1])
    parser.add_argument("--output", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
