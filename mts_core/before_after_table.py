"""Turns measured accuracies into the rows of the report and a recommendation."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mts_core.baselines import NO_SELECTION, NO_SELECTION_UPWEIGHTED, REFERENCE_ONLY, Row
from mts_core.evaluation import Choice

_CONFIDENCE: Final = 0.95
_SIMPLEST: Final = (NO_SELECTION, REFERENCE_ONLY)


def table_rows(
    rows: Sequence[Row],
    choices: Sequence[Choice],
    accuracy: NDArray[np.float64],
    labels: NDArray[np.int64],
    *,
    pool_scale: float = 1.0,
) -> list[dict[str, Any]]:  # Any: JSON objects.
    """Return one JSON object for each method.

    Args:
        rows: Methods, in order; the first is the one that the others are compared with.
        choices: What was chosen for each row.
        accuracy: [row, seed] float64.
        labels: [sample] int64 of the pool.
        pool_scale: Size of the whole pool over that of the part that was measured.

    Returns:
        Objects with method, accuracy_mean, accuracy_ci95, seeds, kept (samples that are used),
        kept_fraction, steps, reference_weight (how often a reference sample counts beside the mean
        sample of the whole pool), and gain (mean and ci95 of the paired difference from the first
        row).
    """
    table = []
    for row, choice, own in zip(rows, choices, accuracy, strict=True):
        kept = int((row.weights(labels, choice.candidate) > 0).sum())
        gain = own - accuracy[0]
        table.append(
            {
                "method": str(row.method),
                "accuracy_mean": float(own.mean()),
                "accuracy_ci95": [float(bound) for bound in np.clip(mean_interval(own), 0, 1)],
                "seeds": len(own),
                "kept": kept,
                "kept_fraction": kept / len(labels),
                "steps": choice.steps,
                "reference_weight": pool_scale * row.reference_weight(choice.candidate),
                "gain": {
                    "mean": float(gain.mean()),
                    "ci95": [float(bound) for bound in mean_interval(gain)],
                },
            }
        )
    return table


def mean_interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % interval of a mean by Student's t; a single value is its own interval.

    Args:
        values: [repetition] float64.
    """
    mean = float(values.mean())
    if len(values) == 1:
        return mean, mean
    error = float(values.std(ddof=1)) / np.sqrt(len(values))
    reach = float(stats.t.ppf((1 + _CONFIDENCE) / 2, len(values) - 1)) * error
    return mean - reach, mean + reach


def recommend(rows: Sequence[Row], accuracy: NDArray[np.float64]) -> str:
    """Return the name of the row that the table speaks for.

    The best mean wins, unless a simpler row is as good within the interval of the paired
    difference, which is the honest answer then: training on everything or on the reference set
    alone, whichever is better, and after these training on everything with the reference set
    counted more.

    Args:
        rows: Methods, in order.
        accuracy: [row, seed] float64.
    """
    by_method: Mapping[str, NDArray[np.float64]] = {
        str(row.method): own for row, own in zip(rows, accuracy, strict=True)
    }
    best = max(by_method, key=lambda method: float(by_method[method].mean()))
    simplest = max(
        (method for method in _SIMPLEST if method in by_method),
        key=lambda method: float(by_method[method].mean()),
    )
    for simple in (simplest, NO_SELECTION_UPWEIGHTED):
        if simple in by_method:
            lowest_gain, _ = mean_interval(by_method[best] - by_method[simple])
            if lowest_gain <= 0:
                return simple
    return best
