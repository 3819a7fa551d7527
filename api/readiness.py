"""Finds out whether the parts answer on which the service rests: database, broker and store."""

import threading
from collections.abc import Callable, Mapping
from typing import final

import anyio
import structlog
from sqlalchemy import Engine, text

from curation.database import unit_of_work
from curation.objects import ObjectStore

# Shorter than the usual timeout of those who ask, so that they learn which part is at fault.
_CHECK_SECONDS = 3.0
# A part that hangs holds a thread for each check; those who ask again must not pile them up.
_MAX_HANGING = 4
# No content has this SHA-256.
_NO_DIGEST = "0" * 64

_log = structlog.get_logger()


class StillHangingError(Exception):
    """So many earlier checks of this part have not come back that no other was begun."""


@final
class Readiness:
    """Asks every part at the same time, for a few seconds at most."""

    def __init__(
        self, checks: Mapping[str, Callable[[], None]], *, seconds: float = _CHECK_SECONDS
    ) -> None:
        """Prepare to ask.

        Args:
            checks: By the part's name: returns if the part answers, and raises if not.
            seconds: How long all of them together may take.
        """
        self._checks = checks
        self._seconds = seconds
        self._places = {part: threading.Semaphore(_MAX_HANGING) for part in checks}

    async def failed_parts(self) -> set[str]:
        """Return the names of the parts that do not answer, or not in time."""
        failed = set(self._checks)

        async def ask(part: str) -> None:
            try:
                await anyio.to_thread.run_sync(self._check, part, abandon_on_cancel=True)
            except Exception:  # noqa: BLE001 - Each part has errors of its own; all mean the same here.
                _log.warning("readiness_check_failed", part=part, exc_info=True)
            else:
                failed.discard(part)

        with anyio.move_on_after(self._seconds):
            async with anyio.create_task_group() as tasks:
                for part in self._checks:
                    tasks.start_soon(ask, part)
        return failed

    def _check(self, part: str) -> None:
        if not self._places[part].acquire(timeout=self._seconds):
            raise StillHangingError
        try:
            self._checks[part]()
        finally:
            self._places[part].release()


def check_database(engine: Engine) -> None:
    """Return if the database answers a query.

    Raises:
        SQLAlchemyError: It does not.
    """
    with unit_of_work(engine) as session:
        session.execute(text("SELECT 1"))


def check_store(store: ObjectStore) -> None:
    """Return if the store can be written and asked.

    Raises:
        Exception: Whatever the store meets.
    """
    # What is not finished is removed again, so this proves that the store can be written.
    with store.open_writer() as writer:
        writer.write(b"ready?")
    # A bucket is written through a local file, so it is asked for something besides.
    store.exists(_NO_DIGEST)
