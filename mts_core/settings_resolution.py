"""Turns a job's settings into the numbers that a run uses, from the data's kind and size."""

import dataclasses
from typing import Final, TypeVar

from mts_core.classifiers import InputScaling
from mts_core.config import (
    AlignmentKind,
    Augmentation,
    ClassifierKind,
    ClassifierName,
    MtsConfig,
    automatic_meta_learning_rate,
)
from mts_core.curation_data import CurationData
from mts_core.errors import ConfigError
from mts_core.library_models import LibraryModel
from mts_core.optimisers import SgdRule
from mts_core.pipeline_config import ClassifierChoice, PipelineConfig
from mts_core.plain_training import TrainingRecipe
from mts_core.setting import Auto
from mts_core.trainer_settings import AlignmentChoice, TrainerSettings

_Number = TypeVar("_Number", int, float)

_HEAD_STEPS: Final = 250
_HEAD_BATCH: Final = 256
_HEAD_LEARNING_RATE: Final = 0.1
_HEAD_DECAY_FACTOR: Final = 100
_NETWORK_DECAY_FACTOR: Final = 200
"""How much more the parameters of heads and networks decay while scores are learned.

A classifier soon fits wrong labels too; then all losses are small, and gradients no longer tell
good samples from bad ones. Strong decay holds the fit back, so that they go on to.
"""
_NETWORK_STEPS: Final = 300
_NETWORK_BATCH: Final = 256
_NETWORK_LEARNING_RATE: Final = 0.01
_PRETRAINED_STEPS: Final = 100
_PRETRAINED_BATCH: Final = 64
_PRETRAINED_LEARNING_RATE: Final = 0.003
_LARGEST_EVALUATION_BATCH: Final = 128
_NETWORK_EVALUATION_BATCH: Final = 64


@dataclasses.dataclass(frozen=True)
class ResolvedSettings:
    """A job's settings with every automatic number filled in.

    Attributes:
        pipeline: The job's settings; only the encoder and the share to keep may still be
            automatic, since they follow from measurements. A batch size that follows from them
            too is the one that the run starts with.
        mts: Settings of the bi-level trainer: the job's own, or automatic ones where its method has
            none. Classifiers that are trained without a meta-network share its optimiser.
        evaluation_batch_size: Samples in a batch of plain training.
    """

    pipeline: PipelineConfig
    mts: MtsConfig
    evaluation_batch_size: int

    def recipe(
        self, input_shape: tuple[int, ...], class_count: int, scaling: InputScaling
    ) -> TrainingRecipe:
        """Return how classifiers are trained without a meta-network.

        Args:
            input_shape: Shape of one input of the classifier.
            class_count: Number of classes.
            scaling: Scaling of the inputs.
        """
        rule = SgdRule(
            self.mts.classifier_learning_rate,
            momentum=self.mts.momentum,
            weight_decay=self.pipeline.classifier_weight_decay,
        )
        return TrainingRecipe(
            kind=self.mts.classifier,
            input_shape=input_shape,
            class_count=class_count,
            scaling=scaling,
            sgd=rule,
            batch_size=self.evaluation_batch_size,
            augmentation=self.pipeline.augmentation,
        )


def resolve_settings(config: PipelineConfig, data: CurationData) -> ResolvedSettings:
    """Return the settings of a run on some data.

    Settings that only the job's own method knows stay as they are.

    Args:
        config: The job's settings.
        data: Inputs of the run.

    Raises:
        ConfigError: The classifier does not fit the inputs, or the augmentation the classifier.
    """
    kind = _classifier(config.classifier, data)
    if config.augmentation is not Augmentation.NONE and not kind.reads_images:
        raise ConfigError(
            "Only networks on images can be trained on varied images; choose cnn, resnet20 or a "
            "pretrained network as classifier.",
            field="augmentation",
        )
    mts = _trainer(_trainer_settings(config), kind, sample_count=len(data.pool_labels))
    pipeline = dataclasses.replace(
        config,
        classifier=kind if isinstance(kind, LibraryModel) else ClassifierChoice(kind),
        classifier_learning_rate=mts.classifier_learning_rate,
    )
    if isinstance(pipeline, TrainerSettings):
        pipeline = dataclasses.replace(
            pipeline,
            alignment=AlignmentChoice(mts.alignment),
            steps=mts.steps,
            batch_size=mts.batch_size,
            meta_learning_rate=mts.meta_learning_rate,
        )
    largest = _NETWORK_EVALUATION_BATCH if kind.reads_images else _LARGEST_EVALUATION_BATCH
    return ResolvedSettings(pipeline, mts, min(mts.batch_size, largest))


def _trainer_settings(config: PipelineConfig) -> TrainerSettings:
    if isinstance(config, TrainerSettings):
        return config
    shared = {item.name: getattr(config, item.name) for item in dataclasses.fields(PipelineConfig)}
    return TrainerSettings(**shared)


@dataclasses.dataclass(frozen=True)
class _Automatic:
    """What is automatic for a kind of classifier, and how much more it decays than is asked for."""

    steps: int
    batch_size: int
    learning_rate: float
    decay_factor: int


_HEAD: Final = _Automatic(_HEAD_STEPS, _HEAD_BATCH, _HEAD_LEARNING_RATE, _HEAD_DECAY_FACTOR)
_NETWORK: Final = _Automatic(
    _NETWORK_STEPS, _NETWORK_BATCH, _NETWORK_LEARNING_RATE, _NETWORK_DECAY_FACTOR
)
# Strong decay would pull a pretrained network away from what it knows.
_PRETRAINED: Final = _Automatic(
    _PRETRAINED_STEPS, _PRETRAINED_BATCH, _PRETRAINED_LEARNING_RATE, decay_factor=1
)


def _automatic(kind: ClassifierName) -> _Automatic:
    if kind.is_pretrained:
        return _PRETRAINED
    return _NETWORK if kind.reads_images else _HEAD


def _trainer(config: TrainerSettings, kind: ClassifierName, *, sample_count: int) -> MtsConfig:
    automatic = _automatic(kind)
    steps = _number(config.steps, automatic.steps)
    batch_size = _number(config.batch_size, automatic.batch_size)
    return MtsConfig(
        classifier=kind,
        alignment=_alignment(config.alignment, kind),
        steps=steps,
        batch_size=min(batch_size, sample_count),
        chooses_batch_size=isinstance(config.batch_size, str),
        micro_batch_size=config.micro_batch_size,
        reference_batch_size=config.reference_batch_size,
        classifier_learning_rate=_number(config.classifier_learning_rate, automatic.learning_rate),
        momentum=config.momentum,
        classifier_weight_decay=config.classifier_weight_decay * automatic.decay_factor,
        meta_learning_rate=_number(
            config.meta_learning_rate, automatic_meta_learning_rate(steps, config.meta_every)
        ),
        meta_weight_decay=config.meta_weight_decay,
        meta_every=config.meta_every,
        score_floor=config.score_floor,
        gsnr_every=config.gsnr_every,
        gsnr_partitions=config.gsnr_partitions,
        use_autocast=config.use_autocast,
        compile=config.compile,
        augmentation=config.augmentation,
    )


def _number(value: _Number | Auto, automatic: _Number) -> _Number:
    return automatic if isinstance(value, str) else value


def _classifier(choice: ClassifierChoice | LibraryModel, data: CurationData) -> ClassifierName:
    kind = _named_classifier(choice)
    if kind.reads_images and not data.is_image:
        raise ConfigError(
            "Only images can be read by this classifier; choose linear or mlp for other samples.",
            field="classifier",
        )
    return kind


def _named_classifier(choice: ClassifierChoice | LibraryModel) -> ClassifierName:
    if isinstance(choice, LibraryModel):
        return choice
    return ClassifierKind.MLP if choice is ClassifierChoice.AUTO else ClassifierKind(choice)


def _alignment(choice: AlignmentChoice, kind: ClassifierName) -> AlignmentKind:
    if choice is not AlignmentChoice.AUTO:
        return AlignmentKind(choice)
    return AlignmentKind.EXACT if kind.reads_images else AlignmentKind.HEAD
