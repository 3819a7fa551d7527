"""The application: its routes, in what they are wrapped, and what lives as long as it does.

Start it with `python -m uvicorn --factory api.main:create_app`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from api import (
    datasets,
    events,
    exports,
    health,
    jobs,
    manifests,
    results,
    selections,
    selectors,
    uploads,
)
from api.api_docs import install_api_docs
from api.body_limit import BodyLimitMiddleware
from api.errors import install_error_handlers
from api.metrics import RequestMetrics
from api.openapi_document import DESCRIPTION, TAGS, install_openapi_document
from api.request_context import RequestContextMiddleware
from api.resources import open_resources
from api.settings import ApiSettings
from curation.clock import Clock, utc_now
from curation.log_setup import configure_logging

_ROUTED = (
    datasets,
    uploads,
    jobs,
    events,
    results,
    exports,
    selections,
    manifests,
    selectors,
    health,
)


def create_app(settings: ApiSettings | None = None, *, clock: Clock = utc_now) -> FastAPI:
    """Return the application; it connects to nothing before it is started.

    Args:
        settings: Null reads the environment, which is what uvicorn's factory call does.
        clock: Gives the time for everything but leases.
    """
    if settings is None:
        settings = ApiSettings()
        configure_logging(settings)
    known_settings = settings

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with open_resources(known_settings, clock) as resources:
            app.state.resources = resources
            yield

    app = FastAPI(
        title="Winnow",
        version=version("winnow"),
        description=DESCRIPTION,
        openapi_tags=TAGS,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        # A slash too many is a wrong path; a redirect would lose the body of an upload.
        redirect_slashes=False,
    )
    app.state.metrics = RequestMetrics()
    # The one that is added last is the outermost.
    app.add_middleware(BodyLimitMiddleware)
    app.add_middleware(RequestContextMiddleware, metrics=app.state.metrics)
    install_error_handlers(app)
    for module in _ROUTED:
        app.include_router(module.router)
    install_api_docs(app)
    install_openapi_document(app)
    return app
