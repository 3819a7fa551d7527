"""How thoroughly the table is measured, by classifier and size of the pool."""

import pytest

from mts_core.config import ClassifierKind
from mts_core.evaluation import LARGE_POOL, EvaluationBudget, evaluation_budget


def _budget(count: int, kind: ClassifierKind = ClassifierKind.MLP) -> EvaluationBudget:
    return evaluation_budget(kind, sample_count=count, batch_size=100, seeds=5)


def _head_steps(budget: EvaluationBudget) -> int:
    return budget.folds * budget.step_grid[-1]


def test_a_head_sees_a_small_pool_ten_times() -> None:
    assert _budget(4_000).step_grid[-1] * 100 == 10 * 4_000


def test_a_pool_just_beyond_the_bound_costs_less_than_half_of_one_just_within() -> None:
    assert _head_steps(_budget(LARGE_POOL + 1)) < 0.5 * _head_steps(_budget(LARGE_POOL))


@pytest.mark.parametrize("kind", [ClassifierKind.MLP, ClassifierKind.CNN])
def test_cost_does_not_grow_for_ever_with_the_pool(kind: ClassifierKind) -> None:
    assert _budget(1_000_000, kind) == _budget(100_000, kind)


@pytest.mark.parametrize("count", [2, 200, 5_000, 5_001, 20_000])
def test_every_grid_rises(count: int) -> None:
    grid = _budget(count).step_grid
    assert grid[0] > 0
    assert list(grid) == sorted(set(grid))
