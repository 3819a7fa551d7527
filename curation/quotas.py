"""What a workspace may hold and run at most, and what it does hold; also set from a command."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select, union, update
from sqlalchemy.orm import Session

from curation.database import create_database_engine, unit_of_work
from curation.errors import ConflictError, QuotaExceededError, TooLargeError
from curation.identifiers import WorkspaceId
from curation.models import (
    CLAIMED_STATES,
    Checkpoint,
    Dataset,
    Job,
    JobObject,
    JobState,
    ObjectRow,
    Selector,
    UploadPart,
    Workspace,
)
from curation.settings import CurationSettings

_DEFAULT = "default"
_ASK = "Delete what is not needed any more, or ask the operator for more."


@dataclass(frozen=True, slots=True)
class Quotas:
    """The most that a workspace may have.

    Attributes:
        max_bytes: Bytes of stored files.
        max_datasets: Datasets.
        max_running_jobs: Jobs that run at once; others wait.
        max_queued_jobs: Jobs that wait.
    """

    max_bytes: int
    max_datasets: int
    max_running_jobs: int
    max_queued_jobs: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What a workspace has.

    Attributes:
        stored_bytes: Bytes of the files that its rows name, each file counted once.
        datasets: Datasets in every state.
        running_jobs: Jobs that a worker has.
        queued_jobs: Jobs that wait.
    """

    stored_bytes: int
    datasets: int
    running_jobs: int
    queued_jobs: int


def quotas_of(
    session: Session,
    workspace_id: WorkspaceId,
    settings: CurationSettings,
    *,
    is_locked: bool = False,
) -> Quotas:
    """Return the quotas of a workspace: its own, or else the installation's.

    Args:
        session: The transaction.
        workspace_id: The workspace.
        settings: The installation's quotas.
        is_locked: Whether to hold the workspace's row until the transaction ends, so that nobody
            else takes what is left of a quota meanwhile.
    """
    query = select(Workspace).where(Workspace.id == workspace_id)
    if is_locked:
        # Rows that point to the workspace may still be added by whoever asks for no quota.
        query = query.with_for_update(key_share=True)
    row = session.scalars(query.execution_options(populate_existing=True)).one()
    return Quotas(
        max_bytes=_own_or(row.max_bytes, settings.quota_bytes),
        max_datasets=_own_or(row.max_datasets, settings.quota_datasets),
        max_running_jobs=_own_or(row.max_running_jobs, settings.quota_running_jobs),
        max_queued_jobs=_own_or(row.max_queued_jobs, settings.quota_queued_jobs),
    )


def usage_of(session: Session, workspace_id: WorkspaceId) -> Usage:
    """Return what a workspace has at this moment."""
    running, queued = session.execute(
        select(
            func.count().filter(Job.state.in_(CLAIMED_STATES)),
            func.count().filter(Job.state == JobState.QUEUED),
        ).where(Job.workspace_id == workspace_id, Job.state.in_([*CLAIMED_STATES, JobState.QUEUED]))
    ).one()
    return Usage(
        stored_bytes=_stored_bytes(session, workspace_id),
        datasets=_dataset_count(session, workspace_id),
        running_jobs=running,
        queued_jobs=queued,
    )


def check_bytes(
    session: Session,
    workspace_id: WorkspaceId,
    settings: CurationSettings,
    *,
    coming_bytes: int = 0,
) -> None:
    """Check that a workspace's files stay within its quota.

    Args:
        session: The transaction that recorded them, or that will.
        workspace_id: The workspace.
        settings: The installation's quotas.
        coming_bytes: Length of a file that is announced and not recorded yet.

    Raises:
        TooLargeError: They do not.
    """
    quotas = quotas_of(session, workspace_id, settings, is_locked=True)
    stored_bytes = _stored_bytes(session, workspace_id)
    if stored_bytes + coming_bytes > quotas.max_bytes:
        raise TooLargeError(
            "QUOTA_BYTES_EXCEEDED",
            f"The workspace would hold more than its {quotas.max_bytes} bytes.",
            cure=_ASK,
        )


def check_datasets(session: Session, workspace_id: WorkspaceId, settings: CurationSettings) -> None:
    """Check that a workspace may have one dataset more; hold its row until the commit.

    Raises:
        ConflictError: It may not.
    """
    quotas = quotas_of(session, workspace_id, settings, is_locked=True)
    if _dataset_count(session, workspace_id) >= quotas.max_datasets:
        raise ConflictError(
            "QUOTA_DATASETS_EXCEEDED",
            f"The workspace has its {quotas.max_datasets} datasets.",
            cure=_ASK,
        )


def check_queued_jobs(
    session: Session, workspace_id: WorkspaceId, settings: CurationSettings
) -> None:
    """Check that not too many jobs of a workspace wait; hold its row until the commit.

    The job that was just queued, in the same transaction, is one of them.

    Raises:
        QuotaExceededError: More wait than may.
    """
    quotas = quotas_of(session, workspace_id, settings, is_locked=True)
    queued = session.scalars(
        select(func.count()).where(Job.workspace_id == workspace_id, Job.state == JobState.QUEUED)
    ).one()
    if queued > quotas.max_queued_jobs:
        raise QuotaExceededError(
            "QUOTA_QUEUED_JOBS_EXCEEDED",
            f"{quotas.max_queued_jobs} jobs of the workspace wait already, as many as may.",
            cure="Send it again once a job has begun.",
        )


def set_quotas(session: Session, workspace_name: str, changes: dict[str, int | None]) -> bool:
    """Give a workspace quotas of its own and return whether there is such a workspace.

    Args:
        session: The transaction.
        workspace_name: The workspace.
        changes: New values by the names of `Quotas`; None takes the installation's again.
    """
    statement = update(Workspace).where(Workspace.name == workspace_name)
    # The name is written again, so that there is something to write where nothing changes.
    statement = statement.values(name=workspace_name, **changes)
    return session.scalars(statement.returning(Workspace.id)).one_or_none() is not None


def _own_or(own: int | None, default: int) -> int:
    return default if own is None else own


def _dataset_count(session: Session, workspace_id: WorkspaceId) -> int:
    return session.scalars(
        select(func.count()).select_from(Dataset).where(Dataset.workspace_id == workspace_id)
    ).one()


def _stored_bytes(session: Session, workspace_id: WorkspaceId) -> int:
    named = union(*_named_digests(workspace_id)).subquery()
    total = session.scalars(
        select(func.coalesce(func.sum(ObjectRow.size_bytes), 0)).where(
            ObjectRow.digest.in_(select(named.c.digest))
        )
    ).one()
    return int(total)


def _named_digests(workspace_id: WorkspaceId) -> list[Select[Any]]:
    """Return queries for the digests that rows of a workspace name, one for each kind of row."""
    # Any, since some columns may be null and some may not.
    own_dataset = Dataset.workspace_id == workspace_id
    own_job = Job.workspace_id == workspace_id
    return [
        select(Dataset.content_digest.label("digest")).where(own_dataset),
        select(Dataset.samples_digest.label("digest")).where(own_dataset),
        select(UploadPart.digest.label("digest"))
        .join(Dataset, Dataset.id == UploadPart.dataset_id)
        .where(own_dataset),
        select(Checkpoint.digest.label("digest"))
        .join(Job, Job.id == Checkpoint.job_id)
        .where(own_job),
        select(JobObject.digest.label("digest"))
        .join(Job, Job.id == JobObject.job_id)
        .where(own_job),
        select(Selector.digest.label("digest")).where(Selector.workspace_id == workspace_id),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Show or change the quotas of a workspace from the command line.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(prog="python -m curation.quotas", description=__doc__)
    parser.add_argument("--workspace", required=True, help="name of the workspace")
    for name in Quotas.__dataclass_fields__:
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(
            option, type=_limit, help=f"a number, or {_DEFAULT} for the installation's"
        )
    options = vars(parser.parse_args(arguments))
    workspace_name = options.pop("workspace")
    changes = {
        name: None if value == _DEFAULT else value
        for name, value in options.items()
        if value is not None
    }
    settings = CurationSettings()
    engine = create_database_engine(settings.database_url, pool_size=1)
    try:
        with unit_of_work(engine) as session:
            if not set_quotas(session, workspace_name, changes):
                parser.error(f"there is no workspace {workspace_name!r}")
            workspace_id = session.scalars(
                select(Workspace.id).where(Workspace.name == workspace_name)
            ).one()
            quotas = quotas_of(session, WorkspaceId(workspace_id), settings)
    finally:
        engine.dispose()
    for name in Quotas.__dataclass_fields__:
        sys.stdout.write(f"{name} {getattr(quotas, name)}\n")
    return 0


def _limit(text: str) -> int | str:
    if text == _DEFAULT:
        return text
    value = int(text)
    if value < 0:
        raise ValueError("a limit is not negative")
    return value


if __name__ == "__main__":
    raise SystemExit(main())
