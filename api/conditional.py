"""Entity tags: a client that already has the newest answer gets 304 instead of it again."""

import hashlib
from collections.abc import Mapping
from typing import Any

from fastapi import Request
from pydantic import BaseModel
from starlette.responses import Response

# Workspace data must not linger in a shared cache, and a private one asks again each time.
CACHE_CONTROL = "private, no-cache"

# The OpenAPI entry of an operation that may answer so.
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "The version named in If-None-Match is still the newest."}
}


def entity_tag(content: bytes) -> str:
    """Return the strong entity tag of `content`."""
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def is_known(request: Request, tag: str) -> bool:
    """Return whether `request` names `tag` among the answers that it already has."""
    header = request.headers.get("if-none-match")
    if header is None:
        return False
    # RFC 9110 compares weakly here: a proxy that compresses on the way may have weakened the tag.
    known = {candidate.strip().removeprefix("W/") for candidate in header.split(",")}
    return "*" in known or tag.removeprefix("W/") in known


def tagged_response(
    request: Request, view: BaseModel, *, headers: Mapping[str, str] | None = None
) -> Response:
    """Return `view` as JSON with its entity tag, or 304 where the client already has it."""
    content = view.model_dump_json().encode()
    tag = entity_tag(content)
    all_headers = {"ETag": tag, "Cache-Control": CACHE_CONTROL, **(headers or {})}
    if is_known(request, tag):
        return Response(status_code=304, headers=all_headers)
    return Response(content, media_type="application/json", headers=all_headers)
