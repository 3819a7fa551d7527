"""Estimates which share of the pool's labels is wrong, from what a posterior says of them."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

_LEAST: Final = 1e-3
_MOST: Final = 0.99
_TOLERANCE: Final = 1e-4


def estimate_label_noise(given: NDArray[np.float64], class_count: int) -> float:
    """Return the share of wrong labels under which the given ones are the most likely.

    A label is right with probability 1 - epsilon; a wrong one is any other class, each as likely.
    With q_i the probability of the given label by a posterior that has not seen it, its likelihood
    is (1 - epsilon) q_i + epsilon (1 - q_i) / (classes - 1). A sample that lies between classes
    tells little, whatever its label, so that overlapping classes do not look like noise.

    Args:
        given: [sample] probability of each given label, in [0, 1].
        class_count: Number of classes.

    Returns:
        The share, in [0.001, 0.99]; the least where there is one class alone.

    Source: [angluin1988learning] for the model of noise.
    """
    if class_count == 1:
        return _LEAST
    others = (1.0 - given) / (class_count - 1)

    def loss(noise: float) -> float:
        likelihood = (1.0 - noise) * given + noise * others
        return -float(np.log(np.maximum(likelihood, np.finfo(np.float64).tiny)).mean())

    found = minimize_scalar(
        loss, bounds=(_LEAST, _MOST), method="bounded", options={"xatol": _TOLERANCE}
    )
    return float(found.x)
