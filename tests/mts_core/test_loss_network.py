"""Checks the meta-network that sees losses: alone, and in the trainer against autograd."""

import dataclasses

import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch.func import functional_call
from torch.nn import functional
from trainer_problems import Problem, make_problem

from mts_core.config import AlignmentKind, ClassifierKind, MetaInput, MtsConfig
from mts_core.loss_network import LossNetwork
from mts_core.meta_network import score_from_logit
from mts_core.scoring import meta_features, score_pool
from mts_core.trainer import start_training, train

CONFIG = MtsConfig(
    meta_input=MetaInput.LOSS,
    alignment=AlignmentKind.EXACT,
    steps=6,
    batch_size=16,
    gsnr_every=2,
    gsnr_partitions=1,
)


def test_network_has_one_hidden_layer_of_a_hundred_units(generator: torch.Generator) -> None:
    network = LossNetwork(generator)
    sizes = [tuple(value.shape) for value in network.parameters()]
    assert sizes == [(100, 1), (100,), (1, 100), (1,)]


def test_weights_start_near_the_middle_and_differ_by_the_loss(generator: torch.Generator) -> None:
    losses = torch.linspace(0, 6, 50).unsqueeze(1)
    labels = torch.zeros(50, dtype=torch.int64)
    scores = score_from_logit(LossNetwork(generator)(losses, labels, labels == 1), 0.0)
    assert (scores - 0.5).abs().max().item() < 0.2
    # A curve and not a line: its slope differs from place to place.
    assert scores.diff().diff().abs().max().item() > 1e-4


@pytest.mark.parametrize("classifier", [ClassifierKind.LINEAR, ClassifierKind.MLP])
def test_first_step_follows_the_reference_loss_after_the_virtual_step(
    classifier: ClassifierKind, problem: Problem
) -> None:
    pool, reference, _ = problem
    config = dataclasses.replace(
        CONFIG, classifier=classifier, steps=1, batch_size=pool.sample_count
    )
    state = start_training(pool, reference, config, seed=0)
    before = {name: value.detach().clone() for name, value in state.classifier.named_parameters()}

    # The whole step under autograd: the meta-network's weights move the classifier, and its loss on
    # the reference set is differentiated back to the meta-network. Losses enter as plain numbers.
    logits = state.classifier(pool.inputs)
    losses = functional.cross_entropy(logits, pool.labels, reduction="none")
    seen = losses.detach().unsqueeze(1)
    weights = score_from_logit(
        state.meta_network(seen, pool.labels, pool.is_real), config.score_floor
    )
    gradients = torch.autograd.grad(
        (weights / weights.sum() * losses).sum(),
        list(state.classifier.parameters()),
        create_graph=True,
    )
    rate, decay = config.classifier_learning_rate, config.classifier_weight_decay
    after = {
        name: value - rate * (gradient + decay * value)
        for (name, value), gradient in zip(before.items(), gradients, strict=True)
    }
    reference_loss = functional.cross_entropy(
        functional_call(state.classifier, after, (reference.inputs,)), reference.labels
    )
    expected = torch.autograd.grad(reference_loss, list(state.meta_network.parameters()))

    list(train(state, pool, reference, config))
    # AdamW's first moment after one step is a tenth of the gradient.
    for moment, gradient in zip(state.meta_moments.first.values(), expected, strict=True):
        torch.testing.assert_close(moment, 0.1 * gradient, rtol=1e-9, atol=1e-15)


def test_micro_batched_run_equals_whole_batches(problem: Problem) -> None:
    pool, reference, _ = problem
    whole, parts = (
        start_training(pool, reference, config, seed=0)
        for config in (CONFIG, dataclasses.replace(CONFIG, micro_batch_size=5))
    )
    list(train(whole, pool, reference, CONFIG))
    list(train(parts, pool, reference, dataclasses.replace(CONFIG, micro_batch_size=5)))
    # Rounding of float64 sums, grown over six steps and by AdamW's division.
    torch.testing.assert_close(parts.to_tensors(), whole.to_tensors(), rtol=1e-7, atol=1e-9)


def test_the_pool_is_scored_by_its_losses_alone() -> None:
    pool, reference, _ = make_problem(dtype=torch.float32)
    state = start_training(pool, reference, CONFIG, seed=0)
    list(train(state, pool, reference, CONFIG))
    losses = functional.cross_entropy(state.classifier(pool.inputs), pool.labels, reduction="none")

    features = meta_features(state, pool, CONFIG)
    # Parts of another size are summed in another order, in single precision.
    torch.testing.assert_close(features, losses.detach().unsqueeze(1), rtol=1e-5, atol=1e-6)
    averaged = functional_call(
        state.meta_network, dict(state.averaged_meta), (features, pool.labels, pool.is_real)
    )
    torch.testing.assert_close(
        score_pool(state, pool, CONFIG),
        score_from_logit(averaged, CONFIG.score_floor).detach(),
        rtol=1e-6,
        atol=1e-6,
    )


def test_high_losses_of_wrong_labels_cost_weight() -> None:
    pool, reference, is_good = make_problem(300, 30, dtype=torch.float32)
    config = MtsConfig(
        meta_input=MetaInput.LOSS,
        classifier=ClassifierKind.LINEAR,
        steps=200,
        batch_size=128,
        gsnr_every=0,
    )
    state = start_training(pool, reference, config, seed=0)
    list(train(state, pool, reference, config))
    scores = score_pool(state, pool, config)
    assert roc_auc_score(is_good, scores) > 0.9
