import numpy as np
import torch
from torch.nn import functional

from mts_core.classifiers import measure_input_scaling
from mts_core.config import ClassifierKind
from mts_core.dynamics_features import (
    DynamicsState,
    advance_dynamics,
    dynamics_features,
    dynamics_steps,
    start_dynamics,
    unlearned,
)
from mts_core.optimisers import SgdRule
from mts_core.plain_training import TrainingRecipe
from mts_core.training_data import LabelledInputs

COUNT = 60
BATCH = 16


def _samples() -> LabelledInputs:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(COUNT) % 3
    inputs = 2 * torch.eye(3, 5)[labels] + torch.randn(COUNT, 5, generator=generator)
    return LabelledInputs(inputs, labels)


def _recipe(samples: LabelledInputs) -> TrainingRecipe:
    return TrainingRecipe(
        kind=ClassifierKind.MLP,
        input_shape=(5,),
        class_count=3,
        scaling=measure_input_scaling(samples.inputs),
        sgd=SgdRule(0.05, momentum=0.9),
        batch_size=BATCH,
    )


def _start(samples: LabelledInputs) -> DynamicsState:
    return start_dynamics(_recipe(samples), COUNT, seed=0, device=torch.device("cpu"))


def _run(state: DynamicsState, samples: LabelledInputs, steps: int) -> None:
    for _ in range(steps):
        advance_dynamics(state, samples, _recipe(samples), seed=0)


def test_norms_of_the_first_batch_equal_autograd_of_the_last_layer() -> None:
    samples = _samples()
    state = _start(samples)
    classifier = state.classifier
    expected_gradient, expected_error = np.zeros(COUNT), np.zeros(COUNT)
    for index in range(COUNT):
        logits = classifier(samples.inputs[index : index + 1])
        loss = functional.cross_entropy(logits, samples.labels[index : index + 1])
        parts = torch.autograd.grad(loss, [classifier.head.weight, classifier.head.bias])
        expected_gradient[index] = float(torch.cat([part.flatten() for part in parts]).norm())
        onehot = functional.one_hot(samples.labels[index], 3)
        expected_error[index] = float((logits.detach().softmax(dim=1)[0] - onehot).norm())
    _run(state, samples, 1)
    seen = (state.records["error_norm"] > 0).numpy()
    assert seen.sum() == BATCH
    # Both sides are single precision.
    assert np.allclose(state.records["gradient_norm"].numpy()[seen], expected_gradient[seen], 1e-4)
    assert np.allclose(state.records["error_norm"].numpy()[seen], expected_error[seen], 1e-4)


def test_each_pass_visits_every_sample_once() -> None:
    samples = _samples()
    state = _start(samples)
    _run(state, samples, 4)
    assert (state.records["error_norm"] > 0).all()
    assert (state.records["error_norm"] <= np.sqrt(2) + 1e-6).all()


def test_forgetting_counts_right_answers_that_turn_wrong() -> None:
    samples = _samples()
    # Labels that no training can learn in time leave some samples wrong from first to last.
    labels = torch.where(torch.arange(COUNT) < 9, (samples.labels + 1) % 3, samples.labels)
    samples = LabelledInputs(samples.inputs, labels)
    state = _start(samples)
    total = dynamics_steps(COUNT, BATCH)
    was_correct = np.zeros(COUNT, dtype=bool)
    expected = np.zeros(COUNT)
    for _ in range(total):
        before = state.records["is_correct"].numpy().copy()
        _run(state, samples, 1)
        now = state.records["is_correct"].numpy()
        expected += before & ~now
        was_correct |= now
    features = dynamics_features(state)
    assert np.array_equal(features[:, 2], expected)
    assert np.array_equal(unlearned(state), ~was_correct)
    assert was_correct.any()
    assert not was_correct.all()


def test_mislabelled_samples_show_larger_errors() -> None:
    samples = _samples()
    wrong = torch.arange(COUNT) < 9
    labels = torch.where(wrong, (samples.labels + 1) % 3, samples.labels)
    noisy = LabelledInputs(samples.inputs, labels)
    state = _start(noisy)
    _run(state, noisy, dynamics_steps(COUNT, BATCH))
    error = dynamics_features(state)[:, 1]
    assert error[wrong.numpy()].mean() > error[~wrong.numpy()].mean() + 0.2


def test_measuring_goes_on_after_an_interruption_bit_by_bit() -> None:
    samples = _samples()
    whole = _start(samples)
    _run(whole, samples, 11)
    stopped = _start(samples)
    _run(stopped, samples, 5)
    resumed = _start(samples)
    resumed.restore(stopped.capture())
    _run(resumed, samples, 6)
    assert np.array_equal(dynamics_features(resumed), dynamics_features(whole))


def test_passes_fall_as_the_pool_grows() -> None:
    assert dynamics_steps(1_000, 100) == 10 * 10
    assert dynamics_steps(1_000_000, 100) == 3 * 10_000
