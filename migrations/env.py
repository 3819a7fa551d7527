"""Runs migrations one process at a time, and never waits long for a lock."""

import os

from alembic import context
from alembic.runtime.environment import NameFilterParentNames, NameFilterType
from sqlalchemy import Connection, create_engine, pool, text

from curation.models import Base
from curation.partitions import is_result_table

# A migration that waits for a lock holds up every query behind it: it rather fails and is run
# again.
_LOCK_TIMEOUT = "5s"
# Any number that nothing else in the database uses.
_MIGRATION_LOCK = 7_241_550_084


def _is_managed(name: str | None, kind: NameFilterType, parents: NameFilterParentNames) -> bool:
    # Partitions and staged results come and go with jobs.
    table = name if kind == "table" else parents.get("table_name")
    return not is_result_table(table)


def _migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        include_name=_is_managed,
        compare_server_default=True,
    )
    with context.begin_transaction():
        # A second process waits here, and then finds nothing left to do.
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        timeout = context.config.attributes.get("lock_timeout", _LOCK_TIMEOUT)
        connection.execute(
            text("SELECT set_config('lock_timeout', :timeout, true)"), {"timeout": timeout}
        )
        context.run_migrations()


def _run() -> None:
    given = context.config.attributes.get("connection")
    if given is not None:
        _migrate(given)
        return
    engine = create_engine(os.environ["WINNOW_DATABASE_URL"], poolclass=pool.NullPool)
    with engine.connect() as connection:
        _migrate(connection)


if context.is_offline_mode():
    raise SystemExit("Migrations run on a database; there is no offline mode.")
_run()
