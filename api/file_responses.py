"""Answers that are files: with an entity tag, and resumable by Range."""

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.responses import FileResponse, RedirectResponse, Response

from api.conditional import CACHE_CONTROL, NOT_MODIFIED, is_known
from api.resources import Resources
from api.settings import DownloadWay
from curation.objects import StoredObject

_READ_AHEAD_BYTES = 64 << 20


def _open_files() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


# What a route enters here is left when its answer has been sent, or when the client has gone.
OpenFiles = Annotated[ExitStack, Depends(_open_files)]


def file_responses(media_types: Iterable[str]) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI entries of an operation that answers with a file of one of these types."""
    return {
        200: {
            "description": "The file.",
            "content": {
                media_type.split(";")[0]: {"schema": _schema(media_type)}
                for media_type in media_types
            },
        },
        302: {
            "description": "Where the store itself gives the file, if the service is set to that."
        },
        206: {"description": "The part of the file that Range asked for."},
        416: {"description": "The file does not reach as far as Range asked."},
        **NOT_MODIFIED,
    }


def _schema(media_type: str) -> dict[str, str]:
    """Return what a reader of the document may expect of a file."""
    # A checker parses whatever calls itself JSON.
    is_json = media_type.endswith("+json")
    return {"type": "object"} if is_json else {"type": "string", "format": "binary"}


class _LargePieces(FileResponse):
    """A file in pieces that are worth a turn in a thread each."""

    chunk_size = 1 << 22


def stored_file_response(  # noqa: PLR0913 - the request, the file, and its name.
    request: Request,
    resources: Resources,
    files: ExitStack,
    stored: StoredObject,
    *,
    media_type: str,
    file_name: str,
) -> Response:
    """Return a stored file for download, or where to fetch it, or that the client has it.

    Args:
        request: The request, for what it knows already.
        resources: Where the file lies, and which way it is given.
        files: Closed once the answer has been sent.
        stored: The file; its digest is the entity tag.
        media_type: Of the file.
        file_name: Under which the client stores it.
    """
    headers = {"ETag": f'"{stored.digest}"', "Cache-Control": CACHE_CONTROL}
    if is_known(request, headers["ETag"]):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    address = _signed_address(resources, stored.digest)
    if address is not None:
        # The address ends, so nobody may keep this answer.
        return RedirectResponse(address, HTTPStatus.FOUND, headers={"Cache-Control": "no-store"})
    path = files.enter_context(resources.store.local_path(stored.digest))
    _read_ahead(path)
    return _LargePieces(path, media_type=media_type, filename=file_name, headers=headers)


def _read_ahead(path: Path) -> None:
    """Let the system begin to read a file from the disk while the answer's head is on its way."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(descriptor, 0, _READ_AHEAD_BYTES, os.POSIX_FADV_WILLNEED)
    finally:
        os.close(descriptor)


def _signed_address(resources: Resources, digest: str) -> str | None:
    """Return where the store itself gives the file to whoever asks, or None."""
    settings = resources.settings
    if settings.downloads is not DownloadWay.REDIRECT:
        return None
    return resources.store.download_url(digest, seconds=settings.download_address_seconds)
