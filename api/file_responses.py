"""Answers that are files: with an entity tag, and resumable by Range."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.responses import FileResponse, Response

from api.conditional import CACHE_CONTROL, NOT_MODIFIED, is_known
from curation.manifest_files import ManifestFormat
from curation.manifests import MEDIA_TYPES


def _open_files() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


# What a route enters here is left when its answer has been sent, or when the client has gone.
OpenFiles = Annotated[ExitStack, Depends(_open_files)]

# The OpenAPI entries of an operation that answers with a file.
FILE_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file.",
        "content": {
            media_type.split(";")[0]: {"schema": {"type": "string", "format": "binary"}}
            for media_type in MEDIA_TYPES.values()
        },
    },
    206: {"description": "The part of the file that Range asked for."},
    416: {"description": "The file does not reach as far as Range asked."},
    **NOT_MODIFIED,
}


def not_modified(request: Request, tag: str) -> Response | None:
    """Return the answer 304 where `request` names `tag`, else None."""
    if not is_known(request, tag):
        return None
    return Response(status_code=304, headers=_headers(tag))


def file_response(
    path: Path, file_format: ManifestFormat, *, file_name: str, tag: str
) -> FileResponse:
    """Return the file at `path` for download.

    Args:
        path: Must exist until the answer has been sent.
        file_format: Gives the media type.
        file_name: Under which the client stores it.
        tag: The entity tag.
    """
    return FileResponse(
        path, media_type=MEDIA_TYPES[file_format], filename=file_name, headers=_headers(tag)
    )


def _headers(tag: str) -> dict[str, str]:
    return {"ETag": tag, "Cache-Control": CACHE_CONTROL}
