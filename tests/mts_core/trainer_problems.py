"""Makes the small problems that the tests of the trainer share."""

import torch

from mts_core.training_data import ReferenceSet, TrainingPool

Problem = tuple[TrainingPool, ReferenceSet, torch.Tensor]
CLASS_COUNT = 3
DIMENSION = 6


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
