"""Encodes a problem and measures its features once, and learns scores by several methods on top."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from blindness import FeatureGroup, hidden_from_networks, hide_columns
from numpy.typing import NDArray

from mts_core.curation_data import CurationData
from mts_core.methods import METHODS
from mts_core.pipeline import pipeline_config_from_mapping
from mts_core.pipeline_config import MethodName
from mts_core.stages import (
    ClassifierSets,
    EncodeStage,
    FeatureStage,
    RunContext,
    Stage,
    classifier_sets,
)
from mts_core.weight_stage import WeightStage


@dataclass(frozen=True, eq=False)
class PreparedRun:
    """A run on the eve of its scores: encoded by `auto` in every view, its features measured.

    Attributes:
        data: What the run learns from; it has no test part.
        seed: Seed of every draw.
        encode: The encoded sets, and which encoder was chosen.
        sets: The sets as the classifier reads them.
        features: The offline features.
    """

    data: CurationData
    seed: int
    encode: EncodeStage
    sets: ClassifierSets
    features: FeatureStage

    def learn(
        self,
        method: str,
        settings: Mapping[str, object],
        *,
        hidden: FeatureGroup | None = None,
    ) -> NDArray[np.float32]:
        """Return a method's scores, [sample] in [0, 1]: those of a whole run by itself.

        Args:
            method: Name of the method.
            settings: Its settings that are not the defaults; none may be one of the encoder or of
                the classifier, which the preparation knows nothing of.
            hidden: Features that the meta-network does not see.
        """
        context = _context(self.data, method, settings, seed=self.seed)
        table = hide_columns(self.features.table, hidden)
        with hidden_from_networks(hidden):
            stage = WeightStage(context, self.encode.encoding, self.sets, table)
            _complete(stage)
        return stage.scores


def prepare_run(data: CurationData, *, seed: int) -> PreparedRun:
    """Return what runs on the same data and seed have in common, whatever their methods.

    Args:
        data: Pool and reference set; a test part is set aside.
        seed: Seed of every draw.
    """
    data = dataclasses.replace(data, test_inputs=None, test_labels=None)
    context = _context(data, MethodName.WINNOW, {}, seed=seed)
    encode = EncodeStage(context, None, {}, with_other_views=True)
    _complete(encode)
    sets = classifier_sets(context, encode.encoding)
    features = FeatureStage(context, encode.encoding, sets)
    _complete(features)
    return PreparedRun(data, seed, encode, sets, features)


def _context(
    data: CurationData, method: str, settings: Mapping[str, object], *, seed: int
) -> RunContext:
    config = pipeline_config_from_mapping(method, {**settings, "evaluate": False})
    resolved = METHODS[config.method].resolve(config, data)
    return RunContext(data, resolved, seed, torch.device("cpu"))


def _complete(stage: Stage) -> None:
    for _ in stage.advance():
        pass
