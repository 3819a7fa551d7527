"""Hides groups of features from the meta-network, to see what each of them is worth."""

import contextlib
from collections.abc import Iterator
from enum import StrEnum
from typing import Any
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mts_core import meta_input, scoring
from mts_core.dynamics_features import DYNAMICS_FEATURE_NAMES
from mts_core.meta_network import ONLINE_FEATURE_NAMES, MetaNetwork
from mts_core.position_features import POSITION_FEATURE_NAMES


class FeatureGroup(StrEnum):
    """A group of the 22 features."""

    POSITION = "position"
    DYNAMICS = "dynamics"
    ONLINE = "online"
    EMBEDDINGS = "embeddings"


def hide_columns(table: NDArray[np.float32], group: FeatureGroup | None) -> NDArray[np.float32]:
    """Return the offline features, [sample, 13] float32, with a group's columns set to zero.

    Args:
        table: The offline features.
        group: What is hidden; a group that is not offline, or none, hides nothing here.
    """
    first = len(POSITION_FEATURE_NAMES)
    hidden = {
        FeatureGroup.POSITION: slice(0, first),
        FeatureGroup.DYNAMICS: slice(first, first + len(DYNAMICS_FEATURE_NAMES)),
    }
    changed = table.copy()
    if group in hidden:
        changed[:, hidden[group]] = 0.0
    return changed


@contextlib.contextmanager
def hidden_from_networks(group: FeatureGroup | None) -> Iterator[None]:
    """Hide a group that is made during the training, for as long as the context lasts.

    The product has no such setting, so the library's own functions are replaced.

    Args:
        group: What is hidden; an offline group, or none, hides nothing here.
    """
    with contextlib.ExitStack() as stack:
        if group is FeatureGroup.ONLINE:
            for module in (meta_input, scoring):
                stack.enter_context(mock.patch.object(module, "online_features", _no_features))
        if group is FeatureGroup.EMBEDDINGS:
            stack.enter_context(mock.patch.object(MetaNetwork, "forward", _forward_without_groups))
        yield


def _no_features(hidden: Tensor, *_: Any) -> Tensor:
    return hidden.new_zeros((len(hidden), len(ONLINE_FEATURE_NAMES)))


_forward = MetaNetwork.forward


def _forward_without_groups(
    network: MetaNetwork, scalars: Tensor, classes: Tensor, groups: Tensor
) -> Tensor:
    return _forward(network, scalars, torch.zeros_like(classes), torch.zeros_like(groups))
