"""Checks what each baseline ranks first, and that no fold's ranking looks at the fold."""

import dataclasses
from collections.abc import Iterable

import numpy as np
import pytest
from numpy.typing import NDArray

from mts_core.baselines import (
    BaselineView,
    Row,
    Variants,
    baseline_rows,
    learned_baselines,
    scored_rows,
)
from mts_core.feature_table import OFFLINE_FEATURE_NAMES
from mts_core.pipeline_config import BaselineChoice, MethodName
from mts_core.position_features import EncodedSets, position_features
from mts_core.trainer_settings import MetaWeightNetSettings, MtsSettings

COUNT = 40
FOLDS = np.arange(12) % 3
VARIANTS = Variants(
    fractions=(0.3, 0.6), exponents=(1.0, 2.0), reference_weights=(1.0, 10.0), is_balanced=False
)
ALL = MtsSettings(baselines=tuple(BaselineChoice))
LABELS = np.arange(COUNT) % 2


def make_view(**columns: NDArray[np.float32]) -> BaselineView:
    """Return a view of random samples, with some feature columns set."""
    generator = np.random.default_rng(0)
    sets = EncodedSets(
        pool=generator.normal(size=(COUNT, 4)).astype(np.float32),
        pool_labels=LABELS,
        pool_is_real=np.arange(COUNT) % 7 == 0,
        reference=generator.normal(size=(12, 4)).astype(np.float32),
        reference_labels=np.arange(12) // 3 % 2,
        class_count=2,
    )
    features = generator.random((COUNT, 13), dtype=np.float32)
    features[:, :10] = position_features(sets)
    for name, values in columns.items():
        features[:, OFFLINE_FEATURE_NAMES.index(name)] = values
    return BaselineView(
        offline_features=features,
        is_unlearned=np.zeros(COUNT, dtype=np.bool_),
        sets=sets,
        folds=FOLDS,
        fold_count=3,
        scores={BaselineChoice.META_WEIGHT_NET: generator.random(COUNT, dtype=np.float32)},
        seed=0,
    )


def rows_of(view: BaselineView, config: MtsSettings = ALL) -> dict[str, Row]:
    return {row.method: row for row in baseline_rows(view, config, VARIANTS)}


def kept(row: Row) -> list[int]:
    return np.flatnonzero(row.weights(LABELS, 0) > 0).tolist()


def names(rows: Iterable[str]) -> list[str]:
    return [str(row) for row in rows]


def test_the_table_begins_with_everything_and_nothing() -> None:
    rows = rows_of(make_view())
    assert names(rows) == [
        "no_selection",
        "reference_only",
        "no_selection_upweighted",
        *BaselineChoice,
    ]
    assert rows["no_selection"].weights(LABELS, 0).tolist() == [1.0] * COUNT
    assert not rows["reference_only"].weights(LABELS, 0).any()


def test_only_the_rows_that_the_job_asks_for_are_listed() -> None:
    config = MtsSettings(baselines=(BaselineChoice.COSINE, BaselineChoice.EL2N))
    rows = rows_of(dataclasses.replace(make_view(), scores={}), config)
    assert names(rows) == [
        "no_selection",
        "reference_only",
        "no_selection_upweighted",
        "el2n",
        "cosine",
    ]


def test_whole_pool_has_a_row_that_may_count_the_reference_set_more() -> None:
    row = rows_of(make_view())["no_selection_upweighted"]
    assert row.candidate_count == 2
    assert [row.reference_weight(candidate) for candidate in range(2)] == [1.0, 10.0]
    assert row.weights(LABELS, 1).tolist() == [1.0] * COUNT
    others = [
        row for row in rows_of(make_view()).values() if row.method != "no_selection_upweighted"
    ]
    assert {row.reference_weights for row in others} == {(1.0,)}


def test_each_power_and_cut_goes_with_each_reference_weight() -> None:
    ranking = np.linspace(0.1, 1.0, COUNT, dtype=np.float32)
    powers = Row("weights", ranking, exponents=(1.0, 2.0), reference_weights=(1.0, 3.0, 9.0))
    cuts = Row("cut", ranking, fractions=(0.2, 0.5), reference_weights=(1.0, 3.0, 9.0))
    assert powers.candidate_count == cuts.candidate_count == 6
    assert [(powers.exponent(at), powers.reference_weight(at)) for at in range(6)] == [
        (power, weight) for power in (1.0, 2.0) for weight in (1.0, 3.0, 9.0)
    ]
    for at, power in enumerate((1.0, 1.0, 1.0, 2.0, 2.0, 2.0)):
        expected = ranking.astype(np.float64) ** power
        np.testing.assert_allclose(powers.weights(LABELS, at), expected / expected.mean())
    kept_counts = [int((cuts.weights(LABELS, at) > 0).sum()) for at in range(6)]
    assert kept_counts == [8, 8, 8, 20, 20, 20]


def test_only_weights_as_they_are_choose_the_reference_weight() -> None:
    ranking = np.linspace(0.1, 1.0, COUNT, dtype=np.float32)
    final, cut = scored_rows("winnow", ranking, VARIANTS.of_method(has_final_scores=True))
    assert (final.exponents, final.reference_weights) == ((1.0,), (1.0, 10.0))
    raw, _ = scored_rows("mts", ranking, VARIANTS.of_method(has_final_scores=False))
    assert (raw.exponents, raw.reference_weights) == ((1.0, 2.0), (1.0,))
    assert cut.reference_weights == (1.0,)


RISING = np.arange(COUNT, dtype=np.float32)
LAST_TWELVE = list(range(28, 40))


@pytest.mark.parametrize(
    ("row", "column", "values"),
    [
        ("el2n", "error_norm", -RISING),
        ("grand", "gradient_norm", -RISING),
        ("knn_agreement", "neighbour_label_agreement", RISING),
        ("cosine", "nearest_real_cosine_2", 100 * RISING),
    ],
)
def test_a_cut_keeps_what_its_column_ranks_highest(
    row: str, column: str, values: NDArray[np.float32]
) -> None:
    assert kept(rows_of(make_view(**{column: values}))[row]) == LAST_TWELVE


def test_a_random_cut_keeps_its_share() -> None:
    weights = rows_of(make_view())["random"].weights(LABELS, 0)
    assert (weights > 0).sum() == 12
    assert weights.mean() == pytest.approx(1.0)


def test_forgotten_samples_go_last_and_never_learned_ones_after_them() -> None:
    counts = np.array([0, 3, 0, 1, 0, 1] + [9] * 34, dtype=np.float32)
    errors = np.array([0.2, 0.1, 1.3, 0.9, 0.1, 0.3] + [1.4] * 34, dtype=np.float32)
    view = make_view(forgetting_count=counts, error_norm=errors)
    is_unlearned = np.arange(COUNT) == 2
    row = rows_of(dataclasses.replace(view, is_unlearned=is_unlearned))["forgetting"]
    # Never forgotten before once forgotten, equal counts by their error, the unlearned one last.
    assert np.argsort(-row.ranking)[:5].tolist() == [4, 0, 5, 3, 1]
    assert row.ranking.argmin() == 2


def test_learned_scores_are_weights_with_powers_to_choose_from() -> None:
    view = make_view()
    row = rows_of(view)["meta_weight_net"]
    assert row.fractions == ()
    assert row.exponents == VARIANTS.exponents
    assert np.array_equal(row.ranking, view.scores[BaselineChoice.META_WEIGHT_NET])


def test_the_jobs_own_method_and_a_table_nobody_measures_are_not_learned_again() -> None:
    assert learned_baselines(ALL) == {BaselineChoice.META_WEIGHT_NET: MethodName.META_WEIGHT_NET}
    assert learned_baselines(MtsSettings()) == {}
    assert learned_baselines(dataclasses.replace(ALL, evaluate=False)) == {}
    assert learned_baselines(MetaWeightNetSettings(baselines=tuple(BaselineChoice))) == {}


@pytest.mark.parametrize("row", ["cosine", "knn_shapley"])
def test_a_folds_ranking_is_that_of_the_other_folds_alone(row: str) -> None:
    view = make_view()
    rankings = rows_of(view)[row].fold_rankings
    assert rankings is not None
    for fold in range(3):
        sets = view.sets.with_reference(view.folds != fold)
        alone = dataclasses.replace(
            view,
            sets=sets,
            folds=np.arange(8) % 2,
            fold_count=2,
            offline_features=_features(view, sets),
        )
        # Values of other groups are added up in another order.
        assert np.allclose(rankings[fold], rows_of(alone)[row].ranking, atol=1e-6)


@pytest.mark.parametrize("row", ["cosine", "knn_shapley"])
def test_what_a_fold_holds_does_not_change_its_ranking(row: str) -> None:
    view = make_view()
    before = rows_of(view)[row]
    for fold in range(3):
        reference = view.sets.reference.copy()
        reference[view.folds == fold] *= -1
        changed = rows_of(
            dataclasses.replace(view, sets=dataclasses.replace(view.sets, reference=reference))
        )[row]
        assert before.fold_rankings is not None
        assert changed.fold_rankings is not None
        assert np.array_equal(before.fold_rankings[fold], changed.fold_rankings[fold])
        others = [other for other in range(3) if other != fold]
        assert not np.array_equal(before.fold_rankings[others], changed.fold_rankings[others])


def test_a_held_out_fold_is_weighed_by_its_own_ranking() -> None:
    ranking = np.arange(4, dtype=np.float32)
    row = Row("any", ranking, fractions=(0.5,), fold_rankings=np.stack([ranking, -ranking]))
    labels = np.zeros(4, dtype=np.int64)
    assert row.weights(labels, 0).tolist() == [0, 0, 2, 2]
    assert row.weights(labels, 0, held_out=0).tolist() == [0, 0, 2, 2]
    assert row.weights(labels, 0, held_out=1).tolist() == [2, 2, 0, 0]
    plain = dataclasses.replace(row, fold_rankings=None)
    assert plain.weights(labels, 0, held_out=1).tolist() == [0, 0, 2, 2]


def _features(view: BaselineView, sets: EncodedSets) -> NDArray[np.float32]:
    features = view.offline_features.copy()
    features[:, :10] = position_features(sets)
    return features
