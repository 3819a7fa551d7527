"""The engine, and the one place where transactions begin and end."""

import select
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg import Connection
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.orm import Session

from curation.running_totals import write_totals


def create_database_engine(
    url: str, *, pool_size: int = 5, idle_transaction_seconds: float = 300.0
) -> Engine:
    """Return an engine for a PostgreSQL url of the form `postgresql+psycopg://...`.

    Args:
        url: The database's address.
        pool_size: Connections kept open; as many again may open for a moment.
        idle_transaction_seconds: Silence within a transaction after which the server ends it. Who
            hangs for longer than a lease must not keep others from the rows that it locked.
    """
    idle_milliseconds = round(1000 * idle_transaction_seconds)
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        connect_args={
            "application_name": "winnow",
            "connect_timeout": 10,
            # A network that died without a word ends a statement within a lease, not in hours.
            "tcp_user_timeout": 30_000,
            "keepalives_idle": 15,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            # Sessions run in UTC, so that no timestamp depends on the server's own zone, and a
            # client that vanishes in the middle of a transaction cannot hold its locks for ever.
            "options": (
                f"-c timezone=UTC -c idle_in_transaction_session_timeout={idle_milliseconds}"
            ),
        },
    )
    event.listen(engine, "checkout", _refuse_if_dead)
    return engine


def _refuse_if_dead(connection: Connection[Any], *_: object) -> None:
    """Have the pool replace a connection that the server has left, as a restarted one does.

    The server says nothing to a connection that rests in the pool, so whatever there is to read is
    the end. To look costs a microsecond, where to ask the server would cost each request a message.
    """
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):
        raise DisconnectionError("the server has left the connection")


@contextmanager
def unit_of_work(engine: Engine) -> Iterator[Session]:
    """Yield a session whose changes are committed together at the end, or not at all.

    Rows stay readable after the commit, so that an answer can be built from them without a
    second look at the database. No other code commits.

    Args:
        engine: The database.

    Yields:
        A session with one open transaction; any exception rolls it back.
    """
    with Session(engine, expire_on_commit=False) as session, session.begin():
        yield session
        write_totals(session)


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """Yield a session for reads, each of which sees what is committed when it is made.

    It spares the messages that begin and end a transaction, which are most of what a short read
    costs. A change is committed by itself, so there may be one at most.

    Args:
        engine: The database.
    """
    at_once = engine.execution_options(isolation_level="AUTOCOMMIT")
    with Session(at_once, expire_on_commit=False) as session, session.begin():
        yield session
