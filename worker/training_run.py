"""Runs one attempt in the child process: load, encode, train, evaluate, distil, write."""

import dataclasses
import mmap
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import structlog
import torch
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from curation.clock import utc_now
from curation.database import create_database_engine, unit_of_work
from curation.errors import StorageFullError
from curation.identifiers import SelectorId
from curation.jobs import Claim, newest_checkpoint, register_checkpoint
from curation.object_stores import open_object_store
from curation.objects import (
    ObjectMissingError,
    ObjectStore,
    StoredObject,
)
from curation.selectors import NewSelector, get_selector
from mts_core.distillation import (
    DistillationReport,
    FinishedRun,
    distil,
    finished_run,
)
from mts_core.errors import CheckpointError, RankLostError
from mts_core.pipeline import (
    CurationResult,
    PipelineReport,
    PipelineState,
    load_pipeline_state,
    pipeline_config_from_mapping,
    run_pipeline,
    save_pipeline_state,
)
from mts_core.selector import load_selector, save_selector
from mts_core.selector_scoring import run_selector
from worker.child_link import (
    CheckpointSaved,
    ChildMessage,
    Finished,
    ProgressMade,
    Stopped,
    Superseded,
    Verdict,
)
from worker.crew import NO_CREW, Crew
from worker.dataset_loader import PoolRows, load_samples, load_unseen, release_mapped
from worker.decoding_process import DecodingBounds, DecodingStoppedError
from worker.device import choose_device, describe_device, set_up_torch
from worker.failures import failure_of
from worker.phase_clock import PhaseClock
from worker.result_writer import WRITE_PHASE, write_result
from worker.settings import WorkerSettings

LOAD_PHASE: Final = "load"
DISTIL_PHASE: Final = "distil"
# Shares of loading, distilling and writing in the time of a run; the pipeline tells its own part.
_LOADED_FRACTION: Final = 0.02
_DISTILLING_FRACTION: Final = 0.95
_WRITING_FRACTION: Final = 0.98
_PROGRESS_SECONDS: Final = 0.2
# Saving may take this part of the time at most, however large the state is.
_SAVING_SHARE: Final = 0.05
_SECONDS_KEY: Final = "seconds_by_phase"

log = structlog.get_logger(__name__)


class StoppedError(Exception):
    """The supervisor asked for the end, and the state is saved where it could be."""


class SupersededError(Exception):
    """The database refused a write: the token is no longer the job's, or the job is to end."""


@dataclass(frozen=True)
class RunContext:
    """What one attempt works with.

    Attributes:
        claim: The attempt.
        settings: Settings of the process.
        engine: The database.
        store: Where datasets, checkpoints and results lie.
        scratch: Folder for temporary files.
        send: Tells the supervisor something.
        should_stop: Whether the supervisor asked for the end.
        crew: The processes that share the training; this one leads them.
    """

    claim: Claim
    settings: WorkerSettings
    engine: Engine
    store: ObjectStore
    scratch: Path
    send: Callable[[ChildMessage], None]
    should_stop: Callable[[], bool]
    crew: Crew


def run_attempt(  # noqa: PLR0913  # The attempt, its place and its ways to the outside.
    claim: Claim,
    settings: WorkerSettings,
    *,
    scratch: Path,
    send: Callable[[ChildMessage], None],
    should_stop: Callable[[], bool],
    crew: Crew = NO_CREW,
) -> Verdict:
    """Run one attempt to its end and return its last word; an error of the run is one, too.

    Args:
        claim: The attempt.
        settings: Settings of the process.
        scratch: Folder for temporary files.
        send: Tells the supervisor something.
        should_stop: Whether the supervisor asked for the end.
        crew: The processes that share the training, led by this one.

    Raises:
        RankLostError: Another of these ended, and knows better why.
    """
    engine = create_database_engine(
        settings.database_url, pool_size=1, idle_transaction_seconds=settings.lease_seconds
    )
    try:
        store = open_object_store(settings.object_store)
        context = RunContext(claim, settings, engine, store, scratch, send, should_stop, crew)
        _train_and_write(context)
    except (StoppedError, DecodingStoppedError):
        return Stopped()
    except SupersededError:
        return Superseded()
    except RankLostError:
        raise
    except Exception as error:
        log.exception("run_failed")
        return failure_of(error, claim.config)
    finally:
        engine.dispose()
    return Finished()


def _train_and_write(context: RunContext) -> None:
    claim, settings, crew = context.claim, context.settings, context.crew
    device = choose_device(settings.devices)
    set_up_torch(device, threads=settings.torch_threads, processes=crew.count)
    log.info("run_started", device=describe_device(device), processes=crew.count)
    clock = PhaseClock(time.monotonic)
    teller = _ProgressTeller(context, clock, describe_device(device))
    teller.tell_phase(LOAD_PHASE, fraction=0.0)
    if claim.selector_id is None:
        finished = _train(context, device, clock=clock, teller=teller)
    else:
        finished = _score(context, claim.selector_id, device, clock=clock, teller=teller)
    teller.tell_phase(WRITE_PHASE, fraction=_WRITING_FRACTION)
    _write(context, finished, clock)


@dataclass(frozen=True)
class _FinishedWork:
    """What is to be written.

    Attributes:
        rows: The samples of the run.
        result: What the run found.
        selector: What was distilled from the scores, or None.
    """

    rows: PoolRows
    result: CurationResult
    selector: NewSelector | None


def _train(
    context: RunContext, device: torch.device, *, clock: PhaseClock, teller: "_ProgressTeller"
) -> _FinishedWork:
    claim = context.claim
    samples = load_samples(context.engine, context.store, claim, bounds=_bounds(context))
    resume = _newest_state(context, clock)
    clock.spend(LOAD_PHASE)
    reports = run_pipeline(
        samples.data,
        pipeline_config_from_mapping(claim.method, claim.config),
        seed=claim.seed,
        device=device,
        resume=resume,
        ranks=context.crew.join(device),
    )
    result = _follow(context, samples.mappings, reports, clock=clock, teller=teller)
    run = finished_run(samples.data, result, class_names=samples.class_names, method=claim.method)
    distilled = _distil(context, run, clock=clock, teller=teller)
    selector = NewSelector(
        distilled, encoder=run.origin.encoder, feature_columns=samples.feature_columns
    )
    return _FinishedWork(samples.pool_rows, result, selector)


def _distil(
    context: RunContext, run: FinishedRun, *, clock: PhaseClock, teller: "_ProgressTeller"
) -> StoredObject:
    """Distil the scores into a selector and return its stored file.

    Raises:
        StoppedError: The supervisor asked for the end; the next attempt distils anew.
    """
    selector = None
    for report in distil(run, seed=context.claim.seed):
        if context.should_stop():
            raise StoppedError
        clock.spend(DISTIL_PHASE)
        share = (_WRITING_FRACTION - _DISTILLING_FRACTION) * report.step / report.total_steps
        teller.tell_step(DISTIL_PHASE, report, fraction=_DISTILLING_FRACTION + share)
        selector = report.selector
    if selector is None:
        raise RuntimeError("The distillation ended without a selector.")
    path = context.scratch / "selector.safetensors"
    save_selector(path, selector)
    stored = context.store.put_file(path)
    path.unlink()
    clock.spend(DISTIL_PHASE)
    return stored


def _score(
    context: RunContext,
    selector_id: SelectorId,
    device: torch.device,
    *,
    clock: PhaseClock,
    teller: "_ProgressTeller",
) -> _FinishedWork:
    claim = context.claim
    with unit_of_work(context.engine) as session:
        digest = get_selector(session, claim.workspace_id, selector_id).digest
    with context.store.local_path(digest) as path:
        selector = load_selector(path)
    unseen = load_unseen(
        context.engine,
        context.store,
        claim,
        class_names=selector.origin.class_names,
        table_columns=selector.table_columns,
        bounds=_bounds(context),
    )
    resume = _newest_state(context, clock)
    clock.spend(LOAD_PHASE)
    reports = run_selector(selector, unseen.samples, device=device, resume=resume)
    result = _follow(context, unseen.mappings, reports, clock=clock, teller=teller)
    return _FinishedWork(unseen.pool_rows, result, selector=None)


def _bounds(context: RunContext) -> DecodingBounds:
    return DecodingBounds.of(
        context.settings, context.scratch, keep_going=lambda: not context.should_stop()
    )


def _write(context: RunContext, finished: _FinishedWork, clock: PhaseClock) -> None:
    is_written = write_result(
        context.engine,
        context.store,
        context.claim,
        rows=finished.rows,
        result=finished.result,
        selector=finished.selector,
        phase_clock=clock,
        scratch=context.scratch,
        clock=utc_now,
    )
    if not is_written:
        raise SupersededError


def _newest_state(context: RunContext, clock: PhaseClock) -> PipelineState | None:
    with unit_of_work(context.engine) as session:
        reference = newest_checkpoint(session, context.claim.job_id)
    if reference is None:
        return None
    try:
        with context.store.local_path(reference.digest) as path:
            state = load_pipeline_state(path)
    except (CheckpointError, ObjectMissingError) as error:
        # A run from the beginning costs time; a job that cannot run at all costs its result.
        log.warning("checkpoint_unreadable", digest=reference.digest, error=type(error).__name__)
        return None
    metadata = dict(state.metadata)
    clock.add_earlier(metadata.pop(_SECONDS_KEY))
    log.info("resumed", phase=reference.phase, step=reference.step, from_attempt=reference.attempt)
    return dataclasses.replace(state, metadata=metadata)


def _follow(
    context: RunContext,
    mappings: Sequence[mmap.mmap],
    reports: Iterator[PipelineReport],
    *,
    clock: PhaseClock,
    teller: "_ProgressTeller",
) -> CurationResult:
    """Return the result of a run, after telling and saving how it comes along."""
    keeper = _CheckpointKeeper(context, clock)
    phase = None
    for report in reports:
        clock.spend(report.phase)
        is_new_phase, phase = report.phase is not phase, report.phase
        if is_new_phase:
            # Heads read the encoded vectors alone; a network reads a batch of images at a time.
            release_mapped(mappings)
            context.crew.enter_phase(report)
        if report.result is not None:
            return report.result
        teller.tell(report, is_urgent=is_new_phase)
        if context.should_stop():
            keeper.save_if_possible(report)
            raise StoppedError
        if is_new_phase or keeper.is_due():
            keeper.save_if_possible(report)
    raise RuntimeError("The pipeline ended without a result.")


@final
class _ProgressTeller:
    """Tells the supervisor how far the run is, a few times a second."""

    def __init__(self, context: RunContext, clock: PhaseClock, device: str) -> None:
        self._context = context
        self._clock = clock
        self._device = device
        self._told_at = -_PROGRESS_SECONDS

    def tell_phase(self, phase: str, *, fraction: float) -> None:
        """Tell that a phase begins which counts no steps."""
        self._send(phase, fraction=fraction, step=0, total_steps=1)

    def tell_step(self, phase: str, report: DistillationReport, *, fraction: float) -> None:
        """Tell how far a phase is that follows the pipeline, unless something was told just now."""
        if time.monotonic() - self._told_at >= _PROGRESS_SECONDS:
            self._send(phase, fraction=fraction, step=report.step, total_steps=report.total_steps)

    def tell(self, report: PipelineReport, *, is_urgent: bool) -> None:
        """Tell what the pipeline reports, unless something was told just now."""
        if not is_urgent and time.monotonic() - self._told_at < _PROGRESS_SECONDS:
            return
        share = _DISTILLING_FRACTION - _LOADED_FRACTION
        self._send(
            report.phase,
            fraction=_LOADED_FRACTION + share * report.fraction,
            step=report.step,
            total_steps=report.total_steps,
        )

    def _send(self, phase: str, *, fraction: float, step: int, total_steps: int) -> None:
        self._told_at = time.monotonic()
        self._context.send(
            ProgressMade(
                phase=phase,
                fraction=fraction,
                step=step,
                total_steps=total_steps,
                eta_seconds=self._clock.eta_seconds(fraction),
                device=self._device,
                seconds_by_phase=self._clock.attempt_seconds(),
            )
        )


@final
class _CheckpointKeeper:
    """Stores the run's state and registers it under the attempt's token."""

    def __init__(self, context: RunContext, clock: PhaseClock) -> None:
        self._context = context
        self._clock = clock
        self._saved_at = time.monotonic()
        self._pause_seconds = context.settings.checkpoint_seconds

    def is_due(self) -> bool:
        """Return whether the last checkpoint is as old as the settings and its own cost allow."""
        return time.monotonic() - self._saved_at >= self._pause_seconds

    def save_if_possible(self, report: PipelineReport) -> None:
        """Save the state at a report, or go on without where something is in the way.

        Raises:
            SupersededError: Somebody else owns the job.
        """
        started_at = time.monotonic()
        try:
            self._save(report)
        except (DBAPIError, CheckpointError, OSError, StorageFullError) as error:
            # The run outlives a short outage or a full disk; all that is lost is the way back.
            log.warning("checkpoint_not_saved", error=type(error).__name__)
        self._saved_at = time.monotonic()
        self._pause_seconds = max(
            self._context.settings.checkpoint_seconds,
            (self._saved_at - started_at) / _SAVING_SHARE,
        )

    def _save(self, report: PipelineReport) -> None:
        context = self._context
        state = report.capture()
        metadata = {**state.metadata, _SECONDS_KEY: self._clock.seconds_by_phase()}
        path = context.scratch / "checkpoint.safetensors"
        try:
            save_pipeline_state(dataclasses.replace(state, metadata=metadata), path)
            stored = context.store.put_file(path)
        finally:
            # On a full disk above all, it must not lie there until the next one is due.
            path.unlink(missing_ok=True)
        with unit_of_work(context.engine) as session:
            is_registered = register_checkpoint(
                session, context.claim, phase=report.phase, step=report.step, stored=stored
            )
        if not is_registered:
            raise SupersededError
        context.send(CheckpointSaved(phase=report.phase, step=report.step))
