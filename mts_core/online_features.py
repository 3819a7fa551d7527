"""Measures where samples lie among the reference set in the classifier's penultimate space."""

from typing import Final

import torch
from torch.nn import functional

from mts_core.axes import FeatureColumns, Hidden, ReferenceHidden

NEIGHBOUR_COUNT: Final = 3
"""Nearest reference samples whose similarity becomes a feature."""

_SMALLEST_SPREAD: Final = 1e-6


def online_features(hidden: Hidden, anchors: ReferenceHidden) -> FeatureColumns:
    """Return the four raw similarities of each sample to the reference batch.

    The columns are the cosines to the three nearest reference samples, largest first, and the
    cosine to the reference mean. Costs one product of all samples with all anchors.

    Args:
        hidden: Penultimate features of the samples.
        anchors: Penultimate features of the reference batch; with fewer than three, the smallest
            cosine is repeated.

    Returns:
        ``[sample, 4]`` in [-1, 1].

    Source: [du2026difficulty], position features measured during training.
    """
    directions = functional.normalize(hidden, dim=1)
    anchor_directions = functional.normalize(anchors, dim=1)
    cosines = directions @ anchor_directions.T
    nearest = cosines.topk(min(NEIGHBOUR_COUNT, anchors.shape[0]), dim=1).values
    missing = NEIGHBOUR_COUNT - nearest.shape[1]
    padded = torch.cat([nearest, nearest[:, -1:].expand(-1, missing)], dim=1)
    mean_direction = functional.normalize(anchors.mean(dim=0), dim=0)
    return torch.cat([padded, (directions @ mean_direction).unsqueeze(1)], dim=1)


def standardise_columns(columns: FeatureColumns) -> FeatureColumns:
    """Return the columns with mean zero and variance one over the samples given.

    A column without spread becomes zero: dividing by its rounding noise would turn a constant into
    a random feature.
    """
    centred = columns - columns.mean(dim=0)
    spread = centred.square().mean(dim=0).sqrt()
    return torch.where(spread > _SMALLEST_SPREAD, centred / spread.clamp_min(_SMALLEST_SPREAD), 0.0)
