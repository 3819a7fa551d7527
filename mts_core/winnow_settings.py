"""Settings of the default method, which adds posteriors of the labels to MTS."""

# Each call makes the field itself, which no two instances share.

from dataclasses import dataclass
from typing import ClassVar, final

from mts_core.pipeline_config import MethodName
from mts_core.setting import setting
from mts_core.trainer_settings import TrainerSettings


@final
@dataclass(frozen=True, kw_only=True)
class WinnowSettings(TrainerSettings):
    """Settings of MTS weights times the support of the labels."""

    method: ClassVar[MethodName] = MethodName.WINNOW

    sharpness: float = setting(
        2.0,
        text="Power of the label's support in the score.",
        low=0.0,
        high=16.0,
        symbol="γ",
    )
    meta_sharpness: float = setting(
        0.5,
        text="Power of the meta-network's weight in the score.",
        low=0.0,
        high=16.0,
        symbol="α",
    )
    full_sharpness_noise: float = setting(
        0.1,
        text="Estimated share of wrong labels from which on scores are as sharp as the powers say; "
        "with fewer they are flatter in proportion. 0 never flattens them.",
        low=0.0,
        high=1.0,
        symbol="ε₀",
    )
    usual_classes: int = setting(
        10,
        text="Number of classes up to which the support counts by its full power; with more, less "
        "and less, and classes of few samples are held near their share of the pool.",
        low=2,
        high=1_000_000,
        symbol="C₀",
    )
    class_share_prior: float = setting(
        20.0,
        text="With many classes, effective samples of a class at which its share of all weights "
        "lies midway between its own and that of the pool. 0 leaves shares as they are.",
        low=0.0,
        high=100_000.0,
        symbol="n₀",
    )
    label_shift: float = setting(
        1.0,
        text="Power with which classes weigh more that the reference set has more often than the "
        "pool. 0 leaves the pool's classes as frequent as they are.",
        low=0.0,
        high=1.0,
        symbol="χ",
    )
    cleaning_rounds: int = setting(
        4,
        text="Rounds in which the pool's own posterior weighs wrong labels down.",
        low=1,
        high=20,
    )
    landmarks: int = setting(
        384,
        text="Pool samples among the landmarks of the pool's posterior.",
        low=16,
        high=4096,
        symbol="M",
    )
