"""Small problems for tests of the benchmarks."""

import numpy as np
from quality_sets import Pool, Quality, QualitySet, make_set

CLASSES = 3


def blobs(
    *, seed: int = 0, pool: int = 120, references: int = 5, test: int = 150, bad_share: float = 0.5
) -> QualitySet:
    """Return three well-separated clouds in the plane, with wrong labels in the pool."""
    generator = np.random.default_rng(seed)
    centres = np.array([[0.0, 4.0], [4.0, 0.0], [-4.0, -4.0]])

    def draw(labels: np.ndarray) -> np.ndarray:
        return (centres[labels] + generator.standard_normal((len(labels), 2))).astype(np.float32)

    shown = np.arange(pool) % CLASSES
    is_bad = np.arange(pool) >= round((1 - bad_share) * pool)
    order = generator.permutation(pool)
    shown, is_bad = shown[order], is_bad[order]
    labels = np.where(is_bad, (shown + 1) % CLASSES, shown).astype(np.int64)
    quality = [Quality.WRONG_LABEL if bad else Quality.GOOD for bad in is_bad]
    reference = np.repeat(np.arange(CLASSES), references)
    tested = np.arange(test) % CLASSES
    return make_set(
        "blobs",
        ("a", "b", "c"),
        pool=Pool(draw(shown), labels, quality),
        reference=(draw(reference), reference.astype(np.int64)),
        test=(draw(tested), tested.astype(np.int64)),
    )


def bars() -> QualitySet:
    """Return small images in three classes, each with a bright row of its own in noise."""
    generator = np.random.default_rng(0)
    labels = np.arange(120) % CLASSES
    images = generator.integers(0, 60, (120, 1, 16, 16), dtype=np.uint8)
    images[np.arange(120), 0, labels * 5] += 150
    return make_set(
        "bars",
        ("a", "b", "c"),
        pool=Pool(images[:90], labels[:90], [Quality.GOOD] * 90),
        reference=(images[90:105], labels[90:105]),
        test=(images[105:], labels[105:]),
    )
