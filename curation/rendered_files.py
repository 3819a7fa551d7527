"""Files that are made of a job's results once, and kept with the job for all who ask again."""

import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakValueDictionary

from sqlalchemy import Engine
from sqlalchemy.dialects.postgresql import insert

from curation.database import unit_of_work
from curation.identifiers import JobId, WorkspaceId
from curation.job_queries import get_job
from curation.models import JobObject
from curation.object_rows import record_object
from curation.objects import ObjectStore, StoredObject
from curation.results import job_object

# A turn lasts as long as somebody holds it or waits for it.
_TURNS: WeakValueDictionary[str, threading.Lock] = WeakValueDictionary()
_TURNS_LOCK = threading.Lock()


def rendered_object(  # noqa: PLR0913 - the file's owner, its kind, and how it is made.
    engine: Engine,
    store: ObjectStore,
    *,
    workspace_id: WorkspaceId,
    job_id: JobId,
    kind: str,
    render: Callable[[Path], object],
) -> StoredObject:
    """Return the stored file of this kind; the first who asks renders it, and others wait for that.

    Results and selections never change, so neither does the file: its digest serves as ETag.

    Args:
        engine: The database.
        store: Where the file lies.
        workspace_id: Whose job.
        job_id: Which job.
        kind: The name under which the file is kept with the job.
        render: Writes the file to a path.

    Raises:
        NotFoundError: The job was deleted while its file was made.
    """
    kept = _kept_object(engine, store, job_id, kind)
    if kept is not None:
        return kept
    with _turn_of(f"{job_id} {kind}"):
        return _kept_object(engine, store, job_id, kind) or _render(
            engine, store, workspace_id=workspace_id, job_id=job_id, kind=kind, render=render
        )


@contextmanager
def _turn_of(name: str) -> Iterator[None]:
    """Let one thread after another in, so that who comes second finds what the first has made.

    Another process may make the same file at the same time, which costs its work and nothing else.
    """
    with _TURNS_LOCK:
        turn = _TURNS.setdefault(name, threading.Lock())
    with turn:
        yield


def _kept_object(
    engine: Engine, store: ObjectStore, job_id: JobId, kind: str
) -> StoredObject | None:
    with unit_of_work(engine) as session:
        digest = job_object(session, job_id, kind)
    if digest is None or not store.exists(digest):
        return None
    with store.open(digest) as file:
        return StoredObject(digest, file.seek(0, 2))


def _render(  # noqa: PLR0913 - as `rendered_object`.
    engine: Engine,
    store: ObjectStore,
    *,
    workspace_id: WorkspaceId,
    job_id: JobId,
    kind: str,
    render: Callable[[Path], object],
) -> StoredObject:
    with tempfile.TemporaryDirectory(prefix="winnow-rendered-") as folder:
        path = Path(folder) / "rendered"
        render(path)
        stored = store.put_file(path)
    with unit_of_work(engine) as session:
        get_job(session, workspace_id, job_id, is_locked=True)
        record_object(session, stored)
        row = insert(JobObject).values(job_id=job_id, kind=kind, digest=stored.digest)
        session.execute(
            row.on_conflict_do_update(
                index_elements=[JobObject.job_id, JobObject.kind],
                set_={"digest": stored.digest},
            )
        )
    return stored
