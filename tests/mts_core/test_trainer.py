"""Holds the trainer to its invariants: exact resume, micro-batches, order of samples, controls."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch.func import functional_call
from torch.nn import functional
from trainer_problems import CLASS_COUNT, Problem, make_problem

from mts_core.alignment import TangentLine, exact_alignment
from mts_core.batch_size_choice import BatchSizeChoice, BatchSizeReason
from mts_core.checkpoint import load_checkpoint, save_checkpoint
from mts_core.config import AlignmentKind, ClassifierKind, MtsConfig
from mts_core.errors import CheckpointError, ConfigError, MissingClassError, NonFiniteError
from mts_core.gsnr import GsnrRung
from mts_core.gsnr_tracking import batch_size_choice
from mts_core.meta_gradient import meta_gradient
from mts_core.meta_network import score_from_logit
from mts_core.online_features import Anchors, online_features, standardise_columns
from mts_core.scoring import meta_features, score_pool
from mts_core.trainer import StepReport, resume_training, start_training, train
from mts_core.trainer_state import TrainerState
from mts_core.training_data import LabelledInputs, ReferenceSet, TrainingPool

CONFIG = MtsConfig(
    alignment=AlignmentKind.EXACT, steps=6, batch_size=16, gsnr_every=2, gsnr_partitions=1
)


def run(
    pool: TrainingPool, reference: ReferenceSet, config: MtsConfig = CONFIG, seed: int = 0
) -> tuple[TrainerState, list[StepReport]]:
    state = start_training(pool, reference, config, seed=seed)
    return state, list(train(state, pool, reference, config))


def assert_same(left: Mapping[str, torch.Tensor], right: Mapping[str, torch.Tensor]) -> None:
    assert left.keys() == right.keys()
    for name, value in left.items():
        assert torch.equal(value, right[name]), name


@pytest.mark.parametrize("alignment", list(AlignmentKind))
@pytest.mark.parametrize("stop", [1, 3])
def test_resumed_run_is_bit_equal(alignment: AlignmentKind, stop: int, tmp_path: Path) -> None:
    pool, reference, _ = make_problem(dtype=torch.float32)
    config = dataclasses.replace(CONFIG, alignment=alignment, reference_batch_size=6)
    whole, whole_reports = run(pool, reference, config)
    first = start_training(pool, reference, config, seed=0)
    reports = train(first, pool, reference, config)
    seen = [next(reports) for _ in range(stop)]
    save_checkpoint(tmp_path / "state.safetensors", first.to_tensors(), {})
    saved = load_checkpoint(tmp_path / "state.safetensors").tensors
    resumed = resume_training(saved, pool, reference, config)
    seen += list(train(resumed, pool, reference, config))
    assert seen == whole_reports
    assert_same(resumed.to_tensors(), whole.to_tensors())
    assert torch.equal(score_pool(resumed, pool, config), score_pool(whole, pool, config))


@pytest.mark.parametrize("stop", [2, 4, 5, 9])
def test_resumed_run_with_a_chosen_batch_size_is_bit_equal(stop: int, tmp_path: Path) -> None:
    pool, reference, _ = make_problem(sample_count=600, dtype=torch.float32)
    config = dataclasses.replace(CONFIG, steps=16, batch_size=128, chooses_batch_size=True)
    whole, whole_reports = run(pool, reference, config)
    first = start_training(pool, reference, config, seed=0)
    reports = train(first, pool, reference, config)
    seen = [next(reports) for _ in range(stop)]
    save_checkpoint(tmp_path / "state.safetensors", first.to_tensors(), {})
    saved = load_checkpoint(tmp_path / "state.safetensors").tensors
    resumed = resume_training(saved, pool, reference, config)
    seen += list(train(resumed, pool, reference, config))
    assert seen == whole_reports
    # The history marks what was not measured by NaN, which equals nothing.
    torch.testing.assert_close(
        resumed.to_tensors(), whole.to_tensors(), rtol=0, atol=0, equal_nan=True
    )
    assert batch_size_choice(resumed, config) == batch_size_choice(whole, config)


def test_batches_grow_where_the_warm_up_says_so() -> None:
    pool, reference, _ = make_problem(sample_count=2000)
    config = dataclasses.replace(CONFIG, steps=16, batch_size=128, chooses_batch_size=True)
    state = start_training(pool, reference, config, seed=0)
    # Noise without signal, far more than the warm-up's own two measurements of a ratio below one.
    state.gsnr_steps = 100 * [4]
    state.gsnr_rungs = 100 * [[GsnrRung(32, signal=-1.0, noise=1.0)]]
    sizes, effective = [], []
    for report in train(state, pool, reference, config):
        sizes.append(state.pool_sampler.batch_size)
        effective.append(report.traces["effective_batch_size"])
    assert sizes == 3 * [128] + 13 * [500]
    # The weights start even, so that nearly every sample of a batch counts.
    assert all(value <= 128 for value in effective[:4])
    assert all(128 < value <= 500 for value in effective[4:])
    assert state.gsnr_history.batch_sizes.tolist() == [32, 64]


def test_batch_size_of_the_job_stays() -> None:
    pool, reference, _ = make_problem(sample_count=2000)
    config = dataclasses.replace(CONFIG, steps=16, batch_size=128)
    state, _ = run(pool, reference, config)
    assert batch_size_choice(state, config) == BatchSizeChoice(128, BatchSizeReason.JOB, None, None)


def test_saved_state_does_not_move_with_the_run(problem: Problem) -> None:
    pool, reference, _ = problem
    state = start_training(pool, reference, CONFIG, seed=0)
    saved = state.to_tensors()
    copies = {name: value.clone() for name, value in saved.items()}
    list(train(state, pool, reference, CONFIG))
    assert_same(saved, copies)


def test_state_of_another_classifier_is_refused(problem: Problem) -> None:
    pool, reference, _ = problem
    state, _ = run(pool, reference)
    other = dataclasses.replace(CONFIG, classifier=ClassifierKind.LINEAR)
    with pytest.raises(CheckpointError):
        resume_training(state.to_tensors(), pool, reference, other)


@pytest.mark.parametrize("alignment", list(AlignmentKind))
def test_micro_batched_run_equals_whole_batches(alignment: AlignmentKind, problem: Problem) -> None:
    pool, reference, _ = problem
    config = dataclasses.replace(CONFIG, alignment=alignment)
    small = dataclasses.replace(config, micro_batch_size=5)
    whole, _ = run(pool, reference, config)
    parts, _ = run(pool, reference, small)
    # Rounding of float64 sums, grown over six steps and by AdamW's division.
    torch.testing.assert_close(parts.to_tensors(), whole.to_tensors(), rtol=1e-7, atol=1e-9)


def test_micro_batched_step_of_images_equals_the_whole_batch(generator: torch.Generator) -> None:
    images = torch.randint(0, 256, (40, 1, 8, 8), generator=generator).to(torch.uint8)
    labels = torch.arange(40) % 2
    features = torch.randn(40, 13, generator=generator, dtype=torch.float64)
    pool = TrainingPool(images, labels, labels == 2, features, 2)
    reference = ReferenceSet(images[:7], labels[:7])
    config = dataclasses.replace(CONFIG, classifier=ClassifierKind.CNN, steps=1, batch_size=40)
    whole, _ = run(pool, reference, config)
    parts, _ = run(pool, reference, dataclasses.replace(config, micro_batch_size=6))
    torch.testing.assert_close(
        dict(parts.classifier.named_parameters()),
        dict(whole.classifier.named_parameters()),
        rtol=1e-12,
        atol=1e-12,
    )


def test_scores_follow_a_permutation_of_the_pool(
    problem: Problem, generator: torch.Generator
) -> None:
    pool, reference, _ = problem
    config = dataclasses.replace(CONFIG, batch_size=pool.sample_count)
    order = torch.randperm(pool.sample_count, generator=generator)
    permuted = TrainingPool(
        pool.inputs[order],
        pool.labels[order],
        pool.is_real[order],
        pool.offline_features[order],
        CLASS_COUNT,
    )
    state, _ = run(pool, reference, config)
    moved, _ = run(permuted, reference, config)
    # Sums in another order, in float64; the scores themselves are stored in float32.
    torch.testing.assert_close(
        score_pool(moved, permuted, config),
        score_pool(state, pool, config)[order],
        rtol=1e-5,
        atol=1e-6,
    )


def test_first_step_is_the_paper_s_update_with_look_ahead(problem: Problem) -> None:
    pool, reference, _ = problem
    config = dataclasses.replace(CONFIG, steps=1, batch_size=pool.sample_count)
    state = start_training(pool, reference, config, seed=0)
    before = {name: value.detach().clone() for name, value in state.classifier.named_parameters()}
    batch = LabelledInputs(pool.inputs, pool.labels)
    anchors = Anchors(state.classifier.features(reference.inputs).detach(), reference.labels)
    hidden = state.classifier.features(pool.inputs)
    online = standardise_columns(online_features(hidden.detach(), pool.labels, anchors))
    scalars = torch.cat([pool.offline_features, online], dim=1)
    logits = state.meta_network(scalars, pool.labels, pool.is_real)
    weights = score_from_logit(logits, config.score_floor)

    losses = functional.cross_entropy(state.classifier.head(hidden), pool.labels, reduction="none")
    loss = (weights.detach() / weights.detach().sum() * losses).sum()
    gradients = torch.autograd.grad(loss, list(state.classifier.parameters()))
    after = {
        name: (value - config.classifier_learning_rate * (gradient + 5e-4 * value)).requires_grad_()
        for (name, value), gradient in zip(before.items(), gradients, strict=True)
    }
    reference_loss = functional.cross_entropy(
        functional_call(state.classifier, after, (reference.inputs,)), reference.labels
    )
    direction = torch.autograd.grad(reference_loss, list(after.values()))
    line = TangentLine(before, dict(zip(after, direction, strict=True)))
    expected = meta_gradient(
        weights,
        exact_alignment(state.classifier, batch, line),
        step_scale=config.classifier_learning_rate,
        parameters=list(state.meta_network.parameters()),
    )

    (report,) = train(state, pool, reference, config)
    assert report.traces["classifier_loss"] == pytest.approx(loss.item(), rel=1e-12)
    assert report.traces["reference_loss"] == pytest.approx(reference_loss.item(), rel=1e-12)
    torch.testing.assert_close(
        dict(state.classifier.named_parameters()), after, rtol=1e-12, atol=1e-12
    )
    # AdamW's first moment after one step is a tenth of the gradient.
    moments = list(state.meta_moments.first.values())
    for moment, gradient in zip(moments, expected, strict=True):
        torch.testing.assert_close(moment, 0.1 * gradient, rtol=1e-9, atol=1e-15)


def test_measuring_the_gsnr_changes_nothing_else(problem: Problem) -> None:
    pool, reference, _ = problem
    measured, _ = run(pool, reference)
    unmeasured, _ = run(pool, reference, dataclasses.replace(CONFIG, gsnr_every=0))
    torch.testing.assert_close(
        dict(measured.meta_network.named_parameters()),
        dict(unmeasured.meta_network.named_parameters()),
        rtol=0,
        atol=0,
    )


def test_seed_decides_the_run(problem: Problem) -> None:
    pool, reference, _ = problem
    _, first = run(pool, reference, seed=1)
    _, again = run(pool, reference, seed=1)
    _, other = run(pool, reference, seed=2)
    assert first == again
    assert first != other


def test_meta_network_moves_only_at_its_own_steps(problem: Problem) -> None:
    pool, reference, _ = problem
    config = dataclasses.replace(CONFIG, meta_every=3, gsnr_every=0)
    state = start_training(pool, reference, config, seed=0)
    last = state.meta_network.first.weight.detach().clone()
    has_moved = []
    for _ in train(state, pool, reference, config):
        now = state.meta_network.first.weight.detach().clone()
        has_moved.append(not torch.equal(now, last))
        last = now
    assert has_moved == [False, False, True, False, False, True]


def test_scores_stay_between_floor_and_one(problem: Problem) -> None:
    pool, reference, _ = problem
    state, _ = run(pool, reference)
    scores = score_pool(state, pool, CONFIG)
    assert scores.shape == (pool.sample_count,)
    assert scores.dtype == torch.float32
    assert float(scores.min()) >= CONFIG.score_floor - 1e-6
    assert float(scores.max()) <= 1.0


def test_meta_features_have_twenty_two_finite_columns(problem: Problem) -> None:
    pool, reference, _ = problem
    state, _ = run(pool, reference)
    features = meta_features(state, pool, CONFIG)
    assert features.shape == (pool.sample_count, 22)
    assert bool(torch.isfinite(features).all())
    torch.testing.assert_close(features[:, :13], pool.offline_features.float())


def with_distance_feature(pool: TrainingPool, reference: ReferenceSet) -> TrainingPool:
    """Return the pool with its nearness to the reference samples of its class as first feature."""
    features = pool.offline_features.clone()
    is_own = reference.labels == pool.labels.unsqueeze(1)
    distances = torch.cdist(pool.inputs, reference.inputs).masked_fill(~is_own, torch.inf)
    features[:, 0] = -distances.amin(dim=1)
    return dataclasses.replace(pool, offline_features=standardise_columns(features))


def area_under_curve(seed: int, *, is_permuted: bool = False, is_frozen: bool = False) -> float:
    pool, reference, is_good = make_problem(sample_count=400, reference_count=60, seed=seed)
    if is_permuted:
        order = torch.randperm(60, generator=torch.Generator().manual_seed(seed))
        reference = ReferenceSet(reference.inputs, reference.labels[order])
    pool = with_distance_feature(pool, reference)
    rate = 0.0 if is_frozen else 1e-3
    config = MtsConfig(steps=60, batch_size=200, gsnr_every=0, meta_learning_rate=rate)
    state, _ = run(pool, reference, config, seed=seed)
    return float(roc_auc_score(is_good, score_pool(state, pool, config)))


def test_good_samples_are_found() -> None:
    assert area_under_curve(0) > 0.9


def test_frozen_meta_network_finds_nothing() -> None:
    areas = [area_under_curve(seed, is_frozen=True) for seed in range(6)]
    assert np.mean(areas) == pytest.approx(0.5, abs=0.1)


def test_permuted_reference_labels_find_no_good_samples() -> None:
    # Labels at random ask for flat predictions, which wrong labels serve: below one half is right.
    areas = [area_under_curve(seed, is_permuted=True) for seed in range(6)]
    assert np.mean(areas) < 0.6


def test_reference_without_a_class_is_refused(problem: Problem) -> None:
    pool, reference, _ = problem
    is_kept = reference.labels != 1
    partial = ReferenceSet(reference.inputs[is_kept], reference.labels[is_kept])
    with pytest.raises(MissingClassError) as caught:
        start_training(pool, partial, CONFIG, seed=0)
    assert caught.value.classes == (1,)


def test_cnn_refuses_embeddings(problem: Problem) -> None:
    pool, reference, _ = problem
    config = dataclasses.replace(CONFIG, classifier=ClassifierKind.CNN)
    with pytest.raises(ConfigError) as caught:
        start_training(pool, reference, config, seed=0)
    assert caught.value.field == "classifier"


def test_diverging_run_is_an_error_that_names_the_step(problem: Problem) -> None:
    pool, reference, _ = problem
    config = dataclasses.replace(CONFIG, steps=200, classifier_learning_rate=100.0, momentum=0.99)
    state = start_training(pool, reference, config, seed=0)
    state.classifier.head.weight.data.fill_(1e308)
    with pytest.raises(NonFiniteError) as caught:
        list(train(state, pool, reference, config))
    assert caught.value.step is not None


def test_infinite_embedding_is_refused(problem: Problem) -> None:
    pool, _, _ = problem
    inputs = pool.inputs.clone()
    inputs[3, 2] = float("inf")
    with pytest.raises(NonFiniteError):
        dataclasses.replace(pool, inputs=inputs)
