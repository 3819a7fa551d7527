"""The engine, and the one place where transactions begin and end."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session


def create_database_engine(url: str, *, pool_size: int = 5) -> Engine:
    """Return an engine for a PostgreSQL url of the form `postgresql+psycopg://...`.

    Args:
        url: The database's address.
        pool_size: Connections kept open; as many again may open for a moment.
    """
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        # A restarted server leaves dead connections in the pool; a ping before use costs less
        # than a failed request.
        pool_pre_ping=True,
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
            "options": "-c timezone=UTC -c idle_in_transaction_session_timeout=300000",
        },
    )


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
