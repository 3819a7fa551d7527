"""The OpenAPI document as a file of the repository: `python -m api.openapi_snapshot FILE`."""

import json
import sys
from pathlib import Path

from api.main import create_app
from api.settings import ApiSettings


def render_openapi() -> str:
    """Return the document as JSON text, the same for the same code on every machine."""
    # The document does not depend on any setting, and making an application connects to nothing.
    settings = ApiSettings(
        database_url="postgresql+psycopg://nowhere/none",
        broker_url="redis://nowhere",
        object_store="file:///nowhere",
    )
    document = create_app(settings).openapi()
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(render_openapi(), encoding="utf-8")
