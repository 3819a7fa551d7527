"""Sums up what judges measured: means, intervals, and paired gains."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mts_core.baselines import NO_SELECTION, NO_SELECTION_UPWEIGHTED
from mts_core.before_after_table import mean_interval

Measured = Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]]
"""Accuracies by set, row and judge, one for each seed."""

BASELINES: Final = frozenset(
    {
        NO_SELECTION,
        "reference_only",
        "random",
        "el2n",
        "grand",
        "forgetting",
        "knn_agreement",
        "cosine",
        "meta_weight_net",
        "meta_weight_net_weighted",
        "meta_weight_net_selected",
        "knn_shapley",
    }
)
"""Rows that count as baselines where they are measured."""


def summarise(measured: Measured, headline: str) -> dict[str, Any]:  # Any: a JSON object.
    """Return the summary of all sets.

    A row's accuracy is the mean over judges. Gains are paired by seed; over several sets they are
    the mean over sets for each seed, of the seeds that every set has. The best baseline of a set is
    the one of the highest mean, which is found on the test set and so flatters the baselines.

    Args:
        measured: Accuracies, the same number of seeds for each row of a set.
        headline: The row whose gains stand at the top; the gains of all other rows follow.

    Returns:
        An object with sets, per_judge, best_baseline, gain_over_no_selection,
        gain_over_best_baseline, and gains by row, over all sets and for each.
    """
    accuracy = {
        name: {row: np.mean(list(judged.values()), axis=0) for row, judged in rows.items()}
        for name, rows in measured.items()
    }
    best = {name: best_baseline(rows) for name, rows in accuracy.items()}
    contenders = [row for row in next(iter(accuracy.values()), {}) if row not in BASELINES]
    gains = {
        row: _gains(accuracy, row, best)
        for row in contenders
        if all(row in rows for rows in accuracy.values())
    }
    top = gains.get(headline, {})
    return {
        "sets": {
            name: {row: describe(values) for row, values in rows.items()}
            for name, rows in accuracy.items()
        },
        "headline": headline,
        "gain_over_no_selection": top.get("over_no_selection"),
        "gain_over_best_baseline": top.get("over_best_baseline"),
        "gains": gains,
        "gains_by_set": {
            name: {row: _gains({name: rows}, row, best) for row in rows if row not in BASELINES}
            for name, rows in accuracy.items()
        },
        "best_baseline": best,
        "per_judge": {
            name: {
                row: {judge: describe(np.array(values)) for judge, values in judged.items()}
                for row, judged in rows.items()
            }
            for name, rows in measured.items()
        },
    }


def _gains(
    accuracy: Mapping[str, Mapping[str, NDArray[np.float64]]], row: str, best: Mapping[str, str]
) -> dict[str, Any]:
    compared = {
        "over_no_selection": dict.fromkeys(accuracy, NO_SELECTION),
        "over_best_baseline": best,
    }
    if all(NO_SELECTION_UPWEIGHTED in rows for rows in accuracy.values()):
        # What is left of a gain that counting the reference set more would bring by itself.
        name = f"over_{NO_SELECTION_UPWEIGHTED}"
        compared[name] = dict.fromkeys(accuracy, NO_SELECTION_UPWEIGHTED)
    return {name: mean_gain(accuracy, row, others) for name, others in compared.items()}


def best_baseline(rows: Mapping[str, NDArray[np.float64]]) -> str:
    """Return the baseline of the highest mean accuracy.

    Args:
        rows: Accuracies [seed] by row.
    """
    return max((row for row in rows if row in BASELINES), key=lambda row: float(rows[row].mean()))


def mean_gain(
    accuracy: Mapping[str, Mapping[str, NDArray[np.float64]]],
    row: str,
    compared: Mapping[str, str],
) -> dict[str, Any]:
    """Return how far a row lies above another, averaged over sets, with its interval.

    Args:
        accuracy: Accuracies [seed] by set and row.
        row: The row.
        compared: The other row, by set.
    """
    seeds = min(len(rows[row]) for rows in accuracy.values())
    by_set = [rows[row][:seeds] - rows[compared[name]][:seeds] for name, rows in accuracy.items()]
    return describe(np.mean(by_set, axis=0))


def describe(values: NDArray[np.float64]) -> dict[str, Any]:
    """Return mean and 95 % interval over seeds of values [seed]."""
    return {"mean": float(values.mean()), "ci95": [float(end) for end in mean_interval(values)]}
