"""Means, intervals and paired gains are those that a hand would compute."""

import numpy as np
import pytest
from quality_summary import describe, summarise
from scipy import stats

MEASURED = {
    "first": {
        "no_selection": {"svm": [0.5, 0.6], "logistic": [0.3, 0.4]},
        "cosine": {"svm": [0.7, 0.7], "logistic": [0.5, 0.5]},
        "mts_weighted": {"svm": [0.8, 0.7], "logistic": [0.6, 0.5]},
    },
    "second": {
        "no_selection": {"svm": [0.9, 0.9], "logistic": [0.9, 0.9]},
        "cosine": {"svm": [0.2, 0.2], "logistic": [0.2, 0.2]},
        "mts_weighted": {"svm": [0.9, 0.8], "logistic": [0.9, 0.8]},
    },
}


def test_an_interval_is_students() -> None:
    values = np.array([0.1, 0.4, 0.2, 0.7, 0.3])
    low, high = stats.t.interval(0.95, 4, values.mean(), stats.sem(values))
    assert describe(values)["ci95"] == pytest.approx([low, high])


def test_accuracies_are_averaged_over_judges() -> None:
    summary = summarise(MEASURED, "mts_weighted")
    assert summary["sets"]["first"]["no_selection"]["mean"] == pytest.approx(0.45)
    assert summary["per_judge"]["first"]["no_selection"]["svm"]["mean"] == pytest.approx(0.55)


def test_gains_are_paired_by_seed_and_averaged_over_sets() -> None:
    summary = summarise(MEASURED, "mts_weighted")
    # First set: 0.3 and 0.1 by seed; second: 0 and -0.1.
    assert summary["gain_over_no_selection"]["mean"] == pytest.approx(0.075)
    # The mean over sets is 0.15 and 0 by seed: a t interval of half-width 12.706 * 0.075.
    low, high = summary["gain_over_no_selection"]["ci95"]
    assert high - low == pytest.approx(2 * 12.7062047 * 0.075, rel=1e-6)


def test_the_best_baseline_is_found_for_each_set() -> None:
    summary = summarise(MEASURED, "mts_weighted")
    assert summary["best_baseline"] == {"first": "cosine", "second": "no_selection"}
    # First set: 0.1 and 0 by seed; second: 0 and -0.1.
    assert summary["gain_over_best_baseline"]["mean"] == pytest.approx(0.0)


def test_what_counting_the_reference_set_more_brings_is_taken_off_where_it_is_known() -> None:
    assert (
        "over_no_selection_upweighted"
        not in summarise(MEASURED, "mts_weighted")["gains"]["mts_weighted"]
    )
    upweighted = {"svm": [0.6, 0.6], "logistic": [0.6, 0.6]}
    rows = {name: {**own, "no_selection_upweighted": upweighted} for name, own in MEASURED.items()}
    summary = summarise(rows, "mts_weighted")
    # It is no baseline, however well it does: first set 0.7 and 0.6 by seed, second 0.9 and 0.8.
    assert summary["best_baseline"] == {"first": "cosine", "second": "no_selection"}
    gain = summary["gains"]["mts_weighted"]["over_no_selection_upweighted"]
    assert gain["mean"] == pytest.approx(0.15)
    own = summary["gains_by_set"]["second"]["no_selection_upweighted"]
    assert own["over_no_selection"]["mean"] == pytest.approx(-0.3)


def test_a_set_that_was_interrupted_counts_with_the_seeds_that_all_have() -> None:
    shorter = {
        "first": MEASURED["first"],
        "second": {
            row: {judge: values[:1] for judge, values in judged.items()}
            for row, judged in MEASURED["second"].items()
        },
    }
    assert summarise(shorter, "mts_weighted")["gain_over_no_selection"]["mean"] == pytest.approx(
        0.15
    )


def test_nothing_measured_is_no_gain() -> None:
    assert summarise({}, "mts_weighted")["gain_over_no_selection"] is None
