import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from curation_problems import (
    CLASSES,
    DIMENSION,
    QUICK,
    as_table,
    as_texts,
    auroc,
    finish,
    make_data,
    make_images,
    result_of,
    without_evaluation,
)

from mts_core.curation_data import CurationData
from mts_core.errors import CheckpointError, ConfigError, MissingClassError, MtsError
from mts_core.feature_table import FEATURE_NAMES
from mts_core.pipeline import (
    CurationResult,
    Phase,
    PipelineConfig,
    PipelineReport,
    PipelineState,
    load_pipeline_state,
    pipeline_config_from_mapping,
    run_pipeline,
    save_pipeline_state,
)
from mts_core.pipeline_config import ClassifierChoice, EncoderChoice

ROWS = [
    "no_selection",
    "reference_only",
    "no_selection_upweighted",
    "random",
    "el2n",
    "cosine",
    "knn_shapley",
    "mts_weighted",
    "mts_selected",
]


@pytest.fixture(scope="module")
def reports() -> list[PipelineReport]:
    return list(run_pipeline(make_data()[0], QUICK, seed=0))


@pytest.fixture(scope="module")
def result(reports: list[PipelineReport]) -> CurationResult:
    return result_of(reports)


def _assert_equal(one: CurationResult, other: CurationResult) -> None:
    for name in ("scores", "weights", "ranks", "keep", "features"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    assert one.traces.keys() == other.traces.keys()
    for name, (steps, values) in one.traces.items():
        assert np.array_equal(steps, other.traces[name][0])
        assert np.array_equal(values, other.traces[name][1])
    assert one.report == other.report


def test_progress_only_grows_and_ends_at_one(reports: list[PipelineReport]) -> None:
    fractions = [report.fraction for report in reports]
    assert fractions == sorted(fractions)
    assert 0 < fractions[0] < 0.3
    assert fractions[-1] == 1.0
    assert all(report.result is None for report in reports[:-1])


def test_phases_come_in_order_with_many_signs_of_life(reports: list[PipelineReport]) -> None:
    phases = [report.phase for report in reports]
    assert list(dict.fromkeys(phases)) == [phase for phase in Phase if phase is not Phase.SCORE]
    # One before the first step, where other processes can join.
    assert phases.count(Phase.TRAIN) == QUICK.steps + 1
    assert phases.count(Phase.EVALUATE) > 20
    assert all(0 <= report.step <= report.total_steps for report in reports)


def test_the_result_has_one_value_for_each_sample(result: CurationResult) -> None:
    count = 180
    assert result.scores.shape == result.weights.shape == result.keep.shape == (count,)
    assert result.scores.dtype == result.weights.dtype == np.float32
    lowest = QUICK.score_floor ** result.report["score_exponent"]
    assert ((result.scores >= 0.999 * lowest) & (result.scores <= 1)).all()
    # Single precision sums of 180 weights.
    assert result.weights.mean() == pytest.approx(1.0, abs=1e-5)
    assert sorted(result.ranks) == list(range(count))
    assert result.scores[result.ranks.argmin()] == result.scores.max()
    assert result.features.shape == (count, 22)
    assert np.isfinite(result.features).all()
    assert result.feature_names == FEATURE_NAMES


def test_the_report_is_json_and_has_a_row_for_each_method(result: CurationResult) -> None:
    report = json.loads(json.dumps(result.report, allow_nan=False))
    assert [row["method"] for row in report["rows"]] == ROWS
    assert report["recommendation"] in ROWS
    assert report["measured_on"] == "test set"
    assert report["evaluated_on_samples"] == 180
    assert report["neighbours"] == {"recall": 1.0, "is_exact": True}
    assert report["config"]["encoder"] == "identity"
    assert "auto" not in report["config"].values()
    assert set(report["critical_batch_size"]) >= {"value", "ci95"}
    assert set(report["batch_size_choice"]) == {"value", "reason", "critical_batch_size", "limit"}
    assert report["config"]["batch_size"] == report["batch_size_choice"]["value"]
    for row in report["rows"]:
        assert row["seeds"] == 2
        assert row["accuracy_ci95"][0] <= row["accuracy_mean"] <= row["accuracy_ci95"][1]


def test_the_suggested_cut_keeps_what_the_report_says(result: CurationResult) -> None:
    cut = result.report["suggested_cut"]
    selected = result.report["rows"][-1]
    assert result.keep.sum() == selected["kept"] == round(cut["fraction"] * 180)
    assert result.scores[result.keep].min() >= result.scores[~result.keep].max()


def test_traces_hold_the_papers_series(result: CurationResult) -> None:
    names = {"classifier_loss", "reference_loss", "weight_mean", "p_max", "p_variance"}
    assert names | {"effective_batch_size"} <= result.traces.keys()
    steps, values = result.traces["weight_mean"]
    assert steps.tolist() == list(range(1, 31))
    assert values.dtype == np.float32


def _states(
    data: CurationData, config: PipelineConfig, shares: dict[Phase, float]
) -> tuple[dict[Phase, PipelineState], CurationResult]:
    """Return the states captured at a share of each phase, and the whole run's result."""
    states: dict[Phase, PipelineState] = {}
    reports = []
    for report in run_pipeline(data, config, seed=0):
        assert report.step <= report.total_steps
        reports.append(report)
        is_reached = report.step >= shares.get(report.phase, 2.0) * report.total_steps
        if is_reached and report.phase not in states:
            states[report.phase] = report.capture()
    return states, result_of(reports)


def _resume(
    data: CurationData, config: PipelineConfig, state: PipelineState, folder: Path
) -> CurationResult:
    """Return the result of a run that goes on from a state which was written and read again."""
    save_pipeline_state(state, folder / "state.safetensors")
    loaded = load_pipeline_state(folder / "state.safetensors")
    assert (loaded.phase, loaded.step) == (state.phase, state.step)
    return result_of(list(run_pipeline(data, config, seed=0, resume=loaded)))


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_run_resumed_before_its_evaluation_ends_bit_by_bit_alike(
    share: float, tmp_path: Path
) -> None:
    data, config = make_data()[0], without_evaluation(QUICK)
    phases = [Phase.ENCODE, Phase.FEATURES, Phase.TRAIN]
    states, whole = _states(data, config, dict.fromkeys(phases, share))
    assert list(states) == phases
    for state in states.values():
        _assert_equal(_resume(data, config, state, tmp_path), whole)


@pytest.mark.parametrize("modality", [as_table, as_texts])
def test_a_run_whose_encoder_learns_from_the_pool_is_resumed_bit_by_bit_alike(
    modality: Callable[[CurationData], CurationData], tmp_path: Path
) -> None:
    data = modality(make_data()[0])
    encoder = EncoderChoice.AUTO if data.table_columns else EncoderChoice.TFIDF_SVD
    config = dataclasses.replace(without_evaluation(QUICK), encoder=encoder)
    phases = [Phase.ENCODE, Phase.TRAIN]
    states, whole = _states(data, config, dict.fromkeys(phases, 0.5))
    for state in states.values():
        _assert_equal(_resume(data, config, state, tmp_path), whole)


def test_a_run_resumed_in_its_evaluation_ends_bit_by_bit_alike(
    result: CurationResult, tmp_path: Path
) -> None:
    data = make_data()[0]
    states, whole = _states(data, QUICK, {Phase.EVALUATE: 0.5})
    _assert_equal(whole, result)
    _assert_equal(_resume(data, QUICK, states[Phase.EVALUATE], tmp_path), whole)


def test_a_captured_state_does_not_change_as_the_run_goes_on() -> None:
    data = make_data()[0]
    captured = None
    for report in run_pipeline(data, without_evaluation(QUICK), seed=0):
        if captured is None and report.phase is Phase.TRAIN:
            captured = report.capture()
            before = {name: value.clone() for name, value in captured.tensors.items()}
    assert captured is not None
    assert all(torch.equal(before[name], value) for name, value in captured.tensors.items())


@pytest.mark.parametrize(("seed", "steps"), [(1, 30), (0, 31)])
def test_a_state_of_another_run_is_refused(seed: int, steps: int) -> None:
    data = make_data()[0]
    state = next(iter(run_pipeline(data, QUICK, seed=0))).capture()
    other = run_pipeline(data, dataclasses.replace(QUICK, steps=steps), seed=seed, resume=state)
    with pytest.raises(CheckpointError):
        next(other)


def test_another_seed_gives_other_scores(result: CurationResult) -> None:
    other = finish(make_data()[0], without_evaluation(QUICK), seed=1)
    assert not np.array_equal(other.scores, result.scores)


def test_no_choice_looks_at_the_test_set(result: CurationResult) -> None:
    data, _ = make_data()
    assert data.test_labels is not None
    swapped = dataclasses.replace(data, test_labels=(data.test_labels + 1) % CLASSES)
    other = finish(swapped, QUICK)
    assert np.array_equal(other.scores, result.scores)
    assert np.array_equal(other.keep, result.keep)
    for one, two in zip(other.report["rows"], result.report["rows"], strict=True):
        assert (one["steps"], one["kept"]) == (two["steps"], two["kept"])
        assert one["accuracy_mean"] < two["accuracy_mean"]


def test_without_a_test_set_the_reference_set_is_nested_and_resumed_alike(tmp_path: Path) -> None:
    # Two reference samples a class are the fewest that are accepted.
    data, _ = make_data(pool_size=90, reference_size=6, test_size=0)
    states, result = _states(data, QUICK, {Phase.EVALUATE: 0.7})
    assert result.report["measured_on"] == "nested cross-validation on the reference set"
    rows = result.report["rows"]
    assert [row["method"] for row in rows] == ROWS
    # Accuracy is a share of the six reference samples, averaged over two seeds.
    assert all(round(row["accuracy_mean"] * 12, 6).is_integer() for row in rows)
    _assert_equal(_resume(data, QUICK, states[Phase.EVALUATE], tmp_path), result)


def test_without_evaluation_the_cut_keeps_weights_of_at_least_one() -> None:
    result = finish(make_data()[0], without_evaluation(QUICK))
    assert result.report["rows"] == []
    assert result.report["recommendation"] is None
    assert np.array_equal(result.keep, result.scores >= result.scores.mean(dtype=np.float64))


def test_a_share_asked_for_is_kept_class_by_class_where_balanced() -> None:
    config = dataclasses.replace(without_evaluation(QUICK), keep=0.4, balance=True)
    data, _ = make_data()
    result = finish(data, config)
    for index in range(CLASSES):
        members = data.pool_labels == index
        assert abs(result.keep[members].sum() - 0.4 * members.sum()) < 1
    assert result.report["suggested_cut"]["chosen_by"] == "job"


def test_right_labels_get_the_higher_scores() -> None:
    data, is_good = make_data(pool_size=400)
    config = dataclasses.replace(without_evaluation(QUICK), steps=200, meta_learning_rate=3e-3)
    assert auroc(finish(data, config).scores, is_good) > 0.75


@pytest.mark.parametrize(
    ("classifier", "encoder"),
    [
        (ClassifierChoice.CNN, EncoderChoice.PIXELS_PCA),
        (ClassifierChoice.RESNET20, EncoderChoice.PIXELS_PCA),
        (ClassifierChoice.MLP, EncoderChoice.AUTO),
    ],
)
def test_images_run_with_the_network_and_with_heads(
    classifier: ClassifierChoice, encoder: EncoderChoice
) -> None:
    config = dataclasses.replace(
        without_evaluation(QUICK), classifier=classifier, encoder=encoder, steps=3, batch_size=8
    )
    result = finish(make_images(), config)
    assert result.features.shape == (60, 22)
    assert result.report["config"]["encoder"] == "pixels_pca"


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"stepz": 3}, "stepz"),
        ({"steps": 0}, "steps"),
        ({"steps": 2.5}, "steps"),
        ({"steps": "many"}, "steps"),
        ({"momentum": float("nan")}, "momentum"),
        ({"encoder": "vgg"}, "encoder"),
        ({"evaluate": "yes"}, "evaluate"),
        ({"keep": 0}, "keep"),
        ({"baselines": "cosine"}, "baselines"),
        ({"baselines": ["magic"]}, "baselines"),
        ({"baselines": ["cosine", "cosine"]}, "baselines"),
    ],
)
def test_settings_outside_their_range_name_their_field(
    values: dict[str, object], field: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        pipeline_config_from_mapping("mts", values)
    assert refused.value.field == field


def test_the_network_is_refused_for_embeddings() -> None:
    config = dataclasses.replace(QUICK, classifier=ClassifierChoice.CNN)
    with pytest.raises(ConfigError) as refused:
        next(iter(run_pipeline(make_data()[0], config, seed=0)))
    assert refused.value.field == "classifier"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"reference_labels": np.zeros(18, dtype=np.int64)}, MissingClassError),
        ({"pool_labels": np.full(180, CLASSES)}, MtsError),
        ({"pool_labels": np.zeros(5, dtype=np.int64)}, MtsError),
        ({"test_labels": None}, MtsError),
        ({"test_inputs": np.zeros((90, DIMENSION + 1), dtype=np.float32)}, MtsError),
        ({"pool_is_real": np.zeros(3, dtype=bool)}, MtsError),
    ],
)
def test_data_that_does_not_fit_together_is_refused(
    changes: dict[str, object], error: type[Exception]
) -> None:
    fields = {**vars(make_data()[0]), **changes}
    with pytest.raises(error):
        CurationData(**fields)
