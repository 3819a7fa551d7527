import numpy as np
import pytest
import torch

from mts_core.errors import CheckpointError, NonFiniteError
from mts_core.value_regression import (
    Regression,
    RegressionRule,
    advance_regression,
    predict_values,
    start_regression,
)

CPU = torch.device("cpu")
RULE = RegressionRule(steps=200, batch_size=64, learning_rate=1e-2, weight_decay=1e-4)


def make_values(count: int = 256) -> tuple[torch.Tensor, torch.Tensor]:
    columns = torch.randn(count, 3, generator=torch.Generator().manual_seed(0))
    return columns, columns @ torch.tensor([1.0, -0.5, 0.2]) + 0.3


def start() -> Regression:
    return start_regression(3, generator=torch.Generator().manual_seed(1), device=CPU)


def test_a_linear_value_is_learned() -> None:
    columns, values = make_values()
    regression = start()
    for _ in range(RULE.steps):
        advance_regression(regression, columns, values, RULE, seed=0)
    fresh, truth = make_values(64)
    rest = predict_values(regression.network, fresh) - truth
    assert float(rest.square().mean() / truth.var()) < 0.02


def test_error_is_that_of_the_drawn_batch_before_the_step() -> None:
    columns, values = make_values(1)
    regression = start()
    before = predict_values(regression.network, columns)
    error = advance_regression(regression, columns, values, RULE, seed=0)
    assert error == pytest.approx(float((before - values).square()), rel=1e-6)


def test_last_step_moves_less_than_the_first() -> None:
    columns, values = make_values()
    rule = RegressionRule(steps=50, batch_size=256, learning_rate=1e-2, weight_decay=0.0)
    regression = start()
    moved = []
    for _ in range(rule.steps):
        before = regression.network.second.weight.detach().clone()
        advance_regression(regression, columns, values, rule, seed=0)
        moved.append(float((regression.network.second.weight - before).detach().abs().max()))
    # The step size has fallen to a fiftieth; Adam's direction has entries of about one at most.
    assert moved[-1] < 0.1 * moved[0]


def test_resumed_regression_is_bit_equal() -> None:
    columns, values = make_values()
    whole, first, second = start(), start(), start()
    for _ in range(6):
        advance_regression(whole, columns, values, RULE, seed=5)
    for _ in range(2):
        advance_regression(first, columns, values, RULE, seed=5)
    second.restore(first.capture())
    for _ in range(4):
        advance_regression(second, columns, values, RULE, seed=5)
    np.testing.assert_array_equal(
        predict_values(second.network, columns), predict_values(whole.network, columns)
    )


def test_state_of_another_network_is_refused() -> None:
    other = start_regression(4, generator=torch.Generator().manual_seed(1), device=CPU)
    with pytest.raises(CheckpointError):
        start().restore(other.capture())


def test_value_that_is_not_finite_is_an_error() -> None:
    columns, values = make_values()
    with pytest.raises(NonFiniteError):
        advance_regression(start(), columns, torch.full_like(values, torch.inf), RULE, seed=0)
