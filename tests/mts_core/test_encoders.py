import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mts_core.curation_data import CurationData
from mts_core.encoders import Encoder, choose_encoder, fit_conditioning, make_encoder
from mts_core.encoders.efficientnet_lite0 import choose_resolution
from mts_core.errors import ConfigError, MtsError, NonFiniteError
from mts_core.pipeline_config import EncoderChoice

CPU = torch.device("cpu")


def _images(count: int, channels: int = 1, side: int = 12, seed: int = 0) -> NDArray[np.uint8]:
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, size=(count, channels, side, side), dtype=np.uint8)


def _data(inputs: NDArray[np.generic], labels: NDArray[np.int64]) -> CurationData:
    return CurationData(
        pool_inputs=inputs,
        pool_labels=labels,
        pool_is_real=np.zeros(len(labels), dtype=bool),
        reference_inputs=inputs,
        reference_labels=labels,
        test_inputs=None,
        test_labels=None,
        class_count=int(labels.max()) + 1,
    )


def _encoder(choice: EncoderChoice, images: NDArray[np.generic]) -> Encoder:
    data = _data(images, np.arange(len(images)) % 2)
    return make_encoder(choice, data, seed=0, device=CPU)


def test_conditioned_vectors_are_centred_and_of_mean_squared_norm_one() -> None:
    raw = np.random.default_rng(0).normal(3.0, [1.0, 100.0, 0.01], size=(500, 3))
    vectors = fit_conditioning(raw.astype(np.float32)).apply(raw.astype(np.float32))
    # The raw values reach hundreds, so single precision leaves errors of about 1e-5.
    assert np.allclose(vectors.mean(axis=0), 0, atol=1e-4)
    assert (vectors**2).sum(axis=1).mean() == pytest.approx(1.0, abs=1e-3)


def test_conditioning_keeps_at_most_128_components_the_strongest_first() -> None:
    raw = np.random.default_rng(0).normal(size=(400, 150)).astype(np.float32)
    vectors = fit_conditioning(raw).apply(raw)
    assert vectors.shape == (400, 128)
    assert (np.diff(vectors.var(axis=0)) <= 1e-6).all()


@given(st.floats(0.01, 100.0), st.integers(0, 2**32 - 1))
def test_conditioning_does_not_depend_on_the_unit_of_the_embeddings(
    factor: float, seed: int
) -> None:
    raw = np.random.default_rng(seed).normal(size=(60, 4))
    one = raw.astype(np.float32)
    other = (raw * factor).astype(np.float32)
    # Rounding to single precision is all that differs.
    assert np.allclose(
        fit_conditioning(one).apply(one), fit_conditioning(other).apply(other), atol=1e-3
    )


def test_embeddings_that_are_not_finite_are_refused() -> None:
    raw = np.ones((5, 2), dtype=np.float32)
    raw[3, 1] = np.nan
    with pytest.raises(NonFiniteError):
        fit_conditioning(raw)


def test_embeddings_that_never_vary_become_zero() -> None:
    raw = np.ones((5, 2), dtype=np.float32)
    assert not fit_conditioning(raw).apply(raw).any()


@pytest.mark.parametrize(
    ("shape", "resolution"),
    [((1, 28, 28), 64), ((3, 64, 64), 64), ((3, 40, 90), 96), ((3, 500, 400), 128)],
)
def test_resolution_follows_the_images_within_bounds(
    shape: tuple[int, int, int], resolution: int
) -> None:
    assert choose_resolution(shape) == resolution


def test_an_image_is_encoded_alike_alone_and_in_company() -> None:
    images = _images(5, channels=3)
    encoder = _encoder(EncoderChoice.EFFICIENTNET_LITE0, images)
    together = encoder.encode(images)
    assert together.shape == (5, encoder.dimension) == (5, 1280)
    # Convolutions sum in another order for another batch size.
    assert np.allclose(encoder.encode(images[2:3]), together[2:3], atol=1e-3)


def test_grey_images_are_encoded_like_colourless_colour_ones() -> None:
    grey = _images(2)
    colour = np.repeat(grey, 3, axis=1)
    one, other = (
        _encoder(EncoderChoice.EFFICIENTNET_LITE0, images).encode(images)
        for images in (grey, colour)
    )
    assert np.allclose(one, other, atol=1e-3)


def test_images_of_two_channels_are_refused() -> None:
    images = _images(1, channels=2)
    encoder = _encoder(EncoderChoice.EFFICIENTNET_LITE0, images)
    with pytest.raises(MtsError, match="channels"):
        encoder.encode(images)


def test_pixels_of_large_images_are_shrunk_to_32_a_side() -> None:
    images = np.full((2, 1, 100, 20), 255, dtype=np.uint8)
    encoder = _encoder(EncoderChoice.PIXELS_PCA, images)
    assert encoder.dimension == 32 * 20
    assert np.allclose(encoder.encode(images), 1.0)


def test_auto_takes_the_view_in_which_the_reference_set_predicts_itself() -> None:
    # The class is the brightness of single pixels, which a network for objects hardly sees.
    labels = np.arange(24) % 2
    images = np.full((24, 1, 16, 16), 128, dtype=np.uint8)
    images[:, 0, 3, 3] = labels * 255
    images[:, 0, 12, 12] = np.random.default_rng(0).integers(100, 150, 24)
    encoder, losses = choose_encoder(_data(images, labels), EncoderChoice.AUTO, seed=0, device=CPU)
    assert encoder.name == min(losses, key=lambda name: losses[name])
    assert encoder.name == "pixels_pca"
    assert set(losses) == {"pixels_pca", "hog", "efficientnet_lite0"}


def test_embeddings_are_taken_as_they_are() -> None:
    vectors = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    encoder, losses = choose_encoder(
        _data(vectors, np.arange(6) % 2), EncoderChoice.AUTO, seed=0, device=CPU
    )
    assert encoder.name == "identity"
    assert losses == {}
    assert np.array_equal(encoder.encode(vectors), vectors)


@pytest.mark.parametrize(
    ("inputs", "choice"),
    [
        (np.zeros((4, 2), np.float32), EncoderChoice.EFFICIENTNET_LITE0),
        (np.zeros((4, 2), np.float32), EncoderChoice.PIXELS_PCA),
        (_images(4), EncoderChoice.IDENTITY),
    ],
)
def test_an_encoder_for_another_kind_of_input_is_refused(
    inputs: NDArray[np.generic], choice: EncoderChoice
) -> None:
    with pytest.raises(ConfigError) as refused:
        choose_encoder(_data(inputs, np.arange(4) % 2), choice, seed=0, device=CPU)
    assert refused.value.field == "encoder"
