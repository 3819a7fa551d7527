"""Scores samples that no run has seen, by what a finished run's scores taught: a selector."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri
from torch import Tensor

from mts_core.checkpoint import load_checkpoint, save_checkpoint
from mts_core.classifiers import Classifier, InputScaling, build_classifier
from mts_core.config import ClassifierKind
from mts_core.encoders import Conditioning, FittedState
from mts_core.errors import CheckpointError, MtsError
from mts_core.kernel_ridge import KernelPosterior, fit_kernel_posterior
from mts_core.seeds import derive_generator
from mts_core.table_columns import ColumnKind, TableColumn
from mts_core.transferable_features import (
    TRANSFERABLE_FEATURE_NAMES,
    EncodedSamples,
    StoredSets,
    new_columns,
)
from mts_core.value_regression import ValueNetwork, predict_values

SELECTOR_FORMAT: Final = 1
"""Number of the file's layout; a file of another one is refused."""


@dataclass(frozen=True)
class SelectorOrigin:
    """Where a selector comes from, and so what it can read.

    Attributes:
        encoder: Name of the encoder.
        input_shape: Shape of one input: (channel, height, width), (dimension,), or () of a text.
        class_names: Names of the classes, by label.
        method: How the scores that it was taught were learned.
        suggested_score: Score at which the run's suggested cut parted its pool.
    """

    encoder: str
    input_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    method: str
    suggested_score: float


@dataclass(frozen=True, eq=False)
class ScoreMap:
    """Brings columns to one scale, and predictions back to that of the scores.

    Attributes:
        column_knots: [knot, column] float32, quantiles of the stored pool's columns.
        prediction_knots: [knot] float32, quantiles of the predictions on the stored pool.
        score_knots: [knot] float32, quantiles of its scores.
    """

    column_knots: NDArray[np.float32]
    prediction_knots: NDArray[np.float32]
    score_knots: NDArray[np.float32]

    def scores(self, predictions: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the score at the same quantile as each prediction, [sample] in [0, 1]."""
        mapped = np.interp(predictions, self.prediction_knots, self.score_knots)
        return np.clip(mapped, 0.0, 1.0).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Selector:
    """A function from encoded samples to scores, with all that it needs.

    Attributes:
        origin: Where it comes from.
        conditioning: Map from raw to conditioned vectors, fitted by the run.
        fitted: What makes the encoder again, where the run's inputs made it.
        stored: What it remembers of the run's sets.
        classifiers: One for each fold of the stored pool.
        networks: Predict the score's normal quantile from the columns.
        score_map: Scales of columns and scores.
    """

    origin: SelectorOrigin
    conditioning: Conditioning
    fitted: FittedState | None
    stored: StoredSets
    classifiers: Sequence[Classifier]
    networks: Sequence[ValueNetwork]
    score_map: ScoreMap

    @property
    def table_columns(self) -> tuple[TableColumn, ...]:
        """Columns of the tables that it reads; empty for other samples."""
        return () if self.fitted is None else self.fitted.columns

    def posterior(self) -> KernelPosterior:
        """Return the kernel regression on the stored reference set."""
        stored = self.stored
        return fit_kernel_posterior(stored.reference, stored.reference_labels, stored.class_count)


def score_samples(
    selector: Selector, samples: EncodedSamples
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the score of each sample, [sample] in [0, 1], and its columns, [sample, column].

    Args:
        selector: The selector.
        samples: Samples in its encoder space, with its labels.

    Raises:
        MtsError: A label is none of the selector's classes.
    """
    labels = samples.labels
    if len(labels) and (labels.min() < 0 or labels.max() >= selector.stored.class_count):
        raise MtsError(
            f"A label lies outside the selector's {selector.stored.class_count} classes."
        )
    columns = new_columns(samples, selector.stored, selector.posterior(), selector.classifiers)
    inputs = network_inputs(columns, labels, selector.score_map.column_knots, selector.stored)
    predictions = mean_prediction(selector.networks, inputs)
    return selector.score_map.scores(predictions), columns


def network_inputs(
    columns: NDArray[np.float32],
    labels: NDArray[np.int64],
    knots: NDArray[np.float32],
    stored: StoredSets,
) -> NDArray[np.float32]:
    """Return what the networks read: normal quantiles of the columns, and the class as one-hot.

    Quantiles are those among the stored pool, so that a pool of better samples gets better scores.

    Args:
        columns: [sample, column] float32.
        labels: [sample] int64.
        knots: [knot, column] float32, quantiles of the stored pool's columns.
        stored: Tells the number of classes.

    Returns:
        [sample, column + class] float32.
    """
    places = len(knots)
    quantiles = [
        # Equal values share the middle of their places.
        (np.searchsorted(own, column, "left") + np.searchsorted(own, column, "right")) / 2
        for own, column in zip(knots.T, columns.T, strict=True)
    ]
    shares = np.clip(np.stack(quantiles, axis=1) / places, 0.5 / places, 1 - 0.5 / places)
    one_hot = np.eye(stored.class_count)[labels]
    return np.concatenate([ndtri(shares), one_hot], axis=1).astype(np.float32)


def mean_prediction(
    networks: Sequence[ValueNetwork], inputs: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the networks' mean prediction, [sample] float32.

    Args:
        networks: The ensemble.
        inputs: [sample, column + class] float32, from `network_inputs`.
    """
    rows = torch.from_numpy(inputs)
    predictions = torch.stack([predict_values(network, rows) for network in networks])
    return np.asarray(predictions.mean(dim=0).numpy(), dtype=np.float32)


def save_selector(path: Path, selector: Selector) -> None:
    """Write a selector as safetensors with JSON beside them; nothing is pickled.

    Raises:
        CheckpointError: The file cannot be written.
    """
    arrays = {name: torch.from_numpy(array) for name, array in _arrays(selector).items()}
    parts = {
        "classifier": [model.state_dict() for model in selector.classifiers],
        "network": [network.state_dict() for network in selector.networks],
    }
    tensors = {
        f"{part}.{index}/{name}": value
        for part, states in parts.items()
        for index, state in enumerate(states)
        for name, value in state.items()
    }
    metadata = {
        "format": SELECTOR_FORMAT,
        "origin": dataclasses.asdict(selector.origin),
        "columns": list(TRANSFERABLE_FEATURE_NAMES),
        "table": [dataclasses.asdict(column) for column in selector.table_columns],
        **{part: len(states) for part, states in parts.items()},
    }
    save_checkpoint(path, arrays | tensors, metadata)


def load_selector(path: Path) -> Selector:
    """Return the selector that `save_selector` wrote.

    Raises:
        CheckpointError: The file is missing, damaged or of another layout.
    """
    tensors, metadata = load_checkpoint(path)
    if metadata.get("format") != SELECTOR_FORMAT:
        raise CheckpointError(f"{path.name} is no selector of layout {SELECTOR_FORMAT}.")
    try:
        return _assemble(tensors, metadata)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(f"The selector {path.name} is damaged.") from error


def _arrays(selector: Selector) -> dict[str, NDArray[np.generic]]:
    stored, pool = selector.stored, selector.stored.pool
    content = {}
    if selector.fitted is not None:
        content["encoder/content"] = np.frombuffer(selector.fitted.content, dtype=np.uint8).copy()
    return content | {
        "conditioning/mean": selector.conditioning.mean,
        "conditioning/projection": selector.conditioning.projection,
        "pool/vectors": pool.vectors,
        "pool/labels": pool.labels,
        "pool/is_real": pool.is_real,
        "pool/scores": stored.scores,
        "pool/fold": stored.fold,
        "reference/vectors": stored.reference,
        "reference/labels": stored.reference_labels,
        "map/column_knots": selector.score_map.column_knots,
        "map/prediction_knots": selector.score_map.prediction_knots,
        "map/score_knots": selector.score_map.score_knots,
    }


def _assemble(
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, Any],  # Any: a JSON object.
) -> Selector:
    origin = metadata["origin"]
    class_names = tuple(origin["class_names"])
    arrays = {name: value.numpy() for name, value in tensors.items()}
    stored = StoredSets(
        pool=EncodedSamples(arrays["pool/vectors"], arrays["pool/labels"], arrays["pool/is_real"]),
        scores=arrays["pool/scores"],
        fold=arrays["pool/fold"],
        reference=arrays["reference/vectors"],
        reference_labels=arrays["reference/labels"],
        class_count=len(class_names),
    )
    return Selector(
        origin=SelectorOrigin(
            encoder=origin["encoder"],
            input_shape=tuple(origin["input_shape"]),
            class_names=class_names,
            method=origin["method"],
            suggested_score=float(origin["suggested_score"]),
        ),
        conditioning=Conditioning(arrays["conditioning/mean"], arrays["conditioning/projection"]),
        fitted=_fitted(arrays, metadata),
        stored=stored,
        classifiers=[
            _classifier(_group(tensors, f"classifier.{index}"), stored)
            for index in range(metadata["classifier"])
        ],
        networks=[
            _network(_group(tensors, f"network.{index}"), stored)
            for index in range(metadata["network"])
        ],
        score_map=ScoreMap(
            arrays["map/column_knots"], arrays["map/prediction_knots"], arrays["map/score_knots"]
        ),
    )


def _fitted(
    arrays: Mapping[str, NDArray[np.generic]],
    metadata: Mapping[str, Any],  # Any: a JSON object.
) -> FittedState | None:
    content = arrays.get("encoder/content")
    if content is None:
        return None
    columns = tuple(
        TableColumn(column["name"], ColumnKind(column["kind"]), column["codes"])
        for column in metadata["table"]
    )
    return FittedState(content.tobytes(), columns)


def _classifier(state: Mapping[str, Tensor], stored: StoredSets) -> Classifier:
    classifier = build_classifier(
        ClassifierKind.MLP,
        input_shape=stored.reference.shape[1:],
        class_count=stored.class_count,
        generator=derive_generator(0, "overwritten"),
        scaling=InputScaling(state["shift"], state["gain"]),
    )
    classifier.load_state_dict(dict(state))
    return classifier


def _network(state: Mapping[str, Tensor], stored: StoredSets) -> ValueNetwork:
    columns = len(TRANSFERABLE_FEATURE_NAMES) + stored.class_count
    network = ValueNetwork(columns, derive_generator(0, "overwritten"))
    network.load_state_dict(dict(state))
    return network


def _group(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    prefix = f"{name}/"
    return {
        key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)
    }
