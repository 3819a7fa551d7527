"""Claims jobs and runs their training in the test's own process."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from embedding_jobs import JobPlace

from curation.clock import utc_now
from curation.database import unit_of_work
from curation.identifiers import JobId
from curation.jobs import Claim, claim_job, register_checkpoint, release_job
from worker.child_link import ChildMessage, ProgressMade, Verdict
from worker.settings import WorkerSettings
from worker.training_run import LOAD_PHASE, run_attempt


@dataclass
class TrainingBench:
    """A place with jobs, and what their runs said."""

    place: JobPlace
    folder: Path
    told: list[ChildMessage] = field(default_factory=list)
    _claims: dict[JobId, Claim] = field(default_factory=dict)

    @property
    def scratch(self) -> Path:
        folder = self.folder / "scratch"
        folder.mkdir(exist_ok=True)
        return folder

    def now(self) -> datetime:
        return utc_now()

    def claim(self, job_id: JobId, *, lease_seconds: float = 60.0) -> Claim:
        with unit_of_work(self.place.engine) as session:
            claim = claim_job(session, job_id, runner="test", lease_seconds=lease_seconds)
        assert claim is not None
        self._claims[job_id] = claim
        return claim

    def release(self, job_id: JobId) -> None:
        with unit_of_work(self.place.engine) as session:
            assert release_job(session, self._claims[job_id], utc_now())

    def register_checkpoint(self, claim: Claim, content: bytes) -> None:
        stored = self.place.store.put_bytes(content)
        with unit_of_work(self.place.engine) as session:
            assert register_checkpoint(session, claim, phase="train", step=1, stored=stored)

    def run(
        self,
        claim: Claim,
        *,
        should_stop: Callable[[], bool] = lambda: False,
        stops_loading: bool = False,
        **settings: Any,
    ) -> Verdict:
        """Train in this process, on one thread so that tests do not fight for cores.

        Args:
            claim: The attempt.
            should_stop: Asked at each report.
            stops_loading: The answer while samples are decoded, which is asked for as often as
                that takes long.
            settings: Settings that differ.
        """

        def asked() -> bool:
            last = self.told[-1]
            is_loading = isinstance(last, ProgressMade) and last.phase == LOAD_PHASE
            return stops_loading if is_loading else should_stop()

        fields = {**self.place.settings.model_dump(), "devices": "cpu", "torch_threads": 1}
        return run_attempt(
            claim,
            WorkerSettings(**{**fields, **settings}),
            scratch=self.scratch,
            send=self.told.append,
            should_stop=asked,
        )
