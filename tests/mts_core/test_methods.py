"""Holds every method to what a run promises: rows of its name, its settings, exact resume."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from curation_problems import finish, make_data, result_of

from mts_core.errors import CheckpointError, ConfigError
from mts_core.feature_table import FEATURE_NAMES, OFFLINE_FEATURE_NAMES
from mts_core.methods import METHODS, pipeline_config_from_mapping
from mts_core.pipeline import (
    CurationResult,
    Phase,
    PipelineConfig,
    load_pipeline_state,
    run_pipeline,
    save_pipeline_state,
)
from mts_core.pipeline_config import BaselineChoice, MethodName

QUICK: Mapping[str, object] = {"classifier": "linear", "evaluation_seeds": 2}
SHORT: Mapping[str, Mapping[str, object]] = {
    "winnow": {"steps": 20, "batch_size": 32, "gsnr_every": 10, "landmarks": 16},
    "mts": {"steps": 20, "batch_size": 32, "gsnr_every": 10},
    "meta_weight_net": {"steps": 20, "batch_size": 32, "gsnr_every": 10},
    "tess": {"steps": 20, "batch_size": 32, "selector_steps": 20},
}
"""Settings with which a method takes about a second."""

FEATURES: Mapping[str, tuple[str, ...]] = {
    "winnow": (*FEATURE_NAMES, "label_support"),
    "mts": FEATURE_NAMES,
    "meta_weight_net": (*OFFLINE_FEATURE_NAMES, "training_loss"),
    "tess": (*OFFLINE_FEATURE_NAMES, "reference_first_error_norm"),
}


def quick_config(method: str, **values: object) -> PipelineConfig:
    return pipeline_config_from_mapping(method, {**QUICK, **SHORT[method], **values})


def assert_equal(one: CurationResult, other: CurationResult) -> None:
    for name in ("scores", "weights", "ranks", "keep", "features"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    assert one.report == other.report


def test_each_method_is_listed_under_the_name_of_its_settings() -> None:
    assert list(METHODS) == list(MethodName)
    assert all(known.settings.method is name for name, known in METHODS.items())


@pytest.mark.parametrize("method", METHODS)
def test_a_method_has_rows_and_features_of_its_own(method: str) -> None:
    data, _ = make_data()
    result = finish(data, quick_config(method))
    rows = [row["method"] for row in result.report["rows"]]
    assert rows[-2:] == [f"{method}_weighted", f"{method}_selected"]
    assert result.report["method"] == method
    assert "auto" not in result.report["config"].values()
    assert result.feature_names == FEATURES[method]
    assert result.features.shape == (len(data.pool_labels), len(FEATURES[method]))
    assert np.isfinite(result.features).all()
    assert ((result.scores > 0) & (result.scores <= 1)).all()


def test_every_baseline_can_be_measured_beside_the_method() -> None:
    data, _ = make_data(pool_size=60, reference_size=9, test_size=30)
    config = quick_config("mts", baselines=list(BaselineChoice))
    rows = finish(data, config).report["rows"]
    assert [row["method"] for row in rows] == [
        "no_selection",
        "reference_only",
        "no_selection_upweighted",
        *BaselineChoice,
        "mts_weighted",
        "mts_selected",
    ]


def test_a_learned_baseline_has_the_scores_of_a_job_of_that_method() -> None:
    data, _ = make_data(pool_size=60, reference_size=9, test_size=30)
    own = finish(data, quick_config("meta_weight_net", baselines=[]))
    beside = finish(data, quick_config("mts", baselines=["meta_weight_net"]))
    (weighted,) = (row for row in own.report["rows"] if row["method"] == "meta_weight_net_weighted")
    (baseline,) = (row for row in beside.report["rows"] if row["method"] == "meta_weight_net")
    assert {**baseline, "method": ""} == {**weighted, "method": ""}
    alone = finish(data, quick_config("mts", evaluate=False))
    assert np.array_equal(alone.ranks, beside.ranks)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "test_size",
    [pytest.param(30, id="test-set"), pytest.param(0, id="nested", marks=pytest.mark.slow)],
)
def test_a_resumed_run_ends_bit_by_bit_alike(method: str, test_size: int, tmp_path: Path) -> None:
    data, _ = make_data(pool_size=60, reference_size=9, test_size=test_size)
    config = quick_config(method, baselines=["knn_shapley", "meta_weight_net"])
    shares = {Phase.TRAIN: 0.7, Phase.EVALUATE: 0.6}
    states = {}
    reports = []
    for report in run_pipeline(data, config, seed=0):
        reports.append(report)
        if report.step >= shares.get(report.phase, 2.0) * report.total_steps:
            states.setdefault(report.phase, report.capture())
    whole = result_of(reports)
    assert list(states) == list(shares)
    for state in states.values():
        save_pipeline_state(state, tmp_path / "state.safetensors")
        loaded = load_pipeline_state(tmp_path / "state.safetensors")
        assert_equal(result_of(list(run_pipeline(data, config, seed=0, resume=loaded))), whole)


def test_a_state_of_another_method_is_refused() -> None:
    data, _ = make_data()
    state = next(iter(run_pipeline(data, quick_config("mts"), seed=0))).capture()
    other = run_pipeline(data, quick_config("meta_weight_net"), seed=0, resume=state)
    with pytest.raises(CheckpointError):
        next(other)


def test_an_unknown_method_is_refused_by_name() -> None:
    with pytest.raises(ConfigError) as refused:
        pipeline_config_from_mapping("guess", {})
    assert refused.value.field == "method"


@pytest.mark.parametrize("method", ["mts", "meta_weight_net"])
def test_the_reference_batch_may_be_a_part_of_the_reference_set(method: str) -> None:
    data, _ = make_data()
    whole, parts = (
        finish(data, quick_config(method, evaluate=False, reference_batch_size=size))
        for size in (None, 6)
    )
    assert parts.report["config"]["reference_batch_size"] == 6
    assert not np.array_equal(whole.scores, parts.scores)
