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

_FITTED: Final = frozenset(
    {EncoderChoice.TABLE_SCALED, EncoderChoice.TABLE_QUANTILES, EncoderChoice.TFIDF_SVD}
)
"""Encoders that learn from a run's inputs, so that their names alone do not make them again."""

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


def is_fitted(name: EncoderChoice | LibraryModel) -> bool:
    """Return whether an encoder learns from a run's inputs.

    Args:
        name: Any choice but auto.
    """
    return name in _FITTED


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
    if name is EncoderChoice.TFIDF_SVD:
        return WordCountEncoder(fit_sample(data, seed), seed=derive_seed(seed, "tfidf_svd"))
    if is_fitted(name):
        rows = fit_sample(data, seed).astype(np.float64)
        return TableEncoder(NumberScaling(str(name)), data.table_columns or (), rows)
    return make_fixed_encoder(name, data.pool_inputs.shape[1:], device=device)


def make_fixed_encoder(
    name: EncoderChoice | LibraryModel, input_shape: tuple[int, ...], *, device: torch.device
) -> Encoder:
    """Return an encoder that its name alone makes, the same in every run.

    Args:
        name: A choice that reads such inputs and is not fitted on them.
        input_shape: (channel, height, width) of an image, (dimension,) of an embedding, or () of a
            text.
        device: Where to encode.

    Raises:
        ConfigError: The worker does not have it, or a run's inputs make it.
    """
    if isinstance(name, LibraryModel):
        return _library_encoder(name, device)
    match name:
        case EncoderChoice.IDENTITY:
            return IdentityEncoder(input_shape[0])
        case EncoderChoice.HOG:
            return GradientEncoder()
        case EncoderChoice.PIXELS_PCA:
            return PixelEncoder(_image_shape(input_shape))
        case EncoderChoice.EFFICIENTNET_LITE0:
            return EfficientNetLite0Encoder(_image_shape(input_shape), device)
        case EncoderChoice.MINILM:
            # Loading transformers takes seconds and memory, which only texts are worth.
            from mts_core.encoders.sentences import load_minilm  # noqa: PLC0415

            return load_minilm(device)
        case _:
            raise ConfigError(f"Encoder {name} is made by a run's inputs.", field="encoder")


def _check_reads(name: EncoderChoice | LibraryModel, kind: InputKind) -> None:
    if isinstance(name, LibraryModel):
        is_read = name.library is _LIBRARIES.get(kind)
    else:
        is_read = name in _CANDIDATES[kind]
    if not is_read:
        raise ConfigError(
            f"Encoder {name} does not read {_PLURALS[kind]}; auto does.", field="encoder"
        )


def _image_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    channels, height, width = shape
    return channels, height, width


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
