"""Judges weights by classifiers that are not the one inside a run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

Values = NDArray[np.float64]

COSTS: Final[Mapping[str, tuple[float, ...]]] = {
    "svm": (0.3, 3.0, 30.0),
    "logistic": (0.3, 3.0, 30.0),
}
"""Costs of training errors that every row chooses from, by judge; the middle one comes first."""
GAMMA_FACTORS: Final = (0.5, 1.0, 2.0)
"""Widths of the SVM's kernel, as factors on one over the median squared distance."""
SHARPNESSES: Final = (0.1, 0.3, 1.0, 3.0, 10.0)
"""Factors on logits, one of which is fitted before log losses are compared."""
ABSENT: Final = -10.0
"""Logit of a class that a judge has never seen."""


class _Classifier(Protocol):
    classes_: NDArray[np.int64]

    def decision_function(self, inputs: Values) -> Values:
        """Return logits, [sample] for two classes and [sample, class] for more."""
        ...


Fit = Callable[[NDArray[np.int64], Values, float], Callable[[NDArray[np.int64]], Values]]
"""Trains on rows with weights at a cost, and returns what maps rows to logits."""


@dataclass(frozen=True, eq=False)
class JudgedSets:
    """Pool, reference and test samples in one table, as the judges see them.

    Attributes:
        vectors: [row, component] float64: pool, reference, test.
        labels: [row] int64.
        pool_size: Number of pool rows, which come first.
        reference_size: Number of reference rows, which come next.
        folds: [reference] int64, fold of each reference sample for all choices.
        class_count: Number of classes.
    """

    vectors: Values
    labels: NDArray[np.int64]
    pool_size: int
    reference_size: int
    folds: NDArray[np.int64]
    class_count: int

    @property
    def reference_rows(self) -> NDArray[np.int64]:
        """Rows of the reference samples."""
        return np.arange(self.pool_size, self.pool_size + self.reference_size)

    @property
    def test_rows(self) -> NDArray[np.int64]:
        """Rows of the test samples."""
        return np.arange(self.pool_size + self.reference_size, len(self.labels))


@dataclass(frozen=True)
class Verdict:
    """What a judge chose for a row and what it measured.

    Attributes:
        candidate: Which of the row's weights.
        cost: Cost of training errors.
        accuracy: On the test set, in [0, 1].
    """

    candidate: int
    cost: float
    accuracy: float


def judges(sets: JudgedSets) -> dict[str, Fit]:
    """Return every judge by its name, ready to train on rows of the sets.

    The width of the SVM's kernel is chosen on the reference set alone, once for all rows. A judge
    keeps what it has trained: rows share candidates, such as the whole pool, which costs most.

    Args:
        sets: What is judged on.
    """
    return {"svm": _remembering(_svm(sets)), "logistic": _remembering(partial(_fit_logistic, sets))}


def judge(
    sets: JudgedSets, fit: Fit, costs: Sequence[float], candidates: Sequence[Values]
) -> Verdict:
    """Return a judge's verdict on a row of the table.

    Which candidate and which cost is decided by log loss on held-out reference samples: first the
    candidate at the middle cost, then the cost. The test set is looked at once, after that.

    Args:
        sets: What is judged on.
        fit: The judge.
        costs: Costs to choose from.
        candidates: Pool weights [sample] of mean 1 or less, or all zero; a reference sample
            weighs 1.
    """
    middle = costs[len(costs) // 2]
    chosen = 0
    if len(candidates) > 1:
        losses = [held_out_loss(sets, fit, middle, weights) for weights in candidates]
        chosen = int(np.argmin(losses))
    weights = candidates[chosen]
    cost = min(costs, key=lambda each: held_out_loss(sets, fit, each, weights))
    everyone = np.ones(sets.reference_size, dtype=np.bool_)
    logits = _train(sets, fit, cost, weights, everyone)(sets.test_rows)
    is_hit = logits.argmax(axis=1) == sets.labels[sets.test_rows]
    return Verdict(chosen, cost, float(is_hit.mean()))


def held_out_loss(sets: JudgedSets, fit: Fit, cost: float, weights: Values) -> float:
    """Return the log loss on reference samples that were held out, in nats a sample.

    Args:
        sets: What is judged on.
        fit: The judge.
        cost: Cost of training errors.
        weights: [sample] pool weights.
    """
    logits = np.empty((sets.reference_size, sets.class_count))
    for fold in np.unique(sets.folds):
        is_out = sets.folds == fold
        predict = _train(sets, fit, cost, weights, ~is_out)
        logits[is_out] = predict(sets.reference_rows[is_out])
    wanted = sets.labels[sets.reference_rows]
    return min(
        -float(log_softmax(sharpness * logits, axis=1)[np.arange(len(wanted)), wanted].mean())
        for sharpness in SHARPNESSES
    )


def _train(
    sets: JudgedSets, fit: Fit, cost: float, weights: Values, is_used: NDArray[np.bool_]
) -> Callable[[NDArray[np.int64]], Values]:
    # Rows of weight zero are left out, which is the same and faster.
    kept = np.flatnonzero(weights > 0)
    rows = np.concatenate([kept, sets.reference_rows[is_used]])
    return fit(rows, np.concatenate([weights[kept], np.ones(int(is_used.sum()))]), cost)


def _remembering(fit: Fit) -> Fit:
    """Return the same judge, which trains only once on the same rows, weights and cost."""
    trained: dict[tuple[bytes, bytes, float], Callable[[NDArray[np.int64]], Values]] = {}

    def recall(
        rows: NDArray[np.int64], weights: Values, cost: float
    ) -> Callable[[NDArray[np.int64]], Values]:
        key = rows.tobytes(), weights.tobytes(), cost
        if key not in trained:
            trained[key] = fit(rows, weights, cost)
        return trained[key]

    return recall


def _svm(sets: JudgedSets) -> Fit:
    trained = sets.vectors[: sets.pool_size + sets.reference_size]
    squared = cdist(sets.vectors, trained, "sqeuclidean")
    median = float(np.median(squared[sets.reference_rows][:, sets.reference_rows])) or 1.0
    nobody = np.zeros(sets.pool_size)
    middle = COSTS["svm"][len(COSTS["svm"]) // 2]

    def loss(factor: float) -> float:
        return held_out_loss(
            sets, partial(_fit_svm, sets, np.exp(-squared * factor / median)), middle, nobody
        )

    factor = min(GAMMA_FACTORS, key=loss)
    return partial(_fit_svm, sets, np.exp(-squared * factor / median))


def _fit_svm(
    sets: JudgedSets, kernel: Values, rows: NDArray[np.int64], weights: Values, cost: float
) -> Callable[[NDArray[np.int64]], Values]:
    model = SVC(C=cost, kernel="precomputed")
    model.fit(kernel[np.ix_(rows, rows)], sets.labels[rows], sample_weight=weights)
    return lambda asked: _logits(model, kernel[np.ix_(asked, rows)], sets.class_count)


def _fit_logistic(
    sets: JudgedSets, rows: NDArray[np.int64], weights: Values, cost: float
) -> Callable[[NDArray[np.int64]], Values]:
    model = LogisticRegression(C=cost, max_iter=300, tol=1e-3)
    model.fit(sets.vectors[rows], sets.labels[rows], sample_weight=weights)
    return lambda asked: _logits(model, sets.vectors[asked], sets.class_count)


def _logits(model: _Classifier, inputs: Values, class_count: int) -> Values:
    """Return logits [sample, class], whichever classes the model has seen."""
    own = model.decision_function(inputs)
    if own.ndim == 1:
        own = np.column_stack([-own, own])
    logits = np.full((len(inputs), class_count), ABSENT)
    logits[:, model.classes_] = own
    return logits
