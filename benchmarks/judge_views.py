"""Chooses the space in which judges look at a problem: never the one in which runs worked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from quality_sets import QualitySet
from skimage.feature import hog

from mts_core.curation_data import CurationData
from mts_core.encoders import choose_encoder, fit_conditioning
from mts_core.encoders.choice import make_encoder, reference_log_loss
from mts_core.pipeline_config import EncoderChoice

Encode = Callable[[NDArray[np.generic]], NDArray[np.float32]]

HOG_CELLS: Final = 5
"""Cells a side of an image, for histograms of oriented gradients."""
RANDOM_FEATURES: Final = 2048
RANDOM_VIEW_SEED: Final = 96


@dataclass(frozen=True, eq=False)
class RawView:
    """All samples of a set in one space.

    Attributes:
        pool: [sample, dimension] float32.
        reference: [reference, dimension] float32.
        test: [test, dimension] float32.
    """

    pool: NDArray[np.float32]
    reference: NDArray[np.float32]
    test: NDArray[np.float32]


RawViews = Mapping[str, RawView]
"""The views that judges choose from, by name."""


@dataclass(frozen=True, eq=False)
class JudgeView:
    """All samples of a problem as the judges see them.

    Attributes:
        run_encoder: Encoder in whose space every run on the problem works.
        name: Name of the judges' view.
        pool: [sample, component] float64, conditioned without labels.
        reference: [reference, component] float64.
        test: [test, component] float64.
    """

    run_encoder: str
    name: str
    pool: NDArray[np.float64]
    reference: NDArray[np.float64]
    test: NDArray[np.float64]


def look_at(problem: QualitySet) -> RawViews:
    """Return a set in every view that its judges choose from.

    Images are seen as pixels, as histograms of oriented gradients and by EfficientNet-Lite0.
    Vectors are seen through random rectified features of themselves.

    Args:
        problem: The set.

    Raises:
        ValueError: The set has no test part.
    """
    data = problem.data
    if data.test_inputs is None:
        raise ValueError(f"{problem.name} has no test part to judge on.")
    encodes = _image_views(data) if data.is_image else _vector_views(data)
    parts = (data.pool_inputs, data.reference_inputs, data.test_inputs)
    return {name: RawView(*(encode(part) for part in parts)) for name, encode in encodes.items()}


def choose_view(views: RawViews, data: CurationData, *, seed: int) -> JudgeView:
    """Return the view in which the reference set predicts itself best, but never the runs' own.

    Runs work in the space of the encoder that `auto` chooses.

    Args:
        views: The problem's samples in each view.
        data: The problem.
        seed: Seed of the runs.
    """
    encoder, _ = choose_encoder(data, EncoderChoice.AUTO, seed=seed, device=torch.device("cpu"))
    losses = {
        name: reference_log_loss(view.reference, data)
        for name, view in views.items()
        if name != encoder.name
    }
    chosen = min(losses, key=lambda name: losses[name])
    seen = (views[chosen].pool, views[chosen].reference, views[chosen].test)
    conditioning = fit_conditioning(np.concatenate(seen[:2]))
    return JudgeView(
        encoder.name, chosen, *(conditioning.apply(part).astype(np.float64) for part in seen)
    )


def histogram_view(images: NDArray[np.generic]) -> NDArray[np.float32]:
    """Return histograms of oriented gradients, [sample, feature] float32.

    Args:
        images: [sample, channel, height, width] uint8.

    Source: [dalal2005hog].
    """
    is_colour = images.shape[1] > 1
    cells = tuple(max(length // HOG_CELLS, 2) for length in images.shape[2:])
    last = images.transpose(0, 2, 3, 1) if is_colour else images[:, 0]
    rows = [
        hog(
            image,
            orientations=9,
            pixels_per_cell=cells,
            cells_per_block=(2, 2),
            channel_axis=-1 if is_colour else None,
        )
        for image in last
    ]
    return np.stack(rows).astype(np.float32)


def random_view(fitted: NDArray[np.generic]) -> Encode:
    """Return a map to random rectified features of standardised vectors.

    Args:
        fitted: [sample, dimension], the vectors whose mean and spread count.

    Source: [rahimi2008random] for random features.
    """
    generator = np.random.default_rng(RANDOM_VIEW_SEED)
    mean, spread = fitted.mean(axis=0), fitted.std(axis=0)
    # A dimension that does not vary in the pool says nothing, however large it is elsewhere.
    scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
    shape = (fitted.shape[1], RANDOM_FEATURES)
    directions = generator.standard_normal(shape) / np.sqrt(fitted.shape[1])
    offsets = generator.uniform(-1.0, 1.0, size=RANDOM_FEATURES)

    def encode(inputs: NDArray[np.generic]) -> NDArray[np.float32]:
        projected = ((inputs - mean) * scale) @ directions + offsets
        return np.maximum(projected, 0.0).astype(np.float32)

    return encode


def _image_views(data: CurationData) -> Mapping[str, Encode]:
    device = torch.device("cpu")
    views: dict[str, Encode] = {
        str(choice): make_encoder(choice, data, seed=RANDOM_VIEW_SEED, device=device).encode
        for choice in (EncoderChoice.PIXELS_PCA, EncoderChoice.EFFICIENTNET_LITE0)
    }
    return {**views, str(EncoderChoice.HOG): histogram_view}


def _vector_views(data: CurationData) -> Mapping[str, Encode]:
    return {"random_features": random_view(data.pool_inputs)}
