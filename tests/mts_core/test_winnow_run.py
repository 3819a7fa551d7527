"""Checks how the default method makes scores out of the weights of MTS and of the support."""

from dataclasses import fields, replace

import numpy as np
import pytest
from curation_problems import (
    QUICK,
    as_table,
    auroc,
    finish,
    make_data,
    without_evaluation,
)
from numpy.typing import NDArray

from mts_core.class_shares import hold_class_shares
from mts_core.curation_data import CurationData
from mts_core.errors import ConfigError
from mts_core.label_shift import label_shift_factors
from mts_core.methods import pipeline_config_from_mapping
from mts_core.pipeline import CurationResult, Phase, run_pipeline
from mts_core.trainer_settings import TrainerSettings
from mts_core.winnow_run import many_classes_factor, sharpness_factor
from mts_core.winnow_settings import WinnowSettings

SHARED = {item.name: getattr(QUICK, item.name) for item in fields(TrainerSettings)}
WINNOW = WinnowSettings(**SHARED, landmarks=32)
OF_MTS_ALONE = replace(
    WINNOW, sharpness=0.0, meta_sharpness=1.0, full_sharpness_noise=0.0, label_shift=0.0
)


def _support(result: CurationResult) -> NDArray[np.float32]:
    return result.features[:, result.feature_names.index("label_support")]


def test_without_the_support_the_scores_are_those_of_mts() -> None:
    data, _ = make_data()
    found = finish(data, without_evaluation(OF_MTS_ALONE), seed=3)
    expected = finish(data, without_evaluation(QUICK), seed=3)
    assert np.array_equal(found.scores, expected.scores)
    assert np.array_equal(found.features[:, :-1], expected.features)


@pytest.mark.parametrize(("sharpness", "meta_sharpness"), [(1.0, 1.0), (2.0, 0.5), (3.5, 0.0)])
def test_a_score_is_a_product_of_powers_of_weight_and_support(
    sharpness: float, meta_sharpness: float
) -> None:
    data, _ = make_data()
    powers_alone = {"sharpness": sharpness, "meta_sharpness": meta_sharpness, "label_shift": 0.0}
    config = replace(WINNOW, **powers_alone)
    found = finish(data, without_evaluation(config))
    weights = finish(data, without_evaluation(QUICK)).scores.astype(np.float64)
    factor = found.report["label_support"]["sharpness_factor"]
    powers = (
        weights ** (meta_sharpness * factor),
        _support(found).astype(np.float64) ** (sharpness * factor),
    )
    # The column of the support and the score are both in single precision.
    assert np.allclose(found.scores, powers[0] * powers[1], rtol=1e-5, atol=0)


def test_scores_of_a_clean_pool_are_flatter_than_those_of_a_bad_one() -> None:
    reports, spreads = [], []
    for wrong_share in (0.0, 0.5):
        data, _ = make_data(wrong_share=wrong_share)
        found = finish(data, without_evaluation(WINNOW))
        reports.append(found.report["label_support"])
        spreads.append(float(found.scores.std() / found.scores.mean()))
    clean, bad = reports
    assert clean["label_noise"] < 0.05
    assert clean["sharpness_factor"] < 0.5
    assert bad["label_noise"] == pytest.approx(0.5, abs=0.15)
    assert bad["sharpness_factor"] == 1.0
    assert spreads[0] < 0.5 * spreads[1]


@pytest.mark.parametrize(
    ("noise", "full_noise", "expected"),
    [(0.001, 0.1, 0.2), (0.05, 0.1, 0.5), (0.1, 0.1, 1.0), (0.6, 0.1, 1.0), (0.001, 0.0, 1.0)],
)
def test_scores_are_as_sharp_as_the_noise_asks_for(
    noise: float, full_noise: float, expected: float
) -> None:
    assert sharpness_factor(noise, full_noise) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("class_count", "usual", "expected"),
    [(2, 10, 1.0), (10, 10, 1.0), (100, 10, 1 / 8), (1000, 10, 1 / 27), (100, 200, 1.0)],
)
def test_the_support_counts_less_among_many_classes(
    class_count: int, usual: int, expected: float
) -> None:
    assert many_classes_factor(class_count, usual) == pytest.approx(expected)


@pytest.mark.parametrize("prior", [0.0, 20.0])
def test_with_many_classes_the_support_is_softer_and_shares_are_held(prior: float) -> None:
    data, _ = make_data()
    config = replace(WINNOW, usual_classes=2, class_share_prior=prior, label_shift=0.0)
    found = finish(data, without_evaluation(config))
    weights = finish(data, without_evaluation(QUICK)).scores.astype(np.float64)
    many = many_classes_factor(data.class_count, 2)
    assert 0.0 < many < 1.0
    factor = found.report["label_support"]["sharpness_factor"]
    assert found.report["label_support"]["many_classes_factor"] == many
    powers = (
        weights ** (config.meta_sharpness * factor),
        _support(found).astype(np.float64) ** (config.sharpness * many * factor),
    )
    expected = hold_class_shares(powers[0] * powers[1], data.pool_labels, prior=prior * (1 - many))
    assert np.allclose(found.scores, expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_scores_of_classes_that_the_reference_set_has_more_often_are_raised(power: float) -> None:
    data = _uneven_data()
    factors = label_shift_factors(data.pool_labels, data.reference_labels, data.class_count)
    config = replace(WINNOW, label_shift=power)
    found = finish(data, without_evaluation(config))
    assert found.report["label_support"]["class_factors"] == factors.tolist()
    weights = finish(data, without_evaluation(QUICK)).scores.astype(np.float64)
    factor = found.report["label_support"]["sharpness_factor"]
    powers = (
        weights ** (config.meta_sharpness * factor),
        _support(found).astype(np.float64) ** (config.sharpness * factor),
    )
    raised = powers[0] * powers[1] * factors[data.pool_labels] ** power
    assert np.allclose(found.scores, raised / max(1.0, raised.max()), rtol=1e-5, atol=0)


def _uneven_data() -> CurationData:
    """Return a pool with few samples of one class, and a reference set with as many of each."""
    data, _ = make_data(pool_size=300)
    kept = np.flatnonzero((data.pool_labels != 0) | (np.arange(300) % 5 == 0))
    return replace(
        data,
        pool_inputs=data.pool_inputs[kept],
        pool_labels=data.pool_labels[kept],
        pool_is_real=data.pool_is_real[kept],
    )


@pytest.mark.parametrize(
    ("test_size", "keep"),
    [
        pytest.param(60, "auto", id="test-set"),
        pytest.param(60, 0.4, id="share-asked-for"),
        pytest.param(0, "auto", id="nested", marks=pytest.mark.slow),
    ],
)
def test_the_rows_of_mts_beside_its_own_are_those_of_a_job_of_mts(
    test_size: int, keep: float | str
) -> None:
    data, _ = make_data(pool_size=60, reference_size=9, test_size=test_size)
    values = {"classifier": "linear", "evaluation_seeds": 2, "baselines": [], "gsnr_every": 0}
    values |= {"steps": 10, "batch_size": 32, "keep": keep}
    own, alone = (
        finish(data, pipeline_config_from_mapping(method, values)).report["rows"]
        for method in ("winnow", "mts")
    )
    assert [row["method"] for row in own] == [
        *(row["method"] for row in alone),
        "winnow_weighted",
        "winnow_selected",
    ]
    assert own[:-2] == alone


def test_scores_are_weights_as_they_are() -> None:
    data, _ = make_data(pool_size=60, reference_size=9, test_size=30)
    quick = replace(WINNOW, baselines=())
    measured, unmeasured = (finish(data, config) for config in (quick, without_evaluation(quick)))
    assert measured.report["score_exponent"] == 1.0
    assert np.array_equal(measured.scores, unmeasured.scores)


def test_the_report_names_the_posteriors_of_every_view() -> None:
    data, _ = make_data(pool_size=60)
    report = finish(as_table(data), without_evaluation(WINNOW)).report
    assert {name.partition("/")[0] for name in report["label_support"]["posteriors"]} == set(
        report["encoder_log_losses"]
    )
    assert report["batch_size_choice"]["value"] == report["config"]["batch_size"] == 32


def test_posteriors_are_steps_of_the_training_phase() -> None:
    data, _ = make_data(pool_size=60)
    reports = list(run_pipeline(as_table(data), without_evaluation(WINNOW), seed=0))
    training = [report for report in reports if report.phase is Phase.TRAIN and not report.result]
    # One for each of the two views, and one to pool them.
    assert training[-1].step == training[-1].total_steps == QUICK.steps + 3
    # The phase is told before its first step, too.
    assert [report.step for report in training] == list(range(QUICK.steps + 4))


def test_right_labels_get_the_higher_scores_and_higher_ones_than_by_weights_alone() -> None:
    found = []
    for seed in range(3):
        data, is_good = make_data(seed=seed)
        results = (
            finish(data, without_evaluation(config), seed=seed) for config in (WINNOW, QUICK)
        )
        found.append([auroc(result.scores, is_good) for result in results])
    own, weights = np.mean(found, axis=0)
    assert own > 0.9
    assert own > weights


def test_no_score_is_zero_however_sharp() -> None:
    data, _ = make_data(pool_size=60)
    config = replace(WINNOW, sharpness=16.0, full_sharpness_noise=0.0)
    scores = finish(data, without_evaluation(config)).scores
    assert ((scores > 0) & (scores <= 1)).all()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sharpness", -0.5),
        ("meta_sharpness", -0.5),
        ("full_sharpness_noise", 1.5),
        ("usual_classes", 1),
        ("class_share_prior", -1.0),
        ("label_shift", 1.5),
        ("cleaning_rounds", 0),
        ("landmarks", 15),
    ],
)
def test_settings_outside_their_range_name_their_field(field: str, value: float) -> None:
    with pytest.raises(ConfigError) as refused:
        pipeline_config_from_mapping("winnow", {field: value})
    assert refused.value.field == field
