"""What samples are and what they are for; words that need no database."""

from enum import StrEnum


class Role(StrEnum):
    """What a dataset is for."""

    SYNTHETIC = "synthetic"
    REFERENCE = "reference"
    TEST = "test"


class Modality(StrEnum):
    """What the samples of a dataset are."""

    IMAGE = "image"
    TEXT = "text"
    TABULAR = "tabular"
    EMBEDDING = "embedding"
