"""Estimates what a job would take, by the workspace's past jobs or by a rule; nothing is run."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from curation.identifiers import WorkspaceId
from curation.job_costs import input_bytes, rule_memory_bytes, rule_seconds
from curation.job_requests import CheckedRequest, JobRequest, check_job_request
from curation.models import Dataset, Job, JobState
from curation.settings import CurationSettings

# So that a workspace with a million jobs costs no more than one with a thousand.
_JOBS_LOOKED_AT: Final = 1000
_NEAREST_JOBS: Final = 5
_PAST_MARGIN: Final = 1.5
_RULE_MARGIN: Final = 4.0
_FEW_REFERENCE_SAMPLES: Final = 5
# Jobs that differ in one of these tell little of each other.
_TELLING_SETTINGS: Final = ("evaluate", "encoder", "classifier")


class EstimateBasis(StrEnum):
    """What the times of an estimate rest on."""

    PAST_JOBS = "past_jobs"
    RULE = "rule"


class WarningReason(StrEnum):
    """What may spoil a job that is not refused; stable words for programs."""

    FEW_REFERENCE_SAMPLES = "FEW_REFERENCE_SAMPLES"
    RUNTIME_MAY_NOT_SUFFICE = "RUNTIME_MAY_NOT_SUFFICE"


@dataclass(frozen=True, slots=True)
class JobWarning:
    """Something that may spoil a job.

    Attributes:
        reason: Stable code.
        detail: A sentence that is safe to show.
        field: The field of the request that it is about.
    """

    reason: WarningReason
    detail: str
    field: str


@dataclass(frozen=True, slots=True)
class RunTime:
    """How long a run would take, in seconds, and what says so.

    Attributes:
        seconds: The likeliest time.
        low: It will hardly take less.
        high: It will hardly take more.
        basis: Whether past jobs say so, or the rule alone.
        past_job_count: How many jobs it rests on.
    """

    seconds: float
    low: float
    high: float
    basis: EstimateBasis
    past_job_count: int


@dataclass(frozen=True, slots=True)
class JobEstimate:
    """What a job would take.

    Attributes:
        time: How long it would run, without its time in the queue.
        peak_memory_bytes: Most memory of the training process, by the rule.
        device: `cpu` or `cuda`, as the workspace's newest job said, or None before the first.
        warnings: What may spoil it.
    """

    time: RunTime
    peak_memory_bytes: int
    device: str | None
    warnings: Sequence[JobWarning]


@dataclass(frozen=True, slots=True)
class PastRun:
    """A job that ran through in one attempt.

    Attributes:
        sample_count: Samples of its pool.
        config: Its settings in full.
        seconds: How long it ran.
    """

    sample_count: int
    config: dict[str, Any]  # JSON values of a validated config.
    seconds: float


def estimate_job(
    session: Session,
    *,
    workspace_id: WorkspaceId,
    request: JobRequest,
    settings: CurationSettings,
) -> JobEstimate:
    """Return what the job would take, and change nothing.

    Only jobs of the workspace are looked at, so that no workspace learns of another's.

    Args:
        session: The transaction.
        workspace_id: Who asks.
        request: The job.
        settings: Limits of the installation.

    Raises:
        InvalidInputError: `jobs.create_job` would refuse the request, for the same reason.
    """
    checked = check_job_request(session, workspace_id, request, settings)
    device = _newest_device(session, workspace_id)
    runs = _past_runs(session, workspace_id, request.method, checked, device)
    time = estimate_time(checked, runs)
    sets = [checked.synthetic, checked.reference, *([checked.test] if checked.test else [])]
    return JobEstimate(
        time=time,
        peak_memory_bytes=rule_memory_bytes(
            checked.config,
            checked.synthetic.modality,
            sample_count=checked.synthetic.sample_count or 0,
            inputs_bytes=sum(map(input_bytes, sets)),
        ),
        device=device,
        warnings=[*_few_samples(checked.reference), *_short_runtime(checked, time)],
    )


def estimate_time(checked: CheckedRequest, runs: Sequence[PastRun]) -> RunTime:
    """Return how long a job would run.

    The past runs whose pools are nearest in size are carried over: the rule says how much longer
    this job takes than each of them, their own times say how fast the installation is.

    Args:
        checked: The job.
        runs: Past runs of such jobs; without any, the rule alone speaks.
    """
    count = checked.synthetic.sample_count or 0
    modality = checked.synthetic.modality
    by_rule = rule_seconds(checked.config, modality, sample_count=count)
    if not runs:
        low, high = by_rule / _RULE_MARGIN, by_rule * _RULE_MARGIN
        return RunTime(by_rule, low, high, EstimateBasis.RULE, past_job_count=0)
    nearest = sorted(runs, key=lambda run: abs(math.log(run.sample_count / count)))[:_NEAREST_JOBS]
    carried = [
        run.seconds * by_rule / rule_seconds(run.config, modality, sample_count=run.sample_count)
        for run in nearest
    ]
    return RunTime(
        seconds=statistics.median(carried),
        low=min(carried) / _PAST_MARGIN,
        high=max(carried) * _PAST_MARGIN,
        basis=EstimateBasis.PAST_JOBS,
        past_job_count=len(carried),
    )


def _newest_jobs(workspace_id: WorkspaceId) -> Select[Any]:  # Any: a whole row.
    """Return the query for the workspace's newest jobs, whose index makes it cheap."""
    return (
        select(Job)
        .where(Job.workspace_id == workspace_id)
        .order_by(Job.created_at.desc(), Job.id.desc())
        .limit(_JOBS_LOOKED_AT)
    )


def _newest_device(session: Session, workspace_id: WorkspaceId) -> str | None:
    newest = _newest_jobs(workspace_id).subquery()
    said = session.scalar(
        select(newest.c.device)
        .where(newest.c.device.is_not(None))
        .order_by(newest.c.created_at.desc(), newest.c.id.desc())
        .limit(1)
    )
    return None if said is None else _kind_of(said)


def _past_runs(
    session: Session,
    workspace_id: WorkspaceId,
    method: str,
    checked: CheckedRequest,
    device: str | None,
) -> list[PastRun]:
    newest = _newest_jobs(workspace_id).subquery()
    rows = session.execute(
        select(newest.c.sample_count, newest.c.config, newest.c.seconds_by_phase, newest.c.device)
        .join(Dataset, Dataset.id == newest.c.synthetic_id)
        .where(
            newest.c.state == JobState.SUCCEEDED,
            newest.c.method == method,
            Dataset.modality == checked.synthetic.modality,
            newest.c.sample_count > 0,
            newest.c.seconds_by_phase.is_not(None),
            # A job that was claimed twice may have gone on from a checkpoint: its last attempt
            # is only a part of it.
            newest.c.fencing_token == 1,
        )
    )
    return [
        PastRun(row.sample_count, row.config, sum(row.seconds_by_phase.values()))
        for row in rows
        if _is_alike(row.config, checked.config) and _kind_of(row.device or "") == device
    ]


def _is_alike(
    one: dict[str, Any],  # JSON values of a validated config, as is the other.
    other: dict[str, Any],
) -> bool:
    return all(one.get(name) == other.get(name) for name in _TELLING_SETTINGS)


def _kind_of(device: str) -> str:
    """Return `cpu` or `cuda` of what a worker said, such as `cuda:0 (NVIDIA H200)`."""
    return "cuda" if device.startswith("cuda") else "cpu"


def _few_samples(reference: Dataset) -> list[JobWarning]:
    counts = reference.class_counts or {}
    few = {name: count for name, count in counts.items() if count < _FEW_REFERENCE_SAMPLES}
    if not few:
        return []
    fewest = min(few, key=few.__getitem__)
    return [
        JobWarning(
            WarningReason.FEW_REFERENCE_SAMPLES,
            f"{len(few)} of {len(counts)} classes have fewer than {_FEW_REFERENCE_SAMPLES} samples"
            f" in the reference set; {fewest!r} has {few[fewest]}. Their scores rest on little.",
            "reference_id",
        )
    ]


def _short_runtime(checked: CheckedRequest, time: RunTime) -> list[JobWarning]:
    if time.high <= checked.max_runtime_seconds:
        return []
    return [
        JobWarning(
            WarningReason.RUNTIME_MAY_NOT_SUFFICE,
            f"The job may take up to {time.high:.0f} s and is ended after"
            f" {checked.max_runtime_seconds} s.",
            "max_runtime_seconds",
        )
    ]
