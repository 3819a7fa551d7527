"""Makes a small stand-in for a pretrained network, with BatchNorm and all else that they hold."""

import torch
from torch import nn

from mts_core.classifiers import FineTunedClassifier
from mts_core.encoders.timm_images import ImageNetwork
from mts_core.fine_tuning import Backbone
from mts_core.training_data import LabelledInputs

CLASS_COUNT = 3
DIMENSION = 6
SIDE = 12


def make_body(generator: torch.Generator) -> nn.Module:
    """Return a network of [sample, 3, 12, 12] images whose BatchNorm has seen some data."""
    with torch.random.fork_rng():
        torch.manual_seed(int(torch.randint(1000, (), generator=generator)))
        body = nn.Sequential(
            nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False),
            nn.BatchNorm2d(4),
            nn.ReLU6(),
            nn.Dropout(0.5),
            nn.Conv2d(4, DIMENSION, 1, bias=False),
            nn.BatchNorm2d(DIMENSION),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
    for layer in body.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.uniform_(-0.5, 0.5, generator=generator)
            layer.running_var.uniform_(0.5, 2.0, generator=generator)
            layer.weight.data.uniform_(0.5, 1.5, generator=generator)
            layer.bias.data.uniform_(-0.5, 0.5, generator=generator)
    return body


def make_classifier(generator: torch.Generator) -> FineTunedClassifier:
    """Return a classifier in float64 that is fine-tuned, with a head that knows something."""
    network = ImageNetwork(make_body(generator), (SIDE, SIDE), (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    classifier = FineTunedClassifier(Backbone(network, DIMENSION), CLASS_COUNT)
    classifier.head.weight.data.normal_(generator=generator)
    classifier.head.bias.data.zero_()
    return classifier.double()


def make_images(generator: torch.Generator, count: int = 40, channels: int = 1) -> LabelledInputs:
    """Return images of another size than the network's."""
    images = torch.randint(0, 256, (count, channels, 9, 8), generator=generator).to(torch.uint8)
    return LabelledInputs(images, torch.randint(0, CLASS_COUNT, (count,), generator=generator))
