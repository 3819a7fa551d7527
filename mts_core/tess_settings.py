"""Settings of the method TESS, and the numbers that a run takes from them."""

# ruff: noqa: RUF009  # Each call makes the field itself, which no two instances share.

import dataclasses
from dataclasses import dataclass
from typing import ClassVar, Final, final

from mts_core.config import TessConfig
from mts_core.curation_data import CurationData
from mts_core.pipeline_config import MethodName, PipelineConfig
from mts_core.setting import AUTO, Auto, setting
from mts_core.settings_resolution import ResolvedSettings, resolve_settings

_HEAD_DECAY_FACTOR: Final = 10
"""How much more a head's parameters decay: wrong labels that are learned by heart have no value."""


@final
@dataclass(frozen=True, kw_only=True)
class TessSettings(PipelineConfig):
    """Settings of the method that values samples by two trainings."""

    method: ClassVar[MethodName] = MethodName.TESS

    steps: int | Auto = setting(
        AUTO,
        text="Training steps of either classifier; auto takes 250, 300 for the convolutional "
        "networks and 100 for pretrained ones.",
        low=1,
        high=1_000_000,
        symbol="T",
    )
    batch_size: int | Auto = setting(
        AUTO,
        text="Pool samples in a batch; auto takes 256, 64 for pretrained networks, or the whole of "
        "a smaller pool.",
        low=1,
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
        text="Reference samples in a batch; none takes all, up to 2048.",
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
    selector_steps: int = setting(
        300, text="Steps of the regression of the values.", low=1, high=1_000_000
    )
    selector_batch_size: int = setting(
        512, text="Samples in a batch of the regression.", low=1, high=1_048_576
    )
    selector_learning_rate: float = setting(
        3e-3, text="First learning rate of the regression.", low=1e-8, high=1.0
    )
    selector_weight_decay: float = setting(
        1e-2, text="Weight decay of the regression.", low=0.0, high=10.0
    )
    use_autocast: bool = setting(
        False,
        text="Whether the classifiers compute in bfloat16; only a CUDA GPU does.",
    )
    compile: bool = setting(
        False,
        text="Whether the classifiers run as compiled code; a worker without a compiler runs them "
        "as they are, and the report says so.",
    )


def resolve_tess(config: PipelineConfig, data: CurationData) -> ResolvedSettings:
    """Return the settings of a run on some data.

    Args:
        config: The job's settings.
        data: Inputs of the run.

    Raises:
        ConfigError: The classifier does not fit the inputs.
    """
    resolved = resolve_settings(config, data)
    if not isinstance(config, TessSettings):
        return resolved
    count = len(data.pool_labels)
    batch_size = resolved.mts.batch_size if config.batch_size == AUTO else int(config.batch_size)
    pipeline = dataclasses.replace(
        config,
        classifier=resolved.pipeline.classifier,
        classifier_learning_rate=resolved.pipeline.classifier_learning_rate,
        steps=resolved.mts.steps if config.steps == AUTO else config.steps,
        batch_size=min(batch_size, count),
    )
    return dataclasses.replace(resolved, pipeline=pipeline)


def tess_config(settings: ResolvedSettings) -> TessConfig:
    """Return the numbers of a run; a run of another method takes TESS with its defaults.

    Args:
        settings: Resolved settings.
    """
    mts, own = settings.mts, settings.pipeline
    decay_factor = 1 if mts.classifier.reads_images else _HEAD_DECAY_FACTOR
    config = TessConfig(
        classifier=mts.classifier,
        steps=mts.steps,
        batch_size=mts.batch_size,
        classifier_learning_rate=mts.classifier_learning_rate,
        momentum=mts.momentum,
        classifier_weight_decay=own.classifier_weight_decay * decay_factor,
        augmentation=own.augmentation,
    )
    if not isinstance(own, TessSettings):
        return config
    return dataclasses.replace(
        config,
        steps=config.steps if own.steps == AUTO else int(own.steps),
        batch_size=config.batch_size if own.batch_size == AUTO else int(own.batch_size),
        micro_batch_size=own.micro_batch_size,
        reference_batch_size=own.reference_batch_size,
        pool_share=own.pool_share,
        selector_steps=own.selector_steps,
        selector_batch_size=own.selector_batch_size,
        selector_learning_rate=own.selector_learning_rate,
        selector_weight_decay=own.selector_weight_decay,
        use_autocast=own.use_autocast,
        compile=own.compile,
    )
