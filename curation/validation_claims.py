"""The right to validate a dataset: claimed, kept while the work lasts, and given back."""

import contextvars
import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import Self, final

import structlog
from sqlalchemy import ColumnElement, Engine, func, or_, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from curation.database import unit_of_work
from curation.identifiers import DatasetId, WorkspaceId
from curation.intake import ValidationRequest
from curation.models import Dataset, DatasetState
from curation.settings import CurationSettings

_JOIN_SECONDS = 5.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Ticket:
    """The right to validate one content of one dataset; the attempt tells it from later ones.

    Attributes:
        dataset_id: Which dataset.
        workspace_id: Whose.
        content_digest: The content, or None where it has to be fetched first.
        import_url: Where the content comes from, or None where it was uploaded.
        attempt: Counts the claims on this content.
        request: What the user said about it.
    """

    dataset_id: DatasetId
    workspace_id: WorkspaceId
    content_digest: str | None
    import_url: str | None
    attempt: int
    request: ValidationRequest


def claim_validation(
    session: Session, dataset_id: DatasetId, settings: CurationSettings
) -> Ticket | None:
    """Return the right to validate a dataset, or None where there is nothing to validate."""
    is_free = or_(
        Dataset.validation_lease_expires_at.is_(None),
        Dataset.validation_lease_expires_at < func.now(),
    )
    dataset = session.scalars(
        update(Dataset)
        .where(
            Dataset.id == dataset_id,
            Dataset.state == DatasetState.VALIDATING,
            Dataset.validation_attempts < settings.max_attempts,
            is_free,
        )
        .values(
            validation_attempts=Dataset.validation_attempts + 1,
            validation_lease_expires_at=func.now() + timedelta(seconds=settings.lease_seconds),
        )
        .returning(Dataset),
        execution_options={"populate_existing": True, "synchronize_session": False},
    ).one_or_none()
    if dataset is None or dataset.content_name is None:
        return None
    return Ticket(
        dataset_id=dataset_id,
        workspace_id=WorkspaceId(dataset.workspace_id),
        content_digest=dataset.content_digest,
        import_url=dataset.import_url,
        attempt=dataset.validation_attempts,
        request=ValidationRequest(
            file_name=dataset.content_name,
            role=dataset.role,
            modality=dataset.modality,
            label_column=dataset.label_column,
            id_column=dataset.id_column,
            image_size=dataset.image_size,
        ),
    )


def held_by(ticket: Ticket) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions under which a dataset's row is still the ticket's."""
    return (
        Dataset.id == ticket.dataset_id,
        Dataset.state == DatasetState.VALIDATING,
        Dataset.content_digest.is_not_distinct_from(ticket.content_digest),
        Dataset.validation_attempts == ticket.attempt,
    )


def release_validation(session: Session, ticket: Ticket) -> None:
    """Give the right back; the sweep rings for the dataset after a while."""
    session.execute(
        update(Dataset).where(*held_by(ticket)).values(validation_lease_expires_at=None),
        execution_options={"synchronize_session": False},
    )


@final
class ClaimKeeper:
    """Renews a claim from a thread, since a slow store can hold the work up for longer than it."""

    def __init__(self, engine: Engine, ticket: Ticket, settings: CurationSettings) -> None:
        """Prepare the thread; `with` starts and ends it.

        Args:
            engine: The database.
            ticket: The claim.
            settings: Lease and heartbeat.
        """
        self._engine = engine
        self._ticket = ticket
        self._settings = settings
        self._is_over = threading.Event()
        self._is_lost = threading.Event()
        # The context carries the dataset's id into the thread's log lines.
        self._thread = threading.Thread(
            target=contextvars.copy_context().run,
            args=(self._renew_until_over,),
            name="claim-keeper",
            daemon=True,
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._is_over.set()
        # A hanging query must not hold the task up; the thread is a daemon.
        self._thread.join(_JOIN_SECONDS)

    def is_held(self) -> bool:
        """Return whether nobody else is known to have taken the dataset over."""
        return not self._is_lost.is_set()

    def _renew_until_over(self) -> None:
        while not self._is_over.wait(self._settings.heartbeat_seconds):
            try:
                is_held = self._renew()
            except SQLAlchemyError as error:
                # A database that restarts is back before the lease ends, or the claim is found
                # lost when the result is recorded.
                _log.warning("claim_not_renewed", error=type(error).__name__)
                continue
            if not is_held:
                self._is_lost.set()
                return

    def _renew(self) -> bool:
        lease = timedelta(seconds=self._settings.lease_seconds)
        with unit_of_work(self._engine) as session:
            held = session.scalars(
                update(Dataset)
                # The fetched content is recorded while the thread runs, under the same attempt.
                .where(
                    Dataset.id == self._ticket.dataset_id,
                    Dataset.state == DatasetState.VALIDATING,
                    Dataset.validation_attempts == self._ticket.attempt,
                )
                .values(validation_lease_expires_at=func.now() + lease)
                .returning(Dataset.id),
                execution_options={"synchronize_session": False},
            ).one_or_none()
        return held is not None
