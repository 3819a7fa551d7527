"""Columns of a table that look like free text, though no column of it is called `text`."""

import re
from collections.abc import Mapping
from typing import Any, final

from curation.census import shown
from curation.dataset_warnings import DatasetWarning
from curation.sample_files import TEXT_COLUMN

_ROWS_LOOKED_AT = 1000
# Fewer tell nothing of what a column holds.
_MIN_VALUES = 10
# Of 828 columns of words in the tables of pydataset, vega_datasets and plotnine, this takes the
# four that hold headlines and questions. With three words names, addresses and car models follow.
_MIN_WORDS = 4
_MIN_LONG_SHARE = 0.5
# Texts that machines write repeat themselves; categories do so far more.
_MIN_DISTINCT_SHARE = 0.5
_COLUMNS_NAMED = 5
# Chinese, Japanese, Thai, Lao, Burmese and Khmer put no spaces between words.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
_UNSPACED_LETTERS_A_WORD = 2


@final
class TextColumnWatch:
    """Looks at the first rows of a tabular dataset for columns of free text.

    A column is taken for free text where at least half of its values have four words or more, and
    at least half of those differ from each other. A word holds a letter, so that times, numbers
    and codes are none.
    """

    def __init__(self) -> None:
        self._row_count = 0
        self._value_counts: dict[str, int] = {}
        self._long_counts: dict[str, int] = {}
        # Hashes and not the texts, which may be long.
        self._seen: dict[str, set[int]] = {}

    def observe(self, row: Mapping[str, Any]) -> None:  # Any JSON value.
        """Take note of a row's values; beyond the first thousand rows that costs nothing."""
        if self._row_count == _ROWS_LOOKED_AT:
            return
        self._row_count += 1
        for name, value in row.items():
            if value is None:
                continue
            self._value_counts[name] = self._value_counts.get(name, 0) + 1
            if isinstance(value, str) and _word_count(value) >= _MIN_WORDS:
                self._long_counts[name] = self._long_counts.get(name, 0) + 1
                self._seen.setdefault(name, set()).add(hash(value))

    def names(self) -> list[str]:
        """Return the columns that look like free text, in the order in which they were met."""
        return [name for name in self._value_counts if self._is_text(name)]

    def warnings(self) -> tuple[DatasetWarning, ...]:
        """Return the warning that texts are taken as categories, if there are any."""
        names = self.names()
        if not names:
            return ()
        return (_texts_as_categories(names),)

    def _is_text(self, name: str) -> bool:
        value_count, long_count = self._value_counts[name], self._long_counts.get(name, 0)
        return (
            value_count >= _MIN_VALUES
            and long_count >= _MIN_LONG_SHARE * value_count
            and len(self._seen[name]) >= _MIN_DISTINCT_SHARE * long_count
        )


def _word_count(text: str) -> int:
    spaced = sum(1 for word in text.split() if any(letter.isalpha() for letter in word))
    return spaced + len(_UNSPACED.findall(text)) // _UNSPACED_LETTERS_A_WORD


def _texts_as_categories(names: list[str]) -> DatasetWarning:
    listed = ", ".join(shown(name) for name in names[:_COLUMNS_NAMED])
    hidden = len(names) - _COLUMNS_NAMED
    named = f"{listed} and {hidden} more" if hidden > 0 else listed
    is_one = len(names) == 1
    return DatasetWarning(
        reason="TEXT_AS_CATEGORY",
        detail=(
            f"The column {named} looks like free text, but was taken as a category"
            if is_one
            else f"The columns {named} look like free text, but were taken as categories"
        )
        + f" of a tabular dataset, because no column is called {TEXT_COLUMN!r}.",
        field=names[0],
        cure=(
            f"To have the texts learned from, rename {'it' if is_one else 'one of them'} to"
            f" {TEXT_COLUMN!r} and upload the table again; all other columns are then kept, and not"
            " learned from. If categories are meant, all is well."
        ),
    )
