"""Builds the classifiers that are trained on the weighted pool, from linear to residual."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, cast, final

import torch
from torch import Tensor, nn

from mts_core.axes import Hidden, Inputs, Logits
from mts_core.config import ClassifierKind, ClassifierName
from mts_core.encoders.image_batches import as_colour, resize_images
from mts_core.encoders.timm_images import ImageNetwork
from mts_core.errors import ConfigError
from mts_core.fine_tuning import Backbone, load_backbone
from mts_core.layers import allocate_convolution, allocate_linear, initialise_layer
from mts_core.residual_network import RESIDUAL_UNITS, ResidualBody

HIDDEN_UNITS: Final = 128
"""Penultimate units of the MLP and of the CNN."""

_FIRST_WIDTH: Final = 16
_LARGEST_WIDTH: Final = 128
_NORM_GROUPS: Final = 8
_FINAL_SIDE: Final = 4
_LARGEST_UNSTRIDED_SIDE: Final = 32
_IMAGE_AXES: Final = 3
_ROWS_AT_ONCE: Final = 4096
_LARGEST_PIXEL: Final = 255.0


@dataclass(frozen=True)
class InputScaling:
    """Shift and gain that bring inputs to a scale on which one learning rate fits all data.

    Attributes:
        shift: Subtracted first; ``[d]`` for embeddings, ``[channel, 1, 1]`` for images.
        gain: Multiplied afterwards; of the same shape.
    """

    shift: Tensor
    gain: Tensor


def measure_input_scaling(inputs: Inputs) -> InputScaling:
    """Return the scaling measured on a set of inputs.

    Images are standardised by channel. A dimension of an embedding is divided by
    ``sqrt(variance + mean variance)``, which evens out loud dimensions without blowing up silent
    ones.

    Args:
        inputs: Images or embeddings; read in chunks.
    """
    is_image = inputs.dim() == _IMAGE_AXES + 1
    axes = (0, 2, 3) if is_image else (0,)
    width = inputs.shape[1]
    count = 0
    total = torch.zeros(width, dtype=torch.float64)
    for chunk in torch.split(inputs, _ROWS_AT_ONCE):
        values = chunk.to("cpu", torch.float64)
        total += values.sum(dim=axes)
        count += values.numel() // width
    mean = total / count
    squares = torch.zeros(width, dtype=torch.float64)
    for chunk in torch.split(inputs, _ROWS_AT_ONCE):
        # The mean is taken off first: a difference of squares would cancel for far-off data.
        centred = chunk.to("cpu", torch.float64) - mean.view(1, width, *([1] * (len(axes) - 1)))
        squares += centred.square().sum(dim=axes)
    variance = squares / count
    spread = variance if is_image else variance + variance.mean()
    # A constant channel has no spread to divide by and stays at zero after the shift.
    gain = torch.where(spread > 0, spread, 1.0).rsqrt()
    shape = (width, 1, 1) if is_image else (width,)
    return InputScaling(mean.view(shape), gain.view(shape))


class Classifier(nn.Module, ABC):
    """A network that ends in a linear head over its penultimate features.

    Attributes:
        head: The last layer; its gradient has the closed form that head alignment uses.
        shift: Buffer taken off every input.
        gain: Buffer that every shifted input is multiplied by.
        has_mixed_tangents: Whether under autocast a forward-mode derivative would come in another
            precision than what it is the derivative of, which the next layer refuses.
    """

    has_mixed_tangents: ClassVar[bool] = False
    head: nn.Linear
    shift: Tensor
    gain: Tensor

    def __init__(self, scaling: InputScaling) -> None:
        super().__init__()
        self.register_buffer("shift", scaling.shift)
        self.register_buffer("gain", scaling.gain)
        self._compiled: Callable[[Inputs], Hidden] | None = None

    @abstractmethod
    def features(self, inputs: Inputs) -> Hidden:
        """Return the penultimate features ``[sample, hidden]`` of raw inputs."""

    def compiled_features(self, inputs: Inputs) -> Hidden:
        """Return what `features` returns, by code that is compiled at the first call."""
        if self._compiled is None:
            self._compiled = torch.compile(self.features)
        return self._compiled(inputs)

    def forward(self, inputs: Inputs) -> Logits:
        """Return the logits ``[sample, class]`` of raw inputs."""
        logits: Tensor = self.head(self.features(inputs))
        return logits

    def scaled(self, inputs: Inputs) -> Tensor:
        """Return raw inputs in the classifier's dtype, shifted and multiplied by its gain."""
        return (inputs.to(self.shift.dtype) - self.shift) * self.gain


@final
class LinearClassifier(Classifier):
    """Softmax regression on the flattened, scaled input."""

    def __init__(self, input_size: int, class_count: int, scaling: InputScaling) -> None:
        super().__init__(scaling)
        self.head = allocate_linear(input_size, class_count)

    def features(self, inputs: Inputs) -> Hidden:
        """Return the flattened, scaled inputs."""
        return self.scaled(inputs).flatten(1)


@final
class MlpClassifier(Classifier):
    """One hidden layer of ReLU units on the flattened, scaled input."""

    def __init__(self, input_size: int, class_count: int, scaling: InputScaling) -> None:
        super().__init__(scaling)
        self.hidden = allocate_linear(input_size, HIDDEN_UNITS)
        self.head = allocate_linear(HIDDEN_UNITS, class_count)

    def features(self, inputs: Inputs) -> Hidden:
        """Return the hidden units' activations."""
        return torch.relu(self.hidden(self.scaled(inputs).flatten(1)))


@final
class CnnClassifier(Classifier):
    """Convolution stages that halve the image until it is at most four pixels wide.

    GroupNorm looks at one sample at a time, so that micro-batches give exactly the whole batch's
    gradient; BatchNorm could not.
    """

    def __init__(
        self, input_shape: tuple[int, ...], class_count: int, scaling: InputScaling
    ) -> None:
        super().__init__(scaling)
        channels, height, width = input_shape
        stages: list[nn.Module] = []
        stage_width = _FIRST_WIDTH
        stride = _first_stride(height, width)
        while not stages or min(height, width) > _FINAL_SIDE:
            height, width = math.ceil(height / stride), math.ceil(width / stride)
            is_halved = min(height, width) > 1
            stages += _stage(channels, stage_width, stride=stride, is_halved=is_halved)
            channels, stage_width = stage_width, min(2 * stage_width, _LARGEST_WIDTH)
            if is_halved:
                height, width = height // 2, width // 2
            stride = 1
        self.stages = nn.Sequential(*stages)
        self.hidden = allocate_linear(channels * height * width, HIDDEN_UNITS)
        self.head = allocate_linear(HIDDEN_UNITS, class_count)

    def features(self, inputs: Inputs) -> Hidden:
        """Return the activations of the layer above the convolutions."""
        return torch.relu(self.hidden(self.stages(self.scaled(inputs)).flatten(1)))


@final
class ResidualClassifier(Classifier):
    """The 20-layer residual network with GroupNorm."""

    def __init__(
        self, input_shape: tuple[int, ...], class_count: int, scaling: InputScaling
    ) -> None:
        super().__init__(scaling)
        channels, height, width = input_shape
        self.body = ResidualBody(channels, stride=_first_stride(height, width))
        self.head = allocate_linear(RESIDUAL_UNITS, class_count)

    def features(self, inputs: Inputs) -> Hidden:
        """Return the mean activations of the last stage."""
        means: Tensor = self.body(self.scaled(inputs))
        return means


@final
class FineTunedClassifier(Classifier):
    """A pretrained network with a new head; it reads images as it was trained on them.

    All parameters train, those of BatchNorm too (its gains and biases); the means and variances
    that BatchNorm divides by stay what pretraining left. A sample's loss then does not depend on
    its neighbours, without which neither its own gradient nor a micro-batch would mean anything.
    Dropout and random depth stay off for the same reason.
    """

    # Frozen BatchNorm returns what comes in rounded, and a tangent as precise as its own gains.
    has_mixed_tangents = True

    def __init__(self, backbone: Backbone, class_count: int) -> None:
        super().__init__(_pixel_scaling(backbone.network))
        self.body = backbone.network.module
        self._size = backbone.network.size
        self.head = allocate_linear(backbone.dimension, class_count)
        self.train()

    def train(self, mode: bool = True) -> "FineTunedClassifier":  # noqa: FBT001, FBT002  # Torch's signature.
        """Change the mode of all but the pretrained network, which stays as in use."""
        super().train(mode)
        self.body.eval()
        return self

    def features(self, inputs: Inputs) -> Hidden:
        """Return what the pretrained network makes of the resized, normalised images."""
        images = as_colour(resize_images(inputs.to(self.shift.dtype), self._size))
        scaled = self.scaled(images).contiguous(memory_format=torch.channels_last)
        hidden: Tensor = self.body(scaled)
        return hidden


def _pixel_scaling(network: ImageNetwork) -> InputScaling:
    """Return what brings pixels in [0, 255] to the values that the network was trained on."""
    mean, deviation = (torch.tensor(values) for values in (network.mean, network.deviation))
    shift, gain = mean * _LARGEST_PIXEL, (deviation * _LARGEST_PIXEL).reciprocal()
    return InputScaling(shift.view(-1, 1, 1), gain.view(-1, 1, 1))


def _first_stride(height: int, width: int) -> int:
    # A large image is halved by the first convolution as well: at full size it would cost most.
    return 2 if min(height, width) > _LARGEST_UNSTRIDED_SIDE else 1


def _stage(channels: int, width: int, *, stride: int, is_halved: bool) -> list[nn.Module]:
    convolution = allocate_convolution(channels, width, stride=stride)
    stage: list[nn.Module] = [convolution, nn.GroupNorm(min(_NORM_GROUPS, width), width), nn.ReLU()]
    return [*stage, nn.MaxPool2d(2)] if is_halved else stage


def build_classifier(
    kind: ClassifierName,
    *,
    input_shape: Sequence[int],
    class_count: int,
    generator: torch.Generator,
    scaling: InputScaling | None = None,
) -> Classifier:
    """Return a freshly initialised classifier on the CPU in float32.

    A pretrained network starts from its weights, under a head of zeros: while the head knows
    nothing, a random one would send the network gradients of no meaning.

    Args:
        kind: Which architecture.
        input_shape: Shape of one input: ``(d,)`` or ``(channel, height, width)``.
        class_count: Number of classes.
        generator: CPU generator of the initial weights; no other randomness is used.
        scaling: Scaling of the inputs; None leaves them as they are. Pretrained networks have
            their own.

    Raises:
        ConfigError: A network on images is asked for inputs that are none, or the worker does not
            have a pretrained one.
    """
    shape = tuple(input_shape)
    if kind.reads_images and len(shape) != _IMAGE_AXES:
        raise ConfigError(
            "Only images can be read by this classifier; choose linear or mlp for other samples.",
            field="classifier",
        )
    if kind.is_pretrained:
        return _pretrained(kind, shape, class_count)
    used_scaling = scaling or InputScaling(torch.zeros(()), torch.ones(()))
    classifier = _construct(kind, shape, class_count, used_scaling).float()
    for module in classifier.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            initialise_layer(module, generator)
    return classifier


def _pretrained(
    kind: ClassifierName, shape: tuple[int, ...], class_count: int
) -> FineTunedClassifier:
    backbone = load_backbone(kind, cast("tuple[int, int, int]", shape))
    classifier = FineTunedClassifier(backbone, class_count)
    with torch.no_grad():
        classifier.head.weight.zero_()
        classifier.head.bias.zero_()
    return classifier


def _construct(
    kind: ClassifierName, shape: tuple[int, ...], class_count: int, scaling: InputScaling
) -> Classifier:
    if kind.reads_images:
        network = CnnClassifier if kind is ClassifierKind.CNN else ResidualClassifier
        return network(shape, class_count, scaling)
    if kind is ClassifierKind.MLP:
        return MlpClassifier(math.prod(shape), class_count, scaling)
    return LinearClassifier(math.prod(shape), class_count, scaling)
