"""Scores the whole pool with a trained run's averaged meta-network."""

from collections.abc import Iterator
from typing import Final

import torch
from torch.func import functional_call

from mts_core.axes import FeatureColumns, PerSample
from mts_core.classifier_passes import hidden_features, pass_settings, sample_losses
from mts_core.config import MetaInput, MtsConfig
from mts_core.meta_network import embed_groups, score_from_logit
from mts_core.online_features import online_features, standardise_columns
from mts_core.trainer_state import TrainerState
from mts_core.training_data import LabelledInputs, TrainingPool

_POOL_ROWS_AT_ONCE: Final = 4096


def score_pool(state: TrainerState, pool: TrainingPool, config: MtsConfig) -> PerSample:
    """Return the weight of every sample by the run-averaged meta-network.

    Args:
        state: A run that has been trained.
        pool: The samples to be scored.
        config: Resolved settings.

    Returns:
        ``[sample]`` float32 in [0, 1], on the CPU.

    Online features compare with the last reference batch of the run, which is the whole reference
    set wherever that is small enough.

    Deviation: online features are standardised over the whole pool instead of a batch.
    """
    scalars = _pool_scalars(state, pool, config)
    parts = []
    with torch.no_grad():
        for rows in _row_slices(pool.sample_count):
            inputs = (
                scalars[rows].to(state.device),
                pool.labels[rows].to(state.device),
                pool.is_real[rows].to(state.device),
            )
            logits = functional_call(state.meta_network, dict(state.averaged_meta), inputs)
            parts.append(score_from_logit(logits, config.score_floor).float().cpu())
    return torch.cat(parts)


def meta_features(state: TrainerState, pool: TrainingPool, config: MtsConfig) -> FeatureColumns:
    """Return what the run-averaged meta-network sees of every sample.

    Args:
        state: A run that has been trained.
        pool: The samples.
        config: Resolved settings.

    Returns:
        ``[sample, 22]`` float32 on the CPU: 13 offline columns, 4 online columns, 4 of the class
        embedding, 1 of the group embedding. Or ``[sample, 1]``: the training loss, where that is
        all that the meta-network sees.
    """
    scalars = _pool_scalars(state, pool, config)
    if config.meta_input is MetaInput.LOSS:
        return scalars.float()
    averaged = {name: value.cpu() for name, value in state.averaged_meta.items()}
    embedded = embed_groups(averaged, pool.labels.cpu(), pool.is_real.cpu())
    return torch.cat([scalars, embedded], dim=1).float()


def _pool_scalars(state: TrainerState, pool: TrainingPool, config: MtsConfig) -> FeatureColumns:
    """Return the scalar columns that the meta-network sees of the whole pool, on the CPU."""
    settings = pass_settings(config)
    parts = _pool_parts(state, pool)
    if config.meta_input is MetaInput.LOSS:
        losses = [sample_losses(state.classifier, part, settings).cpu() for part in parts]
        return torch.cat(losses).unsqueeze(1)
    similarities = []
    for part in parts:
        hidden = hidden_features(state.classifier, part, settings)
        similarities.append(online_features(hidden, part.labels, state.anchors).cpu())
    online = standardise_columns(torch.cat(similarities))
    return torch.cat([pool.offline_features.cpu().to(state.dtype), online], dim=1)


def _pool_parts(state: TrainerState, pool: TrainingPool) -> Iterator[LabelledInputs]:
    for rows in _row_slices(pool.sample_count):
        yield LabelledInputs(pool.inputs[rows].to(state.device), pool.labels[rows].to(state.device))


def _row_slices(count: int) -> Iterator[slice]:
    for start in range(0, count, _POOL_ROWS_AT_ONCE):
        yield slice(start, start + _POOL_ROWS_AT_ONCE)
