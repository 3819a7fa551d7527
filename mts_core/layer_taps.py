"""Keeps what passed through each layer, so that one training pass also serves the alignment."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, final

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mts_core.axes import ParameterTensors, PerSample

_LINEAR_IN_PARAMETERS: Final = frozenset(
    {nn.Linear, nn.Conv2d, nn.GroupNorm, nn.LayerNorm, nn.BatchNorm2d}
)
"""Layers whose output is linear in their parameters, whatever comes in.

Subclasses are not: some standardise their weights, or go on to an activation. BatchNorm is one
where its statistics are frozen; taken from the batch, they would tie samples to each other.
"""


@final
@dataclass(eq=False)
class _Passage:
    """One call of one layer.

    Attributes:
        layer: The layer.
        prefix: What the layer's parameters are called in the whole network, up to their own name.
        inputs: What came in.
        output_gradient: Gradient of the loss by what came out; set by the backward pass.
    """

    layer: nn.Module
    prefix: str
    inputs: Tensor
    output_gradient: Tensor | None = None


@final
@dataclass(eq=False)
class LayerTaps:
    """The layers' inputs and output gradients of one part of a batch."""

    _passages: list[_Passage] = field(default_factory=list)

    @contextmanager
    def listen(self, network: nn.Module) -> Iterator[None]:
        """Record the calls that the network's layers get inside the block.

        The gradients follow when autograd goes back through what was recorded.
        """
        handles = [
            layer.register_forward_hook(self._recorder(f"{name}."))
            for name, layer in network.named_modules()
            if _is_linear(layer)
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def alignment(self, direction: ParameterTensors) -> PerSample:
        """Return each sample's inner product of the recorded loss's gradient with a direction.

        A layer that is linear in its parameters answers to a change of them with its own output at
        the changed parameters alone: ``<grad_layer, v> = <layer(inputs; v), output gradient>``.
        Costs one forward pass of the layers.

        Args:
            direction: One tensor for each parameter of the network.

        Source: docs/mathematics.md, "Exact".
        """
        with torch.no_grad():
            return torch.stack(
                [_inner_products(passage, direction) for passage in self._passages]
            ).sum(dim=0)

    def _recorder(self, prefix: str) -> "_Recorder":
        return _Recorder(self._passages, prefix)


@final
@dataclass(frozen=True, eq=False)
class _Recorder:
    passages: list[_Passage]
    prefix: str

    def __call__(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        passage = _Passage(layer, self.prefix, inputs[0].detach())
        self.passages.append(passage)

        def keep(gradient: Tensor) -> None:
            passage.output_gradient = gradient

        output.register_hook(keep)  # type: ignore[no-untyped-call]  # Torch's.


def tapped_alignment(
    taps: Sequence[LayerTaps], direction: ParameterTensors, shares: PerSample
) -> PerSample:
    """Return the inner products of the samples' own gradients with a direction.

    Args:
        taps: What was recorded while the weighted loss of a batch was taken, part by part.
        direction: One tensor for each parameter of the network.
        shares: Normalised weights p of that loss. A share of zero hides its sample's gradient; its
            inner product is given as zero, and no share that is zero moves the meta-network.

    Source: docs/mathematics.md, "Exact".
    """
    weighted = torch.cat([tap.alignment(direction) for tap in taps])
    return torch.where(shares > 0, weighted / shares, 0.0)


def can_be_tapped(network: nn.Module) -> bool:
    """Return whether every parameter belongs to a layer that is linear in it."""
    tapped = {
        id(value)
        for layer in network.modules()
        if _is_linear(layer)
        for value in layer.parameters()
    }
    return all(id(value) in tapped for value in network.parameters())


def _is_linear(layer: nn.Module) -> bool:
    if isinstance(layer, nn.BatchNorm2d) and (layer.training or not layer.track_running_stats):
        return False
    return type(layer) in _LINEAR_IN_PARAMETERS


def _inner_products(passage: _Passage, direction: ParameterTensors) -> Tensor:
    gradient = passage.output_gradient
    if gradient is None:
        raise RuntimeError("The loss was not differentiated before its alignment was asked for.")
    own = {name: direction[passage.prefix + name] for name, _ in passage.layer.named_parameters()}
    answer: Tensor = functional_call(passage.layer, own, (passage.inputs,))
    dtype = next(iter(own.values())).dtype
    # Elementwise, and in the parameters' dtype: autocast would round what a matrix product takes to
    # eight bits, whatever its dtype. On a CPU a product of one row by one column for each sample
    # takes three times as long besides.
    return (answer.flatten(1).to(dtype) * gradient.flatten(1).to(dtype)).sum(dim=1)
