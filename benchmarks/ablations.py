"""Measures what each part of the methods is worth, by runs that lack it.

Every run of a seed shares the draws, the encoding and the features, and is judged as in quality.py;
only the rows of weights are judged, with reference samples as heavy as the mean pool sample, beside
that of no selection. Prints a table and, as its last line, one JSON object, which it also writes to
benchmarks/results/ablations.json after every seed.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from blindness import FeatureGroup
from contenders import (
    FROZEN_RATE,
    Contender,
    permute_reference,
    simple_contenders,
    weights_alone,
)
from judge_views import RawViews, choose_view, look_at
from judges import COSTS, Fit, JudgedSets, judge, judges
from quality import DEFAULT_SETS, find_problem, judged_sets, versions
from quality_sets import QualitySet
from quality_summary import describe
from shared_run import prepare_run
from sklearn.metrics import roc_auc_score
from subsamples import draw_subsample, take

from mts_core.baselines import NO_SELECTION
from mts_core.pipeline_config import MethodName

Measured = dict[str, dict[str, dict[str, list[float]]]]
"""Values by quantity, set and variant, one for each seed."""

RESULTS: Final = Path(__file__).parent / "results" / "ablations.json"
ACCURACY: Final = "accuracy"
AUROC: Final = "auroc"


@dataclass(frozen=True)
class Variant:
    """A run that differs from the default in one thing.

    Attributes:
        method: Its method, against whose default it is held.
        settings: What differs.
        hidden: Features that the meta-network does not see.
        is_permuted: Whether the labels of the reference set are shuffled.
    """

    method: MethodName
    settings: Mapping[str, object] = field(default_factory=dict)
    hidden: FeatureGroup | None = None
    is_permuted: bool = False


_MTS: Final = MethodName.MTS
_WINNOW: Final = MethodName.WINNOW
VARIANTS: Final[Mapping[str, Variant]] = {
    "mts": Variant(_MTS),
    **{f"mts, no {group} features": Variant(_MTS, hidden=group) for group in FeatureGroup},
    "mts, loss alone": Variant(MethodName.META_WEIGHT_NET),
    **{f"mts, batch of {size}": Variant(_MTS, {"batch_size": size}) for size in (16, 64, 512)},
    **{
        f"mts, {estimator} alignment": Variant(_MTS, {"alignment": estimator})
        for estimator in ("exact", "finite_difference")
    },
    **{f"mts, floor {floor}": Variant(_MTS, {"score_floor": floor}) for floor in (0.0, 0.2)},
    "mts, frozen": Variant(_MTS, {"meta_learning_rate": FROZEN_RATE}),
    "mts, permuted": Variant(_MTS, is_permuted=True),
    "winnow": Variant(_WINNOW),
    "winnow, support alone": Variant(_WINNOW, {"meta_sharpness": 0.0}),
    "winnow, weights alone": Variant(_WINNOW, {"sharpness": 0.0}),
    "winnow, always sharp": Variant(_WINNOW, {"full_sharpness_noise": 0.0}),
    "winnow, classes as in the pool": Variant(_WINNOW, {"label_shift": 0.0}),
    "winnow, one cleaning round": Variant(_WINNOW, {"cleaning_rounds": 1}),
    "winnow, frozen": Variant(_WINNOW, {"meta_learning_rate": FROZEN_RATE}),
    "winnow, permuted": Variant(_WINNOW, is_permuted=True),
}


def main() -> None:
    """Run the benchmark from the command line."""
    arguments = _parse_arguments()
    torch.set_num_threads(arguments.threads)
    variants = {name: VARIANTS[name] for name in arguments.variants}
    measured: Measured = {ACCURACY: {}, AUROC: {}}
    for path in arguments.keep:
        take_over(measured, json.loads(path.read_text())["values"], seeds=arguments.seeds)
    for name in arguments.sets:
        missing = [missing_of(measured, name, variants, seed) for seed in range(arguments.seeds)]
        if not any(missing):
            continue
        problem = find_problem(name)
        if problem is None:
            print(f"{name}: skipped, not found", file=sys.stderr)
            continue
        views = look_at(problem)
        for seed, own in enumerate(missing):
            if not own:
                continue
            found = measure_seed(problem, views, own, seed=seed)
            add(measured, name, found, seed=seed)
            shown = ", ".join(f"{key} {100 * own:.1f}" for key, own in found[ACCURACY].items())
            print(f"{name}, seed {seed}: {shown}", file=sys.stderr, flush=True)
            write(summarise(measured), arguments.output)
    summary = summarise(measured)
    if measured[ACCURACY]:
        # What earlier results hold is put together even where nothing was left to measure.
        write(summary, arguments.output)
    print_table(summary)
    print(json.dumps(summary))


def write(summary: Mapping[str, Any], path: Path) -> None:
    """Write a summary as JSON, with the folder where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(summary, indent=2) + "\n")


def take_over(measured: Measured, kept: Measured, *, seeds: int) -> None:
    """Add what an earlier run has measured, of the first seeds.

    Args:
        measured: What it is added to.
        kept: What the earlier run has measured; where both hold a variant, more seeds win.
        seeds: How many seeds are taken of each.
    """
    for quantity, by_set in kept.items():
        for name, rows in by_set.items():
            own = measured[quantity].setdefault(name, {})
            for variant, values in rows.items():
                if len(values) > len(own.get(variant, [])):
                    own[variant] = list(values[:seeds])


def missing_of(
    measured: Measured, name: str, variants: Mapping[str, Variant], seed: int
) -> dict[str, Variant]:
    """Return the variants that a seed of a set still lacks.

    Args:
        measured: What has been measured, of each variant the first seeds.
        name: The set.
        variants: What is to be measured.
        seed: The seed.
    """
    rows = measured[ACCURACY].get(name, {})
    return {key: each for key, each in variants.items() if len(rows.get(key, [])) <= seed}


def add(
    measured: Measured, name: str, found: Mapping[str, Mapping[str, float]], *, seed: int
) -> None:
    """Add what was measured of a seed.

    Args:
        measured: What it is added to.
        name: The set.
        found: Values by quantity and variant.
        seed: The seed.

    Raises:
        ValueError: A value is there already, as that of no selection always is after the first run,
            and it is another: the earlier run had other draws or judges, so that nothing is paired.
    """
    for quantity, by_variant in found.items():
        rows = measured[quantity].setdefault(name, {})
        for variant, value in by_variant.items():
            values = rows.setdefault(variant, [])
            if seed == len(values):
                values.append(value)
            elif values[seed] != value:
                raise ValueError(f"{name}, seed {seed}: {variant} was {values[seed]}, is {value}.")


def measure_seed(
    problem: QualitySet, views: RawViews, variants: Mapping[str, Variant], *, seed: int
) -> dict[str, dict[str, float]]:
    """Return accuracy, the mean over judges, and AUROC of each variant's weights.

    Accuracy holds the row of no selection too.

    Args:
        problem: The set.
        views: The same samples in each view that judges choose from.
        variants: What to run, by name.
        seed: Seed of the draws and of every run.
    """
    part, seen = take(problem, views, draw_subsample(problem.data, seed=seed))
    runs = {False: prepare_run(part.data, seed=seed)}
    if any(variant.is_permuted for variant in variants.values()):
        runs[True] = prepare_run(permute_reference(part.data, seed=seed), seed=seed)
    sets = judged_sets(part, choose_view(seen, part.data, seed=seed), seed=seed)
    # Once for all variants: the distances between all samples take longer than a training.
    fits = judges(sets)
    nothing_selected, _ = simple_contenders(len(part.data.pool_labels))
    found: dict[str, dict[str, float]] = {
        ACCURACY: {NO_SELECTION: _judged(sets, fits, nothing_selected)},
        AUROC: {},
    }
    for name, variant in variants.items():
        run = runs[variant.is_permuted]
        scores = run.learn(variant.method, variant.settings, hidden=variant.hidden)
        row = weights_alone(name, variant.method, scores, part.data.pool_labels)
        found[ACCURACY][name] = _judged(sets, fits, row)
        found[AUROC][name] = float(roc_auc_score(part.is_good, scores))
    return found


def _judged(sets: JudgedSets, fits: Mapping[str, Fit], row: Contender) -> float:
    verdicts = [
        judge(sets, fit, COSTS[name], row.candidates).accuracy for name, fit in fits.items()
    ]
    return float(np.mean(verdicts))


def summarise(measured: Measured) -> dict[str, Any]:  # Any: a JSON object.
    """Return means with intervals by set and variant, and paired differences.

    Differences are those from the default of the variant's own method, and from no selection, by
    seed and, over all sets, as the mean over sets; the former also for each set.

    Args:
        measured: What was measured; the seeds that every variant of a set has are compared.
    """
    summary: dict[str, Any] = {
        quantity: {
            name: {variant: describe(np.array(values)) for variant, values in rows.items()}
            for name, rows in by_set.items()
        }
        for quantity, by_set in measured.items()
    }
    variants = _variants(measured)
    accuracies = measured[ACCURACY]
    summary["difference"] = _differences(accuracies, variants)
    summary["difference_by_set"] = {
        name: _differences({name: rows}, variants) for name, rows in accuracies.items()
    }
    summary["gain_over_no_selection"] = {
        name: _difference(accuracies, name, NO_SELECTION) for name in variants
    }
    summary["values"] = measured
    summary["seeds"] = {
        name: min(len(values) for values in rows.values())
        for name, rows in measured[ACCURACY].items()
    }
    summary["versions"] = versions()
    return summary


def _variants(measured: Measured) -> list[str]:
    sets = measured[ACCURACY].values()
    return [name for name in VARIANTS if sets and all(name in rows for rows in sets)]


def _default_of(name: str) -> str:
    return name.partition(",")[0]


def _differences(
    by_set: Mapping[str, Mapping[str, Sequence[float]]], variants: Sequence[str]
) -> dict[str, Any]:
    return {
        name: _difference(by_set, name, _default_of(name))
        for name in variants
        if name != _default_of(name) in variants
    }


def _difference(
    by_set: Mapping[str, Mapping[str, Sequence[float]]], name: str, other: str
) -> dict[str, Any]:
    seeds = min(len(values) for rows in by_set.values() for values in rows.values())
    gains = [
        np.array(rows[name][:seeds]) - np.array(rows[other][:seeds]) for rows in by_set.values()
    ]
    return describe(np.mean(gains, axis=0))


def print_table(summary: Mapping[str, Any]) -> None:
    """Print one line for each variant: its differences in points, also by set, and its AUROCs."""
    by_set = summary["difference_by_set"]
    head = ["variant", "points", "over no selection", *by_set]
    head += [f"AUROC {name}" for name in by_set]
    print(f"| {' | '.join(head)} |")
    print("|" + "---|" * len(head))
    for name, gain in summary["gain_over_no_selection"].items():
        own = summary["difference"].get(name)
        cells = [name, _points(own), _points(gain)]
        cells += [f"{100 * rows[name]['mean']:+.1f}" if own else "" for rows in by_set.values()]
        cells += [f"{summary[AUROC][each][name]['mean']:.3f}" for each in by_set]
        print(f"| {' | '.join(cells)} |")


def _points(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    low, high = found["ci95"]
    return f"{100 * found['mean']:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sets", nargs="*", default=list(DEFAULT_SETS))
    parser.add_argument("--variants", nargs="*", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument(
        "--keep",
        nargs="*",
        type=Path,
        default=[],
        help="results of runs on other sets or variants: what they hold is not measured again",
    )
    parser.add_argument("--output", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
