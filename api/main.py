"""The application: its routes, in what they are wrapped, and what lives as long as it does.

Start it with `python -m uvicorn --factory api.main:create_app`.
"""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from api import (
    audit,
    columns,
    dataset_samples,
    datasets,
    events,
    exports,
    health,
    jobs,
    keys,
    manifests,
    results,
    selections,
    selectors,
    session,
    upload_parts,
    uploads,
    usage,
    web_pages,
    webhooks,
)
from api.api_docs import install_api_docs
from api.body_limit import BodyLimitMiddleware
from api.errors import install_error_handlers
from api.metrics import RequestMetrics
from api.openapi_document import DESCRIPTION, TAGS, install_openapi_document
from api.query_parameters import QueryParameters
from api.request_context import RequestContextMiddleware
from api.resources import open_resources
from api.settings import ApiSettings
from api.tracing import trace_requests
from curation.clock import Clock, utc_now
from curation.log_setup import configure_logging

_ROUTED = (
    datasets,
    dataset_samples,
    uploads,
    upload_parts,
    jobs,
    events,
    results,
    columns,
    exports,
    selections,
    manifests,
    selectors,
    usage,
    webhooks,
    keys,
    audit,
    health,
    session,
    web_pages,
)


def create_app(settings: ApiSettings | None = None, *, clock: Clock = utc_now) -> FastAPI:
    """Return the application; it connects to nothing before it is started.

    Args:
        settings: Null reads the environment, which is what uvicorn's factory call does.
        clock: Gives the time for everything but leases.
    """
    is_own_process = settings is None
    if settings is None:
        settings = ApiSettings()
        configure_logging(settings)
    known_settings = settings

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with open_resources(known_settings, clock) as resources:
            app.state.resources = resources
            if export is not None:
                export.watch_queries(resources.engine)
            if is_own_process:
                _spare_the_collector()
            yield
        if export is not None:
            export.close()

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
    export = trace_requests(app, known_settings)
    app.state.metrics = RequestMetrics()
    app.state.query_parameters = QueryParameters(app)
    # The one that is added last is the outermost.
    app.add_middleware(BodyLimitMiddleware)
    app.add_middleware(RequestContextMiddleware, metrics=app.state.metrics)
    install_error_handlers(app)
    for module in _ROUTED:
        app.include_router(module.router)
    install_api_docs(app)
    install_openapi_document(app)
    return app


def _spare_the_collector() -> None:
    """Keep what exists at the start out of the garbage collector's rounds.

    It stays for good, and each full round through it would hold up all requests for a tenth of a
    second.
    """
    gc.collect()
    gc.freeze()
