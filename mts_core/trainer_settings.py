"""Settings of the methods that train a meta-network beside the classifier."""

# ruff: noqa: RUF009  # Each call makes the field itself, which no two instances share.

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, final

from mts_core.pipeline_config import MethodName, PipelineConfig
from mts_core.setting import AUTO, Auto, setting


class AlignmentChoice(StrEnum):
    """Estimator of the inner product between sample and reference gradients."""

    AUTO = "auto"
    HEAD = "head"
    EXACT = "exact"
    FINITE_DIFFERENCE = "finite_difference"


@dataclass(frozen=True, kw_only=True)
class TrainerSettings(PipelineConfig):
    """Settings of the bi-level trainer, for all methods that use it."""

    alignment: AlignmentChoice = setting(
        AlignmentChoice.AUTO,
        text="Estimator of gradient alignment; auto takes the last layer's closed form for heads "
        "and the exact one for networks on images.",
        symbol="a_i",
    )
    steps: int | Auto = setting(
        AUTO,
        text="Training steps of the weighting run; auto takes 250, 300 for the convolutional "
        "networks and 100 for pretrained ones.",
        low=1,
        high=1_000_000,
        symbol="T",
    )
    batch_size: int | Auto = setting(
        AUTO,
        text="Samples in a training batch; auto starts with at most 256, or 64 for pretrained "
        "networks, and lets the gradient's noise choose up to four times as many.",
        low=2,
        high=1_048_576,
        symbol="N",
    )
    micro_batch_size: int | None = setting(
        None,
        text="Samples held in memory at once; none takes the whole batch.",
        low=1,
        high=1_048_576,
    )
    reference_batch_size: int | None = setting(
        None,
        text="Reference samples behind one step of the meta-network; none takes all, up to 2048.",
        low=1,
        high=1_048_576,
    )
    meta_learning_rate: float | Auto = setting(
        AUTO,
        text="Learning rate of the meta-network; auto takes 0.001 for up to 500 of its steps, and "
        "less for more, down to 0.0003.",
        low=1e-8,
        high=1.0,
    )
    meta_weight_decay: float = setting(
        1e-4, text="Weight decay of the meta-network.", low=0.0, high=1.0
    )
    meta_every: int = setting(
        1, text="Classifier steps between two meta-network steps.", low=1, high=1000
    )
    score_floor: float = setting(
        0.05, text="Lowest score of a sample, against collapse.", low=0.0, high=0.9, symbol="f"
    )
    gsnr_every: int = setting(
        25,
        text="Steps between two measurements of the gradient's noise; 0 for none.",
        low=0,
        high=1_000_000,
    )
    gsnr_partitions: int = setting(
        4, text="Random partitions averaged in each measurement of noise.", low=1, high=64
    )
    use_autocast: bool = setting(
        False,
        text="Whether the classifier computes in bfloat16 while scores are learned; only a CUDA "
        "GPU does.",
    )
    compile: bool = setting(
        False,
        text="Whether the classifier runs as compiled code while scores are learned; a worker "
        "without a compiler runs it as it is, and the report says so.",
    )


@final
@dataclass(frozen=True, kw_only=True)
class MtsSettings(TrainerSettings):
    """Settings of meta-learning for training-data selection."""

    method: ClassVar[MethodName] = MethodName.MTS


@final
@dataclass(frozen=True, kw_only=True)
class MetaWeightNetSettings(TrainerSettings):
    """Settings of the method whose meta-network sees the training loss alone."""

    method: ClassVar[MethodName] = MethodName.META_WEIGHT_NET
