"""Checks that the trainer's settings keep their ranges."""

import dataclasses

import pytest

from mts_core.config import MtsConfig, automatic_meta_learning_rate
from mts_core.errors import ConfigError

RANGED = [
    (item.name, bound)
    for item in dataclasses.fields(MtsConfig)
    for bound in item.metadata["range"]
    if bound is not None
]


@pytest.mark.parametrize(("name", "bound"), RANGED)
def test_bounds_themselves_are_allowed(name: str, bound: float) -> None:
    assert getattr(MtsConfig(**{name: bound}), name) == bound


@pytest.mark.parametrize(("name", "bound"), RANGED)
def test_values_beyond_a_bound_are_refused_by_name(name: str, bound: float) -> None:
    low, _ = next(
        item.metadata["range"] for item in dataclasses.fields(MtsConfig) if item.name == name
    )
    beyond = bound - 1 if bound == low else bound + 1
    with pytest.raises(ConfigError) as caught:
        MtsConfig(**{name: beyond})
    assert caught.value.field == name


def test_not_a_number_is_refused() -> None:
    with pytest.raises(ConfigError):
        MtsConfig(momentum=float("nan"))


def test_every_setting_explains_itself() -> None:
    for item in dataclasses.fields(MtsConfig):
        assert item.metadata["help"].endswith((".", "GPU."))


def test_meta_learning_rate_falls_as_updates_grow() -> None:
    rates = [automatic_meta_learning_rate(steps) for steps in (100, 500, 800, 5000)]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == 1e-3
    assert rates[-1] == 3e-4
    assert automatic_meta_learning_rate(2000, meta_every=4) == 1e-3
