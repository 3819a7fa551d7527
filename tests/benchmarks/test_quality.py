"""Repetitions differ in their data, rows are paired, and what is absent is skipped."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contenders import (
    METHODS,
    PERFECT_KNOWLEDGE,
    REFERENCE_WEIGHTS,
    line_up,
    permute_reference,
    scored_contenders,
    weights_alone,
)
from judge_views import look_at
from probes import Probe, derive_problem
from problems import bars, blobs
from quality import Record, measure_seed
from quality_summary import BASELINES
from shared_run import prepare_run
from subsamples import draw_subsample, take

from mts_core.baselines import NO_SELECTION_UPWEIGHTED
from mts_core.pipeline import pipeline_config_from_mapping, run_pipeline

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def run_script(name: str, *arguments: str) -> dict[str, Any]:
    finished = subprocess.run(
        [sys.executable, str(BENCHMARKS / f"{name}.py"), *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    last: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return last


def test_a_subsample_leaves_every_class_two_references() -> None:
    problem = blobs(references=2)
    drawn = draw_subsample(problem.data, seed=3)
    assert len(drawn.pool) == len(set(drawn.pool)) == 96
    assert np.bincount(problem.data.reference_labels[drawn.reference]).tolist() == [2, 2, 2]


def test_a_subsample_depends_on_its_seed_alone() -> None:
    data = blobs(references=20).data
    same = [draw_subsample(data, seed=1), draw_subsample(data, seed=1)]
    assert np.array_equal(same[0].pool, same[1].pool)
    assert np.array_equal(same[0].reference, same[1].reference)
    assert not np.array_equal(same[0].pool, draw_subsample(data, seed=2).pool)


def test_what_is_taken_stays_together() -> None:
    problem = blobs()
    views = look_at(problem)
    drawn = draw_subsample(problem.data, seed=0)
    part, seen = take(problem, views, drawn)
    assert np.array_equal(part.data.pool_inputs, problem.data.pool_inputs[drawn.pool])
    assert np.array_equal(part.quality, problem.quality[drawn.pool])
    assert set(seen) == set(views)
    for name, view in views.items():
        assert np.array_equal(seen[name].pool, view.pool[drawn.pool])
        assert np.array_equal(seen[name].reference, view.reference[drawn.reference])
        assert np.array_equal(seen[name].test, view.test)


def test_weights_have_mean_one_and_cuts_their_share() -> None:
    scores = np.linspace(0.1, 1.0, 40, dtype=np.float32)
    weighted, selected = scored_contenders("ours", "mts", scores, np.arange(40) % 2)
    assert (weighted.name, selected.name) == ("ours_weighted", "ours_selected")
    for weights in (*weighted.candidates, *selected.candidates):
        assert weights.mean() == pytest.approx(1.0)
    shares = [float((weights > 0).mean()) for weights in selected.candidates]
    assert shares == pytest.approx([0.15, 0.3, 0.5, 0.75, 1.0])


def test_final_scores_are_weights_as_they_are() -> None:
    scores = np.linspace(0.1, 1.0, 40, dtype=np.float32)
    weighted, _ = scored_contenders("winnow", "winnow", scores, np.arange(40) % 2)
    for weights, reference_weight in zip(weighted.candidates, REFERENCE_WEIGHTS, strict=True):
        # A reference sample weighs 1, so that the pool weighs less where it counts more.
        assert weights == pytest.approx(scores / scores.mean() / reference_weight)
    alone = weights_alone("winnow", "winnow", scores, np.arange(40) % 2)
    assert alone.name == "winnow_weighted, reference at weight 1"
    assert len(alone.candidates) == 1
    assert alone.candidates[0] == pytest.approx(scores / scores.mean())


def test_without_a_method_only_rows_that_need_no_run_are_left() -> None:
    lineup = line_up(blobs(), {}, seed=0)
    names = [contender.name for contender in lineup.contenders]
    assert names == [PERFECT_KNOWLEDGE, "no_selection", "reference_only"]


def test_a_seed_measures_every_row_by_every_judge() -> None:
    problem = blobs(pool=240)
    found = measure_seed(problem, look_at(problem), METHODS, seed=0)
    rows = found["accuracies"]
    own = {f"{method}_{use}" for method in METHODS for use in ("weighted", "selected")}
    # The weights and the cut of Meta-Weight-Net are measured as those of any method.
    rankings = BASELINES - {"meta_weight_net"}
    others = {PERFECT_KNOWLEDGE, NO_SELECTION_UPWEIGHTED, "winnow_weighted, reference at weight 1"}
    assert set(rows) == own | rankings | others
    for by_judge in rows.values():
        assert set(by_judge) == {"svm", "logistic"}
    assert np.mean(list(rows[PERFECT_KNOWLEDGE].values())) > 0.95
    assert set(found["aurocs"]) == set(METHODS)
    assert found["aurocs"]["winnow"] > 0.9


@pytest.mark.parametrize("method", list(METHODS))
def test_a_shared_preparation_gives_the_scores_of_a_whole_run(method: str) -> None:
    data = bars().data
    config = pipeline_config_from_mapping(method, {"steps": 5, "evaluate": False})
    *_, last = run_pipeline(data, config, seed=3)
    assert last.result is not None
    shared = prepare_run(data, seed=3).learn(method, {"steps": 5})
    assert np.array_equal(shared, last.result.scores)


def test_a_permuted_reference_set_keeps_its_samples_and_its_class_sizes() -> None:
    data = blobs(references=8).data
    permuted = permute_reference(data, seed=1)
    assert np.array_equal(permuted.reference_inputs, data.reference_inputs)
    assert np.bincount(permuted.reference_labels).tolist() == [8, 8, 8]
    assert not np.array_equal(permuted.reference_labels, data.reference_labels)


def test_a_run_is_taken_up_where_it_stopped(tmp_path: Path) -> None:
    path = tmp_path / "quality.json"
    found = {
        "accuracies": {"no_selection": {"svm": 0.5}, "winnow_weighted": {"svm": 0.75}},
        "aurocs": {"winnow": 0.875},
        "views": {"runs": "hog", "judges": "pixels_pca"},
        "seconds": {"runs": 1.0, "judges": 2.0},
    }
    Record(path, "winnow_weighted", threads=1).add("digits", found)
    record = Record(path, "winnow_weighted", threads=1)
    assert record.count_seeds("digits") == 0
    record.take_over(path)
    assert record.count_seeds("digits") == 1
    record.add("digits", found)
    whole = json.loads(path.read_text())
    assert whole == record.summary()
    assert whole["seeds"] == {"digits": 2}
    assert whole["accuracies"]["digits"]["winnow_weighted"]["svm"] == [0.75, 0.75]
    assert whole["gains_by_set"]["digits"]["winnow_weighted"]["over_no_selection"]["mean"] == 0.25


@pytest.mark.parametrize(
    "probe",
    [
        Probe(60, 2, 0.5),
        Probe(60, 7, 0.0),
        Probe(40, 5, 0.9),
        Probe(60, 5, 0.4, is_imbalanced=True),
        Probe(60, 5, 0.5, has_real=True),
    ],
    ids=lambda probe: probe.name,
)
def test_a_probe_has_the_shares_that_it_names(probe: Probe) -> None:
    problem = blobs(pool=300, references=5, test=150)
    small, views = derive_problem(problem, look_at(problem), probe, seed=0)
    seen = views["random_features"]
    data = small.data
    synthetic = ~data.pool_is_real
    # Each class rounds by itself, by half a sample at most.
    assert abs(int(synthetic.sum()) - probe.pool_size) <= 2
    bad = int((~small.is_good).sum())
    assert abs(bad - probe.bad_share * synthetic.sum()) <= 2
    assert np.bincount(data.reference_labels).tolist() == [probe.references] * 3
    assert data.pool_is_real.any() == probe.has_real
    sizes = np.bincount(data.pool_labels[synthetic])
    assert (sizes.max() >= 5 * sizes.min()) == probe.is_imbalanced
    assert [len(part) for part in (seen.pool, seen.reference, seen.test)] == [
        len(part) for part in (data.pool_labels, data.reference_labels, data.test_labels)
    ]
    assert small.is_good[data.pool_is_real].all()


def test_a_probe_tests_on_samples_that_nothing_else_holds() -> None:
    problem = blobs(pool=300, references=5, test=150)
    probe = Probe(60, 20, 0.4, has_real=True)
    small, _ = derive_problem(problem, look_at(problem), probe, seed=0)
    data = small.data
    parts = (data.pool_inputs, data.reference_inputs, data.test_inputs)
    seen = [{sample.tobytes() for sample in part} for part in parts]
    assert len(set.union(*seen)) == sum(len(part) for part in parts)


def test_an_absent_set_is_listed_as_skipped(tmp_path: Path) -> None:
    output = tmp_path / "quality.json"
    last = run_script("quality", "--sets", "nowhere", "--output", str(output))
    assert (last["sets"], last["skipped"]) == ({}, ["nowhere"])
    assert not output.exists()


@pytest.mark.slow
def test_the_robustness_script_ends_with_what_it_wrote(tmp_path: Path) -> None:
    output = tmp_path / "robustness.json"
    arguments = ("--sets", "tabular", "--sizes", "60", "--output", str(output))
    last = run_script("robustness", *arguments)
    assert last == json.loads(output.read_text())
    assert last["rows"]["winnow_weighted"]["svm"]["problems"] == len(last["probes"]) == 24
