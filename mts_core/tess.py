"""Values each sample by the difference of two trainings, and regresses that value (TESS)."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mts_core.axes import FeatureColumns, PerSample
from mts_core.classifier_pair import (
    SELECTOR_COLUMN_COUNT,
    TessProblem,
    advance_pair,
    sample_values,
    selector_columns,
    start_pair,
)
from mts_core.compilation import CompilationNote, compilation_summary, settle_compilation
from mts_core.pipeline_config import MethodName
from mts_core.ranks import Ranks
from mts_core.seeds import derive_generator, derive_seed
from mts_core.tess_settings import tess_config
from mts_core.trainer import StepReport
from mts_core.value_regression import (
    RegressionRule,
    advance_regression,
    predict_values,
    start_regression,
)
from mts_core.weighting import WeightingProblem

_SMALLEST_SPREAD: Final = 1e-12
_PARTS: Final = ("pair", "regression")


@final
class TessRun:
    """TESS as a weighting method: two trainings, then the regression of their difference.

    Attributes:
        total_steps: Steps of the whole run.
        feature_names: What the selector sees besides the position features.
    """

    feature_names = ("reference_first_error_norm",)

    def __init__(
        self,
        problem: TessProblem,
        *,
        seed: int,
        device: torch.device,
        compilation: CompilationNote | None = None,
    ) -> None:
        self._problem = problem
        self._compilation = compilation
        self._seed = derive_seed(seed, "selector")
        self._device = device
        self._pair = start_pair(problem, seed=seed, device=device)
        self._values: PerSample | None = None
        self._columns: FeatureColumns | None = None
        self._regression = start_regression(
            SELECTOR_COLUMN_COUNT,
            generator=derive_generator(self._seed, "start"),
            device=device,
        )
        self._rule = RegressionRule(
            problem.config.selector_steps,
            problem.config.selector_batch_size,
            problem.config.selector_learning_rate,
            problem.config.selector_weight_decay,
        )
        self.total_steps = problem.config.steps + problem.config.selector_steps

    @property
    def step(self) -> int:
        """Steps done, of the classifiers and of the regression."""
        return self._pair.step + self._regression.step

    def share_with(self, ranks: Ranks) -> None:
        """Change nothing: the two trainings are short, and each process does all of them."""

    def advance(self) -> Iterator[StepReport]:
        """Yield a report after each step until the run is complete.

        Raises:
            NonFiniteError: A loss or the regression's error is infinite or not a number.
        """
        config = self._problem.config
        while self._pair.step < config.steps:
            traces = advance_pair(self._pair, self._problem)
            yield StepReport(self.step, traces)
        columns, targets = self._regression_data()
        while self._regression.step < config.selector_steps:
            error = advance_regression(
                self._regression, columns, targets, self._rule, seed=self._seed
            )
            yield StepReport(self.step, {"selector_error": error})

    def scores(self) -> NDArray[np.float32]:
        """Return the score of each pool sample, [sample] in [0, 1].

        The sigmoid of the predicted value over the spread of the values; one half is a sample to
        which the reference set makes no difference.
        """
        columns, _ = self._regression_data()
        predicted = predict_values(self._regression.network, columns)
        return np.asarray(predicted.sigmoid().cpu().numpy(), dtype=np.float32)

    def part_scores(self) -> Mapping[MethodName, NDArray[np.float32]]:
        """Return nothing: TESS is built on no other method."""
        return {}

    def features(self) -> NDArray[np.float32]:
        """Return the error norm under W, standardised over the pool, [sample, 1]."""
        columns, _ = self._regression_data()
        return np.asarray(columns[:, -1:].cpu().numpy(), dtype=np.float32)

    def summary(self) -> dict[str, Any]:  # Any: a JSON object.
        """Return how values spread, and how well the selector explains them on the pool."""
        values = self._known_values().double()
        columns, targets = self._regression_data()
        rest = targets - predict_values(self._regression.network, columns)
        explained = 1.0 - float(rest.double().square().mean() / targets.double().var(correction=0))
        return {
            "tess": {
                "value_mean": float(values.mean()),
                "value_deviation": float(values.std(correction=0)),
                "explained_variance": explained,
            },
            **compilation_summary(self._compilation),
        }

    def capture(self) -> dict[str, Tensor]:
        """Return the state, by name."""
        tensors = {f"pair.{name}": value for name, value in self._pair.capture().items()}
        for name, value in self._regression.capture().items():
            tensors[f"regression.{name}"] = value
        return tensors

    def restore(self, captured: Mapping[str, Tensor]) -> None:
        """Go on from a captured state.

        Raises:
            CheckpointError: The state belongs to a run with other networks or data.
        """
        pair, regression = (
            {
                name.removeprefix(f"{part}."): value
                for name, value in captured.items()
                if name.startswith(f"{part}.")
            }
            for part in _PARTS
        )
        self._pair.restore(pair)
        self._regression.restore(regression)

    def _known_values(self) -> PerSample:
        if self._values is None:
            self._values = sample_values(self._pair, self._problem)
        return self._values

    def _regression_data(self) -> tuple[FeatureColumns, PerSample]:
        """Return columns and targets on the device, computed anew after a resumption."""
        if self._columns is None:
            self._columns = selector_columns(self._pair, self._problem).to(self._device)
        values = self._known_values()
        # The root mean square keeps the sign: a value below zero stays below one half.
        scale = values.square().mean().sqrt().clamp_min(_SMALLEST_SPREAD)
        return self._columns, (values / scale).float().to(self._device)


def start_tess(problem: WeightingProblem, *, seed: int, device: torch.device) -> TessRun:
    """Return a run before its first step.

    Args:
        problem: What scores are learned from.
        seed: Seed of every draw.
        device: Where to train.

    Source: [tess2026scalable].
    """
    config, compilation = settle_compilation(tess_config(problem.settings), device)
    task = TessProblem(problem.pool, problem.reference, config)
    return TessRun(task, seed=seed, device=device, compilation=compilation)
