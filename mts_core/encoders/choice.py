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
from mts_core.encoders.timm_images import NetworkEncoder, load_timm_network
from mts_core.encoders.word_counts import WordCountEncoder
from mts_core.errors import ConfigError
from mts_core.kernel_ridge import leave_one_out_log_loss
from mts_core.library_models import Library, LibraryModel
from mts_core.pipeline_config import EncoderChoice
from mts_core.seeds import derive_seed

_CANDIDATES: Final[Mapping[InputKind, Sequence[EncoderChoice]]] = MappingProxyType(
    {
        InputKind.IMAGE: (
            EncoderChoice.PIXELS_PCA,
            EncoderChoice.HOG,
            EncoderChoice.EFFICIENTNET_LITE0,
        ),
        InputKind.EMBEDDING: (EncoderChoice.IDENTITY,),
        InputKind.TABLE: (EncoderChoice.TABLE_SCALED, EncoderChoice.TABLE_QUANTILES),
        InputKind.TEXT: (EncoderChoice.TFIDF_SVD, EncoderChoice.MINILM),
    }
)
"""Encoders that read a kind of input; `auto` compares them all."""

_LIBRARIES: Final[Mapping[InputKind, Library]] = MappingProxyType(
    {InputKind.IMAGE: Library.TIMM, InputKind.TEXT: Library.SENTENCE_TRANSFORMERS}
)
"""Libraries whose models read a kind of input; a job names them one by one."""


def choose_encoder(
    data: CurationData,
    choice: EncoderChoice | LibraryModel,
    *,
    seed: int,
    device: torch.device,
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
        ConfigError: The encoder does not read this kind of input, or the worker does not have it.
    """
    names = _CANDIDATES[data.kind] if choice is EncoderChoice.AUTO else [choice]
    candidates = [make_encoder(name, data, seed=seed, device=device) for name in names]
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
    name: EncoderChoice | LibraryModel, data: CurationData, *, seed: int, device: torch.device
) -> Encoder:
    """Return the encoder of a name, fitted on inputs without labels where it learns from them.

    Args:
        name: Any choice but auto.
        data: Inputs of the run.
        seed: Seed of the run.
        device: Where to encode.

    Raises:
        ConfigError: The encoder does not read this kind of input, or the worker does not have it.
    """
    _check_reads(name, data.kind)
    if isinstance(name, LibraryModel):
        return _library_encoder(name, device)
    shape = data.pool_inputs.shape[1:]
    match data.kind:
        case InputKind.IMAGE:
            return _image_encoder(name, shape, device)
        case InputKind.TABLE:
            rows = fit_sample(data, seed).astype(np.float64)
            return TableEncoder(NumberScaling(name), data.table_columns or (), rows)
        case InputKind.TEXT:
            return _text_encoder(name, data, seed=seed, device=device)
        case InputKind.EMBEDDING:
            return IdentityEncoder(shape[0])


def _check_reads(name: EncoderChoice | LibraryModel, kind: InputKind) -> None:
    if isinstance(name, LibraryModel):
        is_read = name.library is _LIBRARIES.get(kind)
    else:
        is_read = name in _CANDIDATES[kind]
    if not is_read:
        raise ConfigError(
            f"Encoder {name} does not read {_PLURALS[kind]}; auto does.", field="encoder"
        )


def _image_encoder(name: EncoderChoice, shape: tuple[int, ...], device: torch.device) -> Encoder:
    if name is EncoderChoice.HOG:
        return GradientEncoder()
    channels, height, width = shape
    if name is EncoderChoice.PIXELS_PCA:
        return PixelEncoder((channels, height, width))
    return EfficientNetLite0Encoder((channels, height, width), device)


def _text_encoder(
    name: EncoderChoice, data: CurationData, *, seed: int, device: torch.device
) -> Encoder:
    if name is EncoderChoice.TFIDF_SVD:
        return WordCountEncoder(fit_sample(data, seed), seed=derive_seed(seed, "tfidf_svd"))
    # Loading transformers takes seconds and memory, which only texts are worth.
    from mts_core.encoders.sentences import load_minilm  # noqa: PLC0415

    return load_minilm(device)


def _library_encoder(model: LibraryModel, device: torch.device) -> Encoder:
    if model.library is Library.TIMM:
        return NetworkEncoder(str(model), load_timm_network(model), device)
    # Loading transformers takes seconds and memory, which only texts are worth.
    from mts_core.encoders.sentences import load_sentence_model  # noqa: PLC0415

    return load_sentence_model(model, device)


_PLURALS: Final = MappingProxyType(
    {
        InputKind.IMAGE: "images",
        InputKind.EMBEDDING: "embeddings",
        InputKind.TABLE: "tables",
        InputKind.TEXT: "texts",
    }
)
