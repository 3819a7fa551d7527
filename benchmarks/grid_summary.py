"""Sums up how rows do against the baselines over many small problems."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from contenders import PERFECT_KNOWLEDGE
from numpy.typing import NDArray
from quality_summary import describe

Measured = dict[str, Any]  # Any: a JSON object.

BASELINE_ROWS: Final = (
    "no_selection",
    "reference_only",
    "random",
    "el2n",
    "grand",
    "forgetting",
    "knn_agreement",
    "cosine",
    "knn_shapley",
    "meta_weight_net_weighted",
)
"""One row for each baseline; that of Meta-Weight-Net is its weights."""
LOSS: Final = -0.01
"""A difference below this counts as a loss."""


def against_baselines(found: Sequence[Measured]) -> Measured:
    """Return how each row does against the baselines, on the problems that hold all of them.

    Two comparisons, since each flatters somebody: the best baseline of a problem is the best of ten
    noisy figures on one draw, found on its test set, which no user could choose and which chance
    favours; the baseline that is best on the average over a group of problems is one choice for all
    of them, also found on the test sets.

    Args:
        found: What was measured, one entry for each set, probe and seed.

    Returns:
        An object with by_bad_share, by_set, by_probe (problems of one kind, over all sets) and all,
        each with the summaries of groups of problems; empty where no problem holds the baselines.
    """
    whole = [each for each in found if has_baselines(each)]
    if not whole:
        return {}
    return {
        "by_bad_share": {
            str(share): _summarise_group([each for each in whole if each["bad_share"] == share])
            for share in sorted({each["bad_share"] for each in whole})
        },
        "by_set": {
            name: _summarise_group([each for each in whole if each["set"] == name])
            for name in dict.fromkeys(each["set"] for each in whole)
        },
        "by_probe": {
            name: _summarise_group([each for each in whole if each["probe"] == name])
            for name in dict.fromkeys(each["probe"] for each in whole)
        },
        "all": _summarise_group(whole),
    }


def has_baselines(measured: Measured) -> bool:
    """Return whether a problem was measured with all baselines."""
    return all(set(BASELINE_ROWS) <= set(rows) for rows in measured["accuracies"].values())


def loss_summary(values: NDArray[np.float64]) -> Measured:
    """Return mean, interval, worst and number of losses of differences [problem]."""
    return {
        **describe(values),
        "worst": float(values.min()),
        "losses": int((values < LOSS).sum()),
        "problems": len(values),
    }


def count_lost_by_both(own: NDArray[np.float64], other: NDArray[np.float64]) -> int:
    """Return how many problems two rows lost, of differences [problem] each."""
    return int(((own < LOSS) & (other < LOSS)).sum())


def print_against_baselines(summary: Measured) -> None:
    """Print one line for each group of problems and row, in points."""
    groups = {
        **{
            f"{100 * float(share):.0f} % bad": own for share, own in summary["by_bad_share"].items()
        },
        **summary["by_set"],
        **summary["by_probe"],
        "all": summary["all"],
    }
    print(
        "| problems | row | best of ten on the draw: mean | worst | lost more than a point", end=""
    )
    print(" | best on average: baseline | mean | worst | lost more than a point |")
    print("|" + "---|" * 9)
    for group, own in groups.items():
        for row, against in own["rows"].items():
            cells = [f"{group} ({own['problems']})", row]
            cells += _cells(against["over_best_of_draw"])
            cells += [own["best_on_average"], *_cells(against["over_best_on_average"])]
            print(f"| {' | '.join(cells)} |")
    print()


def _summarise_group(found: Sequence[Measured]) -> Measured:
    accuracies = _mean_accuracies(found)
    table = np.array([accuracies[name] for name in BASELINE_ROWS])
    means = dict(zip(BASELINE_ROWS, table.mean(axis=1).tolist(), strict=True))
    best_on_average = max(means, key=lambda name: means[name])
    # A tie counts for the first row: no selection and the reference set alone come before the rest.
    winners = Counter(BASELINE_ROWS[index] for index in table.argmax(axis=0))
    compared = {
        "over_best_of_draw": table.max(axis=0),
        "over_best_on_average": accuracies[best_on_average],
    }
    return {
        "problems": len(found),
        "best_on_average": best_on_average,
        "baselines": means,
        "best_of_draw": dict(winners.most_common()),
        "rows": {
            row: {
                name: _against(accuracies[row] - other, accuracies[PERFECT_KNOWLEDGE] - other)
                for name, other in compared.items()
            }
            for row in found[0]["differences"]
        },
    }


def _mean_accuracies(found: Sequence[Measured]) -> Mapping[str, NDArray[np.float64]]:
    """Return accuracies [problem], the mean over judges, of the rows that all problems have."""
    rows = set.intersection(
        *(set(own) for each in found for own in each["accuracies"].values()),
    )
    return {
        row: np.array(
            [np.mean([own[row] for own in each["accuracies"].values()]) for each in found]
        )
        for row in rows
    }


def _against(own: NDArray[np.float64], perfect: NDArray[np.float64]) -> Measured:
    lost = count_lost_by_both(own, perfect)
    return {**loss_summary(own), "losses_of_perfect_knowledge_too": lost}


def _cells(own: Measured) -> list[str]:
    return [f"{100 * own['mean']:+.1f}", f"{100 * own['worst']:+.1f}", str(own["losses"])]
