"""Offers the small problems that the tests of the learning library share."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings

from mts_core.training_data import ReferenceSet, TrainingPool

# The first call of a property loads parts of torch; how long it takes says nothing.
settings.register_profile("unhurried", deadline=None, max_examples=30)
settings.load_profile("unhurried")

# The tensors are tiny: more threads would only wait for each other.
torch.set_num_threads(1)

Problem = tuple[TrainingPool, ReferenceSet, torch.Tensor]
CLASS_COUNT = 3
DIMENSION = 6


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(autouse=True)
def untouched_global_random_state() -> Iterator[None]:
    before = torch.get_rng_state()
    yield
    assert torch.equal(torch.get_rng_state(), before), "global random numbers were drawn"


def make_problem(
    sample_count: int = 48,
    reference_count: int = 9,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> Problem:
    """Return a pool of clusters with half its labels at random, its reference set and the truth."""
    generator = torch.Generator().manual_seed(seed)
    centres = 2.0 * torch.randn(CLASS_COUNT, DIMENSION, generator=generator, dtype=dtype)

    def draw(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        truth = torch.arange(count) % CLASS_COUNT
        noise = torch.randn(count, DIMENSION, generator=generator, dtype=dtype)
        return centres[truth] + noise, truth

    inputs, truth = draw(sample_count)
    is_good = torch.rand(sample_count, generator=generator) < 0.5
    shift = torch.randint(1, CLASS_COUNT, (sample_count,), generator=generator)
    labels = torch.where(is_good, truth, (truth + shift) % CLASS_COUNT)
    features = torch.randn(sample_count, 13, generator=generator, dtype=dtype)
    is_real = torch.rand(sample_count, generator=generator) < 0.1
    pool = TrainingPool(inputs, labels, is_real, features, CLASS_COUNT)
    return pool, ReferenceSet(*draw(reference_count)), is_good


@pytest.fixture
def problem() -> Problem:
    return make_problem()
