"""Rows are held against the best baseline of a problem, and against one for all problems."""

from typing import Any

import pytest
from contenders import METHODS
from grid_summary import (
    BASELINE_ROWS,
    against_baselines,
    has_baselines,
    print_against_baselines,
)
from judge_views import look_at
from probes import Probe
from problems import blobs
from quality_summary import BASELINES
from robustness import measure_probe, summarise


def made_problem(name: str, bad_share: float, **accuracies: float) -> dict[str, Any]:
    """Return a problem whose baselines are at a half where nothing else is said."""
    rows = {**dict.fromkeys(BASELINE_ROWS, 0.5), "perfect_knowledge": 0.9, **accuracies}
    simple = max(rows["no_selection"], rows["reference_only"])
    own = ("winnow_weighted", "perfect_knowledge")
    return {
        "set": name,
        "probe": "made",
        "bad_share": bad_share,
        "seed": 0,
        # The judges differ by a tenth, so that their mean is what was asked for.
        "accuracies": {
            judge: {row: value + shift for row, value in rows.items()}
            for judge, shift in (("svm", 0.05), ("logistic", -0.05))
        },
        "differences": {row: dict.fromkeys(("svm", "logistic"), rows[row] - simple) for row in own},
    }


# Cosine is best on the average, el2n and knn_shapley are each best on one of the problems.
FOUND = [
    made_problem("one", 0.4, winnow_weighted=0.7, el2n=0.72, cosine=0.66),
    made_problem("one", 0.4, winnow_weighted=0.6, knn_shapley=0.65, cosine=0.62),
    made_problem("two", 0.9, winnow_weighted=0.5, reference_only=0.74, perfect_knowledge=0.7),
]


def test_one_row_stands_for_each_baseline() -> None:
    assert set(BASELINE_ROWS) == BASELINES - {"meta_weight_net", "meta_weight_net_selected"}


def test_the_best_of_a_problem_changes_and_the_best_on_average_does_not() -> None:
    own = against_baselines(FOUND)["by_bad_share"]["0.4"]
    assert own["problems"] == 2
    assert own["best_on_average"] == "cosine"
    assert own["baselines"]["cosine"] == pytest.approx(0.64)
    assert own["best_of_draw"] == {"el2n": 1, "knn_shapley": 1}
    row = own["rows"]["winnow_weighted"]
    # 0.70 - 0.72 and 0.60 - 0.65; then 0.70 - 0.66 and 0.60 - 0.62.
    assert row["over_best_of_draw"]["mean"] == pytest.approx(-0.035)
    assert row["over_best_of_draw"]["worst"] == pytest.approx(-0.05)
    assert row["over_best_of_draw"]["losses"] == 2
    assert row["over_best_on_average"]["mean"] == pytest.approx(0.01)
    assert row["over_best_on_average"]["losses"] == 1
    assert row["over_best_of_draw"]["losses_of_perfect_knowledge_too"] == 0


def test_a_loss_of_perfect_knowledge_is_counted_beside_a_row_s() -> None:
    own = against_baselines(FOUND)["by_bad_share"]["0.9"]["rows"]["winnow_weighted"]
    assert own["over_best_of_draw"]["losses_of_perfect_knowledge_too"] == 1


def test_problems_are_summed_up_by_set_and_altogether() -> None:
    summary = against_baselines(FOUND)
    assert [own["problems"] for own in summary["by_set"].values()] == [2, 1]
    assert list(summary["by_set"]) == ["one", "two"]
    assert summary["all"]["problems"] == 3
    # Cosine's three are 0.66, 0.62 and 0.5; the reference set's are 0.5, 0.5 and 0.74.
    assert summary["all"]["best_on_average"] == "cosine"
    assert summary["all"]["baselines"]["reference_only"] == pytest.approx(0.58)


def test_problems_without_the_baselines_are_left_out() -> None:
    plain = made_problem("three", 0.4, winnow_weighted=0.1)
    for rows in plain["accuracies"].values():
        del rows["knn_shapley"]
    assert not has_baselines(plain)
    assert against_baselines([plain]) == {}
    assert against_baselines([*FOUND, plain]) == against_baselines(FOUND)


def test_problems_of_a_kind_are_summed_up_over_sets() -> None:
    other = {**made_problem("two", 0.4, winnow_weighted=0.8, grand=0.7), "probe": "other"}
    by_kind = against_baselines([*FOUND, other])["by_probe"]
    assert {name: own["problems"] for name, own in by_kind.items()} == {"made": 3, "other": 1}
    row = by_kind["other"]["rows"]["winnow_weighted"]
    assert row["over_best_of_draw"]["mean"] == pytest.approx(0.1)


def test_the_table_has_a_line_for_each_group_and_row(capsys: pytest.CaptureFixture[str]) -> None:
    print_against_baselines(against_baselines(FOUND))
    lines = capsys.readouterr().out.splitlines()
    expected = "| 40 % bad (2) | winnow_weighted | -3.5 | -5.0 | 2 | cosine | +1.0 | -2.0 | 1 |"
    assert expected in lines
    # Two shares, two sets, one kind of problem and all, two rows in each, below a head of two.
    assert len([line for line in lines if line]) == 2 + 6 * 2


def test_a_probe_measures_every_baseline_on_request() -> None:
    problem = blobs(pool=200, test=150)
    views, probe = look_at(problem), Probe(60, 5, 0.5)
    method = list(METHODS)[-1]
    plain = measure_probe(problem, views, probe, method, seed=0)
    whole = measure_probe(problem, views, probe, method, has_baselines=True, seed=0)
    assert not has_baselines(plain)
    assert has_baselines(whole)
    # What was measured before is the same with more rows beside it.
    assert whole["differences"] == plain["differences"]
    for judge, rows in plain["accuracies"].items():
        assert rows.items() <= whole["accuracies"][judge].items()
    place = {"set": "blobs", "probe": probe.name, "bad_share": 0.5, "seed": 0}
    summary = summarise([{**place, **whole}])
    assert summary["against_baselines"]["all"]["problems"] == 1
    assert summary["by_bad_share"] == summarise([{**place, **plain}])["by_bad_share"]
