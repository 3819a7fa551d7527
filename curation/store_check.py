"""Holds the object store against the database: what is missing, damaged, or named by no row.

It is run after a restore, or whenever a disk is in doubt, and changes nothing:
`python -m curation.store_check`.
"""

import argparse
import hashlib
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Engine, select

from curation.clock import utc_now
from curation.database import create_database_engine, unit_of_work
from curation.models import ObjectRow
from curation.object_rows import names_of, unknown_digests
from curation.object_stores import open_object_store
from curation.objects import ObjectMissingError, ObjectStore
from curation.settings import CurationSettings

_ROWS_AT_ONCE = 1000
_COPY_BYTES = 1 << 20
_EXIT_FLAWED = 1
_EXIT_NOT_CHECKED = 2


class Flaw(StrEnum):
    """What can be wrong with a stored file."""

    MISSING = "missing"
    DAMAGED = "damaged"
    UNNAMED = "unnamed"


@dataclass(frozen=True, slots=True)
class Finding:
    """A file with which something is wrong.

    Attributes:
        flaw: What it is; a file that no row names does no harm, and the sweep removes it.
        digest: The file.
        names: In words, the rows that name it.
    """

    flaw: Flaw
    digest: str
    names: Sequence[str] = ()


def check_store(
    engine: Engine, store: ObjectStore, *, reads_files: bool, written_before: datetime
) -> Iterator[Finding]:
    """Yield what is wrong, while it is found; the service may run meanwhile.

    Args:
        engine: The database.
        store: Where files lie.
        reads_files: Whether each file is read and its size and hash are held against its row;
            else only its being there is asked.
        written_before: Files without a row are passed over where they were put at this time or
            later: a row may be on its way.

    Raises:
        OSError: The store does not let itself be read.
    """
    for digest, size_bytes in _recorded_objects(engine):
        flaw = _flaw_of(store, digest, size_bytes if reads_files else None)
        if flaw is None:
            continue
        with unit_of_work(engine) as session:
            names = names_of(session, digest)
        # Without a name it is of no use, or was deleted while this looked.
        if names:
            yield Finding(flaw, digest, names)
    for digest in unknown_digests(engine, store, written_before=written_before):
        yield Finding(Flaw.UNNAMED, digest)


def _recorded_objects(engine: Engine) -> Iterator[tuple[str, int]]:
    """Yield digest and size of every recorded object, a page in each transaction."""
    last = ""
    while True:
        with unit_of_work(engine) as session:
            rows = session.execute(
                select(ObjectRow.digest, ObjectRow.size_bytes)
                .where(ObjectRow.digest > last)
                .order_by(ObjectRow.digest)
                .limit(_ROWS_AT_ONCE)
            ).all()
        if not rows:
            return
        yield from ((digest, size_bytes) for digest, size_bytes in rows)
        last = rows[-1].digest


def _flaw_of(store: ObjectStore, digest: str, size_bytes: int | None) -> Flaw | None:
    if size_bytes is None:
        return None if store.exists(digest) else Flaw.MISSING
    try:
        found = hashlib.sha256()
        with store.open(digest) as file:
            while piece := file.read(_COPY_BYTES):
                found.update(piece)
            is_whole = (found.hexdigest(), file.tell()) == (digest, size_bytes)
    except ObjectMissingError:
        return Flaw.MISSING
    return None if is_whole else Flaw.DAMAGED


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the store that the environment names and print what is wrong.

    Returns:
        The exit code: 0 where every file that a row names is there and whole, 1 where one is not,
        2 where the store cannot be read.
    """
    parser = argparse.ArgumentParser(prog="python -m curation.store_check", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="only ask whether each file is there; read none"
    )
    options = parser.parse_args(arguments)
    settings = CurationSettings()
    engine = create_database_engine(settings.database_url, pool_size=1)
    findings = check_store(
        engine,
        open_object_store(settings.object_store),
        reads_files=not options.quick,
        written_before=utc_now() - timedelta(seconds=settings.orphan_seconds),
    )
    counts: Counter[Flaw] = Counter()
    try:
        for finding in findings:
            counts[finding.flaw] += 1
            names = "; ".join(finding.names)
            sys.stdout.write(f"{finding.flaw}\t{finding.digest}\t{names}\n")
    except OSError as error:
        sys.stderr.write(f"The store cannot be read: {error}\n")
        return _EXIT_NOT_CHECKED
    finally:
        engine.dispose()
    sys.stdout.write(", ".join(f"{counts[flaw]} {flaw}" for flaw in Flaw) + "\n")
    return _EXIT_FLAWED if counts[Flaw.MISSING] or counts[Flaw.DAMAGED] else 0


if __name__ == "__main__":
    raise SystemExit(main())
