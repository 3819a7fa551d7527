import numpy as np
import pytest
from scipy import stats

from mts_core.baselines import (
    NO_SELECTION,
    NO_SELECTION_UPWEIGHTED,
    REFERENCE_ONLY,
    Row,
    Variants,
    scored_rows,
)
from mts_core.before_after_table import mean_interval, recommend, table_rows
from mts_core.evaluation import Choice
from mts_core.feature_table import FEATURE_NAMES, OFFLINE_FEATURE_NAMES, standardise

LABELS = np.arange(10) % 2


VARIANTS = Variants(
    fractions=(0.3, 0.6), exponents=(1.0, 2.0), reference_weights=(1.0, 10.0), is_balanced=False
)


def _rows() -> list[Row]:
    generator = np.random.default_rng(0)
    rankings = generator.random((4, 10), dtype=np.float32)
    return [
        Row(NO_SELECTION, np.ones(10, dtype=np.float32)),
        Row(REFERENCE_ONLY, np.zeros(10, dtype=np.float32)),
        Row(
            NO_SELECTION_UPWEIGHTED,
            np.ones(10, dtype=np.float32),
            reference_weights=VARIANTS.reference_weights,
        ),
        Row("random", rankings[0], fractions=VARIANTS.fractions),
        Row("el2n", rankings[1], fractions=VARIANTS.fractions),
        Row("cosine", rankings[2], fractions=VARIANTS.fractions),
        *scored_rows("mts", rankings[3], VARIANTS.of_method(has_final_scores=False)),
    ]


def _accuracy(**means: float) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    noise = np.array([-0.01, 0.0, 0.01])
    return np.stack([means.get(str(row.method), 0.5) + noise for row in _rows()])


def test_a_method_has_rows_of_its_own_name() -> None:
    assert [row.method for row in _rows()[-2:]] == ["mts_weighted", "mts_selected"]


def test_scores_become_weights_of_mean_one() -> None:
    weighted = next(row for row in _rows() if row.method == "mts_weighted")
    weights = weighted.weights(LABELS, 0)
    assert weights.mean() == pytest.approx(1.0)
    assert np.allclose(weights / weights[0], weighted.ranking / weighted.ranking[0])
    squared = weighted.weights(LABELS, 1)
    assert squared.mean() == pytest.approx(1.0)
    assert np.allclose(squared / squared[0], (weights / weights[0]) ** 2)


def test_rows_carry_means_intervals_and_what_is_kept() -> None:
    choices = [Choice(candidate=0, steps=50, log_loss=1.0) for _ in _rows()]
    table = table_rows(_rows(), choices, _accuracy(mts_selected=0.8), LABELS)
    row = table[-1]
    assert row["method"] == "mts_selected"
    assert row["accuracy_mean"] == pytest.approx(0.8)
    low, high = row["accuracy_ci95"]
    # Three seeds at a distance of 0.01 have a standard deviation of 0.01.
    reach = stats.t.ppf(0.975, 2) * 0.01 / np.sqrt(3)
    assert (low, high) == pytest.approx((0.8 - reach, 0.8 + reach))
    assert (row["kept"], row["kept_fraction"], row["steps"], row["seeds"]) == (3, 0.3, 50, 3)
    # The seeds are paired, so their noise cancels in the gain.
    assert row["gain"]["mean"] == pytest.approx(0.3)
    assert row["gain"]["ci95"] == pytest.approx([0.3, 0.3])


def test_a_single_seed_is_its_own_interval() -> None:
    assert mean_interval(np.array([0.7])) == (0.7, 0.7)


@pytest.mark.parametrize(
    ("means", "expected"),
    [
        ({"mts_weighted": 0.8}, "mts_weighted"),
        ({"reference_only": 0.8, "mts_weighted": 0.7}, REFERENCE_ONLY),
        ({"cosine": 0.9, "mts_weighted": 0.8}, "cosine"),
        ({"no_selection": 0.8, "mts_weighted": 0.7}, NO_SELECTION),
        ({"no_selection_upweighted": 0.8, "mts_weighted": 0.7}, NO_SELECTION_UPWEIGHTED),
    ],
)
def test_the_best_row_is_recommended_whichever_it_is(
    means: dict[str, float], expected: str
) -> None:
    assert recommend(_rows(), _accuracy(**means)) == expected


def test_a_gain_within_the_noise_recommends_the_simpler_row() -> None:
    accuracy = _accuracy(reference_only=0.7, mts_weighted=0.7)
    weighted = [row.method for row in _rows()].index("mts_weighted")
    accuracy[weighted] = accuracy[weighted] + np.array([0.05, -0.04, 0.02])
    assert recommend(_rows(), accuracy) == REFERENCE_ONLY


def test_a_gain_that_counting_the_reference_set_more_brings_too_is_not_the_selections() -> None:
    accuracy = _accuracy(no_selection_upweighted=0.7, mts_weighted=0.72)
    weighted = [row.method for row in _rows()].index("mts_weighted")
    accuracy[weighted] = accuracy[weighted] + np.array([0.05, -0.06, 0.01])
    assert recommend(_rows(), accuracy) == NO_SELECTION_UPWEIGHTED
    # And it is not recommended itself where everything at its usual weight is as good.
    accuracy[0] = accuracy[2] + np.array([-0.02, 0.02, 0.01])
    assert recommend(_rows(), accuracy) == NO_SELECTION


def test_reference_weight_stands_beside_the_mean_sample_of_the_whole_pool() -> None:
    choices = [Choice(candidate=0, steps=50, log_loss=1.0) for _ in _rows()]
    choices[2] = Choice(candidate=1, steps=50, log_loss=1.0)
    table = table_rows(_rows(), choices, _accuracy(), LABELS, pool_scale=4.0)
    assert {row["method"]: row["reference_weight"] for row in table[:4]} == {
        NO_SELECTION: 4.0,
        REFERENCE_ONLY: 4.0,
        NO_SELECTION_UPWEIGHTED: 40.0,
        "random": 4.0,
    }


def test_there_are_22_features_and_no_two_share_a_name() -> None:
    assert len(FEATURE_NAMES) == len(set(FEATURE_NAMES)) == 22
    assert FEATURE_NAMES[:13] == OFFLINE_FEATURE_NAMES


def test_standardised_columns_have_mean_zero_and_variance_one() -> None:
    generator = np.random.default_rng(0)
    columns = generator.normal([5.0, -3.0, 1e4], [1.0, 1e-3, 100.0], size=(500, 3))
    columns = np.column_stack([columns, np.full(500, 0.1)]).astype(np.float32)
    scaled = standardise(columns)
    assert np.allclose(scaled.mean(axis=0), 0, atol=1e-5)
    assert np.allclose(scaled[:, :3].std(axis=0), 1, atol=1e-5)
    assert not scaled[:, 3].any()
