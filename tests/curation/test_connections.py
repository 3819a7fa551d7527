"""Connections of the pool: the dead are replaced unseen, and a read costs one message."""

import pytest
from sqlalchemy import Engine, text

from curation.database import create_database_engine, reading, unit_of_work


def backend(engine: Engine) -> int:
    with reading(engine) as session:
        return int(session.execute(text("SELECT pg_backend_pid()")).scalar_one())


def test_connection_that_the_server_has_ended_is_replaced(
    session_engine: Engine, postgres_url: str
) -> None:
    engine = create_database_engine(postgres_url, pool_size=1)
    try:
        ended = backend(engine)
        with unit_of_work(session_engine) as session:
            session.execute(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": ended})
        assert backend(engine) != ended
    finally:
        engine.dispose()


def test_connection_that_lives_is_kept(postgres_url: str) -> None:
    engine = create_database_engine(postgres_url, pool_size=1)
    try:
        assert backend(engine) == backend(engine)
    finally:
        engine.dispose()


@pytest.mark.parametrize("is_reading", [True, False])
def test_unit_of_work_is_one_transaction_after_a_read_on_its_connection(
    postgres_url: str, *, is_reading: bool
) -> None:
    engine = create_database_engine(postgres_url, pool_size=1)
    try:
        if is_reading:
            backend(engine)
        with unit_of_work(engine) as session:
            times = {session.execute(text("SELECT now()")).scalar_one() for _ in range(3)}
        # Within a transaction the server's clock stands still.
        assert len(times) == 1
    finally:
        engine.dispose()
