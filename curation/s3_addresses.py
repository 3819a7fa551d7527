"""The addresses of S3 that an operator writes into settings, taken apart."""

from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

_OPTIONS = {"endpoint", "region"}


@dataclass(frozen=True, slots=True)
class S3Address:
    """A bucket, or what lies under a prefix of it.

    Attributes:
        bucket: Its name.
        prefix: Where in it, without a slash at either end; empty for all of it.
        endpoint: Address of a service other than AWS, or None.
        region: The bucket's region, or None.
    """

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None


def parse_s3_address(url: str) -> S3Address:
    """Return what `s3://bucket/prefix?endpoint=...&region=...` names.

    Raises:
        ValueError: It is no such address. The address itself is not repeated: somebody may have
            written a secret into it.
    """
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    if parts.scheme != "s3" or not parts.netloc or not options.keys() <= _OPTIONS:
        raise ValueError("not s3://bucket/prefix, with ?endpoint= and region= where needed")
    return S3Address(
        bucket=parts.netloc,
        prefix=unquote(parts.path).strip("/"),
        endpoint=options.get("endpoint"),
        region=options.get("region"),
    )
