"""The sets `two_classes`, `fifty_classes` and `two_hundred_classes`: from as few as can be."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from quality_sets import Quality, QualitySet, make_set, shuffled_pool

SEED: Final = 64
DIMENSION: Final = 32
POOL_SIZE: Final = 4000
REFERENCE_PER_CLASS: Final = 10
TEST_SIZE: Final = 12_000
"""Test samples over all classes: the probes take references of it too."""
SHARES: Final[Mapping[Quality, float]] = {
    Quality.GOOD: 0.4,
    Quality.WRONG_LABEL: 0.4,
    Quality.OFF_DISTRIBUTION: 0.2,
}
"""Shares of the pool samples of each label."""
DOMAIN_SHIFT: Final = 0.5
"""Length of the step from real to synthetic samples, in standard deviations of a class."""

Vectors = NDArray[np.float32]


def two_classes() -> QualitySet:
    """Return 2 clouds: 4000 pool samples (40 % good), 20 references, 12 000 tests."""
    return _clouds("two_classes", 2, distance=3.0)


def fifty_classes() -> QualitySet:
    """Return 50 clouds: 4000 pool samples (40 % good), 500 references, 12 000 tests."""
    return _clouds("fifty_classes", 50, distance=5.0)


def two_hundred_classes() -> QualitySet:
    """Return 200 clouds: 4000 pool samples (40 % good), 2000 references, 12 000 tests."""
    return _clouds("two_hundred_classes", 200, distance=6.0)


def _clouds(name: str, class_count: int, *, distance: float) -> QualitySet:
    """Return a set of Gaussian clouds.

    Wrong labels name any other class; samples off the distribution come from clouds that are no
    class.

    Args:
        name: Name of the set.
        class_count: Number of classes.
        distance: Usual distance between the centres of two classes, in standard deviations of one.
    """
    generator = np.random.default_rng((SEED, class_count))
    # Two draws of so many normal numbers lie sqrt(2 * DIMENSION) of their deviations apart.
    scale = distance / np.sqrt(2 * DIMENSION)
    centres, foreign = (
        generator.normal(scale=scale, size=(count, DIMENSION)) for count in (class_count, 20)
    )
    shift = generator.normal(size=DIMENSION)
    shift *= DOMAIN_SHIFT / np.linalg.norm(shift)

    def around(centre: NDArray[np.float64]) -> Vectors:
        return (centre + generator.normal(size=DIMENSION)).astype(np.float32)

    drawn = []
    for label in range(class_count):
        others = np.delete(np.arange(class_count), label)
        for quality, share in SHARES.items():
            for _ in range(round(share * POOL_SIZE / class_count)):
                centre = centres[label]
                if quality is Quality.WRONG_LABEL:
                    centre = centres[generator.choice(others)]
                if quality is Quality.OFF_DISTRIBUTION:
                    centre = foreign[generator.integers(len(foreign))]
                drawn.append((around(centre + shift), label, quality))
    reference, test = (
        (np.stack([around(centres[label]) for label in labels]), labels)
        for labels in (
            np.repeat(np.arange(class_count), REFERENCE_PER_CLASS),
            np.repeat(np.arange(class_count), TEST_SIZE // class_count),
        )
    )
    return make_set(
        name,
        tuple(f"cloud {label}" for label in range(class_count)),
        pool=shuffled_pool(drawn, generator),
        reference=reference,
        test=test,
    )
