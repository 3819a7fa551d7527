from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from curation_problems import CLASSES, auroc, draw
from numpy.typing import NDArray
from scipy.special import softmax

from mts_core.encoded_views import View
from mts_core.kernel_ridge import (
    choose_kernel_setting,
    fit_kernel_posterior,
    leave_one_out_log_loss,
)
from mts_core.label_support import LabelSupport, SupportSettings
from mts_core.pool_posterior import LabelledVectors, fit_pool_posterior

SETTINGS = SupportSettings(landmark_count=32, cleaning_rounds=4, label_shift=0.0)


@dataclass(frozen=True, eq=False)
class _Problem:
    views: Mapping[str, View]
    pool_labels: NDArray[np.int64]
    reference_labels: NDArray[np.int64]
    is_good: NDArray[np.bool_]
    class_count: int = CLASSES


def _problem(
    *, pool_size: int = 120, reference_size: int = 24, bad: float = 0.4, seed: int = 0
) -> _Problem:
    """Return a clear view and one of noise, with labels that are wrong in part."""
    generator = np.random.default_rng(seed)
    pool, truth = draw(pool_size, generator)
    reference, reference_labels = draw(reference_size, generator)
    noise = generator.normal(size=(pool_size + reference_size, 4)).astype(np.float32)
    is_good = generator.random(pool_size) >= bad
    wrong = (truth + generator.integers(1, CLASSES, pool_size)) % CLASSES
    return _Problem(
        {"clear": View(pool, reference), "noise": View(noise[:pool_size], noise[pool_size:])},
        np.where(is_good, truth, wrong),
        reference_labels,
        is_good,
    )


def _fitted(
    problem: _Problem, settings: SupportSettings = SETTINGS, names: Sequence[str] = ("clear",)
) -> LabelSupport:
    labels = LabelSupport(
        {name: problem.views[name] for name in names},
        problem.pool_labels,
        problem.reference_labels,
        class_count=problem.class_count,
        settings=settings,
        seed=0,
    )
    assert sum(1 for _ in labels.advance()) == labels.total
    return labels


def test_right_labels_have_the_higher_support() -> None:
    problem = _problem()
    support = _fitted(problem).assess().support
    assert ((support > 0) & (support <= 1)).all()
    assert auroc(support, problem.is_good) > 0.9


# The pool's own posterior believes the majority and is then worse than none; the reference set
# notices, so that its temperature and exponent leave it no say.
def test_a_pool_of_mostly_wrong_labels_does_not_outvote_the_reference_set() -> None:
    problem = _problem(pool_size=300, reference_size=60, bad=0.9)
    labels = _fitted(problem)
    assert auroc(labels.assess().support, problem.is_good) > 0.8


def _lookalikes(*, bad: float, seed: int) -> _Problem:
    """Return a pool whose wrong labels all name the same other class, and two references a class.

    The pool agrees with itself where it is wrong.
    """
    problem = _problem(pool_size=300, reference_size=2 * CLASSES, bad=bad, seed=seed)
    truth = np.arange(300) % CLASSES
    labels = np.where(problem.is_good, truth, (truth + 1) % CLASSES)
    return replace(problem, pool_labels=labels)


# A reference sample that took part in the pool's cleaning finds its own label again in it. By that
# the pool would seem to know more than the two references of a class, which are right.
def test_a_wrong_pool_does_not_outvote_two_references_a_class() -> None:
    problems = [_lookalikes(bad=0.7, seed=seed) for seed in range(8)]
    aurocs = [auroc(_fitted(each).assess().support, each.is_good) for each in problems]
    assert np.mean(aurocs) > 0.75


def _posteriors(labels: LabelSupport) -> Mapping[str, Mapping[str, float]]:
    posteriors: Mapping[str, Mapping[str, float]] = labels.summary()["posteriors"]
    return posteriors


def test_a_view_of_noise_is_told_from_a_clear_one() -> None:
    problem = _problem()
    both = _fitted(problem, names=["clear", "noise"])
    found = _posteriors(both)
    assert list(found) == ["clear/reference", "clear/pool", "noise/reference", "noise/pool"]
    for part in ("reference", "pool"):
        assert found[f"noise/{part}"]["exponent"] < found[f"clear/{part}"]["exponent"]
    alone = auroc(_fitted(problem).assess().support, problem.is_good)
    assert auroc(both.assess().support, problem.is_good) > alone - 0.02


def test_the_summary_has_the_loss_of_each_posterior_and_of_all() -> None:
    problem = _problem()
    labels = _fitted(problem, names=["clear", "noise"])
    summary = labels.summary()
    assert set(summary) == {"posteriors", "pooled_reference_log_loss", "labels_are_turned"}
    assert all(
        set(found) == {"exponent", "reference_log_loss"} for found in _posteriors(labels).values()
    )
    for name, view in problem.views.items():
        expected = leave_one_out_log_loss(view.reference, problem.reference_labels, CLASSES)
        found = _posteriors(labels)[f"{name}/reference"]["reference_log_loss"]
        assert found == pytest.approx(expected, rel=1e-9)
    losses = [found["reference_log_loss"] for found in _posteriors(labels).values()]
    assert summary["pooled_reference_log_loss"] < min(losses)


# With every sample as landmark nothing is drawn, so that any seed gives the same posterior but for
# single precision.
def test_a_fold_of_few_references_has_no_part_in_what_the_pool_says_of_it() -> None:
    problem = _lookalikes(bad=0.5, seed=0)
    size, known = len(problem.pool_labels), len(problem.reference_labels)
    view, labels = problem.views["clear"], problem.reference_labels
    setting = choose_kernel_setting(view.reference, labels, CLASSES)
    losses = []
    for first in (0, CLASSES):
        is_out = np.isin(np.arange(known), np.arange(first, first + CLASSES))
        others = view.reference[~is_out], labels[~is_out]
        prior = fit_kernel_posterior(*others, CLASSES, setting).log_probabilities(view.pool)
        by_pool = fit_pool_posterior(
            LabelledVectors(view.pool, problem.pool_labels),
            LabelledVectors(*others),
            np.exp(prior[np.arange(size), problem.pool_labels]),
            class_count=CLASSES,
            landmark_count=size,
            rounds=SETTINGS.cleaning_rounds,
            class_factors=np.ones(CLASSES),
            seed=9,
        )
        found = by_pool.log_probabilities(view.reference[is_out])
        losses += [-found[place, label] for place, label in enumerate(labels[is_out])]
    fitted = _fitted(problem, replace(SETTINGS, landmark_count=size))
    loss = _posteriors(fitted)["clear/pool"]["reference_log_loss"]
    assert loss == pytest.approx(np.mean(losses), rel=0.02)


@pytest.mark.parametrize("fit_limit", [120, 50])
def test_support_does_not_depend_on_how_many_rows_are_read_at_once(fit_limit: int) -> None:
    labels = _fitted(_problem(), replace(SETTINGS, fit_limit=fit_limit), ["clear", "noise"])
    whole = labels.assess().support
    for rows in (1, 7, 119):
        # Products of other shapes add up in another order, in single precision.
        assert np.allclose(labels.assess(rows_at_once=rows).support, whole, rtol=1e-4)


def test_only_so_many_samples_as_the_limit_says_have_a_voice() -> None:
    problem = _problem(pool_size=24)
    limited = replace(SETTINGS, fit_limit=8, cleaning_rounds=1)
    before = _fitted(problem, limited).assess().support
    heard = 0
    for sample, label in enumerate(problem.pool_labels):
        labels = problem.pool_labels.copy()
        labels[sample] = (label + 1) % CLASSES
        after = _fitted(replace(problem, pool_labels=labels), limited).assess().support
        heard += not np.array_equal(np.delete(after, sample), np.delete(before, sample))
    assert heard == 8


def test_samples_beyond_the_limit_are_judged_by_the_others() -> None:
    problem = _problem(pool_size=400)
    support = _fitted(problem, replace(SETTINGS, fit_limit=60)).assess().support
    # 340 of 400 samples: were they all guessed, the whole could not reach 0.6.
    assert auroc(support, problem.is_good) > 0.85


# At a place where it is alone a sample finds what the shares of the classes say, whatever label it
# bears: q is the same in each class, and q^2 / max q with it.
def test_a_fitted_sample_does_not_vouch_for_itself() -> None:
    problem = _problem(pool_size=240, bad=0.0)
    view = problem.views["clear"]
    vectors = view.pool.copy()
    vectors[0] = 50.0
    settings = replace(SETTINGS, landmark_count=240)
    for label in range(CLASSES):
        labels = problem.pool_labels.copy()
        labels[0] = label
        alone = replace(problem, views={"clear": View(vectors, view.reference)}, pool_labels=labels)
        assert _fitted(alone, settings).assess().support[0] == pytest.approx(1 / CLASSES, abs=0.1)


# Four of each class are kept; of twelve at random hardly one would be of the rare class. The pool's
# own samples of that class bear the names of the two others, all but one of them.
def test_a_limited_reference_set_keeps_its_rare_classes() -> None:
    generator = np.random.default_rng(0)
    truth = np.arange(90) % CLASSES
    reference_labels = np.repeat([0, 1, 2], [60, 60, 4])
    pool, reference = (
        (np.eye(CLASSES)[labels] + 0.1 * generator.normal(size=(len(labels), 3))).astype(np.float32)
        for labels in (truth, reference_labels)
    )
    labels = np.where(truth == 2, np.arange(90) % 2, truth)
    labels[2] = 2
    problem = _Problem({"clear": View(pool, reference)}, labels, reference_labels, labels == truth)
    support = _fitted(problem, replace(SETTINGS, reference_limit=12)).assess().support
    assert support[2] > 2 * support[truth == 2][1:].max()


# With every sample as landmark nothing is drawn, so that any seed gives the same posterior but for
# single precision, which temperatures of up to 32 enlarge.
def test_support_is_that_of_both_posteriors_pooled() -> None:
    problem = _problem()
    size = len(problem.pool_labels)
    labels = _fitted(problem, replace(SETTINGS, landmark_count=size))
    by_reference, by_pool = (found["exponent"] for found in _posteriors(labels).values())
    view, places = problem.views["clear"], np.arange(size)
    known = fit_kernel_posterior(view.reference, problem.reference_labels, CLASSES)
    opinion = known.log_probabilities(view.pool)
    fitted = fit_pool_posterior(
        LabelledVectors(view.pool, problem.pool_labels),
        LabelledVectors(view.reference, problem.reference_labels),
        np.exp(opinion[places, problem.pool_labels]),
        class_count=CLASSES,
        landmark_count=size,
        rounds=SETTINGS.cleaning_rounds,
        class_factors=np.ones(CLASSES),
        seed=9,
    )
    product = by_reference * opinion + by_pool * fitted.fitted_log_probabilities
    probabilities = softmax(product, axis=1)
    given = probabilities[places, problem.pool_labels]
    assert np.allclose(labels.assess().support, given**2 / probabilities.max(axis=1), rtol=0.05)


# Few samples bear the name of a class, and most of those that belong there bear another one: they
# are a minority in their own place. An even reference set says that they are none.
def test_a_rare_class_is_believed_where_the_reference_set_has_it_as_often() -> None:
    found = []
    for seed in range(4):
        generator = np.random.default_rng(seed)
        pool, truth = draw(300, generator)
        is_rare = truth == 2
        moves = is_rare & (generator.random(300) < 0.7)
        reference, reference_labels = draw(3 * CLASSES, generator)
        labels = np.where(moves, np.arange(300) % 2, truth)
        problem = _Problem({"clear": View(pool, reference)}, labels, reference_labels, ~moves)
        supports = (
            _fitted(problem, replace(SETTINGS, label_shift=power)).assess().support
            for power in (0.0, 1.0)
        )
        found.append([auroc(each[is_rare | moves], problem.is_good[is_rare]) for each in supports])
    without, with_shift = np.mean(found, axis=0)
    assert with_shift > without + 0.05


def _two_classes(*, turned: float, references: int = 4, seed: int = 0) -> _Problem:
    """Return a pool of two clear classes of which such a share bears the other one's name."""
    generator = np.random.default_rng(seed)
    truth = np.arange(200) % 2
    reference_labels = np.arange(2 * references) % 2
    pool, reference = (
        (np.eye(2, 6)[labels] + 0.3 * generator.normal(size=(len(labels), 6))).astype(np.float32)
        for labels in (truth, reference_labels)
    )
    is_turned = generator.permutation(200) < turned * 200
    labels = np.where(is_turned, 1 - truth, truth)
    return _Problem({"clear": View(pool, reference)}, labels, reference_labels, ~is_turned, 2)


# Of 60 % four reference samples may not tell.
@pytest.mark.parametrize(
    ("turned", "references"), [(0.6, 4), (0.75, 2), (0.75, 4), (0.9, 2), (0.9, 4)]
)
def test_two_classes_whose_labels_mostly_name_the_other_one_are_seen_through(
    turned: float, references: int
) -> None:
    for seed in range(3):
        problem = _two_classes(turned=turned, references=references, seed=seed)
        labels = _fitted(problem)
        assert labels.summary()["labels_are_turned"]
        assert auroc(labels.assess().support, problem.is_good) > 0.95


@pytest.mark.parametrize("turned", [0.0, 0.1, 0.4])
def test_two_classes_with_fewer_wrong_labels_are_taken_as_they_are(turned: float) -> None:
    for seed in range(3):
        labels = _fitted(_two_classes(turned=turned, references=2, seed=seed))
        assert not labels.summary()["labels_are_turned"]


def test_more_classes_are_not_asked_whether_they_are_turned() -> None:
    labels = _fitted(_lookalikes(bad=0.9, seed=0))
    assert not labels.summary()["labels_are_turned"]
