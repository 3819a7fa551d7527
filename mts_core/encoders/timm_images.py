"""Encodes images by a network of the library timm, where the worker has it."""

import importlib
from dataclasses import dataclass
from types import ModuleType
from typing import Final, final

import numpy as np
import torch
from huggingface_hub import try_to_load_from_cache
from numpy.typing import NDArray
from torch import nn

from mts_core.encoders.image_batches import as_colour, resize_images
from mts_core.errors import ConfigError
from mts_core.library_models import LibraryModel

_BATCH_SIZE: Final = 64
_WEIGHTS_FILE: Final = "model.safetensors"


@dataclass(frozen=True, eq=False)
class ImageNetwork:
    """A pretrained network without its last layer, and the images that it was trained on.

    Attributes:
        module: Maps [sample, 3, height, width] float to [sample, dimension].
        size: Height and width of its images.
        mean: Mean of each channel of its images, which lie in [0, 1].
        deviation: Standard deviation of each channel.
    """

    module: nn.Module
    size: tuple[int, int]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


@final
class NetworkEncoder:
    """Takes what a network makes of an image before its last layer.

    Attributes:
        name: Name by which a job asks for it.
        dimension: Length of a vector.
    """

    def __init__(self, name: str, network: ImageNetwork, device: torch.device) -> None:
        self.name = name
        self._size = network.size
        self._device = device
        self._mean = _per_channel(network.mean, device)
        self._deviation = _per_channel(network.deviation, device)
        self._module = network.module.eval().to(device)
        self.dimension = self.encode(np.zeros((1, 3, 1, 1), dtype=np.uint8)).shape[1]

    @torch.inference_mode()
    def encode(self, inputs: NDArray[np.generic]) -> NDArray[np.float32]:
        """Return the network's features, [sample, dimension] float32."""
        batches = [
            self._encode_batch(inputs[start : start + _BATCH_SIZE])
            for start in range(0, len(inputs), _BATCH_SIZE)
        ]
        return torch.cat(batches).numpy()

    def _encode_batch(self, inputs: NDArray[np.generic]) -> torch.Tensor:
        images = torch.from_numpy(np.ascontiguousarray(inputs)).to(self._device).float() / 255.0
        images = as_colour(resize_images(images, self._size))
        images = (images - self._mean) / self._deviation
        features: torch.Tensor = self._module(images)
        return features.float().cpu()


def load_timm_network(model: LibraryModel, *, field: str = "encoder") -> ImageNetwork:
    """Return a network of timm whose weights lie in the worker's model cache.

    Nothing is downloaded: what a worker fetches is its operator's choice, not that of a job.

    Args:
        model: Which.
        field: Setting that asks for it.

    Raises:
        ConfigError: The worker lacks timm, or timm the model, or the cache its weights.
    """
    timm = _import_timm(field)
    repository = _repository(timm, model.name, field)
    weights = try_to_load_from_cache(repository, _WEIGHTS_FILE)
    if not isinstance(weights, str):
        raise ConfigError(
            f"The worker has no weights of {model} in its model cache; its operator can fetch "
            f"them with: hf download {repository} {_WEIGHTS_FILE}",
            field=field,
        )
    # timm draws weights from the global random state before it reads those of the file.
    with torch.random.fork_rng(devices=[]):
        module = timm.create_model(
            model.name, pretrained=True, pretrained_cfg_overlay={"file": weights}, num_classes=0
        )
    images = timm.data.resolve_model_data_config(module)
    _, height, width = images["input_size"]
    return ImageNetwork(module, (height, width), tuple(images["mean"]), tuple(images["std"]))


def _import_timm(field: str) -> ModuleType:
    try:
        return importlib.import_module("timm")
    except ImportError as error:
        raise ConfigError(
            "The worker has no timm; its operator can install it with: pip install winnow[timm]",
            field=field,
        ) from error


def _repository(timm: ModuleType, name: str, field: str) -> str:
    """Return the repository of a pretrained network's weights."""
    try:
        known = timm.models.get_pretrained_cfg(name)
    except RuntimeError:
        # The architecture is there, but not with the tag that follows the dot.
        known = None
    if known is None or not known.hf_hub_id:
        raise ConfigError(f"timm has no pretrained network {name!r}.", field=field)
    return str(known.hf_hub_id)


def _per_channel(values: tuple[float, ...], device: torch.device) -> torch.Tensor:
    return torch.tensor(values, device=device).view(1, -1, 1, 1)
