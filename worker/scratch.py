"""Gives each attempt a temporary folder, and removes those whose supervisor is gone."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from curation.locked_folders import locked_folder, remove_abandoned

_PREFIX: Final = "winnow-attempt-"


def attempt_scratch(root: Path) -> AbstractContextManager[Path]:
    """Return a context that holds a fresh folder, which is removed at its end."""
    return locked_folder(root, _PREFIX)


def remove_abandoned_scratch(root: Path) -> int:
    """Remove the folders that a killed supervisor left and return how many."""
    return remove_abandoned(root, _PREFIX)
