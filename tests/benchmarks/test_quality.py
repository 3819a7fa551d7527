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
    MethodEntry,
    learn_scores,
    line_up,
    scored_contenders,
)
from judge_views import look_at
from probes import Probe, derive_problem
from problems import blobs
from quality import measure_seed
from quality_sets import Pool, make_set
from subsamples import draw_subsample, take

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
    problem, view = look_at(blobs())
    drawn = draw_subsample(problem.data, seed=0)
    part, seen = take(problem, view, drawn)
    assert np.array_equal(part.data.pool_inputs, problem.data.pool_inputs[drawn.pool])
    assert np.array_equal(part.quality, problem.quality[drawn.pool])
    assert np.array_equal(seen.pool, view.pool[drawn.pool])
    assert np.array_equal(seen.reference, view.reference[drawn.reference])
    assert np.array_equal(seen.test, view.test)


def test_weights_have_mean_one_and_cuts_their_share() -> None:
    scores = np.linspace(0.1, 1.0, 40, dtype=np.float32)
    weighted, selected = scored_contenders("mts", scores, np.arange(40) % 2)
    for weights in (*weighted.candidates, *selected.candidates):
        assert weights.mean() == pytest.approx(1.0)
    shares = [float((weights > 0).mean()) for weights in selected.candidates]
    assert shares == pytest.approx([0.15, 0.3, 0.5, 0.75])


def test_without_a_method_only_rows_that_need_no_run_are_left() -> None:
    lineup = line_up(blobs(), {}, seed=0)
    names = [contender.name for contender in lineup.contenders]
    assert names == [PERFECT_KNOWLEDGE, "no_selection", "reference_only"]


def test_a_seed_measures_every_row_by_every_judge() -> None:
    problem, view = look_at(blobs(pool=240))
    found = measure_seed(problem, view, METHODS, seed=0)
    rows = found["accuracies"]
    assert {PERFECT_KNOWLEDGE, "no_selection", "reference_only", "mts_weighted"} <= set(rows)
    for by_judge in rows.values():
        assert set(by_judge) == {"svm", "logistic"}
    assert np.mean(list(rows[PERFECT_KNOWLEDGE].values())) > 0.95
    assert set(found["aurocs"]) == set(METHODS)


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
    problem, view = look_at(blobs(pool=300, references=5, test=150))
    small, seen = derive_problem(problem, view, probe, seed=0)
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
    problem, view = look_at(blobs(pool=300, references=5, test=150))
    small, _ = derive_problem(problem, view, Probe(60, 20, 0.4, has_real=True), seed=0)
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
    assert last["rows"]["mts_weighted"]["svm"]["problems"] == len(last["probes"]) == 24


def test_vectors_of_an_encoder_stand_in_for_it() -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(120) % 3
    images = generator.integers(0, 60, (120, 1, 16, 16), dtype=np.uint8)
    images[np.arange(120), 0, labels * 5] += 150
    problem = make_set(
        "bars",
        ("a", "b", "c"),
        pool=Pool(images[:90], labels[:90], ["good"] * 90),
        reference=(images[90:105], labels[90:105]),
        test=(images[105:], labels[105:]),
    )
    encoded, view = look_at(problem)
    entry = MethodEntry("mts", {"steps": 5})
    named = MethodEntry("mts", {"steps": 5, "encoder": view.run_encoder})
    by_vectors = learn_scores(encoded.data, entry, seed=0).scores
    by_images = learn_scores(problem.data, named, seed=0).scores
    # The encoder reads its images in batches of another size, which rounds sums differently.
    assert by_vectors == pytest.approx(by_images, abs=1e-4)
