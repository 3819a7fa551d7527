"""Pools several opinions on classes into one, with exponents that the reference set chooses."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

_PENALTY: Final = 0.02
"""Cost in nats of an exponent that lies a factor e away from an equal share."""


def fit_pooling_exponents(
    left_out: Sequence[NDArray[np.float64]], labels: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the exponents of a product of posteriors, [posterior] float64, all positive.

    They minimise the log loss of the pooled posterior on the reference set, whose samples each
    posterior predicts without them, plus a penalty on the squared logarithm of each exponent over
    its equal share: a few samples must not decide that one opinion is all that counts.

    Args:
        left_out: For each posterior, log probabilities [reference, class] without the sample.
        labels: [reference] int64.

    Source: [genest1986combining], logarithmic opinion pools.
    """
    opinions = np.stack(left_out)
    places = np.arange(len(labels))
    start = np.full(len(left_out), -np.log(len(left_out)))

    def objective(logs: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        exponents = np.exp(logs)
        log_probabilities = log_softmax(np.tensordot(exponents, opinions, axes=1), axis=1)
        residuals = np.exp(log_probabilities)
        residuals[places, labels] -= 1.0
        slopes = np.einsum("pkc,kc->p", opinions, residuals) / len(labels)
        loss = -log_probabilities[places, labels].mean()
        shift = logs - start
        penalised = float(loss + _PENALTY * np.square(shift).sum())
        return penalised, slopes * exponents + 2 * _PENALTY * shift

    found = minimize(objective, start, jac=True, method="L-BFGS-B")
    return np.asarray(np.exp(found.x))


def pool_log_probabilities(
    opinions: Sequence[NDArray[np.floating]], exponents: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return log probabilities [sample, class] of the product of posteriors, normalised.

    Args:
        opinions: For each posterior, log probabilities [sample, class].
        exponents: [posterior] float64.
    """
    product = sum(exponent * opinion for exponent, opinion in zip(exponents, opinions, strict=True))
    log_probabilities: NDArray[np.float64] = log_softmax(product, axis=1)
    return log_probabilities
