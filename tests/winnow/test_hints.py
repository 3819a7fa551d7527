"""The command line says which option mends what the service refused."""

from uuid import UUID

import pytest

from winnow.errors import DatasetInvalidError, Problem, WinnowError, api_error
from winnow.hints import hint_of

NO_DATASET = UUID(int=0)


def invalid(field: str | None) -> DatasetInvalidError:
    return DatasetInvalidError("no", dataset_id=NO_DATASET, reason="NO", field=field, row=None)


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (invalid("label_column"), "The option for it is --label-column."),
        (invalid("image_size"), "The option for it is --image-size."),
        (invalid("content"), None),
        (invalid(None), None),
        (WinnowError("no"), None),
    ],
)
def test_option_is_named_where_there_is_one(error: WinnowError, hint: str | None) -> None:
    assert hint_of(error) == hint


def test_wrong_key_is_told_where_keys_come_from() -> None:
    hint = hint_of(api_error(Problem(status=401, reason="INVALID_KEY", detail="no")))
    assert hint is not None
    assert "winnow up" in hint
    assert hint_of(api_error(Problem(status=403, reason="SCOPE_MISSING", detail="no"))) is None
