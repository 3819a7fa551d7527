"""What a dataset that passed may yet not be what its user meant, and what helps."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetWarning:
    """One thing about a sound dataset that its user may have meant otherwise.

    Attributes:
        reason: Stable code.
        detail: A sentence for people: what was understood, and why that may be wrong.
        field: The column that it is about, or None.
        cure: What to do to have it otherwise.
    """

    reason: str
    detail: str
    field: str | None
    cure: str


def warnings_from_json(values: Sequence[Mapping[str, str | None]]) -> tuple[DatasetWarning, ...]:
    """Return warnings that were written as JSON objects."""
    return tuple(
        DatasetWarning(
            reason=value["reason"] or "",
            detail=value["detail"] or "",
            field=value["field"],
            cure=value["cure"] or "",
        )
        for value in values
    )


def warnings_to_json(warnings: Sequence[DatasetWarning]) -> list[dict[str, str | None]] | None:
    """Return warnings as JSON objects; none where there are none."""
    return [asdict(warning) for warning in warnings] or None
