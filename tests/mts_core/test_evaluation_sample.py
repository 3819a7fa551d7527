from typing import Any

import numpy as np
import pytest
import torch
from curation_problems import QUICK, make_data, make_images

from mts_core.curation_data import CurationData
from mts_core.evaluation_sample import start_evaluation
from mts_core.evaluation_stage import EvaluationStage, LearnedScores
from mts_core.settings_resolution import resolve_settings
from mts_core.stages import EncodeStage, FeatureStage, RunContext, classifier_sets

Report = dict[str, Any]  # Any: a JSON object.


def _stage(data: CurationData, *, limit: int) -> EvaluationStage:
    """Return the stage that measures scores which rise with the position in the pool."""
    context = RunContext(data, resolve_settings(QUICK, data), 0, torch.device("cpu"))
    encode = EncodeStage(context, None, {})
    for _ in encode.advance():
        pass
    sets = classifier_sets(context, encode.encoding)
    features = FeatureStage(context, encode.encoding, sets)
    for _ in features.advance():
        pass
    scores = np.linspace(0.1, 1.0, len(data.pool_labels), dtype=np.float32)
    learned = LearnedScores(features.table, features.is_unlearned, scores, {}, {})
    return start_evaluation(context, encode.encoding, sets, learned, limit=limit)


def _report(data: CurationData, *, limit: int) -> Report:
    """Return the report of a stage that is run to its end."""
    stage = _stage(data, limit=limit)
    for _ in stage.advance():
        pass
    return stage.report()


@pytest.fixture(scope="module")
def report() -> Report:
    return _report(make_data()[0], limit=60)


def test_a_large_pool_is_evaluated_on_a_sample_that_the_report_states(report: Report) -> None:
    assert report["evaluated_on_samples"] == 60
    assert report["measured_on"] == "test set, with a uniform sample of 60 of the 180 pool samples"
    kept = {row["method"]: row["kept"] for row in report["rows"]}
    assert kept["no_selection"] == 60
    assert kept["mts_selected"] in {9, 18, 27, 36, 48, 60}


def test_reference_weights_keep_the_shares_of_the_draws_in_the_whole_pool(report: Report) -> None:
    # One on the sample is as three on the whole pool, which is three times as large.
    counted = {row["method"]: row["reference_weight"] for row in report["rows"]}
    assert counted["no_selection"] == counted["mts_weighted"] == 3.0
    assert counted["no_selection_upweighted"] in {3.0, 9.0, 30.0, 90.0}


def test_the_sample_is_the_same_for_the_same_seed(report: Report) -> None:
    assert _report(make_data()[0], limit=60) == report


def test_measurements_of_an_earlier_versions_table_are_made_again(report: Report) -> None:
    whole = _stage(make_data()[0], limit=60)
    for _ in whole.advance():
        pass
    captured = whole.capture()
    earlier = {
        name: value[:-1] if name.startswith("all.") else value for name, value in captured.items()
    }
    resumed = _stage(make_data()[0], limit=60)
    resumed.restore(earlier)
    assert np.isnan(resumed.capture()["all.accuracy"].numpy()).all()
    for _ in resumed.advance():
        pass
    assert resumed.report() == report
    # Those of the same table are kept.
    kept = _stage(make_data()[0], limit=60)
    kept.restore(captured)
    assert kept.report() == report


def test_images_up_to_the_limit_are_evaluated_whole() -> None:
    whole = _report(make_images(), limit=60)
    assert whole["evaluated_on_samples"] == 60
    assert whole["measured_on"] == "test set"


@pytest.mark.slow
def test_a_sample_is_cross_validated_without_a_test_set() -> None:
    nested = _report(make_data(test_size=0)[0], limit=90)
    assert nested["evaluated_on_samples"] == 90
    assert nested["measured_on"].startswith("nested cross-validation on the reference set, with")
