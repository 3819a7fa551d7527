"""The page that shows the API to people, served from here so that it needs no other site."""

from pathlib import Path

import fastapi_offline
from fastapi import APIRouter, FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.responses import HTMLResponse, Response

# The package brings Swagger UI's build; its page would need inline scripts, so ours stands here.
_ASSETS = Path(fastapi_offline.__file__).parent / "static"

# Addresses are relative, so that they hold behind a proxy that adds a path.
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Winnow API</title>
<link rel="stylesheet" href="docs/assets/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/assets/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_SCRIPT = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  persistAuthorization: false,
});
"""
# Swagger UI sets styles on its elements; scripts come from here alone.
_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def show_docs() -> HTMLResponse:
    """Show the API document as a page."""
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _CONTENT_SECURITY_POLICY})


@router.get("/docs/start.js")
async def show_start_script() -> Response:
    """Return the script that fills the page; a file of its own, so that no script is inline."""
    return Response(_SCRIPT, media_type="text/javascript")


def install_api_docs(app: FastAPI) -> None:
    """Add the page and its assets to `app`."""
    app.include_router(router)
    app.mount("/docs/assets", StaticFiles(directory=_ASSETS), name="docs-assets")
