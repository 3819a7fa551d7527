"""The settings of each method, as users see them: default, range, symbol and help."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Auto = Literal["auto"]
# A model of a library by its name there, never a path.
LibraryModel = Annotated[
    str,
    Field(
        pattern=r"^(sentence_transformers|timm):[A-Za-z0-9][A-Za-z0-9_.-]*"
        r"(/[A-Za-z0-9][A-Za-z0-9_.-]*)?$",
        max_length=140,
        examples=["timm:resnet18", "sentence_transformers:intfloat/e5-small-v2"],
    ),
]
ImageNetwork = Annotated[
    str,
    Field(
        pattern=r"^timm:[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)?$",
        max_length=140,
        examples=["timm:resnet18"],
    ),
]
BaselineName = Literal[
    "random",
    "el2n",
    "grand",
    "forgetting",
    "knn_agreement",
    "cosine",
    "knn_shapley",
    "meta_weight_net",
]


def _symbol(symbol: str) -> dict[str, Any]:  # What is added to a JSON Schema.
    return {"symbol": symbol}


def _without_repetition(names: list[str]) -> list[str]:
    if len(set(names)) < len(names):
        raise ValueError("A name stands twice in the list.")
    return names


class PipelineSettings(BaseModel):
    """What every method lets users set; what is `auto` is resolved from the data by the run."""

    # Strict, so that true is no number and "3" no count.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    encoder: (
        Literal[
            "auto",
            "identity",
            "efficientnet_lite0",
            "pixels_pca",
            "hog",
            "table_scaled",
            "table_quantiles",
            "minilm",
            "tfidf_svd",
        ]
        | LibraryModel
    ) = Field(
        "auto",
        description="Space for position features; auto takes the view in which the reference set"
        " predicts itself best.",
    )
    classifier: (
        Literal["auto", "linear", "mlp", "cnn", "resnet20", "efficientnet_lite0"] | ImageNetwork
    ) = Field(
        "auto",
        description="Model to train; auto takes a small network on the encoding. efficientnet_lite0"
        " and networks of timm start from their pretrained weights.",
    )
    classifier_learning_rate: Annotated[float, Field(ge=1e-8, le=10.0)] | Auto = Field(
        "auto",
        description="Learning rate of the classifier; auto takes 0.1, 0.01 for the convolutional"
        " networks and 0.003 for pretrained ones.",
        json_schema_extra=_symbol("η"),
    )
    momentum: float = Field(
        0.9,
        ge=0.0,
        le=0.999,
        description="Momentum of the classifier's optimiser.",
        json_schema_extra=_symbol("μ"),
    )
    classifier_weight_decay: float = Field(
        5e-4,
        ge=0.0,
        le=1.0,
        description="Weight decay of the classifier; heads decay 100 and networks 200 times as"
        " much while scores are learned, but for pretrained ones.",
        json_schema_extra=_symbol("λ"),
    )
    augmentation: Literal["none", "shift", "shift_flip", "affine", "affine_flip"] = Field(
        "none",
        description="How the images of every training batch are varied: moved (shift), also turned"
        " (affine), mirrored (flip); only networks on images can be trained so.",
    )
    evaluate: bool = Field(True, description="Whether to measure the before and after table.")
    evaluation_seeds: int = Field(
        5, ge=2, le=100, description="Paired repetitions behind each row of the table."
    )
    # A list and not a set: JSON knows lists alone, and the order of a set would vary.
    baselines: Annotated[list[BaselineName], AfterValidator(_without_repetition)] = Field(
        ["random", "el2n", "cosine", "knn_shapley"],
        description="Rows to measure beside no selection, the reference set alone and the method's"
        " own; each takes time.",
        json_schema_extra={"uniqueItems": True},
    )
    keep: Annotated[float, Field(ge=1e-6, le=1.0)] | Auto = Field(
        "auto",
        description="Fraction of the pool that the suggested cut keeps; auto asks the reference"
        " set.",
    )
    balance: bool = Field(
        False, description="Whether the suggested cut keeps the same fraction of every class."
    )


class TrainerSettings(PipelineSettings):
    """Settings of the methods that train a meta-network beside the classifier."""

    alignment: Literal["auto", "head", "exact", "finite_difference"] = Field(
        "auto",
        description="Estimator of gradient alignment; auto takes the last layer's closed form for"
        " heads and the exact one for networks on images.",
        json_schema_extra=_symbol("a_i"),
    )
    steps: Annotated[int, Field(ge=1, le=1_000_000)] | Auto = Field(
        "auto",
        description="Training steps of the weighting run; auto takes 250, 300 for the"
        " convolutional networks and 100 for pretrained ones.",
        json_schema_extra=_symbol("T"),
    )
    batch_size: Annotated[int, Field(ge=2, le=1_048_576)] | Auto = Field(
        "auto",
        description="Samples in a training batch; auto starts with at most 256, or 64 for"
        " pretrained networks, and lets the gradient's noise choose up to four times as many.",
        json_schema_extra=_symbol("N"),
    )
    micro_batch_size: Annotated[int, Field(ge=1, le=1_048_576)] | None = Field(
        None, description="Samples held in memory at once; none takes the whole batch."
    )
    reference_batch_size: Annotated[int, Field(ge=1, le=1_048_576)] | None = Field(
        None,
        description="Reference samples behind one step of the meta-network; none takes all, up to"
        " 2048.",
    )
    meta_learning_rate: Annotated[float, Field(ge=1e-8, le=1.0)] | Auto = Field(
        "auto",
        description="Learning rate of the meta-network; auto takes 0.001 for up to 500 of its"
        " steps, and less for more, down to 0.0003.",
    )
    meta_weight_decay: float = Field(
        1e-4, ge=0.0, le=1.0, description="Weight decay of the meta-network."
    )
    meta_every: int = Field(
        1, ge=1, le=1000, description="Classifier steps between two meta-network steps."
    )
    score_floor: float = Field(
        0.05,
        ge=0.0,
        le=0.9,
        description="Lowest score of a sample, against collapse.",
        json_schema_extra=_symbol("f"),
    )
    gsnr_every: int = Field(
        25,
        ge=0,
        le=1_000_000,
        description="Steps between two measurements of the gradient's noise; 0 for none.",
    )
    gsnr_partitions: int = Field(
        4, ge=1, le=64, description="Random partitions averaged in each measurement of noise."
    )
    use_autocast: bool = Field(
        False,
        description="Whether the classifier computes in bfloat16 while scores are learned; only a"
        " CUDA GPU does.",
    )
    compile: bool = Field(
        False,
        description="Whether the classifier runs as compiled code while scores are learned; a"
        " worker without a compiler runs it as it is, and the report says so.",
    )


class MtsSettings(TrainerSettings):
    """Meta-learning for training-data selection: the meta-network sees 22 features."""

    model_config = ConfigDict(title="mts")


class WinnowSettings(TrainerSettings):
    """The default: weights of MTS joined with the support of labels by reference set and pool."""

    model_config = ConfigDict(title="winnow")

    sharpness: float = Field(
        2.0,
        ge=0.0,
        le=16.0,
        description="Power of the label's support in the score.",
        json_schema_extra=_symbol("γ"),
    )
    meta_sharpness: float = Field(
        0.5,
        ge=0.0,
        le=16.0,
        description="Power of the meta-network's weight in the score.",
        json_schema_extra=_symbol("α"),
    )
    full_sharpness_noise: float = Field(
        0.1,
        ge=0.0,
        le=1.0,
        description="Estimated share of wrong labels from which on scores are as sharp as the"
        " powers say; with fewer they are flatter in proportion. 0 never flattens them.",
        json_schema_extra=_symbol("ε₀"),
    )
    usual_classes: int = Field(
        10,
        ge=2,
        le=1_000_000,
        description="Number of classes up to which the support counts by its full power; with more,"
        " less and less, and classes of few samples are held near their share of the pool.",
        json_schema_extra=_symbol("C₀"),
    )
    class_share_prior: float = Field(
        20.0,
        ge=0.0,
        le=100_000.0,
        description="With many classes, effective samples of a class at which its share of all"
        " weights lies midway between its own and that of the pool. 0 leaves shares as they are.",
        json_schema_extra=_symbol("n₀"),
    )
    label_shift: float = Field(
        1.0,
        ge=0.0,
        le=1.0,
        description="Power with which classes weigh more that the reference set has more often"
        " than the pool. 0 leaves the pool's classes as frequent as they are.",
        json_schema_extra=_symbol("χ"),
    )
    cleaning_rounds: int = Field(
        4,
        ge=1,
        le=20,
        description="Rounds in which the pool's own posterior weighs wrong labels down.",
    )
    landmarks: int = Field(
        384,
        ge=16,
        le=4096,
        description="Pool samples among the landmarks of the pool's posterior.",
        json_schema_extra=_symbol("M"),
    )


class MetaWeightNetSettings(TrainerSettings):
    """Meta-Weight-Net: the meta-network sees the training loss alone."""

    model_config = ConfigDict(title="meta_weight_net")


class TessSettings(PipelineSettings):
    """TESS: a sample is worth what learning from the reference set first takes off its loss."""

    model_config = ConfigDict(title="tess")

    steps: Annotated[int, Field(ge=1, le=1_000_000)] | Auto = Field(
        "auto",
        description="Training steps of either classifier; auto takes 250, 300 for the"
        " convolutional networks and 100 for pretrained ones.",
        json_schema_extra=_symbol("T"),
    )
    batch_size: Annotated[int, Field(ge=1, le=1_048_576)] | Auto = Field(
        "auto",
        description="Pool samples in a batch; auto takes 256, 64 for pretrained networks, or the"
        " whole of a smaller pool.",
        json_schema_extra=_symbol("N"),
    )
    micro_batch_size: Annotated[int, Field(ge=1, le=1_048_576)] | None = Field(
        None, description="Samples held in memory at once; none takes the whole batch."
    )
    reference_batch_size: Annotated[int, Field(ge=1, le=1_048_576)] | None = Field(
        None, description="Reference samples in a batch; none takes all, up to 2048."
    )
    pool_share: float = Field(
        0.1,
        ge=0.0,
        le=100.0,
        description="Weight of the pool's loss beside the reference loss in the second classifier.",
        json_schema_extra=_symbol("α"),
    )
    selector_steps: int = Field(
        300, ge=1, le=1_000_000, description="Steps of the regression of the values."
    )
    selector_batch_size: int = Field(
        512, ge=1, le=1_048_576, description="Samples in a batch of the regression."
    )
    selector_learning_rate: float = Field(
        3e-3, ge=1e-8, le=1.0, description="First learning rate of the regression."
    )
    selector_weight_decay: float = Field(
        1e-2, ge=0.0, le=10.0, description="Weight decay of the regression."
    )
    use_autocast: bool = Field(
        False, description="Whether the classifiers compute in bfloat16; only a CUDA GPU does."
    )
    compile: bool = Field(
        False,
        description="Whether the classifiers run as compiled code; a worker without a compiler runs"
        " them as they are, and the report says so.",
    )


METHODS: Mapping[str, type[BaseModel]] = MappingProxyType(
    {
        "winnow": WinnowSettings,
        "mts": MtsSettings,
        "meta_weight_net": MetaWeightNetSettings,
        "tess": TessSettings,
    }
)
"""Class of each method's settings, by the method's name."""
