"""Maps the training loss of a sample to its weight: the meta-network that sees nothing else."""

from typing import Final, final

import torch
from torch import Tensor, nn

from mts_core.axes import FeatureColumns, GroupFlags, Labels, PerSample
from mts_core.layers import allocate_linear, initialise_layer
from mts_core.meta_network import LAST_LAYER_SHRINKAGE

LOSS_FEATURE_NAMES: Final = ("training_loss",)
"""What this network sees."""

_HIDDEN_UNITS: Final = 100


@final
class LossNetwork(nn.Module):
    """One hidden layer of 100 ReLU units from the loss to one logit.

    Source: [shu2019metaweightnet], the 1-100-1 network.
    Deviation: the last layer starts small, as in `MetaNetwork`.
    """

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.first = allocate_linear(len(LOSS_FEATURE_NAMES), _HIDDEN_UNITS)
        self.last = allocate_linear(_HIDDEN_UNITS, 1)
        initialise_layer(self.last, generator)
        with torch.no_grad():
            # With biases of zero all units would bend at a loss of zero, below which there is none:
            # half of them would never move, and the others make nothing but a straight line.
            self.first.weight.uniform_(-1, 1, generator=generator)
            self.first.bias.uniform_(-1, 1, generator=generator)
            self.last.weight.mul_(LAST_LAYER_SHRINKAGE)

    def forward(
        self,
        losses: FeatureColumns,
        labels: Labels,  # noqa: ARG002  # The trainer calls either network alike.
        is_real: GroupFlags,  # noqa: ARG002  # The same.
    ) -> PerSample:
        """Return one logit for each sample.

        Args:
            losses: One column: the cross-entropy in nats, as it is.
            labels: Not looked at.
            is_real: Not looked at.
        """
        logits: Tensor = self.last(torch.relu(self.first(losses)))
        return logits.squeeze(1)
