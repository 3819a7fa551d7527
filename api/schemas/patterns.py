r"""Patterns of texts that clients send, as JSON Schema has them: ECMA 262 with `\s`.

Those of names are checked as they stand. Those of files and addresses are for the OpenAPI document
alone: what they leave out is refused by rules with reasons of their own.
"""

from curation.upload_kinds import UploadKind


def _in_any_case(text: str) -> str:
    """Return a pattern of `text` in capitals and small letters; JSON Schema has no flag for it."""
    return "".join(
        f"[{letter}{letter.upper()}]" if letter.isalpha() else f"[{letter}]" for letter in text
    )


# PostgreSQL's text holds no NUL, and control characters in a name, or such as turn the direction of
# writing, only ever mislead a reader.
_REFUSED = r"\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069"
PRINTABLE = rf"^[^{_REFUSED}]+$"
NOT_BLANK = rf"^[^{_REFUSED}]*[^{_REFUSED}\s][^{_REFUSED}]*$"

_ENDING = f"(?:{'|'.join(map(_in_any_case, UploadKind.endings()))})"
FILE_NAME = rf"^[^{_REFUSED}/\\]*{_ENDING}$"

_IN_KEY = rf"[^{_REFUSED}/]"
# Neither empty nor one or two dots.
_FOLDER = rf"(?:{_IN_KEY}*[^{_REFUSED}/.]{_IN_KEY}*|[.]{{3,}})"
IMPORT_URL = rf"^s3://{_IN_KEY}+/(?:{_FOLDER}/)*{_IN_KEY}*{_ENDING}$"

_HOST = r"(?:[A-Za-z0-9._~%-]+|\[[0-9A-Fa-f:.]+\])"
_PORT = r"0*(?:6553[0-5]|655[0-2][0-9]|65[0-4][0-9][0-9]|6[0-4][0-9]{3}|[1-5][0-9]{4}|[0-9]{1,4})"
# Printable ASCII without `#`, which would begin a fragment.
WEBHOOK_URL = rf'^{_in_any_case("http")}[sS]?://{_HOST}(?::(?:{_PORT})?)?(?:[/?][!"$-~]*)?$'
