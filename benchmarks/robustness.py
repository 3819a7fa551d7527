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
from contenders import (
    METHODS,
    PERFECT_KNOWLEDGE,
    perfect_knowledge,
    scored_contenders,
    simple_contenders,
    ten_baselines,
    upweighted_contender,
    weights_alone,
)
from grid_summary import (
    against_baselines,
    count_lost_by_both,
    loss_summary,
    print_against_baselines,
)
from judge_views import RawViews, choose_view, look_at
from judges import COSTS, judge, judges
from probes import BAD_SHARES, REFERENCES, Probe, derive_problem, probes
from quality import DEFAULT_SETS, find_problem, judged_sets
from quality_sets import QualitySet
from shared_run import prepare_run

Measured = dict[str, Any]  # Any: a JSON object.

RESULTS: Final = Path(__file__).parent / "results" / "robustness.json"
SIZES: Final = (200, 1000, 4000)


def main() -> None:
    """Run the probes from the command line."""
    arguments = _parse_arguments()
    torch.set_num_threads(arguments.threads)
    found: list[Measured] = [
        probe for path in arguments.keep for probe in json.loads(path.read_text())["probes"]
    ]
    kept = {_place(probe) for probe in found}
    for name in arguments.sets:
        problem = find_problem(name)
        if problem is None:
            print(f"{name}: skipped, not found", file=sys.stderr)
            continue
        views = look_at(problem)
        for probe in probes(arguments.sizes, arguments.references):
            if probe.bad_share not in arguments.bad or probe.references not in arguments.references:
                continue
            for seed in range(arguments.seeds):
                place = {"set": name, "probe": probe.name, "bad_share": probe.bad_share}
                place["seed"] = seed
                if _place(place) in kept:
                    continue
                measured = measure_probe(
                    problem,
                    views,
                    probe,
                    arguments.method,
                    has_baselines=arguments.baselines,
                    seed=seed,
                )
                found.append({**place, **measured})
                print(_line(found[-1]), file=sys.stderr, flush=True)
                write(arguments.output, found)
    # What was kept is put together even where nothing new was measured.
    if found:
        write(arguments.output, found)
    print_shares(found)
    print_table(found)
    if against := against_baselines(found):
        print_against_baselines(against)
    print(json.dumps(summarise(found)))


def measure_probe(  # noqa: PLR0913  # The problem, and what to measure on it.
    problem: QualitySet,
    views: RawViews,
    probe: Probe,
    method: str,
    *,
    has_baselines: bool = False,
    seed: int,
) -> Measured:
    """Return accuracies of a method and of doing without it, by judge.

    Args:
        problem: The set that the probe is derived from.
        views: Its samples in each view.
        probe: What to derive.
        method: Name of the method.
        has_baselines: Whether accuracies hold all ten baselines too.
        seed: Seed of the draws and of the run.

    Returns:
        The problem's sizes, accuracies by judge and row, and by row and judge the difference from
        the better of no selection and the reference set alone. Perfect knowledge of what is good
        is a row too: where it loses, so does keeping all that is good and nothing else.
    """
    small, seen = derive_problem(problem, views, probe, seed=seed)
    data = small.data
    entry = METHODS[method]
    run = prepare_run(data, seed=seed)
    scores = run.learn(entry.method, entry.settings)
    count = len(data.pool_labels)
    learned = method, entry.method, scores, data.pool_labels
    simple = simple_contenders(count)
    ours = [
        *scored_contenders(*learned),
        weights_alone(*learned),
        upweighted_contender(count),
        perfect_knowledge(small),
    ]
    others = [*ten_baselines(run)] if has_baselines else simple
    sets = judged_sets(small, choose_view(seen, data, seed=seed), seed=seed)
    accuracies = {
        name: {
            row.name: judge(sets, fit, COSTS[name], row.candidates).accuracy
            for row in (*others, *ours)
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

    Returns:
        An object with rows, by judge; by_bad_share, the mean of the judges, with the losses in
        problems that perfect knowledge lost as well; against_baselines, of the problems that were
        measured with all baselines; and probes.
    """
    rows = found[0]["differences"] if found else {}
    return {
        "rows": {row: _row_summary([each["differences"][row] for each in found]) for row in rows},
        "by_bad_share": {
            str(share): {
                row: _share_summary(
                    [each["differences"] for each in found if each["bad_share"] == share], row
                )
                for row in rows
            }
            for share in sorted({each["bad_share"] for each in found})
        },
        "against_baselines": against_baselines(found),
        "probes": list(found),
    }


def write(path: Path, found: Sequence[Measured]) -> None:
    """Write all measurements and their summary to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(summarise(found), indent=2) + "\n")


def print_shares(found: Sequence[Measured]) -> None:
    """Print one line for each share of bad samples and each row, in points."""
    print(
        "| bad | row | problems | mean | worst | lost more than a point | perfect knowledge too |"
    )
    print("|---|---|---|---|---|---|---|")
    for share, rows in summarise(found)["by_bad_share"].items():
        for row, own in rows.items():
            mean, worst = (f"{100 * own[name]:+.1f}" for name in ("mean", "worst"))
            counted = f"{own['problems']} | {mean} | {worst} | {own['losses']}"
            counted += f" | {own['losses_of_perfect_knowledge_too']}"
            print(f"| {100 * float(share):.0f} % | {row} | {counted} |")
    print()


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
    return {name: loss_summary(own) for name, own in values.items()}


def _share_summary(differences: Sequence[Mapping[str, Mapping[str, float]]], row: str) -> Measured:
    own, perfect = (
        np.array([np.mean(list(each[name].values())) for each in differences])
        for name in (row, PERFECT_KNOWLEDGE)
    )
    lost = count_lost_by_both(own, perfect)
    return {**loss_summary(own), "losses_of_perfect_knowledge_too": lost}


def _place(probe: Measured) -> tuple[str, str, int]:
    return probe["set"], probe["probe"], probe["seed"]


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
    parser.add_argument(
        "--baselines",
        action="store_true",
        help="measure all ten baselines too, and hold the rows against the best of them",
    )
    parser.add_argument(
        "--bad", nargs="*", type=float, default=list(BAD_SHARES), help="shares of bad samples"
    )
    parser.add_argument(
        "--references", nargs="*", type=int, default=list(REFERENCES), help="references a class"
    )
    parser.add_argument("--method", choices=list(METHODS), default=list(METHODS)[-1])
    parser.add_argument(
        "--keep",
        nargs="*",
        type=Path,
        default=[],
        help="results of earlier runs to go on from: what they hold is not measured again",
    )
    parser.add_argument("--output", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
