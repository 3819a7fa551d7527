"""A rough rule for the time and the memory of a training, by its data and its settings.

The figures are those of the defaults on two CPU cores; docs/estimates.md says where they come from.
How costs grow is worth more than how high they are, which differs from machine to machine.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from curation.models import Dataset, Modality

# Interpreter and libraries, the selector that is distilled from the scores, and writing.
_FIXED_SECONDS: Final = 20.0
# Reading a sample and the views of it that the defaults compare.
_ENCODING_SECONDS: Final[Mapping[Modality, float]] = MappingProxyType(
    {
        Modality.IMAGE: 0.02,
        Modality.TEXT: 0.02,
        Modality.TABULAR: 0.0004,
        Modality.EMBEDDING: 0.0002,
    }
)
_LIBRARY_MODEL_SECONDS: Final = 0.05
# Times the power 1.5 of the pool: the search for neighbours.
_NEIGHBOUR_SECONDS: Final = 4.3e-7
# A plain step of a batch, and how many steps are taken where the settings say auto.
_HEAD_STEP: Final = (0.005, 250)
_NETWORK_STEP: Final = (0.4, 300)
_PRETRAINED_STEP: Final = (3.0, 100)
_NETWORKS: Final = frozenset({"cnn", "resnet20"})
# A step that weighs its samples, beside a plain one.
_WEIGHTED_STEP_FACTOR: Final = 3.0
# The before/after table: its samples, what a training costs for each of them, and its rows beside
# the baselines (no selection, also with the reference counted more, the reference alone, and the
# method's own).
_TABLE_SAMPLES: Final = 20_000
_TABLE_SECONDS_PER_SAMPLE: Final = 1.7e-4
_OWN_ROWS: Final = 5

_LIBRARY_BYTES: Final = 600_000_000
_NETWORK_BYTES: Final = 300_000_000
_BYTES_PER_SAMPLE: Final = 700
_FLOAT32_BYTES: Final = 4
_FLOAT64_BYTES: Final = 8


def rule_seconds(
    config: Mapping[str, Any],  # JSON values of a validated config.
    modality: Modality | None,
    *,
    sample_count: int,
) -> float:
    """Return roughly how many seconds a job runs; it grows with the pool.

    Args:
        config: The method's settings in full.
        modality: What the samples are.
        sample_count: Samples in the pool.
    """
    step_seconds, default_steps = _steps_of(config["classifier"])
    steps = default_steps if config["steps"] == "auto" else config["steps"]
    run: float = (
        _FIXED_SECONDS
        + sample_count * _encoding_seconds(config["encoder"], modality)
        + sample_count**1.5 * _NEIGHBOUR_SECONDS
        + steps * step_seconds * _WEIGHTED_STEP_FACTOR
    )
    if not config["evaluate"]:
        return run
    trainings: int = (_OWN_ROWS + len(config["baselines"])) * config["evaluation_seeds"]
    table_samples = min(sample_count, _TABLE_SAMPLES)
    return run + trainings * (steps * step_seconds + table_samples * _TABLE_SECONDS_PER_SAMPLE)


def rule_memory_bytes(
    config: Mapping[str, Any],  # JSON values of a validated config.
    modality: Modality | None,
    *,
    sample_count: int,
    inputs_bytes: int,
) -> int:
    """Return roughly how much memory the training process takes at its peak.

    Inputs count even where they are mapped from a file: their pages are resident while they are
    read, though the kernel may drop them.

    Args:
        config: The method's settings in full.
        modality: What the samples are.
        sample_count: Samples in the pool.
        inputs_bytes: Size of all inputs, as `input_bytes` counts them.
    """
    network = _NETWORK_BYTES if _has_network(config, modality) else 0
    return _LIBRARY_BYTES + network + inputs_bytes + sample_count * _BYTES_PER_SAMPLE


def input_bytes(dataset: Dataset) -> int:
    """Return the size of a ready dataset's inputs as a training holds them."""
    count = dataset.sample_count or 0
    match dataset.modality:
        case Modality.IMAGE:
            return count * math.prod(dataset.input_shape or ())
        case Modality.EMBEDDING:
            return count * math.prod(dataset.input_shape or ()) * _FLOAT32_BYTES
        case Modality.TABULAR:
            return count * len(dataset.feature_columns or ()) * _FLOAT64_BYTES
        case _:
            return dataset.content_bytes or 0


def _encoding_seconds(encoder: str, modality: Modality | None) -> float:
    if _is_library_model(encoder):
        return _LIBRARY_MODEL_SECONDS
    return _ENCODING_SECONDS[modality or Modality.EMBEDDING]


def _steps_of(classifier: str) -> tuple[float, int]:
    """Return the seconds of a step, and how many steps the defaults take."""
    if _is_library_model(classifier) or classifier == "efficientnet_lite0":
        return _PRETRAINED_STEP
    if classifier in _NETWORKS:
        return _NETWORK_STEP
    return _HEAD_STEP


def _has_network(config: Mapping[str, Any], modality: Modality | None) -> bool:
    """Return whether the run loads a network beside the heads that it trains."""
    models = (config["encoder"], config["classifier"])
    return modality in {Modality.IMAGE, Modality.TEXT} or any(map(_is_library_model, models))


def _is_library_model(name: str) -> bool:
    return ":" in name
