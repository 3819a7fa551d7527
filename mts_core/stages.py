"""What every stage of a run shares, and the first two of them: encode and measure features."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mts_core.classifiers import measure_input_scaling
from mts_core.curation_data import CurationData
from mts_core.dynamics_features import (
    advance_dynamics,
    dynamics_features,
    dynamics_steps,
    start_dynamics,
    unlearned,
)
from mts_core.encoded_views import EncodedVectors, EncodedViews
from mts_core.encoders import choose_encoder, fitted_state, make_encoder
from mts_core.feature_table import OFFLINE_FEATURE_NAMES
from mts_core.neighbours import CosineIndex, measure_recall
from mts_core.pipeline_config import PipelineConfig, parse_encoder
from mts_core.pipeline_report import EncodedRun, Phase
from mts_core.plain_training import TrainingRecipe
from mts_core.pool_encoding import PoolEncoding
from mts_core.position_features import (
    POOL_NEIGHBOURS,
    POSITION_FEATURE_NAMES,
    EncodedSets,
    PositionMeasurement,
)
from mts_core.ranks import ALONE, Ranks
from mts_core.seeds import derive_seed
from mts_core.settings_resolution import ResolvedSettings
from mts_core.training_data import LabelledInputs

OTHER_VIEWS_LIMIT: Final = 50_000
"""Pool samples up to which encoders that were not chosen are asked too: each costs a pass."""


@runtime_checkable
class Stage(Protocol):
    """A part of a run that can be stopped and resumed between two reports."""

    @property
    def phase(self) -> Phase:
        """Phase that the stage belongs to."""
        ...

    @property
    def step(self) -> int:
        """Steps done."""
        ...

    @property
    def total_steps(self) -> int:
        """Steps of the whole stage, at least one."""
        ...

    def advance(self) -> Iterator[Mapping[str, float] | None]:
        """Yield the traces of each step, or none, until the stage is complete."""
        ...

    def capture(self) -> dict[str, Tensor]:
        """Return all that the stage needs to go on, by name."""
        ...

    def restore(self, captured: Mapping[str, Tensor]) -> None:
        """Go on from what was captured."""
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class RunContext:
    """What every stage of a run knows from the start.

    Attributes:
        data: Inputs of the run.
        settings: Resolved settings.
        seed: Seed of every draw.
        device: Where to compute.
        ranks: Processes that share the training by which scores are learned.
    """

    data: CurationData
    settings: ResolvedSettings
    seed: int
    device: torch.device
    ranks: Ranks = ALONE

    @property
    def config(self) -> PipelineConfig:
        """The job's settings."""
        return self.settings.pipeline


class EncodeStage:
    """Chooses an encoder and encodes all sets, for some methods by the other encoders too.

    Attributes:
        candidate_losses: Log loss of each encoder that was compared, by name.
        encoding: The encoded sets.
    """

    phase = Phase.ENCODE

    def __init__(
        self,
        context: RunContext,
        chosen: str | None,
        losses: Mapping[str, float],
        *,
        with_other_views: bool = False,
    ) -> None:
        """Choose the encoder, or take the one that an earlier attempt has chosen.

        Args:
            context: The run.
            chosen: Name of the encoder that was chosen, or none.
            losses: What the candidates lost when it was chosen.
            with_other_views: Whether to encode by the candidates that were not chosen as well,
                unless the pool is too large for that.
        """
        wish = parse_encoder(chosen) if chosen else context.config.encoder
        encoder, measured = choose_encoder(
            context.data, wish, seed=context.seed, device=context.device
        )
        self.candidate_losses = dict(losses) if chosen else measured
        self._own = encoder
        self._columns = context.data.table_columns
        encodings = {encoder.name: PoolEncoding(context.data, encoder, seed=context.seed)}
        if with_other_views and len(context.data.pool_labels) <= OTHER_VIEWS_LIMIT:
            encodings |= _other_views(context, set(self.candidate_losses) - {encoder.name})
        self.encoding = EncodedViews(encodings)

    @property
    def encoder(self) -> str:
        """Name of the encoder in use."""
        return self._own.name

    @property
    def step(self) -> int:
        """Vectors encoded."""
        return self.encoding.done

    @property
    def total_steps(self) -> int:
        """Vectors to encode."""
        return self.encoding.total

    def advance(self) -> Iterator[None]:
        """Yield after each chunk."""
        for _ in self.encoding.advance():
            yield None

    def encoded(self) -> EncodedRun:
        """Return the sets in the encoder space, once all are encoded."""
        encoding = self.encoding
        return EncodedRun(
            self.encoder,
            encoding.conditioning,
            encoding.pool,
            encoding.reference,
            fitted_state(self._own, self._columns),
        )

    def capture(self) -> dict[str, Tensor]:
        """Return the vectors so far."""
        return self.encoding.capture()

    def restore(self, captured: Mapping[str, Tensor]) -> None:
        """Go on from captured vectors."""
        self.encoding.restore(captured)


def _other_views(context: RunContext, names: Iterable[str]) -> dict[str, PoolEncoding]:
    # Nothing is tested in these views.
    data = dataclasses.replace(context.data, test_inputs=None, test_labels=None)
    encoders = [
        make_encoder(parse_encoder(name), data, seed=context.seed, device=context.device)
        for name in sorted(names)
    ]
    return {encoder.name: PoolEncoding(data, encoder, seed=context.seed) for encoder in encoders}


@dataclasses.dataclass(frozen=True, eq=False)
class ClassifierSets:
    """All sets as the classifier reads them: images for the network, vectors for heads.

    Attributes:
        pool: Inputs and labels of the pool, on the device.
        reference: Inputs and labels of the reference set, on the device.
        test: Inputs and labels of the test set, or none.
        recipe: How classifiers are trained on them without a meta-network.
    """

    pool: LabelledInputs
    reference: LabelledInputs
    test: LabelledInputs | None
    recipe: TrainingRecipe


def classifier_sets(context: RunContext, encoding: EncodedViews) -> ClassifierSets:
    """Return the sets as the run's classifier reads them.

    Args:
        context: The run.
        encoding: Complete encoding.
    """
    data = context.data
    reads_images = context.settings.mts.classifier.reads_images
    pool = _labelled(
        data.pool_inputs if reads_images else encoding.pool, data.pool_labels, context.device
    )
    reference = _labelled(
        data.reference_inputs if reads_images else encoding.reference,
        data.reference_labels,
        context.device,
    )
    test = None
    if data.test_inputs is not None and data.test_labels is not None:
        inputs = data.test_inputs if reads_images else encoding.test
        test = _labelled(inputs, data.test_labels, context.device)
    scaling = measure_input_scaling(pool.inputs)
    shape = tuple(pool.inputs.shape[1:])
    return ClassifierSets(
        pool, reference, test, context.settings.recipe(shape, data.class_count, scaling)
    )


class FeatureStage:
    """Measures the 13 offline features.

    Attributes:
        table: [sample, 13] float32, raw values; complete at the end of the stage.
        neighbour_recall: Share of the true nearest neighbours in the pool that were found, over
            1000 random samples; NaN until it is measured.
        is_unlearned: [sample] bool, true where the training without selection was never right;
            complete at the end of the stage.
    """

    phase = Phase.FEATURES

    def __init__(self, context: RunContext, encoding: EncodedViews, sets: ClassifierSets) -> None:
        self._context = context
        self._encoding = encoding
        self._sets = sets
        count = sets.pool.sample_count
        self.table = np.full((count, len(OFFLINE_FEATURE_NAMES)), np.nan, dtype=np.float32)
        self.neighbour_recall = float("nan")
        self._position = self._measure_from(0)
        self.is_unlearned = np.zeros(count, dtype=np.bool_)
        self._dynamics_steps = dynamics_steps(count, sets.recipe.batch_size)
        self._dynamics = start_dynamics(
            sets.recipe, count, seed=context.seed, device=context.device
        )

    @property
    def step(self) -> int:
        """Samples compared plus samples trained on."""
        return self._position.done + self._dynamics.step * self._sets.recipe.batch_size

    @property
    def total_steps(self) -> int:
        """Samples to compare plus samples to train on."""
        return self._position.total + self._dynamics_steps * self._sets.recipe.batch_size

    def advance(self) -> Iterator[None]:
        """Yield after each chunk of compared samples and after each batch."""
        for _ in self._position.advance():
            yield None
        if np.isnan(self.neighbour_recall):
            self._measure_recall()
            yield None
        while self._dynamics.step < self._dynamics_steps:
            advance_dynamics(
                self._dynamics, self._sets.pool, self._sets.recipe, seed=self._context.seed
            )
            yield None
        self.table[:, len(POSITION_FEATURE_NAMES) :] = dynamics_features(self._dynamics)
        self.is_unlearned[...] = unlearned(self._dynamics)

    def capture(self) -> dict[str, Tensor]:
        """Return the columns so far and the classifier on its way."""
        return {
            "table": torch.from_numpy(self.table.copy()),
            "position_done": torch.tensor(self._position.done),
            "neighbour_recall": torch.tensor(self.neighbour_recall, dtype=torch.float64),
            **self._dynamics.capture(),
        }

    def restore(self, captured: Mapping[str, Tensor]) -> None:
        """Go on from captured columns and a captured classifier."""
        self.table[...] = captured["table"].numpy()
        self._position = self._measure_from(int(captured["position_done"]))
        self.neighbour_recall = float(captured["neighbour_recall"])
        self._dynamics.restore(captured)

    def _measure_from(self, done: int) -> PositionMeasurement:
        data = self._context.data
        sets = encoded_sets(data, self._encoding, np.arange(len(data.reference_labels)))
        columns = self.table[:, : len(POSITION_FEATURE_NAMES)]
        return PositionMeasurement(sets, columns, done=done)

    def _measure_recall(self) -> None:
        pool = self._encoding.pool
        seed = derive_seed(self._context.seed, "recall")
        # A run that stopped just before this has no index any more and makes it again.
        index = self._position.pool_index or CosineIndex(pool)
        self.neighbour_recall = measure_recall(
            index, pool, POOL_NEIGHBOURS, generator=np.random.default_rng(seed)
        )
        # The index is as large as the pool, and nothing asks it again.
        self._position.pool_index = None


def encoded_sets(
    data: CurationData, encoding: EncodedVectors, used_reference: NDArray[np.int64]
) -> EncodedSets:
    """Return what position features are measured on.

    Args:
        data: Inputs of the run.
        encoding: Complete encoding.
        used_reference: Positions of the reference samples that may be looked at.
    """
    return EncodedSets(
        pool=encoding.pool,
        pool_labels=data.pool_labels,
        pool_is_real=data.pool_is_real,
        reference=encoding.reference[used_reference],
        reference_labels=data.reference_labels[used_reference],
        class_count=data.class_count,
    )


def _labelled(
    inputs: NDArray[np.generic], labels: NDArray[np.int64], device: torch.device
) -> LabelledInputs:
    # Read-only arrays are copied: torch would let them be written to.
    writable = (part if part.flags.writeable else part.copy() for part in (inputs, labels))
    return LabelledInputs(*(torch.from_numpy(part).to(device) for part in writable))
