"""Finds out whether most labels of two classes name the other one."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

_LEAST_LOG_ODDS: Final = 1.0
"""Nats by which turned labels must explain the reference set better."""
_HIGHEST_FACTOR: Final = 32.0


def labels_are_turned(log_odds: NDArray[np.float64]) -> bool:
    """Return whether a reference set says that a pool of two classes has its labels turned round.

    Wrong labels of two classes cannot scatter: beyond one half they are a class of their own that
    the pool agrees on. A posterior of the pool as it is labelled then says the opposite of what the
    reference set says, and the reference labels are more probable under that opposite.

    How sure the posterior should be of real samples is not known. Where labels contradict each
    other it is less sure of the truth than it could be, and of samples unlike the pool's it is too
    sure. Either side may therefore multiply its log odds by the factor that suits it best, from 0,
    a guess, to 32.

    Args:
        log_odds: [reference], log odds of each reference sample's own label over the other one by
            the pool as it is labelled.
    """
    return _best_log_likelihood(-log_odds) - _best_log_likelihood(log_odds) >= _LEAST_LOG_ODDS


def _best_log_likelihood(log_odds: NDArray[np.float64]) -> float:
    def loss(factor: float) -> float:
        return float(np.logaddexp(0.0, -factor * log_odds).sum())

    found = minimize_scalar(loss, bounds=(0.0, _HIGHEST_FACTOR), method="bounded")
    return -float(found.fun)
