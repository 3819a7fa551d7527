"""What lives as long as the process: database, object store, doorbell, clock and counters."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fastapi import Request
from sqlalchemy import Engine

from api.doorbell import Doorbell
from api.settings import ApiSettings
from api.sweeper import Sweeper
from curation.clock import Clock
from curation.database import create_database_engine
from curation.objects import ObjectStore, open_object_store


@dataclass(frozen=True)
class Resources:
    """Everything beyond its own text that a request may reach."""

    settings: ApiSettings
    engine: Engine
    store: ObjectStore
    doorbell: Doorbell
    clock: Clock


@contextmanager
def open_resources(settings: ApiSettings, clock: Clock) -> Iterator[Resources]:
    """Yield the resources that `settings` name, with the doorbell and the sweep at work."""
    engine = create_database_engine(settings.database_url, pool_size=settings.database_connections)
    store = open_object_store(settings.object_store)
    try:
        with (
            Doorbell(settings.broker_url) as doorbell,
            Sweeper(engine=engine, store=store, settings=settings, doorbell=doorbell, clock=clock),
        ):
            yield Resources(
                settings=settings, engine=engine, store=store, doorbell=doorbell, clock=clock
            )
    finally:
        engine.dispose()


def resources_of(request: Request) -> Resources:
    """Return the resources of the application that serves `request`."""
    resources = request.app.state.resources
    if not isinstance(resources, Resources):
        raise TypeError("The application was started without its resources.")
    return resources
