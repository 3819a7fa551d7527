"""Holds everything that a training run changes, and turns it into tensors and back."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, final

import numpy as np
import torch
from torch import Tensor

from mts_core.axes import ParameterTensors
from mts_core.batch_sampler import BatchSampler
from mts_core.classifiers import Classifier
from mts_core.errors import CheckpointError, ConfigError
from mts_core.gsnr import GsnrHistory, GsnrRung
from mts_core.meta_input import WeightNetwork
from mts_core.online_features import Anchors
from mts_core.optimisers import AdamWMoments
from mts_core.ranks import ALONE, Ranks

_SEPARATOR: Final = "/"


@final
@dataclass(eq=False)
class TrainerState:
    """The state of one run; `train` changes it in place.

    Attributes:
        classifier: Parameters theta.
        velocities: Momentum buffers of the classifier.
        meta_network: Parameters phi.
        meta_moments: AdamW's running means of the meta-network.
        averaged_meta: Mean of phi over the run, later values counting more.
        anchors: The last reference batch in penultimate space at the present theta.
        pool_sampler: Draws training batches.
        reference_sampler: Draws reference batches.
        diagnostics_generator: Draws the GSNR's partitions; apart, so that measuring changes
            nothing.
        augmentation_generator: Draws how the images of training batches are varied.
        step: Classifier steps done.
        meta_step: Meta-network steps done.
        ranks: Processes that share the classifier's work; no part of what is saved.
        gsnr_steps: Step of each GSNR measurement.
        gsnr_rungs: Rungs of each GSNR measurement.
    """

    classifier: Classifier
    velocities: ParameterTensors
    meta_network: WeightNetwork
    meta_moments: AdamWMoments
    averaged_meta: ParameterTensors
    anchors: Anchors
    pool_sampler: BatchSampler
    reference_sampler: BatchSampler
    diagnostics_generator: torch.Generator
    augmentation_generator: torch.Generator
    step: int = 0
    meta_step: int = 0
    ranks: Ranks = ALONE
    gsnr_steps: list[int] = field(default_factory=list)
    gsnr_rungs: list[list[GsnrRung]] = field(default_factory=list)

    @property
    def device(self) -> torch.device:
        """Where the networks live."""
        return self.classifier.shift.device

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of all parameters."""
        return self.classifier.shift.dtype

    @property
    def most_ranks(self) -> int:
        """Processes that can share a batch, each with a sample of its own."""
        return min(self.pool_sampler.batch_size, self.reference_sampler.batch_size)

    def share_with(self, ranks: Ranks) -> None:
        """Take only this rank's part of the classifier's work from here on.

        Args:
            ranks: Processes that hold the same state, data and settings, and go on alike.

        Raises:
            ConfigError: A batch holds fewer samples than there are processes.
        """
        if ranks.count > self.most_ranks:
            raise ConfigError(
                "Each process needs a sample of every batch; use larger batches or fewer devices.",
                field="batch_size",
            )
        self.ranks = ranks

    @property
    def gsnr_history(self) -> GsnrHistory:
        """All GSNR measurements so far."""
        longest = max(self.gsnr_rungs, key=len, default=[])
        sizes = [rung.batch_size for rung in longest]
        shape = (len(self.gsnr_steps), len(sizes))
        signals, noises = np.full(shape, np.nan), np.full(shape, np.nan)
        for row, rungs in enumerate(self.gsnr_rungs):
            signals[row, : len(rungs)] = [rung.signal for rung in rungs]
            noises[row, : len(rungs)] = [rung.noise for rung in rungs]
        return GsnrHistory(
            steps=np.array(self.gsnr_steps, dtype=np.int64),
            batch_sizes=np.array(sizes, dtype=np.int64),
            signals=signals,
            noises=noises,
        )

    def to_tensors(self) -> dict[str, Tensor]:
        """Return the whole state as named tensors on the CPU, detached from the run."""
        history = self.gsnr_history
        groups: dict[str, Mapping[str, Tensor]] = {
            "classifier": self.classifier.state_dict(),
            "velocity": self.velocities,
            "meta_network": self.meta_network.state_dict(),
            "meta_first_moment": self.meta_moments.first,
            "meta_second_moment": self.meta_moments.second,
            "meta_average": self.averaged_meta,
            "pool_sampler": self.pool_sampler.to_tensors(),
            "reference_sampler": self.reference_sampler.to_tensors(),
            "diagnostics": {"generator": self.diagnostics_generator.get_state()},
            "augmentation": {"generator": self.augmentation_generator.get_state()},
            "reference": {"hidden": self.anchors.hidden, "labels": self.anchors.labels},
            "progress": {
                "step": torch.tensor(self.step),
                "meta_step": torch.tensor(self.meta_step),
            },
            "gsnr": {
                "steps": torch.from_numpy(history.steps),
                "batch_sizes": torch.from_numpy(history.batch_sizes),
                "signals": torch.from_numpy(history.signals),
                "noises": torch.from_numpy(history.noises),
            },
        }
        return {
            group + _SEPARATOR + name: value.detach().cpu().clone()
            for group, values in groups.items()
            for name, value in values.items()
        }

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Replace the whole state by one that `to_tensors` returned.

        Raises:
            CheckpointError: The tensors belong to a run with other networks or data.
        """
        try:
            self._load(tensors)
        except (KeyError, RuntimeError) as error:
            raise CheckpointError("The saved training state does not fit this run.") from error

    def _load(self, tensors: Mapping[str, Tensor]) -> None:
        self.classifier.load_state_dict(_group(tensors, "classifier"))
        self.meta_network.load_state_dict(_group(tensors, "meta_network"))
        for name, target in {
            "velocity": self.velocities,
            "meta_first_moment": self.meta_moments.first,
            "meta_second_moment": self.meta_moments.second,
            "meta_average": self.averaged_meta,
        }.items():
            for key, value in _group(tensors, name).items():
                target[key].copy_(value)
        self.pool_sampler.load_tensors(_group(tensors, "pool_sampler"))
        self.reference_sampler.load_tensors(_group(tensors, "reference_sampler"))
        self.diagnostics_generator.set_state(tensors["diagnostics/generator"])
        self.augmentation_generator.set_state(tensors["augmentation/generator"])
        self.anchors = Anchors(
            tensors["reference/hidden"].to(self.device, copy=True),
            tensors["reference/labels"].to(self.device, copy=True),
        )
        self.step = int(tensors["progress/step"])
        self.meta_step = int(tensors["progress/meta_step"])
        self.gsnr_steps, self.gsnr_rungs = _load_rungs(_group(tensors, "gsnr"))


def _group(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    prefix = name + _SEPARATOR
    return {
        key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)
    }


def _load_rungs(gsnr: Mapping[str, Tensor]) -> tuple[list[int], list[list[GsnrRung]]]:
    sizes = gsnr["batch_sizes"].tolist()
    measurements = zip(gsnr["signals"].tolist(), gsnr["noises"].tolist(), strict=True)
    rungs = [
        [
            GsnrRung(*values)
            for values in zip(sizes, signals, noises, strict=True)
            if not math.isnan(values[1])
        ]
        for signals, noises in measurements
    ]
    return gsnr["steps"].tolist(), rungs
