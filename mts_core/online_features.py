"""Measures where samples lie among the reference samples of their class while training goes on."""

from dataclasses import dataclass
from typing import Final

import torch
from torch.nn import functional

from mts_core.axes import FeatureColumns, Hidden, Labels, ReferenceHidden, ReferenceLabels

NEIGHBOUR_COUNT: Final = 3
"""Nearest reference samples whose similarity becomes a feature."""

_SMALLEST_SPREAD: Final = 1e-6


@dataclass(frozen=True)
class Anchors:
    """The reference batch in the classifier's penultimate space.

    Attributes:
        hidden: ``[reference, hidden]`` penultimate features.
        labels: ``[reference]`` int64 classes.
    """

    hidden: ReferenceHidden
    labels: ReferenceLabels


def online_features(hidden: Hidden, labels: Labels, anchors: Anchors) -> FeatureColumns:
    """Return four raw similarities of each sample to the reference samples of its class.

    The columns are the cosines to the three nearest of them, largest first, and the cosine to their
    mean. Where there are fewer than three, the smallest cosine is repeated; where the reference
    batch has none of a class, its samples are compared with the whole batch. Costs one product of
    all samples with all anchors.

    Args:
        hidden: Penultimate features of the samples.
        labels: Classes that the samples claim to be of.
        anchors: The reference batch.

    Returns:
        ``[sample, 4]`` in [-1, 1].

    Source: [du2026difficulty], position features measured during training.
    Deviation: restricted to the class. A sample with a wrong label is close to real samples too,
    only not to those of its class; over all classes, the features were much less telling.
    """
    directions = functional.normalize(hidden, dim=1)
    cosines = directions @ functional.normalize(anchors.hidden, dim=1).T
    is_own = labels.unsqueeze(1) == anchors.labels.unsqueeze(0)
    is_compared = is_own | ~is_own.any(dim=1, keepdim=True)
    compared = cosines.masked_fill(~is_compared, -torch.inf)
    nearest = compared.topk(min(NEIGHBOUR_COUNT, compared.shape[1]), dim=1).values
    smallest = nearest.masked_fill(nearest.isinf(), torch.inf).amin(dim=1, keepdim=True)
    missing = smallest.expand(-1, NEIGHBOUR_COUNT - nearest.shape[1])
    filled = torch.cat([torch.where(nearest.isinf(), smallest, nearest), missing], dim=1)
    # The sum points where the mean does, and only the direction counts.
    means = functional.normalize(is_compared.to(hidden.dtype) @ anchors.hidden, dim=1)
    return torch.cat([filled, (directions * means).sum(dim=1, keepdim=True)], dim=1)


def standardise_columns(columns: FeatureColumns) -> FeatureColumns:
    """Return the columns with mean zero and variance one over the samples given.

    A column without spread becomes zero: dividing by its rounding noise would turn a constant into
    a random feature.
    """
    centred = columns - columns.mean(dim=0)
    spread = centred.square().mean(dim=0).sqrt()
    return torch.where(spread > _SMALLEST_SPREAD, centred / spread.clamp_min(_SMALLEST_SPREAD), 0.0)
