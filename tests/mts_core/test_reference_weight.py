"""How much the reference set counts in the table is chosen on the reference set, and reported."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from curation_problems import finish, make_data, without_evaluation

from mts_core.curation_data import CurationData
from mts_core.pipeline import pipeline_config_from_mapping

Rows = dict[str, dict[str, Any]]  # Any: JSON objects.

QUICK = {
    "classifier": "linear",
    "steps": 10,
    "batch_size": 32,
    "gsnr_every": 0,
    "baselines": [],
    "evaluation_seeds": 2,
}
CHOICES = (1.0, 3.0, 10.0, 30.0)


def deceived_pool() -> CurationData:
    """Return a pool of which every label is wrong in the same way, so that none can be told."""
    data, _ = make_data(pool_size=300, reference_size=30, test_size=90, wrong_share=0.0)
    return dataclasses.replace(data, pool_labels=(data.pool_labels + 1) % data.class_count)


def measured(data: CurationData, method: str, **settings: object) -> tuple[float, Rows]:
    """Return the reference weight that the report names, and its rows by method."""
    report = finish(data, pipeline_config_from_mapping(method, {**QUICK, **settings})).report
    return report["reference_weight"], {row["method"]: row for row in report["rows"]}


def test_pool_of_wrong_labels_makes_the_reference_set_count_more() -> None:
    _, rows = measured(deceived_pool(), "mts")
    plain, counted = rows["no_selection"], rows["no_selection_upweighted"]
    assert plain["reference_weight"] == 1.0
    assert counted["reference_weight"] == 30.0
    assert counted["accuracy_mean"] > plain["accuracy_mean"] + 0.3


def test_report_names_the_weight_that_its_weighted_row_was_measured_with() -> None:
    weight, rows = measured(deceived_pool(), "winnow")
    assert weight in CHOICES[1:]
    assert weight == rows["winnow_weighted"]["reference_weight"]
    assert rows["winnow_selected"]["reference_weight"] == 1.0
    # Those of the paper's method stay as the paper has them.
    assert rows["mts_weighted"]["reference_weight"] == 1.0


@pytest.mark.parametrize("method", ["mts", "meta_weight_net"])
def test_other_methods_count_the_reference_set_as_the_mean_sample(method: str) -> None:
    data, _ = make_data(pool_size=60, reference_size=9, test_size=30)
    weight, rows = measured(data, method)
    assert weight == rows[f"{method}_weighted"]["reference_weight"] == 1.0


def test_nothing_is_chosen_without_a_table() -> None:
    data, _ = make_data(pool_size=60, reference_size=9)
    config = pipeline_config_from_mapping("winnow", QUICK)
    assert finish(data, without_evaluation(config)).report["reference_weight"] == 1.0


def test_weights_of_the_pool_keep_their_mean_whatever_the_reference_set_counts() -> None:
    config = pipeline_config_from_mapping("winnow", QUICK)
    result = finish(deceived_pool(), config)
    assert result.report["reference_weight"] > 1.0
    assert result.weights.mean(dtype=np.float64) == pytest.approx(1.0)
