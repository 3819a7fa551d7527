"""What helps at the command line, where the service's own advice is meant for programs."""

from winnow.errors import DatasetInvalidError, UnauthenticatedError, WinnowError

_OPTIONS = {
    "label_column": "--label-column",
    "id_column": "--id-column",
    "image_size": "--image-size",
}


def hint_of(error: WinnowError) -> str | None:
    """Returns a sentence that names the option which mends the error, or None."""
    if isinstance(error, UnauthenticatedError):
        return "Set WINNOW_API_KEY to a whole key; `winnow up` prints the first one."
    option = _OPTIONS.get(error.field or "") if isinstance(error, DatasetInvalidError) else None
    return f"The option for it is {option}." if option else None
