"""Settings of a whole curation run: encoding, features, training, evaluation and cut."""

# ruff: noqa: RUF009  # Each call makes the field itself, which no two instances share.

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal

from mts_core.errors import ConfigError

AUTO: Final = "auto"
Auto = Literal["auto"]


class EncoderChoice(StrEnum):
    """Space in which position features are measured and heads are trained."""

    AUTO = "auto"
    IDENTITY = "identity"
    EFFICIENTNET_LITE0 = "efficientnet_lite0"
    PIXELS_PCA = "pixels_pca"


class ClassifierChoice(StrEnum):
    """Model that the weights are learned for and judged with."""

    AUTO = "auto"
    LINEAR = "linear"
    MLP = "mlp"
    CNN = "cnn"
    RESNET20 = "resnet20"


class AlignmentChoice(StrEnum):
    """Estimator of the inner product between sample and reference gradients."""

    AUTO = "auto"
    HEAD = "head"
    EXACT = "exact"
    FINITE_DIFFERENCE = "finite_difference"


def _setting(
    default: Any,  # Any: the field's own annotation checks it.
    *,
    text: str,
    low: float | None = None,
    high: float | None = None,
    symbol: str | None = None,
) -> Any:  # Any: dataclasses.field is typed as its default.
    return dataclasses.field(
        default=default,
        metadata={
            "range": (low, high),
            "help": text,
            "symbol": symbol,
        },
    )


@dataclass(frozen=True, kw_only=True)
class PipelineConfig:
    """Hyper-parameters of one run; `auto` is resolved from the data and stored with the result.

    Each field's metadata holds `range` (lowest and highest value, both allowed, or Nones), `help`
    and the `symbol` of docs/mathematics.md.

    Raises:
        ConfigError: A value lies outside its range or names no known choice.
    """

    encoder: EncoderChoice = _setting(
        EncoderChoice.AUTO,
        text="Space for position features; auto takes the view in which the reference set "
        "predicts itself best.",
    )
    classifier: ClassifierChoice = _setting(
        ClassifierChoice.AUTO, text="Model to train; auto takes a small network on the encoding."
    )
    alignment: AlignmentChoice = _setting(
        AlignmentChoice.AUTO,
        text="Estimator of gradient alignment; auto takes the last layer's closed form for heads "
        "and the exact one for the convolutional networks.",
    )
    steps: int | Auto = _setting(
        AUTO, text="Training steps of the weighting run.", low=1, high=1_000_000, symbol="T"
    )
    batch_size: int | Auto = _setting(
        AUTO,
        text="Samples in a training batch; auto starts with at most 256 and lets the gradient's "
        "noise choose up to four times as many.",
        low=2,
        high=1_048_576,
        symbol="N",
    )
    micro_batch_size: int | None = _setting(
        None,
        text="Samples held in memory at once; none takes the whole batch.",
        low=1,
        high=1_048_576,
    )
    use_autocast: bool = _setting(
        False,
        text="Whether to train the classifier in bfloat16 while scores are learned, where the "
        "device is a CUDA GPU.",
    )
    classifier_learning_rate: float | Auto = _setting(
        AUTO, text="Learning rate of the classifier.", low=1e-8, high=10.0, symbol="eta"
    )
    momentum: float = _setting(
        0.9, text="Momentum of the classifier's optimiser.", low=0.0, high=0.999
    )
    classifier_weight_decay: float = _setting(
        5e-4, text="Weight decay of the classifier.", low=0.0, high=1.0
    )
    meta_learning_rate: float | Auto = _setting(
        AUTO, text="Learning rate of the meta-network.", low=1e-8, high=1.0
    )
    meta_weight_decay: float = _setting(
        1e-4, text="Weight decay of the meta-network.", low=0.0, high=1.0
    )
    meta_every: int = _setting(
        1, text="Classifier steps between two meta-network steps.", low=1, high=10_000
    )
    score_floor: float = _setting(
        0.05, text="Lowest score of a sample, against collapse.", low=0.0, high=0.9, symbol="f"
    )
    gsnr_every: int = _setting(
        25,
        text="Steps between two measurements of the gradient's noise; 0 for none.",
        low=0,
        high=1_000_000,
    )
    gsnr_partitions: int = _setting(
        4, text="Random partitions averaged in each measurement of noise.", low=1, high=1000
    )
    evaluate: bool = _setting(True, text="Whether to measure the before and after table.")
    evaluation_seeds: int = _setting(
        5, text="Paired repetitions behind each row of the table.", low=2, high=100
    )
    keep: float | Auto = _setting(
        AUTO,
        text="Fraction of the pool that the suggested cut keeps; auto asks the reference set.",
        low=1e-6,
        high=1.0,
    )
    balance: bool = _setting(
        False, text="Whether the suggested cut keeps the same fraction of every class."
    )

    def __post_init__(self) -> None:
        """Refuse values outside their range.

        Raises:
            ConfigError: A value lies outside its range or names no known choice.
        """
        for name, kind in _CHOICES.items():
            _check_choice(name, getattr(self, name), kind)
        for item in dataclasses.fields(self):
            if item.name not in _CHOICES:
                _check_value(item, getattr(self, item.name))


_CHOICES: Final[dict[str, type[StrEnum]]] = {
    "encoder": EncoderChoice,
    "classifier": ClassifierChoice,
    "alignment": AlignmentChoice,
}


def pipeline_config_from_mapping(values: Mapping[str, object]) -> PipelineConfig:
    """Return the settings that a JSON object names, with defaults for the rest.

    Args:
        values: Field names to JSON values; choices are given by their names.

    Raises:
        ConfigError: A key is unknown, or a value lies outside its range.
    """
    known = {item.name for item in dataclasses.fields(PipelineConfig)}
    for key in values:
        if key not in known:
            raise ConfigError(f"There is no setting named {key!r}.", field=key)
    settings: dict[str, Any] = dict(values)  # Any: checked field by field on construction.
    for name, kind in _CHOICES.items():
        if name in settings:
            _check_choice(name, settings[name], kind)
            settings[name] = kind(settings[name])
    return PipelineConfig(**settings)


def config_to_json(config: PipelineConfig) -> dict[str, object]:
    """Return the settings as JSON values, field by field in order of declaration."""
    return {
        name: str(value) if isinstance(value, StrEnum) else value
        for name, value in dataclasses.asdict(config).items()
    }


def _check_choice(name: str, value: object, kind: type[StrEnum]) -> None:
    allowed = [str(member) for member in kind]
    if value not in allowed:
        raise ConfigError(f"{name} must be one of {', '.join(allowed)}, not {value!r}.", field=name)


def _check_value(
    item: dataclasses.Field[Any],  # Any: the field's type differs from one to the next.
    value: object,
) -> None:
    if isinstance(item.default, bool):
        if not isinstance(value, bool):
            raise ConfigError(f"{item.name} must be true or false, not {value!r}.", field=item.name)
        return
    low, high = item.metadata["range"]
    if value == item.default or low is None:
        return
    kinds = (int,) if isinstance(low, int) else (int, float)
    # The comparison is written so that a NaN fails it.
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
        noun = "whole number" if kinds == (int,) else "number"
        raise ConfigError(
            f"{item.name} must be a {noun} between {low:g} and {high:g}, not {value!r}.",
            field=item.name,
        )
