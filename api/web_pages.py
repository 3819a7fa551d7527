"""The dashboard: one page for all its addresses, and the hashed files that the page is made of."""

import gzip
import html
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import HTMLResponse, Response

from api.conditional import entity_tag, is_known

_BUILD = Path(__file__).parent / "dashboard"
_ASSET_FOLDER = "assets"
_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}
# Written into the page by the build, replaced with each answer.
_NONCE_PLACE = "__WINNOW_NONCE__"
_BASE_PLACE = "__WINNOW_BASE__"
_NONCE_BYTES = 16
# A name of a file that holds its hash never stands for other bytes.
_IMMUTABLE = "public, max-age=31536000, immutable"

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class _Asset:
    """A file of the build, as it is and compressed."""

    content: bytes
    compressed: bytes
    media_type: str
    tag: str


@cache
def _page_template() -> str:
    return (_BUILD / "index.html").read_text(encoding="utf-8")


@cache
def _assets() -> Mapping[str, _Asset]:
    """Return the files of the build by name; read once, since they are few and never change."""
    return {
        path.name: _Asset(
            content=content,
            # Without the time of packing, the bytes depend on the content alone.
            compressed=gzip.compress(content, mtime=0),
            media_type=_MEDIA_TYPES[path.suffix],
            tag=entity_tag(content),
        )
        for path in sorted((_BUILD / _ASSET_FOLDER).iterdir())
        for content in [path.read_bytes()]
    }


@router.get("/")
@router.get("/datasets")
@router.get("/datasets/{_rest:path}")
@router.get("/jobs")
@router.get("/jobs/{_rest:path}")
@router.get("/compare")
def show_page(request: Request) -> HTMLResponse:
    """Show the dashboard; its script reads from the address what to show."""
    nonce = secrets.token_urlsafe(_NONCE_BYTES)
    base = html.escape(f"{request.scope['root_path']}/", quote=True)
    page = _page_template().replace(_NONCE_PLACE, nonce).replace(_BASE_PLACE, base)
    headers = {
        "Content-Security-Policy": _content_security_policy(nonce),
        # The page names the files of this version, so that an old one must not be kept.
        "Cache-Control": "no-cache",
        "Vary": "Accept-Encoding",
    }
    return HTMLResponse(page, headers=headers)


@router.get("/assets/{name}")
def show_asset(name: str, request: Request) -> Response:
    """Return a file of the build, compressed where the browser takes it so."""
    asset = _assets().get(name)
    if asset is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "There is no such file")
    headers = {"ETag": asset.tag, "Cache-Control": _IMMUTABLE, "Vary": "Accept-Encoding"}
    if is_known(request, asset.tag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    if not _takes_gzip(request):
        return Response(asset.content, media_type=asset.media_type, headers=headers)
    # Another representation has another tag; they are compared weakly, so both are known.
    headers |= {"Content-Encoding": "gzip", "ETag": f"W/{asset.tag}"}
    return Response(asset.compressed, media_type=asset.media_type, headers=headers)


def _takes_gzip(request: Request) -> bool:
    codings = request.headers.get("accept-encoding", "").lower().split(",")
    parts = [coding.replace(" ", "").split(";") for coding in codings]
    return any(name == "gzip" and rest not in (["q=0"], ["q=0.0"]) for name, *rest in parts)


def _content_security_policy(nonce: str) -> str:
    """Return a policy under which nothing runs but the build's own files.

    The components' own style elements carry the nonce; styles of single elements are set by
    script, to which the policy does not apply.
    """
    return (
        "default-src 'none'; script-src 'self'; "
        f"style-src 'self' 'nonce-{nonce}'; "
        "img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; worker-src 'self'; "
        "base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    )
