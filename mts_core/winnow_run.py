"""Learns scores by the default method: a meta-network's weights times the support of the labels."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mts_core.class_shares import hold_class_shares
from mts_core.label_shift import label_shift_factors
from mts_core.label_support import LabelAssessment, LabelSupport, SupportSettings
from mts_core.pipeline_config import MethodName
from mts_core.ranks import Ranks
from mts_core.seeds import derive_seed
from mts_core.trainer import StepReport
from mts_core.trainer_run import TrainerRun, start_mts
from mts_core.weighting import WeightingProblem
from mts_core.winnow_settings import WinnowSettings

_LEAST_SHARPNESS_FACTOR: Final = 0.2
_CLASSES_POWER: Final = 3
"""Power of ln(usual) / ln(classes), by which the support counts less among many classes."""


@final
class WinnowRun:
    """A run of MTS, followed by posteriors of the labels in every view.

    The score of sample i is (w_i^alpha kappa_i^(gamma xi))^tau: w_i the weight by the run-averaged
    meta-network, kappa_i the support of its label by reference set and cleaned pool, tau below 1
    where few labels seem to be wrong, and xi below 1 where there are many classes. There the
    shares of classes of few samples are also held near those of the pool. Scores of classes that
    the reference set expects more often than the pool has them are raised in that proportion.

    Attributes:
        total_steps: Training steps, those of the posteriors, and one to pool them.
        feature_names: What is known of a sample besides the offline features.
    """

    def __init__(
        self,
        trained: TrainerRun,
        support: LabelSupport,
        settings: WinnowSettings,
        *,
        pool_labels: NDArray[np.int64],
        class_factors: NDArray[np.float64],
    ) -> None:
        """Begin before the first step.

        Args:
            trained: The run of MTS.
            support: Posteriors before the first view.
            settings: How scores are made of both.
            pool_labels: [sample] int64.
            class_factors: [class], as `label_shift_factors` returns them.
        """
        self._trained = trained
        self._support = support
        self._settings = settings
        self._pool_labels = pool_labels
        self._class_factors = class_factors
        self._support_steps = 0
        self._assessment = LabelAssessment(np.empty(0), float("nan"))
        self.total_steps = trained.total_steps + support.total
        self.feature_names = (*trained.feature_names, "label_support")

    @property
    def step(self) -> int:
        """Steps done."""
        return self._trained.step + self._support_steps

    def share_with(self, ranks: Ranks) -> None:
        """Train together with other processes; each fits all posteriors, which take seconds."""
        self._trained.share_with(ranks)

    def advance(self) -> Iterator[StepReport]:
        """Yield a report after each step until the run is complete."""
        yield from self._trained.advance()
        # A run that is resumed here begins with the first view again: each takes seconds.
        for done, _ in enumerate(self._support.advance(), start=1):
            self._support_steps = done
            yield StepReport(self.step, {})
        self._assessment = self._support.assess()

    def scores(self) -> NDArray[np.float32]:
        """Return the score of each pool sample, [sample] in (0, 1]."""
        settings, factor = self._settings, self._sharpness_factor
        weights = self._trained.scores().astype(np.float64) ** (settings.meta_sharpness * factor)
        many = self._many_classes_factor
        scores = weights * self._assessment.support ** (settings.sharpness * many * factor)
        # A score of zero would be a sample that no later choice could bring back.
        least = np.finfo(np.float32).tiny
        prior = settings.class_share_prior * (1.0 - many)
        held = hold_class_shares(np.maximum(scores, least), self._pool_labels, prior=prior)
        raised = held * (self._class_factors**settings.label_shift)[self._pool_labels]
        return np.asarray(np.maximum(raised / max(1.0, raised.max()), least), dtype=np.float32)

    @property
    def _sharpness_factor(self) -> float:
        return sharpness_factor(self._assessment.noise, self._settings.full_sharpness_noise)

    @property
    def _many_classes_factor(self) -> float:
        return many_classes_factor(len(self._class_factors), self._settings.usual_classes)

    def part_scores(self) -> Mapping[MethodName, NDArray[np.float32]]:
        """Return the weights of the meta-network alone."""
        return {MethodName.MTS: self._trained.scores()}

    def features(self) -> NDArray[np.float32]:
        """Return the meta-network's own columns and the support of the label."""
        support = self._assessment.support.astype(np.float32)[:, None]
        return np.concatenate([self._trained.features(), support], axis=1)

    def summary(self) -> dict[str, Any]:  # Any: a JSON object.
        """Return what MTS says of its run, and which posteriors the labels were held against."""
        found = {
            "label_noise": self._assessment.noise,
            "sharpness_factor": self._sharpness_factor,
            "many_classes_factor": self._many_classes_factor,
            "class_factors": self._class_factors.tolist(),
        }
        return self._trained.summary() | {"label_support": self._support.summary() | found}

    def capture(self) -> dict[str, Tensor]:
        """Return the trainer's state; posteriors are fitted again."""
        return self._trained.capture()

    def restore(self, captured: Mapping[str, Tensor]) -> None:
        """Go on from a captured state.

        Raises:
            CheckpointError: It was captured by a run on other data or with other settings.
        """
        self._trained.restore(captured)


def sharpness_factor(noise: float, full_noise: float) -> float:
    """Return the factor on all powers in a score, in [0.2, 1].

    A clean pool has nothing to drop but its hardest samples, which are of use. Sharp scores would
    cost it more than they could gain, so that the powers fall in proportion to the noise. They do
    not fall to zero: samples off the distribution need not have improbable labels.

    Args:
        noise: Estimated share of wrong labels.
        full_noise: Share from which on the factor is 1; 0 makes it 1 always.
    """
    if full_noise == 0.0:
        return 1.0
    return min(max(noise / full_noise, _LEAST_SHARPNESS_FACTOR), 1.0)


def many_classes_factor(class_count: int, usual: int) -> float:
    """Return the factor on the power of the support, in (0, 1].

    A probability among many classes is spread over more of them, so that a right label of which
    little is known falls further below the most probable one. The same power would then drop what
    is merely uncertain, and with it whole classes.

    Args:
        class_count: Number of classes.
        usual: Number of classes up to which the factor is 1, at least two.
    """
    if class_count <= usual:
        return 1.0
    return float((np.log(usual) / np.log(class_count)) ** _CLASSES_POWER)


def start_winnow(problem: WeightingProblem, *, seed: int, device: torch.device) -> WinnowRun:
    """Return a run before its first step.

    Args:
        problem: What scores are learned from; its settings are `WinnowSettings`.
        seed: Seed of every draw.
        device: Where the networks are trained; posteriors are fitted on the CPU.

    Source: [du2026difficulty] for the weights. Deviation: a few hundred reference samples tell the
    meta-network little of one sample's label, so the probability of the label, which needs no
    meta-gradient, is measured apart and multiplied in.
    """
    settings = problem.settings.pipeline
    if not isinstance(settings, WinnowSettings):
        raise TypeError("The problem's settings belong to another method.")
    pool_labels = problem.pool.labels.cpu().numpy()
    reference_labels = problem.reference.labels.cpu().numpy()
    class_count = problem.pool.class_count
    support = LabelSupport(
        problem.views,
        pool_labels,
        reference_labels,
        class_count=class_count,
        settings=SupportSettings(
            landmark_count=settings.landmarks,
            cleaning_rounds=settings.cleaning_rounds,
            label_shift=settings.label_shift,
        ),
        seed=derive_seed(seed, "label support"),
    )
    factors = label_shift_factors(pool_labels, reference_labels, class_count)
    trained = start_mts(problem, seed=seed, device=device)
    return WinnowRun(trained, support, settings, pool_labels=pool_labels, class_factors=factors)
