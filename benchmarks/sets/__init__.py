"""Benchmark sets made from packages alone: each returns the same set on every call."""

from collections.abc import Callable, Mapping
from typing import Final

from quality_sets import QualitySet

from sets.backgrounds import backgrounds
from sets.clouds import fifty_classes, two_classes, two_hundred_classes
from sets.digits import digits
from sets.interpolated import handwriting, nuclei, penguins
from sets.letters import letters
from sets.tabular import tabular
from sets.text import text

BUILDERS: Final[Mapping[str, Callable[[], QualitySet]]] = {
    "digits": digits,
    "backgrounds": backgrounds,
    "text": text,
    "tabular": tabular,
    "letters": letters,
    "two_classes": two_classes,
    "fifty_classes": fifty_classes,
    "two_hundred_classes": two_hundred_classes,
    "handwriting": handwriting,
    "nuclei": nuclei,
    "penguins": penguins,
}
"""Every set by its name."""
