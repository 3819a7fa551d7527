"""One look at the database for all who watch jobs, however many they are."""

from collections.abc import Collection
from dataclasses import replace
from typing import final

from sqlalchemy import Engine

from api.gathering import Gathering
from api.job_views import JobNews, find_news
from curation.identifiers import JobId


@final
class JobWatch:
    """Gathers those who wait for news, and looks at all their jobs at once at intervals.

    Two hundred streams would else ask the database two hundred times as often as one. While nobody
    waits nothing is asked.
    """

    def __init__(self, engine: Engine, *, poll_seconds: float) -> None:
        """Prepare to look.

        Args:
            engine: The database.
            poll_seconds: Time between two looks.
        """
        self._engine = engine
        self._gathering = Gathering(self._look, delay_seconds=poll_seconds)

    async def next_news(self, job_id: JobId, *, seen_id: int) -> JobNews | None:
        """Return what the next look finds, or None where the job is not there any more.

        Args:
            job_id: The job, which the caller is known to have a right to.
            seen_id: Events up to this id are left out.
        """
        return await self._gathering.answer((job_id, seen_id))

    def close(self) -> None:
        """Look no more."""
        self._gathering.close()

    def _look(
        self, questions: Collection[tuple[JobId, int]]
    ) -> dict[tuple[JobId, int], JobNews | None]:
        seen: dict[JobId, int] = {}
        for job_id, seen_id in questions:
            # Whoever has seen the least decides what is read; the others leave out the rest.
            seen[job_id] = min(seen_id, seen.get(job_id, seen_id))
        found = find_news(self._engine, seen)
        return {
            (job_id, seen_id): _since(found.get(job_id), seen_id) for job_id, seen_id in questions
        }


def _since(news: JobNews | None, seen_id: int) -> JobNews | None:
    """Return news without the events up to `seen_id`."""
    if news is None:
        return None
    return replace(news, events=[event for event in news.events if event.id > seen_id])
