"""Declares a setting with its range, help and symbol, and holds values to the declaration."""

import dataclasses
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any, Final, Literal

from mts_core.errors import ConfigError

AUTO: Final = "auto"
Auto = Literal["auto"]


def setting(  # noqa: PLR0913  # Each is a named part of one declaration.
    default: Any,  # Any: the field's own annotation checks it.
    *,
    text: str,
    low: float | None = None,
    high: float | None = None,
    symbol: str | None = None,
    parse_other: Callable[[str], object | None] | None = None,
) -> Any:  # Any: dataclasses.field is typed as its default.
    """Return a field of a dataclass of settings.

    The kind of its values follows from the default and the range: a choice or a tuple of choices
    where the default is one, true or false, or a number, which is whole where the range is.

    Args:
        default: Value where none is given; it is allowed even outside the range.
        text: What the setting does, in a sentence for users.
        low: Lowest value that is allowed; only numbers have one.
        high: Highest value that is allowed.
        symbol: Symbol in docs/mathematics.md.
        parse_other: Reads a text that names none of the choices; returns none where it means
            nothing. Its values turn back into the text by `str`.
    """
    metadata = {"range": (low, high), "help": text, "symbol": symbol, "parse_other": parse_other}
    return dataclasses.field(default=default, metadata=metadata)


def check_settings(settings: Any) -> None:  # Any: a dataclass whose fields are all settings.
    """Hold every value to its declaration.

    Raises:
        ConfigError: A value is of the wrong kind, lies outside its range or names no known choice.
    """
    for item in dataclasses.fields(settings):
        _check_value(item, getattr(settings, item.name))


def choice_kind(item: dataclasses.Field[Any]) -> type[StrEnum] | None:  # Any: as declared.
    """Return the choices that a setting takes one or several of, or none for other settings."""
    default = item.default[0] if isinstance(item.default, tuple) else item.default
    return type(default) if isinstance(default, StrEnum) else None


def value_from_json(item: dataclasses.Field[Any], value: Any) -> Any:  # Any: as declared.
    """Return a setting's value from JSON, with names turned into choices.

    Raises:
        ConfigError: It is of the wrong kind, lies outside its range or names no known choice.
    """
    _check_value(item, value)
    kind = choice_kind(item)
    if kind is None:
        return value
    if isinstance(item.default, tuple):
        return tuple(map(kind, value))
    return kind(value) if value in set(kind) else _parse_other(item, value)


def value_to_json(value: Any) -> Any:  # Any: as declared.
    """Return a setting's value as JSON has it."""
    if isinstance(value, tuple):
        return [value_to_json(part) for part in value]
    if isinstance(value, StrEnum):
        return str(value)
    return value if isinstance(value, str | int | float | None) else str(value)


def _check_value(item: dataclasses.Field[Any], value: object) -> None:
    if isinstance(item.default, StrEnum):
        _check_choices(item, [value])
    elif isinstance(item.default, tuple):
        _check_list(item, value)
    elif isinstance(item.default, bool):
        _check_flag(item, value)
    else:
        _check_number(item, value)


def _check_choices(item: dataclasses.Field[Any], values: Iterable[object]) -> None:
    allowed = [str(member) for member in choice_kind(item) or ()]
    for value in values:
        if value not in allowed and _parse_other(item, value) is None:
            raise ConfigError(
                f"{item.name} must be one of {', '.join(allowed)}, not {value!r}.", field=item.name
            )


def _parse_other(item: dataclasses.Field[Any], value: object) -> object | None:
    parse: Callable[[str], object | None] | None = item.metadata["parse_other"]
    try:
        return None if parse is None else parse(str(value))
    except ConfigError as error:
        # What reads the text knows not for which setting.
        raise ConfigError(str(error), field=item.name) from error


def _check_list(item: dataclasses.Field[Any], value: object) -> None:
    if not isinstance(value, list | tuple):
        raise ConfigError(f"{item.name} must be a list, not {value!r}.", field=item.name)
    _check_choices(item, value)
    if len(set(value)) < len(value):
        raise ConfigError(f"{item.name} must name nothing twice.", field=item.name)


def _check_flag(item: dataclasses.Field[Any], value: object) -> None:
    if not isinstance(value, bool):
        raise ConfigError(f"{item.name} must be true or false, not {value!r}.", field=item.name)


def _check_number(item: dataclasses.Field[Any], value: object) -> None:
    low, high = item.metadata["range"]
    if isinstance(value, str | None) and value == item.default:
        return
    kinds = (int,) if isinstance(low, int) else (int, float)
    # The comparison is written so that a NaN fails it.
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
        noun = "whole number" if kinds == (int,) else "number"
        raise ConfigError(
            f"{item.name} must be a {noun} between {low:g} and {high:g}, not {value!r}.",
            field=item.name,
        )
