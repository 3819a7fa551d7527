"""Turns alignments into the gradient of the reference loss by the meta-network's parameters."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mts_core.axes import PerSample


def normalised_weights(weights: PerSample) -> PerSample:
    """Return ``p = w / sum w``."""
    return weights / weights.sum()


def weight_gradient(weights: PerSample, alignment: PerSample, step_scale: float) -> PerSample:
    """Return the derivative of the reference loss by each weight.

    ``dL/dw_j = -(eta / S) (a_j - sum_i p_i a_i)``: a weight grows under descent exactly when its
    sample's alignment beats the weighted mean.

    Args:
        weights: Weights w of the batch, positive.
        alignment: Inner products a of the samples' gradients with the reference gradient.
        step_scale: Distance eta that the step moves against the weighted gradient.

    Source: docs/mathematics.md, equation (4).
    """
    total = weights.sum()
    mean_alignment = (weights * alignment).sum() / total
    return -(step_scale / total) * (alignment - mean_alignment)


def meta_gradient(
    weights: PerSample,
    alignment: PerSample,
    *,
    step_scale: float,
    parameters: Sequence[Tensor],
) -> list[Tensor]:
    """Return the gradient of the reference loss by the meta-network's parameters.

    Args:
        weights: Weights of the batch, with the meta-network's graph behind them.
        alignment: Inner products of the batch; no graph is needed.
        step_scale: Distance eta that the step moves against the weighted gradient.
        parameters: The meta-network's parameters.
    """
    cotangent = weight_gradient(weights.detach(), alignment, step_scale)
    return list(torch.autograd.grad(weights, list(parameters), grad_outputs=cotangent))
