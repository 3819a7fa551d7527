"""Cuts texts to the length that encoders look at."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

LONGEST_TEXT: Final = 20_000
"""Characters that are looked at; more would cost time without telling more of a class."""


def cut_texts(inputs: NDArray[np.generic]) -> list[str]:
    """Return the beginnings of texts.

    Args:
        inputs: [sample] texts, as objects.
    """
    return [text[:LONGEST_TEXT] for text in inputs.tolist()]
