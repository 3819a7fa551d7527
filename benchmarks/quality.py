"""Measures methods and baselines on every benchmark set, by judges that no method knows.

Runs on the sets of benchmarks/sets and on every folder or zip in the folder that WINNOW_BENCH_DATA
names. Prints a table for each set and, as its last line, one JSON object, which it also writes to
benchmarks/results/quality.json after every seed.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from contenders import CONTROLS, METHODS, PERFECT_KNOWLEDGE, MethodEntry, line_up
from judge_views import JudgeView, RawViews, choose_view, look_at
from judges import COSTS, JudgedSets, judge, judges
from quality_sets import QualitySet, load_set
from quality_summary import summarise
from sets import BUILDERS
from subsamples import draw_subsample, take

from mts_core.reference_folds import reference_folds
from mts_core.seeds import derive_seed

RESULTS: Final = Path(__file__).parent / "results" / "quality.json"
DEFAULT_SETS: Final = ("digits", "backgrounds", "text", "tabular")
FOLDS: Final = 3
"""Folds of the reference set behind every choice."""


def main() -> None:
    """Run the benchmark from the command line."""
    arguments = _parse_arguments()
    torch.set_num_threads(arguments.threads)
    entries = {name: METHODS[name] for name in arguments.methods}
    entries |= CONTROLS if arguments.controls else {}
    headline = f"{arguments.methods[-1]}_weighted" if arguments.methods else PERFECT_KNOWLEDGE
    record = Record(arguments.output, headline, threads=arguments.threads)
    for path in arguments.keep:
        record.take_over(path)
    for name in arguments.sets or _all_sets():
        if record.count_seeds(name) >= arguments.seeds:
            record.print_table(name)
            continue
        problem = find_problem(name)
        if problem is None:
            record.skip(name)
            continue
        views = look_at(problem)
        for seed in range(record.count_seeds(name), arguments.seeds):
            record.add(name, measure_seed(problem, views, entries, seed=seed))
        record.print_table(name)
    print(json.dumps(record.summary()))


def find_problem(name: str) -> QualitySet | None:
    """Return a set by its name, or none where it is absent."""
    if name in BUILDERS:
        return BUILDERS[name]()
    path = _outside_sets().get(name)
    return load_set(path) if path else None


def measure_seed(
    problem: QualitySet, views: RawViews, entries: Mapping[str, MethodEntry], *, seed: int
) -> dict[str, Any]:
    """Return accuracies by row and judge, AUROCs by method, views and seconds of one seed.

    The seed draws the pool and the reference set as well as the runs, alike for every row.

    Args:
        problem: The set.
        views: The same samples in each view that judges choose from.
        entries: Methods by name.
        seed: The seed.
    """
    started = time.perf_counter()
    drawn = draw_subsample(problem.data, seed=seed)
    part, seen = take(problem, views, drawn)
    lineup = line_up(part, entries, seed=seed)
    learned = time.perf_counter()
    view = choose_view(seen, part.data, seed=seed)
    sets = judged_sets(part, view, seed=seed)
    accuracies: dict[str, dict[str, float]] = {}
    for name, fit in judges(sets).items():
        for contender in lineup.contenders:
            verdict = judge(sets, fit, COSTS[name], contender.candidates)
            accuracies.setdefault(contender.name, {})[name] = verdict.accuracy
    seconds = {"runs": learned - started, "judges": time.perf_counter() - learned}
    return {
        "accuracies": accuracies,
        "aurocs": dict(lineup.aurocs),
        "views": {"runs": view.run_encoder, "judges": view.name},
        "seconds": seconds,
    }


def judged_sets(problem: QualitySet, view: JudgeView, *, seed: int) -> JudgedSets:
    """Return what judges train and are measured on.

    Args:
        problem: The set.
        view: Its samples as judges see them.
        seed: Seed of the folds.

    Raises:
        ValueError: The set has no test part.
    """
    data = problem.data
    if data.test_labels is None:
        raise ValueError(f"{problem.name} has no test part to judge on.")
    smallest_class = int(np.bincount(data.reference_labels).min())
    return JudgedSets(
        vectors=np.concatenate([view.pool, view.reference, view.test]),
        labels=np.concatenate([data.pool_labels, data.reference_labels, data.test_labels]),
        pool_size=len(data.pool_labels),
        reference_size=len(data.reference_labels),
        folds=reference_folds(
            view.reference.astype(np.float32),
            data.reference_labels,
            min(FOLDS, max(smallest_class, 2)),
            seed=derive_seed(seed, "judges"),
        ),
        class_count=data.class_count,
    )


class Record:
    """What has been measured so far, written to disk after every seed."""

    def __init__(self, path: Path, headline: str, *, threads: int) -> None:
        self._path = path
        self._headline = headline
        self._threads = threads
        self._measured: dict[str, dict[str, dict[str, list[float]]]] = {}
        self._aurocs: dict[str, dict[str, list[float]]] = {}
        self._seconds: dict[str, list[dict[str, float]]] = {}
        self._views: dict[str, list[dict[str, str]]] = {}
        self._skipped: list[str] = []

    def skip(self, name: str) -> None:
        """Note that a set is absent; it is never averaged."""
        print(f"{name}: skipped, not found", file=sys.stderr)
        self._skipped.append(name)

    def take_over(self, path: Path) -> None:
        """Take the sets that an earlier run, or one on other sets, has written."""
        found = json.loads(path.read_text())
        self._measured |= found["accuracies"]
        self._aurocs |= found["aurocs"]
        self._seconds |= found["seconds"]
        self._views |= found["views"]
        self._write()

    def count_seeds(self, name: str) -> int:
        """Return how many seeds of a set are measured."""
        return len(self._seconds.get(name, []))

    def add(self, name: str, found: Mapping[str, Any]) -> None:
        """Add one seed of a set and write everything."""
        rows = self._measured.setdefault(name, {})
        for row, by_judge in found["accuracies"].items():
            for judge_name, accuracy in by_judge.items():
                rows.setdefault(row, {}).setdefault(judge_name, []).append(accuracy)
        for method, auroc in found["aurocs"].items():
            self._aurocs.setdefault(name, {}).setdefault(method, []).append(auroc)
        self._views.setdefault(name, []).append(dict(found["views"]))
        self._seconds.setdefault(name, []).append(dict(found["seconds"]))
        shown = ", ".join(
            f"{row} {100 * np.mean(list(by_judge.values())):.1f}"
            for row, by_judge in found["accuracies"].items()
        )
        print(f"{name}: {shown}; {found['seconds']}", file=sys.stderr, flush=True)
        self._write()

    def summary(self) -> dict[str, Any]:  # Any: a JSON object.
        """Return everything as one JSON object."""
        return {
            **summarise(self._measured, self._headline),
            "aurocs": self._aurocs,
            "accuracies": self._measured,
            "views": self._views,
            "judges": {name: {"costs": list(costs)} for name, costs in COSTS.items()},
            "skipped": self._skipped,
            "seconds": self._seconds,
            "versions": versions(),
            "seeds": {name: len(runs) for name, runs in self._seconds.items()},
            "threads": self._threads,
        }

    def print_table(self, name: str) -> None:
        """Print one set's rows as a Markdown table."""
        rows = self.summary()["sets"][name]
        print(f"\n{name}: runs on {self._looks(name, 'runs')}, ", end="")
        print(f"judges on {self._looks(name, 'judges')}\n")
        print("| row | accuracy | 95 % interval |")
        print("|---|---|---|")
        for row, found in rows.items():
            low, high = found["ci95"]
            print(f"| {row} | {100 * found['mean']:.1f} | {100 * low:.1f} to {100 * high:.1f} |")
        sys.stdout.flush()

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._path.with_suffix(".part")
        unfinished.write_text(json.dumps(self.summary(), indent=2) + "\n")
        unfinished.replace(self._path)

    def _looks(self, name: str, who: str) -> str:
        return " or ".join(sorted({view[who] for view in self._views[name]}))


def _outside_sets() -> dict[str, Path]:
    folder = os.environ.get("WINNOW_BENCH_DATA")
    if folder is None:
        return {}
    paths = sorted(Path(folder).iterdir())
    return {path.stem: path for path in paths if path.is_dir() or path.suffix == ".zip"}


def _all_sets() -> Iterator[str]:
    yield from DEFAULT_SETS
    yield from _outside_sets()


def versions() -> dict[str, str]:
    """Return the versions that figures depend on, by name."""
    packages = ("numpy", "scikit-learn", "torch", "winnow")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sets", nargs="*", help="names; by default four own and those outside")
    parser.add_argument(
        "--methods",
        nargs="*",
        choices=list(METHODS),
        default=list(METHODS),
        help="names, the headline last; none for what perfect knowledge would bring",
    )
    parser.add_argument("--controls", action="store_true", help="add the negative controls")
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
