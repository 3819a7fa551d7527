"""Defines the errors that this library raises on purpose, each with its data."""

from collections.abc import Sequence


class MtsError(Exception):
    """Base of all errors that the learning library raises on purpose."""


class ConfigError(MtsError):
    """A setting is unknown, out of its range, or does not fit the data.

    Attributes:
        detail: What is wrong and what would work, in a sentence that is safe to show.
        field: Name of the setting, or None where no single one is to blame.
    """

    def __init__(self, detail: str, *, field: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field


class NonFiniteError(MtsError):
    """A loss, a gradient or a feature became infinite or not a number.

    Attributes:
        quantity: Name of what became non-finite.
        step: Training step at which it was seen, or None outside training.
    """

    def __init__(self, quantity: str, *, step: int | None = None) -> None:
        where = "" if step is None else f" at step {step}"
        super().__init__(f"The {quantity} is not finite{where}.")
        self.quantity = quantity
        self.step = step


class MissingClassError(MtsError):
    """A set lacks classes that the computation needs.

    Attributes:
        detail: Which set lacks which classes, in a sentence that is safe to show.
        classes: Indices of the missing classes.
    """

    def __init__(self, detail: str, *, classes: Sequence[int] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.classes = tuple(classes)


class CheckpointError(MtsError):
    """A checkpoint cannot be read, or does not fit the run that wants to resume from it."""


class RankLostError(MtsError):
    """Another process that shares the training ended or cannot be reached."""
