"""The tables that hold per-sample results: one for each attempt, attached when its job succeeds."""

from dataclasses import dataclass
from uuid import UUID

from psycopg import sql
from sqlalchemy import text
from sqlalchemy.orm import Session

from curation.identifiers import JobId

PARENT = "sample_weights"
_PREFIX = f"{PARENT}_"


@dataclass(frozen=True, slots=True)
class ResultTable:
    """A table of results, attached or not.

    Attributes:
        name: The table's name; it tells job and token.
        job_id: Whose results it holds.
        fencing_token: The claim under which it was filled.
        is_attached: Whether readers see it.
    """

    name: str
    job_id: JobId
    fencing_token: int
    is_attached: bool


def table_name(job_id: JobId, fencing_token: int) -> str:
    """Return the name of the table of one claim's results."""
    return f"{_PREFIX}{job_id.hex}_{fencing_token}"


def is_result_table(name: str | None) -> bool:
    """Return whether a table is an attempt's, which no migration manages."""
    return name is not None and _parse(name) is not None


def result_tables(session: Session, job_id: JobId | None = None) -> list[ResultTable]:
    """Return the result tables of one job, or of all."""
    rows = session.execute(
        text(
            "SELECT relname, relispartition FROM pg_class"
            " WHERE relnamespace = current_schema()::regnamespace"
            " AND relkind = 'r' AND starts_with(relname, :prefix) ORDER BY relname"
        ),
        {"prefix": _PREFIX if job_id is None else f"{_PREFIX}{job_id.hex}_"},
    )
    tables = []
    for name, is_attached in rows:
        parsed = _parse(name)
        if parsed is not None:
            tables.append(ResultTable(name, *parsed, is_attached))
    return tables


def creation_statement(name: str, job_id: JobId) -> sql.Composed:
    """Return the statement that makes an empty table like the parent, bound to one job.

    The bound lets `ATTACH PARTITION` skip reading the rows once more.
    """
    return sql.SQL(
        "CREATE TABLE {table} (LIKE {parent} INCLUDING DEFAULTS INCLUDING CONSTRAINTS,"
        " CONSTRAINT {bound} CHECK (job_id = {job_id}))"
    ).format(
        table=sql.Identifier(name),
        parent=sql.Identifier(PARENT),
        bound=sql.Identifier(f"{name}_bound"),
        job_id=sql.Literal(job_id),
    )


def index_statements(name: str) -> list[sql.Composed]:
    """Return the statements that give a filled table the parent's indexes."""
    table = sql.Identifier(name)
    return [
        sql.SQL("ALTER TABLE {} ADD PRIMARY KEY (job_id, position)").format(table),
        sql.SQL("ALTER TABLE {} ADD UNIQUE (job_id, rank)").format(table),
        sql.SQL("CREATE INDEX ON {} (label, rank)").format(table),
        sql.SQL("ANALYZE {}").format(table),
    ]


def attach(session: Session, name: str, job_id: JobId) -> None:
    """Make a filled and indexed table visible to readers, at the transaction's commit."""
    _execute(
        session,
        sql.SQL("ALTER TABLE {parent} ATTACH PARTITION {table} FOR VALUES IN ({job_id})").format(
            parent=sql.Identifier(PARENT),
            table=sql.Identifier(name),
            job_id=sql.Literal(str(job_id)),
        ),
    )


def drop(session: Session, name: str) -> None:
    """Drop a result table, attached or not."""
    _execute(session, sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(name)))


def limit_lock_wait(session: Session, seconds: float) -> None:
    """Let this transaction's statements fail rather than wait longer for a lock.

    A statement that waits for an exclusive lock holds up all readers that come after it.
    """
    session.execute(
        text("SELECT set_config('lock_timeout', :timeout, true)"),
        {"timeout": f"{int(seconds * 1000)}ms"},
    )


def _execute(session: Session, statement: sql.Composed) -> None:
    # DDL takes no bound parameters, so names and values are quoted by psycopg.
    session.connection().exec_driver_sql(statement.as_string().replace("%", "%%"))


def _parse(name: str) -> tuple[JobId, int] | None:
    job, separator, token = name.removeprefix(_PREFIX).partition("_")
    if not name.startswith(_PREFIX) or not separator or not token.isdecimal():
        return None
    try:
        return JobId(UUID(hex=job)), int(token)
    except ValueError:
        return None
