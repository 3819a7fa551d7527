"""Where nothing can be learned, nothing may be found: the controls behind every claim."""

import dataclasses

import numpy as np
import pytest
import torch
from curation_problems import QUICK, auroc, finish, make_data, without_evaluation
from numpy.typing import NDArray

from mts_core.baselines import NO_SELECTION, Row
from mts_core.classifiers import measure_input_scaling
from mts_core.config import ClassifierKind
from mts_core.curation_data import CurationData
from mts_core.optimisers import SgdRule
from mts_core.pipeline_config import PipelineConfig
from mts_core.plain_training import JoinedInputs, TrainingRecipe, TrainingRun, train_runs
from mts_core.trainer_settings import TrainerSettings
from mts_core.training_data import LabelledInputs
from mts_core.winnow_settings import WinnowSettings

SEEDS = 16
STEPS = 100
LEARNING = dataclasses.replace(
    without_evaluation(QUICK), steps=80, gsnr_every=0, meta_learning_rate=3e-3
)
FROZEN = dataclasses.replace(LEARNING, meta_learning_rate=1e-8, steps=5)
WINNOW = WinnowSettings(
    **{item.name: getattr(LEARNING, item.name) for item in dataclasses.fields(TrainerSettings)}
)


def _permute(data: CurationData, seed: int) -> CurationData:
    """Return the same problem with reference labels that say nothing."""
    order = np.random.default_rng(seed).permutation(len(data.reference_labels))
    return dataclasses.replace(data, reference_labels=data.reference_labels[order])


def _mean_auroc(config: PipelineConfig = LEARNING, *, is_permuted: bool = False) -> float:
    found = []
    for seed in range(SEEDS):
        data, is_good = make_data(seed=seed, pool_size=300)
        taught = _permute(data, seed) if is_permuted else data
        scores = finish(taught, config, seed=seed).scores
        found.append(auroc(scores, is_good))
    return float(np.mean(found))


def test_a_trained_meta_network_tells_good_from_bad() -> None:
    assert _mean_auroc() > 0.8


# One run's AUROC spreads by about 0.15 around one half, since a random direction is still a
# direction; over 16 runs that leaves 0.04, well inside the tolerance of 0.1.
def test_a_frozen_meta_network_tells_nothing() -> None:
    assert _mean_auroc(FROZEN) == pytest.approx(0.5, abs=0.1)


def test_permuted_reference_labels_teach_nothing() -> None:
    assert _mean_auroc(is_permuted=True) == pytest.approx(0.5, abs=0.1)


# The default method's posteriors do not hang on the meta-network, so that a frozen one is no
# control of it; permuted labels are.
def test_permuted_reference_labels_teach_the_default_method_nothing() -> None:
    assert _mean_auroc(WINNOW, is_permuted=True) == pytest.approx(0.5, abs=0.1)


def _gain(data: CurationData, scores: NDArray[np.float32]) -> float:
    """Return what scores as weights add to the test accuracy of uniform weights."""
    assert data.test_inputs is not None
    assert data.test_labels is not None
    pool, reference, test = (
        LabelledInputs(torch.from_numpy(inputs), torch.from_numpy(labels))
        for inputs, labels in (
            (data.pool_inputs, data.pool_labels),
            (data.reference_inputs, data.reference_labels),
            (data.test_inputs, data.test_labels),
        )
    )
    recipe = TrainingRecipe(
        kind=ClassifierKind.LINEAR,
        input_shape=tuple(pool.inputs.shape[1:]),
        class_count=data.class_count,
        scaling=measure_input_scaling(pool.inputs),
        sgd=SgdRule(0.1, momentum=0.9),
        batch_size=32,
    )
    rows = Row(NO_SELECTION, np.ones_like(scores)), Row("mts_weighted", scores)
    ones = torch.ones(reference.sample_count, dtype=torch.float64)
    runs = [
        TrainingRun(torch.cat([torch.from_numpy(row.weights(data.pool_labels, 0)), ones]), 0)
        for row in rows
    ]
    for step, predict in train_runs(
        runs, JoinedInputs(pool, reference), recipe, steps=STEPS, seed=0
    ):
        if step == STEPS:
            hits = (predict(test.inputs).argmax(dim=2) == test.labels).double().mean(dim=1)
    return float(hits[1] - hits[0])


def _mean_gain(config: PipelineConfig = LEARNING, *, is_permuted: bool = False) -> float:
    gains = []
    for seed in range(SEEDS // 2):
        data, _ = make_data(seed=seed, pool_size=300, test_size=300)
        taught = _permute(data, seed) if is_permuted else data
        scores = finish(taught, config, seed=seed).scores
        gains.append(_gain(data, scores))
    return float(np.mean(gains))


def test_a_trained_meta_network_gains() -> None:
    assert _mean_gain() > 0.1


# Eight sets of 300 test samples know an accuracy to about 0.02.
def test_a_frozen_meta_network_gains_nothing() -> None:
    assert _mean_gain(FROZEN) < 0.04


def test_permuted_reference_labels_gain_nothing() -> None:
    assert _mean_gain(is_permuted=True) < 0.04


def test_the_default_method_gains() -> None:
    assert _mean_gain(WINNOW) > 0.1


def test_permuted_reference_labels_gain_the_default_method_nothing() -> None:
    assert _mean_gain(WINNOW, is_permuted=True) < 0.04
