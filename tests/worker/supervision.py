"""A supervisor, a queued job and a scripted child to try them with."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from embedding_jobs import JobPlace, queue_tiny_job, read_job
from sqlalchemy import Engine, text

from curation.clock import utc_now
from curation.identifiers import JobId, WorkspaceId
from curation.models import Job
from worker.memory_evidence import MemoryEvidence
from worker.settings import WorkerSettings
from worker.supervisor import Supervisor

LEASE_SECONDS = 3.0
_CHILD = Path(__file__).parents[1] / "scripted_child.py"

_NOTE_PROGRESS = (
    "CREATE TABLE progress_writes (id serial, fraction float8)",
    """
    CREATE FUNCTION note_progress() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO progress_writes (fraction) VALUES (NEW.fraction);
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER note_progress AFTER UPDATE ON jobs FOR EACH ROW
    WHEN (NEW.fraction <> OLD.fraction) EXECUTE FUNCTION note_progress()
    """,
)
_FORGET_PROGRESS = (
    "DROP TRIGGER note_progress ON jobs",
    "DROP FUNCTION note_progress",
    "DROP TABLE progress_writes",
)


@dataclass
class SupervisionBench:
    """One queued job, and supervisors to run it in this process or on a thread."""

    place: JobPlace
    folder: Path
    job_id: JobId
    rung: list[JobId] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)
    _supervisor: Supervisor | None = None

    @property
    def engine(self) -> Engine:
        return self.place.engine

    @property
    def workspace(self) -> WorkspaceId:
        return self.place.workspace

    @property
    def kill_counter(self) -> Path:
        """The file in which the kernel would count what it kills for memory."""
        return self.folder / "memory.events"

    @property
    def supervisor(self) -> Supervisor:
        """The supervisor that was made last."""
        assert self._supervisor is not None
        return self._supervisor

    def make_supervisor(self, *acts: str, **changes: Any) -> Supervisor:
        """Return a supervisor of short patience whose children follow the acts."""
        self.kill_counter.write_text("oom_kill 0\n")
        fields = {
            **self.place.settings.model_dump(),
            "lease_seconds": LEASE_SECONDS,
            "heartbeat_seconds": 0.2,
            "grace_seconds": 0.3,
            "scratch_dir": self.folder / "scratch",
            **changes,
        }
        self._supervisor = Supervisor(
            self.engine,
            WorkerSettings(**fields),
            ring=self.rung.append,
            clock=utc_now,
            child_command=(sys.executable, str(_CHILD), ",".join(acts)),
            watch_memory=lambda: MemoryEvidence(cgroup_counters=[self.kill_counter]),
        )
        return self._supervisor

    def run(self, *acts: str, **changes: Any) -> None:
        """Run the job with a scripted child, to the attempt's end."""
        self.make_supervisor(*acts, **changes).run(self.job_id)

    def start(self, *acts: str, **changes: Any) -> threading.Thread:
        """Run the job on a thread."""
        supervisor = self.make_supervisor(*acts, **changes)
        thread = threading.Thread(target=supervisor.run, args=(self.job_id,))
        self.threads.append(thread)
        thread.start()
        return thread

    def job(self, job_id: JobId | None = None) -> Job:
        return read_job(self.place, job_id or self.job_id)

    def queue_another(self) -> JobId:
        return queue_tiny_job(self.place)

    def written_pid(self, name: str) -> int:
        """Return the process id that a child wrote to a file of this folder."""
        path = self.folder / name
        wait_until(lambda: path.exists() and path.read_text() != "")
        return int(path.read_text())

    def expire_lease(self) -> None:
        self._execute("UPDATE jobs SET lease_expires_at = now() - interval '1 s' WHERE id = :id")

    def set_max_runtime(self, *, seconds: int) -> None:
        self._execute("UPDATE jobs SET max_runtime_seconds = :value WHERE id = :id", seconds)

    @contextmanager
    def held_row(self) -> Iterator[None]:
        """Keep every statement on the job's row waiting, as a database that hangs would."""
        with self.engine.begin() as connection:
            statement = text("SELECT 1 FROM jobs WHERE id = :id FOR UPDATE")
            connection.execute(statement, {"id": self.job_id})
            yield

    @contextmanager
    def noted_progress(self) -> Iterator[list[float]]:
        """Let the database note each written fraction; they are in the list at the end."""
        written: list[float] = []
        self._execute_all(_NOTE_PROGRESS)
        try:
            yield written
            with self.engine.connect() as connection:
                rows = connection.execute(text("SELECT fraction FROM progress_writes ORDER BY id"))
                written.extend(rows.scalars())
        finally:
            self._execute_all(_FORGET_PROGRESS)

    def _execute(self, statement: str, value: int | None = None) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(statement), {"id": self.job_id, "value": value})

    def _execute_all(self, statements: tuple[str, ...]) -> None:
        with self.engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))


def wait_until(is_true: Callable[[], bool], seconds: float = 15.0) -> None:
    """Wait until something becomes true, and fail where it does not in time."""
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Return whether a process exists and is no mere entry that nobody collected yet."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
