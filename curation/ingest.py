"""The way of a content into the database: claim, fetch where imported, validate, record."""

import tempfile
from dataclasses import fields, replace
from datetime import datetime
from pathlib import Path

import structlog
from sqlalchemy import Engine, delete, insert, select
from sqlalchemy.orm import Session

from curation.content_imports import FetchLimits, SourceAwayError, fetch_object
from curation.database import unit_of_work
from curation.dataset_warnings import warnings_to_json
from curation.datasets import count_validation, take_in
from curation.errors import CurationError, InvalidInputError, StorageFullError
from curation.feature_columns import columns_to_json
from curation.identifiers import DatasetId
from curation.import_sources import find_import_target, parse_import_sources
from curation.locked_folders import locked_folder, remove_abandoned
from curation.models import Dataset, DatasetRejection, DatasetState
from curation.object_rows import record_object
from curation.objects import ObjectMissingError, ObjectStore, StoredObject
from curation.quotas import check_bytes
from curation.settings import CurationSettings
from curation.validation import Refusal, Validation
from curation.validation_claims import (
    ClaimKeeper,
    Ticket,
    claim_validation,
    held_by,
    release_validation,
)
from curation.validation_limits import ValidationLimits
from curation.validation_process import ValidationInterruptedError, run_validation

_FOLDER_PREFIX = "winnow-validation-"

_log = structlog.get_logger(__name__)


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
        ticket = claim_validation(session, dataset_id, settings)
    if ticket is None:
        return False
    with structlog.contextvars.bound_contextvars(
        dataset_id=str(dataset_id), workspace_id=str(ticket.workspace_id), attempt=ticket.attempt
    ):
        return _validate_and_record(engine, store, ticket, settings, now)


def _validate_and_record(
    engine: Engine,
    store: ObjectStore,
    ticket: Ticket,
    settings: CurationSettings,
    now: datetime,
) -> bool:
    root = Path(tempfile.gettempdir())
    # A process that was killed in the middle of a validation could not remove its folder.
    remove_abandoned(root, _FOLDER_PREFIX)
    with locked_folder(root, _FOLDER_PREFIX) as folder:
        destination = folder / "samples.parquet"
        try:
            with ClaimKeeper(engine, ticket, settings) as keeper:
                if ticket.content_digest is None:
                    ticket = _fetch(engine, store, ticket, settings, keeper)
                outcome = _validate(store, ticket, settings, destination, keeper)
                samples = store.put_file(destination) if isinstance(outcome, Validation) else None
        except ValidationInterruptedError as interruption:
            _log.info("validation_interrupted", why=str(interruption))
            return False
        except StorageFullError as error:
            _log.error("validation_without_room")
            outcome, samples = Refusal(_want_of_room(error), 0, ()), None
        except SourceAwayError as error:
            _log.warning("import_source_away", why=str(error))
            if ticket.attempt < settings.max_attempts:
                # The sweep rings again, after longer and longer.
                with unit_of_work(engine) as session:
                    release_validation(session, ticket)
                return False
            outcome, samples = Refusal(_unreachable(ticket), 0, ()), None
        except CurationError as error:
            outcome, samples = Refusal(_of_import(error), 0, ()), None
    with unit_of_work(engine) as session:
        return _record(session, ticket, outcome, samples, now)


def limits_of(settings: CurationSettings) -> ValidationLimits:
    """Return the caps on uploads of an installation."""
    names = [cap.name for cap in fields(ValidationLimits)]
    return ValidationLimits(**{name: getattr(settings, name) for name in names})


def _fetch(
    engine: Engine,
    store: ObjectStore,
    ticket: Ticket,
    settings: CurationSettings,
    keeper: ClaimKeeper,
) -> Ticket:
    """Fetch the content of an import, record it, and return the right to validate it."""
    # What the operator allows may have changed since the request.
    target = find_import_target(
        ticket.import_url or "", parse_import_sources(settings.import_sources)
    )

    def admit(coming_bytes: int) -> None:
        with unit_of_work(engine) as session:
            check_bytes(session, ticket.workspace_id, settings, coming_bytes=coming_bytes)

    limits = FetchLimits(
        max_bytes=settings.max_upload_bytes, max_seconds=settings.max_import_seconds
    )
    stored = fetch_object(target, store, limits, admit=admit, keep_going=keeper.is_held)
    with unit_of_work(engine) as session:
        dataset = session.scalars(
            select(Dataset).where(*held_by(ticket)).with_for_update()
        ).one_or_none()
        if dataset is None:
            raise ValidationInterruptedError("the claim on the dataset is lost")
        take_in(session, dataset, stored)
        check_bytes(session, ticket.workspace_id, settings)
    _log.info("content_imported", size_bytes=stored.size_bytes)
    return replace(ticket, content_digest=stored.digest)


def _validate(
    store: ObjectStore,
    ticket: Ticket,
    settings: CurationSettings,
    destination: Path,
    keeper: ClaimKeeper,
) -> Validation | Refusal:
    if ticket.content_digest is None:
        raise ValueError("there is nothing to validate yet")
    try:
        with store.local_path(ticket.content_digest) as path:
            return run_validation(
                path,
                destination,
                request=ticket.request,
                limits=limits_of(settings),
                keep_going=keeper.is_held,
            )
    except ObjectMissingError:
        error = InvalidInputError(
            "CONTENT_LOST",
            "The uploaded file is not in the object store any more.",
            field="content",
            cure="Upload it again.",
        )
        return Refusal(error, 0, ())


def _record(
    session: Session,
    ticket: Ticket,
    outcome: Validation | Refusal,
    samples: StoredObject | None,
    now: datetime,
) -> bool:
    dataset = session.scalars(
        select(Dataset).where(*held_by(ticket)).with_for_update()
    ).one_or_none()
    if dataset is None:
        _log.info("validation_superseded")
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
            dataset.feature_columns = columns_to_json(outcome.feature_columns or None)
            dataset.warnings = warnings_to_json(outcome.warnings)
        case Refusal(error=error):
            dataset.state = DatasetState.INVALID
            dataset.failure_reason = error.reason
            dataset.failure_detail = error.detail
            dataset.failure_field = error.field
            dataset.failure_row = error.row
            dataset.failure_cure = error.cure
    count_validation(session, dataset)
    _log.info("dataset_validated", state=dataset.state, reason=dataset.failure_reason)
    return True


def _want_of_room(error: StorageFullError) -> InvalidInputError:
    return InvalidInputError(
        error.reason,
        "There was no room left to prepare the samples; nothing is wrong with the file.",
        field="content",
        cure="Upload it again once the operator has made room.",
    )


def _unreachable(ticket: Ticket) -> InvalidInputError:
    return InvalidInputError(
        "IMPORT_UNREACHABLE",
        f"The bucket did not answer in {ticket.attempt} attempts.",
        field="url",
        cure="Import it again later, or ask the operator to look at the bucket's address.",
    )


def _of_import(error: CurationError) -> InvalidInputError:
    return InvalidInputError(error.reason, error.detail, field="url", cure=error.cure)


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
