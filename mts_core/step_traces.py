"""Turns what one training step saw into the values of its traces."""

from collections.abc import Mapping, Sequence
from typing import Final

import torch
from torch import Tensor

from mts_core.axes import PerSample
from mts_core.errors import NonFiniteError
from mts_core.gsnr import GsnrRung, ratio_of_one
from mts_core.meta_gradient import normalised_weights

GSNR_LADDER: Final = (32, 64, 128, 256, 512, 1024, 2048, 4096)
"""Batch sizes of the GSNR's traces; a run measures those that its batches allow."""

_SMALLEST_TOP_RUNG: Final = 1024


def weight_traces(weights: PerSample, losses: PerSample) -> dict[str, Tensor]:
    """Return how the weights of a batch are spread, one scalar tensor for each series.

    Args:
        weights: Weights w of the batch.
        losses: Cross-entropies of the batch.

    Source: [du2026difficulty], figure 2: mean w, max p, var p and the effective batch size.
    """
    shares = normalised_weights(weights)
    return {
        "classifier_loss": (shares * losses).sum(),
        "weight_mean": weights.mean(),
        "p_max": shares.max(),
        "p_variance": shares.var(correction=0),
        "effective_batch_size": 1.0 / shares.square().sum(),
        "weight_entropy": -torch.special.xlogy(shares, shares).sum(),
    }


def gsnr_traces(rungs: Sequence[GsnrRung], sample_count: int) -> dict[str, float]:
    """Return the GSNR by batch size, with the sizes beyond measurement marked as extrapolated.

    Args:
        rungs: Measured rungs of the ladder.
        sample_count: Samples in the training batch; the ladder goes on at least that far.
    """
    traces = {f"gsnr_b{rung.batch_size}": rung.ratio for rung in rungs}
    top = max(_SMALLEST_TOP_RUNG, sample_count)
    beyond = [size for size in GSNR_LADDER[len(rungs) :] if size <= top]
    return traces | {f"gsnr_b{size}_extrapolated": size * ratio_of_one(rungs) for size in beyond}


def fetch_finite(values: Mapping[str, Tensor], step: int) -> dict[str, float]:
    """Return scalar tensors as numbers, in one transfer from the device.

    Args:
        values: Scalar tensors by name.
        step: The step they belong to.

    Raises:
        NonFiniteError: One of them is infinite or not a number.
    """
    fetched = torch.stack(list(values.values()))
    for name, is_finite in zip(values, torch.isfinite(fetched).tolist(), strict=True):
        if not is_finite:
            raise NonFiniteError(name.replace("_", " "), step=step)
    return dict(zip(values, fetched.tolist(), strict=True))
