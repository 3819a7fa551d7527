"""Chooses what the meta-network sees of a sample, and builds the network for it."""

from typing import assert_never

import torch
from torch import Tensor

from mts_core.axes import FeatureColumns, Labels
from mts_core.classifier_passes import BatchForward
from mts_core.config import MetaInput
from mts_core.loss_network import LOSS_FEATURE_NAMES, LossNetwork
from mts_core.meta_network import EMBEDDING_FEATURE_NAMES, ONLINE_FEATURE_NAMES, MetaNetwork
from mts_core.online_features import Anchors, online_features, standardise_columns
from mts_core.training_data import TrainingPool

WeightNetwork = MetaNetwork | LossNetwork
"""A meta-network: called with scalar columns, classes and groups, it returns logits."""


def build_meta_network(
    pool: TrainingPool, meta_input: MetaInput, generator: torch.Generator
) -> WeightNetwork:
    """Return a freshly initialised meta-network on the CPU.

    Args:
        pool: The samples that it will see.
        meta_input: What it sees of them.
        generator: CPU generator of the initial weights.
    """
    match meta_input:
        case MetaInput.FEATURES:
            scalar_count = pool.offline_features.shape[1] + len(ONLINE_FEATURE_NAMES)
            return MetaNetwork(pool.class_count, scalar_count, generator)
        case MetaInput.LOSS:
            return LossNetwork(generator)
        case _:
            assert_never(meta_input)


def batch_columns(
    meta_input: MetaInput,
    forward: BatchForward,
    *,
    labels: Labels,
    offline: FeatureColumns,
    anchors: Anchors,
) -> Tensor:
    """Return the scalar columns that the meta-network sees of a batch, ``[sample, column]``.

    Args:
        meta_input: What it sees.
        forward: What the classifier's pass over the batch left behind.
        labels: Classes that the samples claim to be of.
        offline: Standardised offline columns.
        anchors: The last reference batch.
    """
    if meta_input is MetaInput.LOSS:
        return forward.losses.unsqueeze(1)
    online = standardise_columns(online_features(forward.hidden, labels, anchors))
    return torch.cat([offline, online], dim=1)


def added_feature_names(meta_input: MetaInput) -> tuple[str, ...]:
    """Return the names of what the meta-network sees besides the offline features."""
    if meta_input is MetaInput.LOSS:
        return LOSS_FEATURE_NAMES
    return ONLINE_FEATURE_NAMES + EMBEDDING_FEATURE_NAMES
