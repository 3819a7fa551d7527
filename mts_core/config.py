"""Holds the trainer's settings with their defaults, ranges and paper symbols."""

from dataclasses import dataclass
from enum import StrEnum

from mts_core.library_models import LibraryModel, parse_image_network
from mts_core.setting import check_settings, setting


class ClassifierKind(StrEnum):
    """Which classifier is trained on the weighted pool."""

    LINEAR = "linear"
    MLP = "mlp"
    CNN = "cnn"
    RESNET20 = "resnet20"
    EFFICIENTNET_LITE0 = "efficientnet_lite0"

    @property
    def reads_images(self) -> bool:
        """Whether the classifier is a network on images instead of a head on vectors."""
        return self not in {ClassifierKind.LINEAR, ClassifierKind.MLP}

    @property
    def is_pretrained(self) -> bool:
        """Whether the classifier starts from weights that other images have taught it."""
        return self is ClassifierKind.EFFICIENTNET_LITE0


ClassifierName = ClassifierKind | LibraryModel
"""A classifier that is shipped, or a network of timm that is fine-tuned."""


class Augmentation(StrEnum):
    """How images are varied before a classifier is trained on them."""

    NONE = "none"
    SHIFT = "shift"
    SHIFT_FLIP = "shift_flip"
    AFFINE = "affine"
    AFFINE_FLIP = "affine_flip"


class MetaInput(StrEnum):
    """What the meta-network sees of a sample."""

    FEATURES = "features"
    LOSS = "loss"


class AlignmentKind(StrEnum):
    """How the alignment of each sample with the reference gradient is computed."""

    HEAD = "head"
    EXACT = "exact"
    FINITE_DIFFERENCE = "finite_difference"


@dataclass(frozen=True)
class MtsConfig:
    """Resolved settings of one run of the trainer.

    Each field's metadata holds `range` (lowest and highest value, both allowed, or Nones), `help`
    and the `symbol` of docs/mathematics.md.

    Raises:
        ConfigError: A value lies outside its range or names no known choice.
    """

    classifier: ClassifierName = setting(  # noqa: RUF009  # A field, shared by no two instances.
        ClassifierKind.MLP,
        text="Classifier trained on the weighted pool.",
        parse_other=parse_image_network,
    )
    alignment: AlignmentKind = setting(  # noqa: RUF009  # A field, shared by no two instances.
        AlignmentKind.HEAD,
        text="Estimator of the inner product with the reference gradient.",
        symbol="a_i",
    )
    meta_input: MetaInput = setting(  # noqa: RUF009  # A field, shared by no two instances.
        MetaInput.FEATURES,
        text="What the meta-network sees: the 22 features, or the training loss alone.",
        symbol="z_i",
    )
    steps: int = setting(500, text="Number of classifier steps.", low=1, high=1_000_000, symbol="T")
    batch_size: int = setting(
        512, text="Samples in a training batch.", low=2, high=1_048_576, symbol="N"
    )
    chooses_batch_size: bool = setting(
        False, text="Whether the warm-up may raise the size of the batches after it."
    )
    micro_batch_size: int | None = setting(
        None,
        text="Samples that pass through the classifier at once; null means the whole batch.",
        low=1,
        high=1_048_576,
    )
    reference_batch_size: int | None = setting(
        None,
        text="Reference samples in a meta batch; null means all of them, up to 2048.",
        low=1,
        high=1_048_576,
    )
    classifier_learning_rate: float = setting(
        0.1, text="Step size of the classifier.", low=1e-8, high=100.0, symbol="η"
    )
    momentum: float = setting(
        0.9, text="Momentum of the classifier's SGD.", low=0.0, high=0.999, symbol="μ"
    )
    classifier_weight_decay: float = setting(
        5e-4, text="Weight decay of the classifier.", low=0.0, high=100.0, symbol="λ"
    )
    meta_learning_rate: float = setting(
        1e-3, text="Step size of the meta-network's AdamW.", low=0.0, high=1.0
    )
    meta_weight_decay: float = setting(
        1e-4, text="Weight decay of the meta-network.", low=0.0, high=10.0
    )
    meta_every: int = setting(1, text="Classifier steps between two meta steps.", low=1, high=1000)
    score_floor: float = setting(
        0.05,
        text="Smallest weight; keeps the weights from drifting to zero together.",
        low=0.0,
        high=0.9,
        symbol="f",
    )
    finite_difference_epsilon: float = setting(
        0.01,
        text="Length of the finite-difference step in parameter space.",
        low=1e-8,
        high=1.0,
        symbol="ε",
    )
    gsnr_every: int = setting(
        25,
        text="Steps between two measurements of the GSNR; 0 measures never.",
        low=0,
        high=1_000_000,
    )
    gsnr_partitions: int = setting(
        4, text="Random partitions averaged in one measurement.", low=1, high=64
    )
    use_autocast: bool = setting(
        False, text="Run the classifier in bfloat16 where the device is a CUDA GPU."
    )
    compile: bool = setting(False, text="Run the classifier as compiled code.")
    augmentation: Augmentation = setting(  # noqa: RUF009  # A field, shared by no two instances.
        Augmentation.NONE, text="How the images of a training batch are varied."
    )

    def __post_init__(self) -> None:
        """Refuses values outside their range."""
        check_settings(self)


@dataclass(frozen=True)
class TessConfig:
    """Resolved settings of one run of TESS.

    Each field's metadata holds `range` (lowest and highest value, both allowed, or Nones), `help`
    and the `symbol` of docs/mathematics.md.

    Raises:
        ConfigError: A value lies outside its range.
    """

    classifier: ClassifierName = setting(  # noqa: RUF009  # A field, shared by no two instances.
        ClassifierKind.MLP,
        text="Classifier whose two trainings give a sample its value.",
        parse_other=parse_image_network,
    )
    steps: int = setting(
        250, text="Number of steps of either classifier.", low=1, high=1_000_000, symbol="T"
    )
    batch_size: int = setting(
        256, text="Pool samples in a batch.", low=1, high=1_048_576, symbol="N"
    )
    micro_batch_size: int | None = setting(
        None,
        text="Samples that pass through a classifier at once; null means the whole batch.",
        low=1,
        high=1_048_576,
    )
    reference_batch_size: int | None = setting(
        None,
        text="Reference samples in a batch; null means all of them, up to 2048.",
        low=1,
        high=1_048_576,
    )
    pool_share: float = setting(
        0.1,
        text="Weight of the pool's loss beside the reference loss in the second classifier.",
        low=0.0,
        high=100.0,
        symbol="α",
    )
    classifier_learning_rate: float = setting(
        0.1, text="Step size of the classifiers.", low=1e-8, high=100.0, symbol="η"
    )
    momentum: float = setting(
        0.9, text="Momentum of the classifiers' SGD.", low=0.0, high=0.999, symbol="μ"
    )
    classifier_weight_decay: float = setting(
        5e-3, text="Weight decay of the classifiers.", low=0.0, high=10.0, symbol="λ"
    )
    selector_steps: int = setting(
        300, text="Steps of the regression of the values.", low=1, high=1_000_000
    )
    selector_batch_size: int = setting(
        512, text="Samples in a batch of the regression.", low=1, high=1_048_576
    )
    selector_learning_rate: float = setting(
        3e-3, text="First step size of the regression's AdamW.", low=1e-8, high=1.0
    )
    selector_weight_decay: float = setting(
        1e-2, text="Weight decay of the regression.", low=0.0, high=10.0
    )
    use_autocast: bool = setting(
        False, text="Run the classifiers in bfloat16 where the device is a CUDA GPU."
    )
    compile: bool = setting(False, text="Run the classifiers as compiled code.")
    augmentation: Augmentation = setting(  # noqa: RUF009  # A field, shared by no two instances.
        Augmentation.NONE, text="How the images of a training batch are varied."
    )

    def __post_init__(self) -> None:
        """Refuses values outside their range."""
        check_settings(self)


def automatic_meta_learning_rate(steps: int, meta_every: int = 1) -> float:
    """Return the meta-network's step size for a number of classifier steps.

    Too few updates times step size leave the weights uniform, too many collapse them, so the step
    size falls as the number of updates grows.

    Args:
        steps: Classifier steps of the run.
        meta_every: Classifier steps between two meta steps.
    """
    updates = max(1, steps // meta_every)
    return min(1e-3, max(3e-4, 1e-3 * (500 / updates) ** 2))
