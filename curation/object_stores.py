"""Opens the object store that an address names."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from curation.objects import LocalObjectStore, ObjectStore
from curation.s3_addresses import parse_s3_address
from curation.s3_objects import S3ObjectStore


def open_object_store(url: str) -> ObjectStore:
    """Return the store that an address names.

    Args:
        url: `file:///absolute/path`, or `s3://bucket/prefix`, where `?endpoint=` names a service
            other than AWS and `&region=` a region.

    Raises:
        ValueError: The address is of no known kind.
    """
    parts = urlsplit(url)
    if parts.scheme == "s3":
        return S3ObjectStore(parse_s3_address(url))
    path = unquote(parts.path)
    if parts.scheme != "file" or parts.netloc not in {"", "localhost"} or not path.startswith("/"):
        # The address itself is not repeated: somebody may have written a secret into it.
        raise ValueError(
            "an object store's address is file:///absolute/path or s3://bucket/prefix, "
            "with ?endpoint= and region= where needed"
        )
    return LocalObjectStore(Path(path))
