"""Offers the small problems that the tests of the learning library share."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings
from trainer_problems import Problem, make_problem

# The first call of a property loads parts of torch; how long it takes says nothing.
settings.register_profile("unhurried", deadline=None, max_examples=30)
settings.load_profile("unhurried")

# The tensors are tiny: more threads would only wait for each other.
torch.set_num_threads(1)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(autouse=True)
def untouched_global_random_state() -> Iterator[None]:
    before = torch.get_rng_state()
    yield
    assert torch.equal(torch.get_rng_state(), before), "global random numbers were drawn"


@pytest.fixture
def problem() -> Problem:
    return make_problem()
