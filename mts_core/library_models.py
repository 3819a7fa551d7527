"""Models that a job takes from a library by name, beside the encoders that Winnow ships."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mts_core.errors import ConfigError

# A name, or an owner and a name; never a path, which could lead anywhere on the worker.
_NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)
_LONGEST: Final = 140


class Library(StrEnum):
    """Where a model comes from."""

    SENTENCE_TRANSFORMERS = "sentence_transformers"
    TIMM = "timm"


@dataclass(frozen=True)
class LibraryModel:
    """A model of a library; as a text it is `library:name`.

    Attributes:
        library: Where it comes from.
        name: Its name there.

    Raises:
        ConfigError: The name is not one that a library could have.
    """

    library: Library
    name: str

    def __post_init__(self) -> None:
        """Refuses what is no name."""
        if len(str(self)) > _LONGEST or not _NAME.fullmatch(self.name):
            raise ConfigError(f"{self.name!r} is no name of a model.", field="encoder")

    def __str__(self) -> str:
        return f"{self.library}:{self.name}"

    @property
    def reads_images(self) -> bool:
        """Whether the model reads images."""
        return self.library is Library.TIMM

    @property
    def is_pretrained(self) -> bool:
        """Always true: it comes with weights."""
        return True


def parse_library_model(text: str) -> LibraryModel | None:
    """Return the model that `library:name` says, or none where the text is of another form.

    Raises:
        ConfigError: The name is not one that a library could have.
    """
    prefix, colon, name = text.partition(":")
    if not colon or prefix not in set(Library):
        return None
    return LibraryModel(Library(prefix), name)


def parse_image_network(text: str) -> LibraryModel | None:
    """Return the image network that `library:name` says, or none where the text is no such name.

    Raises:
        ConfigError: The name is not one that a library could have.
    """
    model = parse_library_model(text)
    return model if model is not None and model.reads_images else None
