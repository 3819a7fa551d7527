"""What lives as long as the process: database, object store, doorbell, clock, counters, watches."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from fastapi import Request
from sqlalchemy import Engine

from api.callers import Credential, find_callers
from api.doorbell import Doorbell
from api.gathering import Gathering
from api.job_views import JobName, find_views
from api.job_watch import JobWatch
from api.rate_limits import RateLimiter
from api.readiness import Readiness, check_database, check_store
from api.schemas.jobs import JobView
from api.service_metrics import ServiceMetrics
from api.settings import ApiSettings
from api.sweeper import Sweeper
from curation.clock import Clock
from curation.database import create_database_engine
from curation.errors import UnauthenticatedError
from curation.keys import Principal
from curation.object_stores import open_object_store
from curation.objects import ObjectStore


@dataclass(frozen=True)
class Resources:
    """Everything beyond its own text that a request may reach."""

    settings: ApiSettings
    engine: Engine
    store: ObjectStore
    doorbell: Doorbell
    clock: Clock
    rate_limiter: RateLimiter
    callers: Gathering[Credential, Principal | UnauthenticatedError]
    job_views: Gathering[JobName, JobView | None]
    job_watch: JobWatch
    service_metrics: ServiceMetrics
    readiness: Readiness


@contextmanager
def open_resources(settings: ApiSettings, clock: Clock) -> Iterator[Resources]:
    """Yield the resources that `settings` name, with the doorbell and the sweep at work."""
    engine = create_database_engine(
        settings.database_url,
        pool_size=settings.database_connections,
        idle_transaction_seconds=settings.lease_seconds,
    )
    store = open_object_store(settings.object_store)
    rate_limiter = RateLimiter(settings)
    job_watch = JobWatch(engine, poll_seconds=settings.poll_seconds)
    try:
        with (
            Doorbell(settings.broker_url) as doorbell,
            Sweeper(engine=engine, store=store, settings=settings, doorbell=doorbell, clock=clock),
        ):
            yield Resources(
                settings=settings,
                engine=engine,
                store=store,
                doorbell=doorbell,
                clock=clock,
                rate_limiter=rate_limiter,
                callers=Gathering(partial(find_callers, engine, clock)),
                job_views=Gathering(partial(find_views, engine)),
                job_watch=job_watch,
                service_metrics=ServiceMetrics(engine, clock),
                readiness=Readiness(
                    {
                        "database": partial(check_database, engine),
                        "broker": doorbell.check_broker,
                        "store": partial(check_store, store),
                    }
                ),
            )
    finally:
        job_watch.close()
        rate_limiter.close()
        engine.dispose()


async def resources_of(request: Request) -> Resources:
    """Return the resources of the application that serves `request`.

    It is asynchronous since whatever is not takes a turn in a thread.
    """
    resources = request.app.state.resources
    if not isinstance(resources, Resources):
        raise TypeError("The application was started without its resources.")
    return resources
