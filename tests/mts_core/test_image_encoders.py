import math
import sys

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from mts_core.curation_data import CurationData
from mts_core.encoders import choose_encoder
from mts_core.encoders.gradients import ORIENTATIONS, GradientEncoder, orientation_votes
from mts_core.encoders.timm_images import ImageNetwork, NetworkEncoder
from mts_core.errors import ConfigError
from mts_core.library_models import Library, LibraryModel

CPU = torch.device("cpu")


def _images(count: int, channels: int = 3, side: int = 48, seed: int = 0) -> NDArray[np.uint8]:
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, size=(count, channels, side, side), dtype=np.uint8)


def _votes_one_by_one(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the votes of a grey image, written down pixel by pixel."""
    height, width = image.shape
    votes = np.zeros((ORIENTATIONS, height, width))
    for y in range(height):
        for x in range(width):
            across = image[y, min(x + 1, width - 1)] - image[y, max(x - 1, 0)]
            down = image[min(y + 1, height - 1), x] - image[max(y - 1, 0), x]
            degrees = math.degrees(math.atan2(down, across)) % 180.0
            place = degrees / 20.0 - 0.5
            lower = math.floor(place)
            share = place - lower
            strength = math.hypot(across, down)
            votes[lower % ORIENTATIONS, y, x] += (1 - share) * strength
            votes[(lower + 1) % ORIENTATIONS, y, x] += share * strength
    return votes


def test_votes_agree_with_those_counted_pixel_by_pixel() -> None:
    image = np.random.default_rng(0).random((7, 9))
    votes = orientation_votes(torch.from_numpy(image)[None, None])[0]
    # Both compute in double precision.
    assert np.allclose(votes.numpy(), _votes_one_by_one(image), atol=1e-9)


def test_of_several_channels_the_strongest_gradient_counts() -> None:
    grey = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    colour = torch.cat([0.1 * grey.flip(-1), grey, torch.zeros_like(grey)], dim=1)
    votes, expected = orientation_votes(colour), orientation_votes(grey)
    assert (votes.sum(dim=1) >= expected.sum(dim=1) - 1e-6).all()
    is_led_by_grey = torch.isclose(votes.sum(dim=1), expected.sum(dim=1))
    assert is_led_by_grey.float().mean() > 0.8


def test_gradients_know_outlines_and_not_light() -> None:
    images = _images(4, channels=1)
    encoder = GradientEncoder()
    vectors = encoder.encode(images)
    assert vectors.shape == (4, encoder.dimension)
    assert np.allclose(encoder.encode(255 - images), vectors, atol=1e-4)
    assert np.allclose(encoder.encode((images // 2) + 60), vectors, atol=0.05)
    assert not np.allclose(vectors[0], vectors[1], atol=0.05)


def test_empty_image_has_no_outline() -> None:
    assert not GradientEncoder().encode(np.full((1, 3, 20, 30), 90, dtype=np.uint8)).any()


def test_images_of_any_size_are_described() -> None:
    for shape in ((1, 1, 1, 1), (2, 3, 10, 70), (1, 1, 28, 28)):
        images = np.random.default_rng(0).integers(0, 256, size=shape, dtype=np.uint8)
        assert GradientEncoder().encode(images).shape == (shape[0], GradientEncoder.dimension)


class _ChannelMeans(nn.Module):
    """Stands for a pretrained network: three numbers that a test can predict."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        assert images.shape[1:] == (3, 6, 6)
        return images.mean(dim=(2, 3))


NETWORK = ImageNetwork(_ChannelMeans(), (6, 6), (0.5, 0.4, 0.3), (0.2, 0.1, 0.5))


def test_network_sees_images_as_it_was_trained_on_them() -> None:
    images = np.full((70, 3, 12, 20), 51, dtype=np.uint8)
    encoder = NetworkEncoder("timm:means", NETWORK, CPU)
    expected = (51 / 255 - np.array(NETWORK.mean)) / np.array(NETWORK.deviation)
    vectors = encoder.encode(images)
    assert vectors.shape == (70, encoder.dimension)
    # Single precision.
    assert np.allclose(vectors, expected, atol=1e-5)


def test_network_reads_grey_images_as_colour() -> None:
    encoder = NetworkEncoder("timm:means", NETWORK, CPU)
    grey = _images(2, channels=1)
    assert np.allclose(encoder.encode(grey), encoder.encode(np.repeat(grey, 3, axis=1)))


def test_missing_library_is_named_with_a_cure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # timm is an optional extra, which may be installed where this runs.
    monkeypatch.setitem(sys.modules, "timm", None)
    images = _images(4)
    data = CurationData(
        pool_inputs=images,
        pool_labels=np.arange(4) % 2,
        pool_is_real=np.zeros(4, dtype=bool),
        reference_inputs=images,
        reference_labels=np.arange(4) % 2,
        test_inputs=None,
        test_labels=None,
        class_count=2,
    )
    with pytest.raises(ConfigError, match=r"pip install winnow\[timm\]") as refused:
        choose_encoder(data, LibraryModel(Library.TIMM, "resnet18"), seed=0, device=CPU)
    assert refused.value.field == "encoder"
