import numpy as np
import pytest
import torch
from torch import Tensor

from mts_core.classifiers import measure_input_scaling
from mts_core.config import ClassifierKind
from mts_core.errors import NonFiniteError
from mts_core.optimisers import SgdRule
from mts_core.plain_training import JoinedInputs, TrainingRecipe, TrainingRun, train_runs
from mts_core.training_data import LabelledInputs

STEPS = 12


def _samples(count: int = 40, seed: int = 0) -> LabelledInputs:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    centres = 2 * torch.eye(3, 5)
    inputs = centres[labels] + torch.randn(count, 5, generator=generator)
    return LabelledInputs(inputs, labels)


def _recipe(
    samples: LabelledInputs, kind: ClassifierKind = ClassifierKind.MLP, *, rate: float = 0.1
) -> TrainingRecipe:
    return TrainingRecipe(
        kind=kind,
        input_shape=tuple(samples.inputs.shape[1:]),
        class_count=3,
        scaling=measure_input_scaling(samples.inputs),
        sgd=SgdRule(rate, momentum=0.9, weight_decay=1e-3),
        batch_size=8,
    )


def _predict(
    runs: list[TrainingRun],
    samples: JoinedInputs,
    recipe: TrainingRecipe,
    queries: Tensor,
    *,
    steps: int = STEPS,
) -> Tensor:
    logits = torch.empty(0)
    for step, predict in train_runs(runs, samples, recipe, steps=steps, seed=3):
        if step == steps:
            logits = predict(queries)
    return logits


def test_weight_zero_equals_removal() -> None:
    pool, reference = _samples(40), _samples(9, seed=1)
    recipe = _recipe(pool)
    kept = torch.arange(40) % 2 == 0
    weights = torch.cat([kept.double(), torch.ones(9)])
    masked = _predict(
        [TrainingRun(weights, 0)], JoinedInputs(pool, reference), recipe, reference.inputs
    )
    smaller = LabelledInputs(pool.inputs[kept], pool.labels[kept])
    removed = _predict(
        [TrainingRun(torch.ones(29), 0)], JoinedInputs(smaller, reference), recipe, reference.inputs
    )
    assert torch.equal(masked, removed)


def test_an_integer_weight_equals_so_many_copies() -> None:
    pool, reference = _samples(6), _samples(3, seed=1)
    recipe = _recipe(pool)
    weights = torch.tensor([3.0, 1, 1, 1, 1, 1, 1, 1, 1], dtype=torch.float64)
    weighted = _predict(
        [TrainingRun(weights, 0)], JoinedInputs(pool, reference), recipe, reference.inputs
    )
    copied = LabelledInputs(
        torch.cat([pool.inputs[:1], pool.inputs[:1], pool.inputs]),
        torch.cat([pool.labels[:1], pool.labels[:1], pool.labels]),
    )
    copies = _predict(
        [TrainingRun(torch.ones(11), 0)], JoinedInputs(copied, reference), recipe, reference.inputs
    )
    assert torch.equal(weighted, copies)


@pytest.mark.parametrize("kind", [ClassifierKind.LINEAR, ClassifierKind.MLP])
def test_runs_side_by_side_equal_runs_alone(kind: ClassifierKind) -> None:
    pool, reference = _samples(40), _samples(9, seed=1)
    recipe = _recipe(pool, kind)
    samples = JoinedInputs(pool, reference)
    generator = torch.Generator().manual_seed(5)
    runs = [
        TrainingRun(torch.rand(49, generator=generator).double(), repetition)
        for repetition in range(3)
    ]
    together = _predict(runs, samples, recipe, reference.inputs)
    alone = torch.cat([_predict([run], samples, recipe, reference.inputs) for run in runs])
    # Batched products sum in another order; twelve steps let single precision drift to 1e-5.
    assert torch.allclose(together, alone, atol=1e-4)


def test_rows_of_one_repetition_start_alike_and_others_do_not() -> None:
    pool, reference = _samples(40), _samples(9, seed=1)
    samples = JoinedInputs(pool, reference)
    weights = torch.ones(49, dtype=torch.float64)
    runs = [TrainingRun(weights, 0), TrainingRun(weights, 0), TrainingRun(weights, 1)]
    logits = _predict(runs, samples, _recipe(pool), reference.inputs)
    assert torch.equal(logits[0], logits[1])
    assert not torch.allclose(logits[0], logits[2])


def test_images_are_trained_on_and_predicted() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (12, 1, 8, 8), generator=generator, dtype=torch.uint8)
    pool = LabelledInputs(images, torch.arange(12) % 3)
    recipe = _recipe(pool, ClassifierKind.CNN, rate=0.01)
    weights = torch.ones(24, dtype=torch.float64)
    logits = _predict([TrainingRun(weights, 0)], JoinedInputs(pool, pool), recipe, images)
    assert logits.shape == (1, 12, 3)


def test_training_learns_what_the_weights_point_at() -> None:
    pool, reference = _samples(300), _samples(60, seed=1)
    wrong = LabelledInputs(pool.inputs, (pool.labels + 1) % 3)
    samples = JoinedInputs(wrong, reference)
    everything = torch.ones(360, dtype=torch.float64)
    only_reference = everything.clone()
    only_reference[:300] = 0
    runs = [TrainingRun(everything, 0), TrainingRun(only_reference, 0)]
    test = _samples(90, seed=2)
    logits = _predict(runs, samples, _recipe(pool), test.inputs, steps=60)
    accuracy = (logits.argmax(dim=2) == test.labels).double().mean(dim=1)
    assert accuracy[1] > 0.8
    assert accuracy[0] < 0.4


def test_a_loss_that_is_not_finite_is_an_error() -> None:
    pool, reference = _samples(40), _samples(9, seed=1)
    run = TrainingRun(torch.ones(49, dtype=torch.float64), 0)
    with pytest.raises(NonFiniteError):
        _predict([run], JoinedInputs(pool, reference), _recipe(pool, rate=1e30), reference.inputs)


def test_joined_sets_are_read_like_their_concatenation() -> None:
    first, second = _samples(7), _samples(5, seed=1)
    positions = torch.from_numpy(np.random.default_rng(0).integers(0, 12, size=(3, 4)))
    inputs, labels = JoinedInputs(first, second).take(positions)
    assert torch.equal(inputs, torch.cat([first.inputs, second.inputs])[positions])
    assert torch.equal(labels, torch.cat([first.labels, second.labels])[positions])
