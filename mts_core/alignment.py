"""Estimates how far each sample's gradient points along the reference gradient."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.func import functional_call
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from mts_core.axes import Hidden, Labels, Logits, ParameterTensors, PerSample
from mts_core.classifiers import Classifier
from mts_core.training_data import LabelledInputs

HEAD_WEIGHT: Final = "head.weight"
"""Name of the last layer's weight among a classifier's parameters."""

HEAD_BIAS: Final = "head.bias"
"""Name of the last layer's bias among a classifier's parameters."""


def loss_residuals(logits: Logits, labels: Labels) -> Logits:
    """Return the gradient of each cross-entropy by its logits: softmax minus one-hot."""
    one_hot = functional.one_hot(labels, logits.shape[1]).to(logits.dtype)
    return logits.softmax(dim=1) - one_hot


def head_direction(hidden: Hidden, residuals: Logits) -> ParameterTensors:
    """Return the mean loss's gradient by the last layer, in closed form.

    Args:
        hidden: Penultimate features.
        residuals: Softmax minus one-hot.
    """
    count = hidden.shape[0]
    return {HEAD_WEIGHT: residuals.T @ hidden / count, HEAD_BIAS: residuals.sum(dim=0) / count}


def head_alignment(hidden: Hidden, residuals: Logits, direction: ParameterTensors) -> PerSample:
    """Return the inner products restricted to the last layer, in closed form.

    Exact for a linear classifier; for others it leaves out all layers below the head.

    Args:
        hidden: Penultimate features of the samples at the step's old parameters.
        residuals: Softmax minus one-hot of the samples at the same parameters.
        direction: Reference gradient; only the head's entries are read.

    Source: docs/mathematics.md, "Head".
    """
    moved_logits = hidden @ direction[HEAD_WEIGHT].T + direction[HEAD_BIAS]
    return (residuals * moved_logits).sum(dim=1)


@dataclass(frozen=True)
class TangentLine:
    """Where the samples' gradients are taken, and along which direction they are measured.

    Attributes:
        point: Parameter values; with look-ahead, those from before the step.
        direction: One tensor for each parameter: the reference gradient v.
    """

    point: ParameterTensors
    direction: ParameterTensors

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the parameters."""
        return next(iter(self.point.values())).dtype


def exact_alignment(
    classifier: Classifier,
    batch: LabelledInputs,
    line: TangentLine,
    *,
    micro_batch_size: int | None = None,
) -> PerSample:
    """Return the inner products by one forward-mode derivative along the direction.

    The derivative of all per-sample losses along v holds every inner product at once. It costs
    about two forward passes and keeps no graph.

    Args:
        classifier: The network; its own parameter values are not read.
        batch: The samples.
        line: Parameter values and the reference gradient.
        micro_batch_size: Samples at once; None takes all.

    Source: docs/mathematics.md, "Exact".
    """

    def align(part: LabelledInputs) -> Tensor:
        # Of torch's kernels of attention, only the plain one has a forward-mode derivative.
        with forward_ad.dual_level(), sdpa_kernel(SDPBackend.MATH):
            dual = {
                name: _make_dual(value, line.direction[name]) for name, value in line.point.items()
            }
            logits, tangent = _unpack_dual(functional_call(classifier, dual, (part.inputs,)))
        # The softmax is done by hand, in the parameters' dtype even under autocast.
        residuals = loss_residuals(logits.to(line.dtype), part.labels)
        return (residuals * tangent.to(line.dtype)).sum(dim=1)

    return _by_micro_batch(align, batch, micro_batch_size)


def finite_difference_alignment(
    classifier: Classifier,
    batch: LabelledInputs,
    line: TangentLine,
    *,
    epsilon: float,
    micro_batch_size: int | None = None,
) -> PerSample:
    """Return the inner products by the central difference of the per-sample losses.

    The error falls with the square of epsilon until rounding takes over.

    Args:
        classifier: The network; its own parameter values are not read.
        batch: The samples.
        line: Parameter values and the reference gradient.
        epsilon: Euclidean length of the step to either side.
        micro_batch_size: Samples at once; None takes all.

    Source: [du2026difficulty] takes epsilon = 0.01; docs/mathematics.md, "Finite difference".
    """
    norm = direction_norm(line.direction)
    # A zero direction has zero inner products; the clamp only keeps 0 / 0 out of them.
    step = epsilon / norm.clamp_min(torch.finfo(norm.dtype).tiny)
    ahead = {name: value + step * line.direction[name] for name, value in line.point.items()}
    behind = {name: value - step * line.direction[name] for name, value in line.point.items()}

    def losses(point: ParameterTensors, part: LabelledInputs) -> Tensor:
        logits = functional_call(classifier, dict(point), (part.inputs,)).to(norm.dtype)
        return functional.cross_entropy(logits, part.labels, reduction="none")

    def align(part: LabelledInputs) -> Tensor:
        return (losses(ahead, part) - losses(behind, part)) / (2.0 * step)

    aligned = _by_micro_batch(align, batch, micro_batch_size)
    return torch.where(norm > 0, aligned, 0.0)


def direction_norm(direction: ParameterTensors) -> Tensor:
    """Return the Euclidean norm of a direction over all its tensors."""
    return torch.stack([value.square().sum() for value in direction.values()]).sum().sqrt()


def _make_dual(value: Tensor, tangent: Tensor) -> Tensor:
    dual: Tensor = forward_ad.make_dual(value, tangent)  # type: ignore[no-untyped-call]  # Torch's.
    return dual


def _unpack_dual(dual: Tensor) -> tuple[Tensor, Tensor]:
    primal, tangent = forward_ad.unpack_dual(dual)  # type: ignore[no-untyped-call]  # Torch's.
    return primal, tangent


def _by_micro_batch(
    align: Callable[[LabelledInputs], Tensor],
    batch: LabelledInputs,
    micro_batch_size: int | None,
) -> Tensor:
    with torch.no_grad():
        return torch.cat([align(part) for part in batch.split(micro_batch_size)])
