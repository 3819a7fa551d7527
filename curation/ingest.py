"""The way of an upload into the database: claim it, validate it, store and record the result."""

import tempfile
import time
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from sqlalchemy import ColumnElement, Engine, delete, func, insert, or_, select, update
from sqlalchemy.orm import Session

from curation.database import unit_of_work
from curation.errors import InvalidInputError
from curation.identifiers import DatasetId
from curation.intake import ValidationRequest
from curation.models import Dataset, DatasetRejection, DatasetState
from curation.object_rows import record_object
from curation.objects import ObjectMissingError, ObjectStore, StoredObject
from curation.settings import CurationSettings
from curation.validation import Refusal, Validation
from curation.validation_limits import ValidationLimits
from curation.validation_process import ValidationInterruptedError, run_validation

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Ticket:
    """The right to validate one content of one dataset; the attempt tells it from later ones."""

    dataset_id: DatasetId
    content_digest: str
    attempt: int
    request: ValidationRequest


def validate_and_record(
    engine: Engine,
    store: ObjectStore,
    dataset_id: DatasetId,
    settings: CurationSettings,
    now: datetime,
) -> bool:
    """Validate a dataset's content and make it ready or invalid; return whether this call did.

    Calling it again, at the same time or later, does no harm: one call holds the dataset by a
    lease that it renews, and writes its result only while it does.

    Args:
        engine: The database.
        store: Where content lies and the normalised file goes.
        dataset_id: Which dataset.
        settings: Lease, attempts and caps.
        now: The time that is recorded as that of the validation.
    """
    with unit_of_work(engine) as session:
        ticket = _claim(session, dataset_id, settings)
    if ticket is None:
        return False
    with tempfile.TemporaryDirectory(prefix="winnow-validation-") as folder:
        destination = Path(folder) / "samples.parquet"
        try:
            outcome = _validate(engine, store, ticket, settings, destination)
        except ValidationInterruptedError as interruption:
            _log.info("validation_interrupted", dataset_id=str(dataset_id), why=str(interruption))
            return False
        samples = store.put_file(destination) if isinstance(outcome, Validation) else None
    with unit_of_work(engine) as session:
        return _record(session, ticket, outcome, samples, now)


def limits_of(settings: CurationSettings) -> ValidationLimits:
    """Return the caps on uploads of an installation."""
    names = [cap.name for cap in fields(ValidationLimits)]
    return ValidationLimits(**{name: getattr(settings, name) for name in names})


def _claim(session: Session, dataset_id: DatasetId, settings: CurationSettings) -> _Ticket | None:
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
    if dataset is None or dataset.content_digest is None or dataset.content_name is None:
        return None
    return _Ticket(
        dataset_id=dataset_id,
        content_digest=dataset.content_digest,
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


def _validate(
    engine: Engine,
    store: ObjectStore,
    ticket: _Ticket,
    settings: CurationSettings,
    destination: Path,
) -> Validation | Refusal:
    keeper = _LeaseKeeper(engine, ticket, settings)
    try:
        with store.local_path(ticket.content_digest) as path:
            return run_validation(
                path,
                destination,
                request=ticket.request,
                limits=limits_of(settings),
                keep_going=keeper.keep,
            )
    except ObjectMissingError:
        error = InvalidInputError(
            "CONTENT_LOST",
            "The uploaded file is not in the object store any more.",
            field="content",
            cure="Upload it again.",
        )
        return Refusal(error, 0, ())


class _LeaseKeeper:
    """Renews the lease on a dataset while its validation runs."""

    def __init__(self, engine: Engine, ticket: _Ticket, settings: CurationSettings) -> None:
        self._engine = engine
        self._ticket = ticket
        self._settings = settings
        self._renewed_at = time.monotonic()

    def keep(self) -> bool:
        """Renew the lease where it is time to, and return whether it still holds."""
        if time.monotonic() - self._renewed_at < self._settings.heartbeat_seconds:
            return True
        self._renewed_at = time.monotonic()
        lease = timedelta(seconds=self._settings.lease_seconds)
        with unit_of_work(self._engine) as session:
            held = session.scalars(
                update(Dataset)
                .where(*_held_by(self._ticket))
                .values(validation_lease_expires_at=func.now() + lease)
                .returning(Dataset.id),
                execution_options={"synchronize_session": False},
            ).one_or_none()
        return held is not None


def _record(
    session: Session,
    ticket: _Ticket,
    outcome: Validation | Refusal,
    samples: StoredObject | None,
    now: datetime,
) -> bool:
    dataset = session.scalars(
        select(Dataset).where(*_held_by(ticket)).with_for_update()
    ).one_or_none()
    if dataset is None:
        _log.info("validation_superseded", dataset_id=str(ticket.dataset_id))
        return False
    dataset.validation_lease_expires_at = None
    dataset.validated_at = now
    dataset.rejected_count = outcome.rejected_count
    _replace_rejections(session, ticket.dataset_id, outcome)
    match outcome:
        case Validation() if samples is not None:
            record_object(session, samples)
            dataset.state = DatasetState.READY
            dataset.modality = outcome.modality
            dataset.samples_digest = samples.digest
            dataset.sample_count = outcome.sample_count
            dataset.class_names = list(outcome.class_names)
            dataset.class_counts = dict(outcome.class_counts)
            dataset.input_shape = None if outcome.input_shape is None else list(outcome.input_shape)
            dataset.feature_columns = [asdict(column) for column in outcome.feature_columns] or None
        case Refusal(error=error):
            dataset.state = DatasetState.INVALID
            dataset.failure_reason = error.reason
            dataset.failure_detail = error.detail
            dataset.failure_field = error.field
            dataset.failure_row = error.row
            dataset.failure_cure = error.cure
    _log.info("dataset_validated", dataset_id=str(ticket.dataset_id), state=dataset.state)
    return True


def _replace_rejections(
    session: Session, dataset_id: DatasetId, outcome: Validation | Refusal
) -> None:
    session.execute(delete(DatasetRejection).where(DatasetRejection.dataset_id == dataset_id))
    rows = [
        {
            "dataset_id": dataset_id,
            "ordinal": ordinal,
            "row": rejection.row,
            "name": rejection.name,
            "field": rejection.field,
            "reason": rejection.reason,
            "detail": rejection.detail,
        }
        for ordinal, rejection in enumerate(outcome.rejections)
    ]
    if rows:
        session.execute(insert(DatasetRejection), rows)


def _held_by(ticket: _Ticket) -> tuple[ColumnElement[bool], ...]:
    return (
        Dataset.id == ticket.dataset_id,
        Dataset.state == DatasetState.VALIDATING,
        Dataset.content_digest == ticket.content_digest,
        Dataset.validation_attempts == ticket.attempt,
    )
