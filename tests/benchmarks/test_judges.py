"""Judges choose by the reference set alone and measure on the test set once."""

import dataclasses

import numpy as np
import pytest
from judge_views import JudgeView, choose_view, histogram_view, look_at, random_view
from judges import COSTS, JudgedSets, held_out_loss, judge, judges
from problems import bars, blobs
from quality import judged_sets
from shared_run import prepare_run


@pytest.fixture(scope="module")
def sets() -> JudgedSets:
    problem = blobs()
    data = problem.data
    assert data.test_inputs is not None
    inputs = (data.pool_inputs, data.reference_inputs, data.test_inputs)
    view = JudgeView("identity", "plain", *(part.astype(np.float64) for part in inputs))
    return judged_sets(problem, view, seed=0)


@pytest.fixture(scope="module")
def good_weights() -> np.ndarray:
    is_good = blobs().is_good.astype(np.float64)
    return is_good / is_good.mean()


@pytest.mark.parametrize("name", list(COSTS))
def test_a_judge_takes_the_weights_that_predict_the_reference_set(
    sets: JudgedSets, good_weights: np.ndarray, name: str
) -> None:
    bad_weights = 2.0 - good_weights
    verdict = judge(sets, judges(sets)[name], COSTS[name], [bad_weights, good_weights])
    assert verdict.candidate == 1
    assert verdict.accuracy > 0.95


@pytest.mark.parametrize("name", list(COSTS))
def test_test_labels_decide_nothing_but_the_accuracy(
    sets: JudgedSets, good_weights: np.ndarray, name: str
) -> None:
    labels = sets.labels.copy()
    labels[sets.test_rows] = (labels[sets.test_rows] + 1) % sets.class_count
    shifted = dataclasses.replace(sets, labels=labels)
    candidates = [np.ones(sets.pool_size), good_weights]
    honest = judge(sets, judges(sets)[name], COSTS[name], candidates)
    fooled = judge(shifted, judges(shifted)[name], COSTS[name], candidates)
    assert (fooled.candidate, fooled.cost) == (honest.candidate, honest.cost)
    assert fooled.accuracy < 0.05


@pytest.mark.parametrize("name", list(COSTS))
def test_zero_weight_equals_removal(sets: JudgedSets, good_weights: np.ndarray, name: str) -> None:
    kept = np.flatnonzero(good_weights > 0)
    rows = np.concatenate([kept, np.arange(sets.pool_size, len(sets.labels))])
    smaller = dataclasses.replace(
        sets, vectors=sets.vectors[rows], labels=sets.labels[rows], pool_size=len(kept)
    )
    cost = COSTS[name][1]
    whole = held_out_loss(sets, judges(sets)[name], cost, good_weights)
    part = held_out_loss(smaller, judges(smaller)[name], cost, good_weights[kept])
    # Both solvers stop at a tolerance of 1e-3 of their own objective.
    assert part == pytest.approx(whole, abs=1e-3)


@pytest.mark.parametrize("name", list(COSTS))
def test_what_a_judge_remembers_changes_no_verdict(
    sets: JudgedSets, good_weights: np.ndarray, name: str
) -> None:
    whole_pool = np.ones(sets.pool_size)
    candidates = [[whole_pool, good_weights], [good_weights], [whole_pool, 2.0 - good_weights]]
    experienced = judges(sets)[name]
    for own in candidates:
        fresh = judge(sets, judges(sets)[name], COSTS[name], own)
        assert judge(sets, experienced, COSTS[name], own) == fresh
    rows = sets.reference_rows
    weights = np.ones(len(rows))
    assert experienced(rows, weights, 3.0) is experienced(rows, weights, 3.0)
    # Another cost, other weights and other rows are another training each.
    trained = [
        experienced(rows, weights, 3.0),
        experienced(rows, weights, 0.3),
        experienced(rows, 2 * weights, 3.0),
        experienced(rows[1:], weights[1:], 3.0),
    ]
    assert len({id(each) for each in trained}) == len(trained)


def test_a_class_that_no_training_row_has_is_never_predicted(sets: JudgedSets) -> None:
    rows = np.flatnonzero(sets.labels[: sets.pool_size] != 2)
    for fit in judges(sets).values():
        logits = fit(rows, np.ones(len(rows)), 1.0)(sets.test_rows)
        assert logits.shape == (len(sets.test_rows), 3)
        assert set(logits.argmax(axis=1)) == {0, 1}


def test_judges_never_look_where_the_runs_worked() -> None:
    problem = bars()
    views = look_at(problem)
    view = choose_view(views, problem.data, seed=0)
    own = prepare_run(problem.data, seed=0).encode.encoder
    assert view.run_encoder == own
    assert view.name != own
    assert {len(each.pool) for each in views.values()} == {len(view.pool)} == {90}
    flat = blobs()
    vectors = choose_view(look_at(flat), flat.data, seed=0)
    assert (vectors.run_encoder, vectors.name) == ("identity", "random_features")


def test_histograms_ignore_brightness() -> None:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 100, (2, 3, 20, 20), dtype=np.uint8)
    assert histogram_view(images) == pytest.approx(histogram_view(images + 100), abs=1e-5)
    assert histogram_view(images[:, :1]).shape == histogram_view(images).shape


def test_a_silent_dimension_changes_nothing() -> None:
    generator = np.random.default_rng(0)
    vectors = generator.standard_normal((30, 4))
    vectors[:, 2] = 5.0
    encode = random_view(vectors)
    moved = vectors.copy()
    moved[:, 2] = 1e6
    assert np.array_equal(encode(vectors), encode(moved))
