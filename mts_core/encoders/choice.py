"""Chooses the encoder in whose space the reference set predicts itself best."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from mts_core.curation_data import CurationData, InputKind
from mts_core.encoders.conditioning import fit_conditioning
from mts_core.encoders.efficientnet_lite0 import EfficientNetLite0Encoder
from mts_core.encoders.fit_sample import fit_sample
from mts_core.encoders.gradients import GradientEncoder
from mts_core.encoders.identity import IdentityEncoder
from mts_core.encoders.pixels import PixelEncoder
from mts_core.encoders.protocol import Encoder
from mts_core.encoders.table import NumberScaling, TableEncoder
from mts_core.errors import ConfigError
from mts_core.kernel_ridge import leave_one_out_log_loss
from mts_core.pipeline_config import EncoderChoice

_CANDIDATES: Final[Mapping[InputKind, Sequence[EncoderChoice]]] = MappingProxyType(
    {
        InputKind.IMAGE: (
            EncoderChoice.PIXELS_PCA,
            EncoderChoice.HOG,
            EncoderChoice.EFFICIENTNET_LITE0,
        ),
        InputKind.EMBEDDING: (EncoderChoice.IDENTITY,),
        InputKind.TABLE: (EncoderChoice.TABLE_SCALED, EncoderChoice.TABLE_QUANTILES),
    }
)
"""Encoders that read a kind of input; `auto` compares them all."""


def choose_encoder(
    data: CurationData, choice: EncoderChoice, *, seed: int, device: torch.device
) -> tuple[Encoder, dict[str, float]]:
    """Return the encoder to use and the log loss of each candidate that was compared.

    Only the reference set's labels are looked at, so the choice costs a few passes over a small
    set.

    Args:
        data: Inputs of the run.
        choice: The job's wish.
        seed: Seed of the run; it draws the samples that an encoder is fitted on.
        device: Where to encode.

    Raises:
        ConfigError: The encoder does not read this kind of input.
    """
    allowed = _CANDIDATES[data.kind]
    if choice is not EncoderChoice.AUTO:
        if choice not in allowed:
            raise ConfigError(
                f"Encoder {choice} does not read {_PLURALS[data.kind]}; auto does.",
                field="encoder",
            )
        allowed = [choice]
    candidates = [make_encoder(name, data, seed=seed, device=device) for name in allowed]
    if len(candidates) == 1:
        return candidates[0], {}
    losses = {
        encoder.name: reference_log_loss(encoder.encode(data.reference_inputs), data)
        for encoder in candidates
    }
    best = min(candidates, key=lambda encoder: losses[encoder.name])
    return best, losses


def reference_log_loss(raw: NDArray[np.float32], data: CurationData) -> float:
    """Return how badly the reference set predicts itself from raw vectors, in nats a sample.

    Args:
        raw: [reference, raw] float32.
        data: Source of the labels.
    """
    conditioned = fit_conditioning(raw).apply(raw)
    return leave_one_out_log_loss(conditioned, data.reference_labels, data.class_count)


def make_encoder(
    name: EncoderChoice, data: CurationData, *, seed: int, device: torch.device
) -> Encoder:
    """Return the encoder of a name, fitted on inputs without labels where it learns from them.

    Args:
        name: Any choice but auto that reads the data's kind of input.
        data: Inputs of the run.
        seed: Seed of the run.
        device: Where to encode.
    """
    shape = data.pool_inputs.shape[1:]
    match name:
        case EncoderChoice.PIXELS_PCA:
            return PixelEncoder(_image_shape(shape))
        case EncoderChoice.HOG:
            return GradientEncoder()
        case EncoderChoice.EFFICIENTNET_LITE0:
            return EfficientNetLite0Encoder(_image_shape(shape), device)
        case EncoderChoice.TABLE_SCALED | EncoderChoice.TABLE_QUANTILES:
            rows = fit_sample(data, seed).astype(np.float64)
            return TableEncoder(NumberScaling(name), data.table_columns or (), rows)
        case _:
            return IdentityEncoder(shape[0])


_PLURALS: Final = MappingProxyType(
    {
        InputKind.IMAGE: "images",
        InputKind.EMBEDDING: "embeddings",
        InputKind.TABLE: "tables",
        InputKind.TEXT: "texts",
    }
)


def _image_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    channels, height, width = shape
    return channels, height, width
