"""Chooses the encoder in whose space the reference set predicts itself best."""

import numpy as np
import torch
from numpy.typing import NDArray

from mts_core.curation_data import CurationData
from mts_core.encoders.conditioning import fit_conditioning
from mts_core.encoders.efficientnet_lite0 import EfficientNetLite0Encoder
from mts_core.encoders.identity import IdentityEncoder
from mts_core.encoders.pixels import PixelEncoder
from mts_core.encoders.protocol import Encoder
from mts_core.errors import ConfigError
from mts_core.kernel_ridge import leave_one_out_log_loss
from mts_core.pipeline_config import EncoderChoice


def choose_encoder(
    data: CurationData, choice: EncoderChoice, device: torch.device
) -> tuple[Encoder, dict[str, float]]:
    """Return the encoder to use and the log loss of each candidate that was compared.

    Only the reference set is looked at, so the choice costs two passes over a small set.

    Args:
        data: Inputs of the run.
        choice: The job's wish.
        device: Where to encode.

    Raises:
        ConfigError: The encoder does not read this kind of input.
    """
    candidates = _candidates(data, choice, device)
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
    name: EncoderChoice, input_shape: tuple[int, ...], device: torch.device
) -> Encoder:
    """Return the encoder of a name.

    Args:
        name: Any choice but auto.
        input_shape: Shape of one input.
        device: Where to encode.
    """
    if len(input_shape) == 1:
        return IdentityEncoder(input_shape[0])
    channels, height, width = input_shape
    if name is EncoderChoice.PIXELS_PCA:
        return PixelEncoder((channels, height, width))
    return EfficientNetLite0Encoder((channels, height, width), device)


def _candidates(data: CurationData, choice: EncoderChoice, device: torch.device) -> list[Encoder]:
    shape = data.pool_inputs.shape[1:]
    allowed = (
        [EncoderChoice.PIXELS_PCA, EncoderChoice.EFFICIENTNET_LITE0]
        if data.is_image
        else [EncoderChoice.IDENTITY]
    )
    if choice is not EncoderChoice.AUTO:
        if choice not in allowed:
            kind = "images" if data.is_image else "embeddings"
            raise ConfigError(f"Encoder {choice} does not read {kind}; auto does.", field="encoder")
        allowed = [choice]
    return [make_encoder(name, shape, device) for name in allowed]
