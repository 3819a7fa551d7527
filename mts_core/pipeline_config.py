"""Settings that a curation run has whatever its method: encoding, classifier, table and cut."""

# ruff: noqa: RUF009  # Each call makes the field itself, which no two instances share.

import dataclasses
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from mts_core.config import Augmentation
from mts_core.library_models import LibraryModel, parse_image_network, parse_library_model
from mts_core.setting import AUTO, Auto, check_settings, setting, value_from_json, value_to_json


class MethodName(StrEnum):
    """How scores are learned; `methods.py` says what does it."""

    WINNOW = "winnow"
    MTS = "mts"
    META_WEIGHT_NET = "meta_weight_net"
    TESS = "tess"


class EncoderChoice(StrEnum):
    """Space in which position features are measured and heads are trained."""

    AUTO = "auto"
    IDENTITY = "identity"
    EFFICIENTNET_LITE0 = "efficientnet_lite0"
    PIXELS_PCA = "pixels_pca"
    HOG = "hog"
    TABLE_SCALED = "table_scaled"
    TABLE_QUANTILES = "table_quantiles"
    MINILM = "minilm"
    TFIDF_SVD = "tfidf_svd"


class ClassifierChoice(StrEnum):
    """Model that the weights are learned for and judged with."""

    AUTO = "auto"
    LINEAR = "linear"
    MLP = "mlp"
    CNN = "cnn"
    RESNET20 = "resnet20"
    EFFICIENTNET_LITE0 = "efficientnet_lite0"


class BaselineChoice(StrEnum):
    """Row that the table shows beside no selection, the reference alone and the job's method."""

    RANDOM = "random"
    EL2N = "el2n"
    GRAND = "grand"
    FORGETTING = "forgetting"
    KNN_AGREEMENT = "knn_agreement"
    COSINE = "cosine"
    KNN_SHAPLEY = "knn_shapley"
    META_WEIGHT_NET = "meta_weight_net"


@dataclass(frozen=True, kw_only=True)
class PipelineConfig:
    """Settings of one run that every method has; a method's own class adds its settings.

    `auto` is resolved from the data and stored with the result. Each field's metadata holds
    `range` (lowest and highest value, both allowed, or Nones), `help` and the `symbol` of
    docs/mathematics.md.

    Attributes:
        method: How scores are learned; a class of settings belongs to one method.

    Raises:
        ConfigError: A value lies outside its range or names no known choice.
    """

    method: ClassVar[MethodName]

    encoder: EncoderChoice | LibraryModel = setting(
        EncoderChoice.AUTO,
        text="Space for position features; auto takes the view in which the reference set "
        "predicts itself best.",
        parse_other=parse_library_model,
    )
    classifier: ClassifierChoice | LibraryModel = setting(
        ClassifierChoice.AUTO,
        text="Model to train; auto takes a small network on the encoding. efficientnet_lite0 and "
        "networks of timm start from their pretrained weights.",
        parse_other=parse_image_network,
    )
    classifier_learning_rate: float | Auto = setting(
        AUTO,
        text="Learning rate of the classifier; auto takes 0.1, 0.01 for the convolutional "
        "networks and 0.003 for pretrained ones.",
        low=1e-8,
        high=10.0,
        symbol="η",
    )
    momentum: float = setting(
        0.9, text="Momentum of the classifier's optimiser.", low=0.0, high=0.999, symbol="μ"
    )
    classifier_weight_decay: float = setting(
        5e-4,
        text="Weight decay of the classifier; heads decay 100 and networks 200 times as "
        "much while scores are learned, but for pretrained ones.",
        low=0.0,
        high=1.0,
        symbol="λ",
    )
    augmentation: Augmentation = setting(
        Augmentation.NONE,
        text="How the images of every training batch are varied: moved (shift), also turned "
        "(affine), mirrored (flip); only networks on images can be trained so.",
    )
    evaluate: bool = setting(True, text="Whether to measure the before and after table.")
    evaluation_seeds: int = setting(
        5, text="Paired repetitions behind each row of the table.", low=2, high=100
    )
    baselines: tuple[BaselineChoice, ...] = setting(
        (
            BaselineChoice.RANDOM,
            BaselineChoice.EL2N,
            BaselineChoice.COSINE,
            BaselineChoice.KNN_SHAPLEY,
        ),
        text="Rows to measure beside no selection, the reference set alone and the method's own; "
        "each takes time.",
    )
    keep: float | Auto = setting(
        AUTO,
        text="Fraction of the pool that the suggested cut keeps; auto asks the reference set.",
        low=1e-6,
        high=1.0,
    )
    balance: bool = setting(
        False, text="Whether the suggested cut keeps the same fraction of every class."
    )

    def __post_init__(self) -> None:
        """Refuse values outside their range.

        Raises:
            ConfigError: A value lies outside its range or names no known choice.
        """
        check_settings(self)


def parse_encoder(text: str) -> EncoderChoice | LibraryModel:
    """Return the encoder that a name means.

    Raises:
        ConfigError: There is none of this name.
    """
    field = next(item for item in dataclasses.fields(PipelineConfig) if item.name == "encoder")
    encoder: EncoderChoice | LibraryModel = value_from_json(field, text)
    return encoder


def config_to_json(config: PipelineConfig) -> dict[str, object]:
    """Return the settings as JSON values, field by field in order of declaration."""
    return {
        item.name: value_to_json(getattr(config, item.name)) for item in dataclasses.fields(config)
    }
