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

from mts_core.errors import ConfigError
from mts_core.methods import pipeline_config_from_mapping
from mts_core.pipeline import CurationResult, Phase, run_pipeline
from mts_core.trainer_settings import TrainerSettings
from mts_core.winnow_settings import WinnowSettings

SHARED = {item.name: getattr(QUICK, item.name) for item in fields(TrainerSettings)}
WINNOW = WinnowSettings(**SHARED, landmarks=32)
UNSHARPENED = WinnowSettings(**SHARED, landmarks=32, sharpness=0.0)


def _support(result: CurationResult) -> NDArray[np.float32]:
    return result.features[:, result.feature_names.index("label_support")]


def test_without_sharpness_the_scores_are_those_of_mts() -> None:
    data, _ = make_data()
    found = finish(data, without_evaluation(UNSHARPENED), seed=3)
    expected = finish(data, without_evaluation(QUICK), seed=3)
    assert np.array_equal(found.scores, expected.scores)
    assert np.array_equal(found.features[:, :-1], expected.features)


@pytest.mark.parametrize("sharpness", [1.0, 2.0, 3.5])
def test_a_score_is_the_weight_times_a_power_of_the_support(sharpness: float) -> None:
    data, _ = make_data()
    config = WinnowSettings(**SHARED, landmarks=32, sharpness=sharpness)
    found = finish(data, without_evaluation(config))
    weights = finish(data, without_evaluation(QUICK)).scores.astype(np.float64)
    expected = weights * _support(found).astype(np.float64) ** sharpness
    # The column of the support and the score are both in single precision.
    assert np.allclose(found.scores, expected, rtol=1e-6 * (1 + sharpness), atol=0)


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
    config = WinnowSettings(**SHARED, landmarks=32, sharpness=16.0)
    scores = finish(data, without_evaluation(config)).scores
    assert ((scores > 0) & (scores <= 1)).all()


@pytest.mark.parametrize(
    ("field", "value"), [("sharpness", -0.5), ("cleaning_rounds", 0), ("landmarks", 15)]
)
def test_settings_outside_their_range_name_their_field(field: str, value: float) -> None:
    with pytest.raises(ConfigError) as refused:
        pipeline_config_from_mapping("winnow", {field: value})
    assert refused.value.field == field
