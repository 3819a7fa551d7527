"""Turns measured accuracies into the rows of the report and a recommendation."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mts_core.baselines import NO_SELECTION, REFERENCE_ONLY, Row
from mts_core.evaluation import Choice

_CONFIDENCE: Final = 0.95
_SIMPLEST: Final = (NO_SELECTION, REFERENCE_ONLY)


def table_rows(
    rows: Sequence[Row],
    choices: Sequence[Choice],
    accuracy: NDArray[np.float64],
    labels: NDArray[np.int64],
) -> list[dict[str, Any]]:  # Any: JSON objects.
    """Return one JSON object for each method.

    Args:
        rows: Methods, in order; the first is the one that the others are compared with.
        choices: What was chosen for each row.
        accuracy: [row, seed] float64.
        labels: [sample] int64 of the pool.

    Returns:
        Objects with method, accuracy_mean, accuracy_ci95, seeds, kept (samples that are used),
        kept_fraction, steps, and gain (mean and ci95 of the paired difference from the first row).
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

    The best mean wins, unless training on everything or on the reference set alone is as good
    within the interval of the paired difference: then the simpler one is the honest answer.

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
    lowest_gain, _ = mean_interval(by_method[best] - by_method[simplest])
    return best if lowest_gain > 0 else simplest
