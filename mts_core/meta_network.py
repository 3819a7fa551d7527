"""Maps the features of a sample to its weight: the meta-network and its bounded score."""

from typing import Final, final

import torch
from torch import Tensor, nn

from mts_core.axes import FeatureColumns, GroupFlags, Labels, ParameterTensors, PerSample
from mts_core.layers import allocate_linear, initialise_layer

OFFLINE_FEATURE_COUNT: Final = 13
"""Scalar columns measured before training: ten of position, three of training dynamics."""

ONLINE_FEATURE_NAMES: Final = (
    "online_real_similarity_1",
    "online_real_similarity_2",
    "online_real_similarity_3",
    "online_reference_mean_similarity",
)
"""Columns measured in the classifier's own penultimate space at every step."""

EMBEDDING_FEATURE_NAMES: Final = (
    "class_embedding_1",
    "class_embedding_2",
    "class_embedding_3",
    "class_embedding_4",
    "group_embedding",
)
"""Columns that the meta-network learns itself, for the class and for real or synthetic."""

LAST_LAYER_SHRINKAGE: Final = 0.1
"""Factor on a meta-network's last layer, so that all weights start near the middle."""

_CLASS_DIMENSIONS: Final = 4
_HIDDEN_UNITS: Final = 100
_GROUP_COUNT: Final = 2


@final
class MetaNetwork(nn.Module):
    """Two hidden layers of 100 ReLU units from 22 features to one logit.

    Source: [du2026difficulty], the 22 features and the 22-100-100-1 network.
    """

    def __init__(self, class_count: int, scalar_count: int, generator: torch.Generator) -> None:
        super().__init__()
        feature_count = scalar_count + len(EMBEDDING_FEATURE_NAMES)
        self.class_embedding = nn.Parameter(
            torch.randn(class_count, _CLASS_DIMENSIONS, generator=generator)
        )
        self.group_embedding = nn.Parameter(torch.randn(_GROUP_COUNT, 1, generator=generator))
        self.first = allocate_linear(feature_count, _HIDDEN_UNITS)
        self.second = allocate_linear(_HIDDEN_UNITS, _HIDDEN_UNITS)
        self.last = allocate_linear(_HIDDEN_UNITS, 1)
        for layer in (self.first, self.second, self.last):
            initialise_layer(layer, generator)
        with torch.no_grad():
            # All weights start near one half, where the sigmoid's slope is largest.
            self.last.weight.mul_(LAST_LAYER_SHRINKAGE)

    def forward(self, scalars: FeatureColumns, labels: Labels, is_real: GroupFlags) -> PerSample:
        """Return one logit for each sample.

        Args:
            scalars: Standardised offline and online columns.
            labels: Class of each sample.
            is_real: Whether each sample is real.
        """
        parameters = dict(self.named_parameters())
        features = torch.cat([scalars, embed_groups(parameters, labels, is_real)], dim=1)
        units = torch.relu(self.second(torch.relu(self.first(features))))
        logits: Tensor = self.last(units)
        return logits.squeeze(1)


def embed_groups(
    parameters: ParameterTensors, labels: Labels, is_real: GroupFlags
) -> FeatureColumns:
    """Return the learned columns of each sample: the class embedding, then the group embedding.

    Args:
        parameters: The meta-network's parameters by name.
        labels: Class of each sample.
        is_real: Whether each sample is real.
    """
    classes, groups = parameters["class_embedding"], parameters["group_embedding"]
    # Products with one-hot rows instead of look-ups: they stay fast under vmap(grad), and the rows
    # are made by comparison, since torch's own one_hot looks at the values.
    class_rows = labels.unsqueeze(1) == torch.arange(classes.shape[0], device=labels.device)
    group_rows = torch.stack([~is_real, is_real], dim=1)
    class_columns = class_rows.to(classes.dtype) @ classes
    group_columns = group_rows.to(groups.dtype) @ groups
    return torch.cat([class_columns, group_columns], dim=1)


def score_from_logit(logits: PerSample, floor: float) -> PerSample:
    """Return the weight ``w = f + (1 - f) sigmoid(logit)``, in ``[floor, 1]``.

    Deviation: [du2026difficulty] has no floor. Normalised weights have no scale, so without one all
    weights can drift to zero together, where the sigmoid no longer moves.
    """
    return floor + (1.0 - floor) * torch.sigmoid(logits)


def score_slope(logits: PerSample, floor: float) -> PerSample:
    """Return the derivative of the weight by its logit, ``(1 - f) s (1 - s)``."""
    sigmoid = torch.sigmoid(logits)
    return (1.0 - floor) * sigmoid * (1.0 - sigmoid)
