"""Checks when a reference set says that a pool's labels are turned round."""

import numpy as np
import pytest

from mts_core.turned_labels import labels_are_turned

RIGHT_AND_WRONG = np.array([1.0, -1.0] * 10)


@pytest.mark.parametrize(
    ("log_odds", "expected"),
    [
        pytest.param([-2.0] * 4, True, id="all-wrong"),
        pytest.param([2.0] * 4, False, id="all-right"),
        pytest.param([-0.1] * 4, True, id="all-wrong-however-unsure"),
        pytest.param([-2.0, -2.0, -2.0, 2.0], False, id="four-may-be-wrong-by-chance"),
        pytest.param([-2.0] * 9 + [2.0] * 3, True, id="most-of-many"),
        pytest.param([0.0] * 50, False, id="says-nothing"),
        pytest.param([-0.5] * 14 + [10.0] * 4, False, id="sure-where-it-is-right"),
    ],
)
def test_labels_are_turned_where_the_opposite_explains_the_references(
    log_odds: list[float],
    expected: bool,  # noqa: FBT001  # A case, not a switch.
) -> None:
    assert labels_are_turned(np.array(log_odds)) is expected


@pytest.mark.parametrize("factor", [0.1, 1.0, 4.0])
def test_how_sure_the_posterior_is_does_not_matter(factor: float) -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        log_odds = generator.normal(loc=-0.4, size=12)
        assert labels_are_turned(factor * log_odds) is labels_are_turned(log_odds)


def test_a_posterior_that_is_sure_and_as_often_right_as_wrong_turns_nothing() -> None:
    assert not labels_are_turned(30.0 * RIGHT_AND_WRONG)
