"""Draws a pool of embeddings of any size whose good and bad samples are known.

Classes are overlapping Gaussian clouds in a latent space of 48 dimensions, turned into 512 numbers
by a random rotation with a little noise on top. Within a class the spread of the latent dimensions
falls from 1 to 0.5, so the participation ratio of the within-class covariance is above 40. Half of
the pool is good: drawn as the reference set is. A quarter has the label of another class, and a
quarter is off the distribution: drawn from one of 40 foreign clouds that lie between the classes,
with a random label.
"""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

CLASSES: Final = 10
DIMENSION: Final = 512
LATENT: Final = 48

_FOREIGN_CLOUDS: Final = 40
_CENTRE_SPREAD: Final = 0.35
_NOISE: Final = 0.05
_GOOD_SHARE: Final = 0.5
_WRONG_LABEL_SHARE: Final = 0.25
_CHUNK_ROWS: Final = 65_536


@dataclass(frozen=True, eq=False)
class Mixture:
    """Where the clouds lie.

    Attributes:
        class_centres: [class, latent] float32.
        foreign_centres: [cloud, latent] float32.
        spread: [latent] float32, standard deviation of every cloud in each latent dimension.
        rotation: [latent, dimension] float32 with orthonormal rows.
    """

    class_centres: NDArray[np.float32]
    foreign_centres: NDArray[np.float32]
    spread: NDArray[np.float32]
    rotation: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Drawn:
    """Consecutive samples.

    Attributes:
        x: [sample, dimension] float32.
        y: [sample] int64, the class that the sample is labelled as.
        is_good: [sample] bool, whether it is drawn and labelled as the reference set is.
    """

    x: NDArray[np.float32]
    y: NDArray[np.int64]
    is_good: NDArray[np.bool_]


def make_mixture(seed: int) -> Mixture:
    """Return the clouds of a seed."""
    generator = np.random.default_rng((seed, 0))
    class_centres = generator.normal(scale=_CENTRE_SPREAD, size=(CLASSES, LATENT))
    # A foreign cloud lies around the middle of two classes, moved off by as much as classes differ.
    pairs = np.array([generator.choice(CLASSES, 2, replace=False) for _ in range(_FOREIGN_CLOUDS)])
    moved = generator.normal(scale=_CENTRE_SPREAD, size=(_FOREIGN_CLOUDS, LATENT))
    foreign_centres = class_centres[pairs].mean(axis=1) + moved
    rotation, _ = np.linalg.qr(generator.normal(size=(DIMENSION, LATENT)))
    return Mixture(
        class_centres=class_centres.astype(np.float32),
        foreign_centres=foreign_centres.astype(np.float32),
        spread=np.sqrt(np.linspace(1.0, 0.5, LATENT)).astype(np.float32),
        rotation=np.ascontiguousarray(rotation.T, dtype=np.float32),
    )


def draw_pool(mixture: Mixture, count: int, generator: np.random.Generator) -> Drawn:
    """Return samples of which about half are good.

    Args:
        mixture: The clouds.
        count: Number of samples.
        generator: Source of all draws.
    """
    truth = generator.integers(0, CLASSES, count)
    kind = generator.random(count)
    is_good = kind < _GOOD_SHARE
    has_wrong_label = ~is_good & (kind < _GOOD_SHARE + _WRONG_LABEL_SHARE)
    is_foreign = ~is_good & ~has_wrong_label
    centres = mixture.class_centres[truth]
    clouds = generator.integers(0, _FOREIGN_CLOUDS, int(is_foreign.sum()))
    centres[is_foreign] = mixture.foreign_centres[clouds]
    other = (truth + generator.integers(1, CLASSES, count)) % CLASSES
    return Drawn(
        _embed(mixture, centres, generator), np.where(has_wrong_label, other, truth), is_good
    )


def draw_real(mixture: Mixture, count: int, generator: np.random.Generator) -> Drawn:
    """Return samples as the reference set has them, the same number of each class.

    Args:
        mixture: The clouds.
        count: Number of samples.
        generator: Source of all draws.
    """
    truth = np.arange(count) % CLASSES
    x = _embed(mixture, mixture.class_centres[truth], generator)
    return Drawn(x, truth, np.ones(count, dtype=np.bool_))


def write_pool(mixture: Mixture, count: int, path: Path, *, seed: int) -> NDArray[np.bool_]:
    """Write a pool as an .npz of x and y, chunk by chunk, and return which samples are good.

    Args:
        mixture: The clouds.
        count: Number of samples.
        path: The .npz file.
        seed: Seed of the draws.
    """
    labels = np.empty(count, dtype=np.int64)
    is_good = np.empty(count, dtype=np.bool_)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        with archive.open("x.npy", "w", force_zip64=True) as member:
            header = {"descr": "<f4", "fortran_order": False, "shape": (count, DIMENSION)}
            np.lib.format.write_array_header_1_0(member, header)
            for rows, generator in _chunks(count, seed):
                drawn = draw_pool(mixture, rows.stop - rows.start, generator)
                member.write(drawn.x.astype("<f4").tobytes())
                labels[rows], is_good[rows] = drawn.y, drawn.is_good
        with archive.open("y.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array(member, labels)
    return is_good


def _embed(
    mixture: Mixture, centres: NDArray[np.float32], generator: np.random.Generator
) -> NDArray[np.float32]:
    latent = centres + mixture.spread * generator.standard_normal(centres.shape, dtype=np.float32)
    noise = generator.standard_normal((len(centres), DIMENSION), dtype=np.float32)
    return np.asarray(latent @ mixture.rotation + _NOISE * noise, dtype=np.float32)


def _chunks(count: int, seed: int) -> Iterator[tuple[slice, np.random.Generator]]:
    for index, start in enumerate(range(0, count, _CHUNK_ROWS)):
        # A chunk's draws depend on its place alone, so a smaller pool begins a larger one.
        generator = np.random.default_rng((seed, 1, index))
        yield slice(start, min(start + _CHUNK_ROWS, count)), generator
