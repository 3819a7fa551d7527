"""The census of a dataset under validation: who was accepted, who was not, and in which class."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

from curation.errors import InvalidInputError
from curation.sample_kinds import Role

MAX_CLASSES = 10_000
# A class of the reference set is split in two to judge by, so it needs a sample for each half.
MIN_REFERENCE_SAMPLES = 2


@dataclass(frozen=True, slots=True)
class Rejection:
    """One row that is left out.

    Attributes:
        row: The row in the user's file, counted from 1, or None where it has no number.
        name: The sample's id or file name, where it is known.
        field: The column at fault, or None.
        reason: Stable code.
        detail: A sentence for people.
    """

    row: int | None
    name: str | None
    field: str | None
    reason: str
    detail: str


@final
class Census:
    """Counts samples by class and rejected rows, and refuses what cannot be mended row by row."""

    def __init__(self, *, max_rejections: int) -> None:
        """Begin with nobody.

        Args:
            max_rejections: Rejections kept with their reason; all are counted.
        """
        self._max_rejections = max_rejections
        self._codes: dict[str, int] = {}
        self._counts: list[int] = []
        self._row_of_id: dict[str, int] = {}
        self.rejections: list[Rejection] = []
        self.rejected_count = 0

    @property
    def sample_count(self) -> int:
        """The number of accepted samples."""
        return len(self._row_of_id)

    def accept(
        self, rows: Sequence[int], sample_ids: Sequence[str], labels: Sequence[str]
    ) -> list[int]:
        """Count samples and return the code of each one's class, in the order of first sight.

        Raises:
            InvalidInputError: A name is taken already (`DUPLICATE_ID`), or there are too many
                classes.
        """
        codes = []
        for row, sample_id, label in zip(rows, sample_ids, labels, strict=True):
            first = self._row_of_id.setdefault(sample_id, row)
            if first != row:
                raise InvalidInputError(
                    "DUPLICATE_ID",
                    f"Rows {first} and {row} have the same id {shown(sample_id)}.",
                    field="id",
                    row=row,
                    cure="Give every sample an id of its own.",
                )
            code = self._codes.setdefault(label, len(self._codes))
            if code == len(self._counts):
                self._counts.append(0)
                self._refuse_too_many_classes(row)
            self._counts[code] += 1
            codes.append(code)
        return codes

    def reject(self, rejection: Rejection) -> None:
        """Count a row that is left out, and keep its reason while there is room."""
        self.rejected_count += 1
        if len(self.rejections) < self._max_rejections:
            self.rejections.append(replace(rejection, name=_storable(rejection.name)))

    def check(self, role: Role) -> None:
        """Refuse a dataset of which too little is left.

        Raises:
            InvalidInputError: `EMPTY_DATASET`, `TOO_MANY_REJECTED`, `ONE_CLASS` or
                `REFERENCE_TOO_SMALL`.
        """
        if self.sample_count == 0 and self.rejected_count == 0:
            raise InvalidInputError(
                "EMPTY_DATASET",
                "The file holds no sample.",
                field="content",
                cure="Upload a file with samples of at least two classes.",
            )
        if self.rejected_count > self.sample_count:
            raise self._too_many_rejected()
        if len(self._codes) < 2:  # noqa: PLR2004 - one class leaves nothing to tell apart.
            raise InvalidInputError(
                "ONE_CLASS",
                f"All samples are of the class {shown(next(iter(self._codes)))}.",
                field="label",
                cure="A dataset needs samples of at least two classes.",
            )
        if role is Role.REFERENCE:
            self._check_reference()

    def class_names(self) -> list[str]:
        """Return the class names in the order of labels: numbers by value, other names by text."""
        names = list(self._codes)
        if all(name.removeprefix("-").isdecimal() and name.isascii() for name in names):
            return sorted(names, key=lambda name: (int(name), name))
        return sorted(names)

    def class_counts(self) -> dict[str, int]:
        """Return the number of samples of each class."""
        return {name: self._counts[self._codes[name]] for name in self.class_names()}

    def label_of_code(self) -> list[int]:
        """Return the label of each code that `accept` gave out."""
        labels = [0] * len(self._codes)
        for label, name in enumerate(self.class_names()):
            labels[self._codes[name]] = label
        return labels

    def _refuse_too_many_classes(self, row: int) -> None:
        if len(self._counts) > MAX_CLASSES:
            raise InvalidInputError(
                "TOO_MANY_CLASSES",
                f"There are more than {MAX_CLASSES} classes.",
                field="label",
                row=row,
                cure="Name the column that holds the class, not a number or a text of each sample.",
            )

    def _too_many_rejected(self) -> InvalidInputError:
        total = self.rejected_count + self.sample_count
        first = self.rejections[0] if self.rejections else None
        because = "" if first is None else f" The first: {first.detail}"
        return InvalidInputError(
            "TOO_MANY_REJECTED",
            f"{self.rejected_count} of {total} rows cannot be used.{because}",
            field=None if first is None else first.field,
            row=None if first is None else first.row,
            cure="Mend the rejected rows; the list of rejections names each with its reason.",
        )

    def _check_reference(self) -> None:
        counts = self.class_counts()
        small = [name for name, count in counts.items() if count < MIN_REFERENCE_SAMPLES]
        if small:
            raise InvalidInputError(
                "REFERENCE_TOO_SMALL",
                f"The class {shown(small[0])} has {counts[small[0]]} sample"
                f"{f', and {len(small) - 1} more classes as few' if len(small) > 1 else ''}.",
                field="label",
                cure=f"A reference set needs {MIN_REFERENCE_SAMPLES} samples or more of each"
                " class.",
            )


def shown(value: object) -> str:
    """Return a user's value in quotes, cut to a length that fits into a sentence."""
    longest = 80
    text = str(value)
    return repr(text if len(text) <= longest else f"{text[:longest]}...")


def _storable(name: str | None) -> str | None:
    # A name inside an archive may be no UTF-8, and PostgreSQL stores no NUL.
    if name is None:
        return None
    return name.encode("utf-8", "replace").decode("utf-8").replace("\x00", "?")
