"""The whole job: uploads the datasets, runs the curation, and brings the results home."""

import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from winnow.client import Client
from winnow.connection import Connection
from winnow.display import Display
from winnow.errors import ServerUnreachableError, WinnowError
from winnow.inputs import PreparedInput, open_input
from winnow.operations.output_folder import Outcome
from winnow.operations.uploads import sends_parts, shown_name
from winnow.resources import Dataset, DatasetId, DatasetRequest, Job, JobRequest, JsonObject, Role
from winnow.signals import Stopped, signals_held

_REJECTIONS_COUNTED = 1000
_MEGABYTE = 10**6
# After these the same upload may well succeed.
_PASSING = (ServerUnreachableError, KeyboardInterrupt, Stopped)


@dataclass(frozen=True, kw_only=True)
class CurateRequest:
    """What to curate, and how.

    Attributes:
        inputs: A path for each role; the test set may be missing.
        shape: How the datasets are read; its name and role are set for each.
        method: The way of weighing.
        config: Settings that differ from the defaults.
        seed: The same seed and data give the same result.
    """

    inputs: dict[Role, Path]
    shape: DatasetRequest
    method: str
    config: JsonObject
    seed: int


def curate(connection: Connection, request: CurateRequest, out: Path, display: Display) -> Outcome:
    """Runs the whole job and writes its results into the folder ``out``.

    Raises:
        InputError: an input cannot be read.
        DatasetInvalidError: validation refused a dataset.
        JobFailedError: the job failed.
        ApiError: the service refused a request.
    """
    ids = _upload_all(connection, request, display)
    job = connection.client.create_job(
        JobRequest(
            synthetic_id=ids[Role.SYNTHETIC],
            reference_id=ids[Role.REFERENCE],
            test_id=ids.get(Role.TEST),
            method=request.method,
            config=request.config,
            seed=request.seed,
        )
    )
    display.say(f"Job {job.id}")
    job = follow_job(connection, job, display)
    with display.task("Downloading the results") as update:
        return connection.client.write_results(
            job, out, on_progress=lambda done: update(done, "", "")
        )


def _upload_all(
    connection: Connection, request: CurateRequest, display: Display
) -> dict[Role, DatasetId]:
    """Uploads every dataset, then waits for the validation of all."""
    with ExitStack() as stack:
        # All are opened before the first is sent, so that a misspelt path costs no upload.
        opened = {role: stack.enter_context(open_input(p)) for role, p in request.inputs.items()}
        uploaded = [
            upload(connection.client, source, replace(request.shape, role=role), display)
            for role, source in opened.items()
        ]
    for dataset in uploaded:
        await_validation(connection, dataset, display)
    return {dataset.role: dataset.id for dataset in uploaded}


def upload(  # noqa: PLR0913 - What is sent, whereto, and what was sent before.
    client: Client,
    source: PreparedInput,
    request: DatasetRequest,
    display: Display,
    *,
    resumed: Dataset | None = None,
    is_resumable: bool = False,
) -> Dataset:
    """Creates a dataset and sends its content; a new one whose content does not arrive is deleted.

    Args:
        client: The service.
        source: The file.
        request: The dataset to be made.
        display: Shows progress.
        resumed: A dataset some of whose parts have arrived, instead of a new one.
        is_resumable: Leave the dataset where the service went away or the user stopped and its
            parts can be completed later.
    """
    named = replace(request, name=shown_name(request, source))
    dataset = resumed or client.create_dataset(named)
    size_bytes = max(source.size_bytes, 1)
    title = f"Uploading {request.role} ({_size(size_bytes)})"
    try:
        with display.task(title) as update:
            client.upload_content(
                dataset.id,
                source.source,
                file_name=source.file_name,
                size_bytes=source.size_bytes,
                on_progress=lambda sent_bytes: update(sent_bytes / size_bytes, "", ""),
            )
    except BaseException as error:
        has_parts = is_resumable and sends_parts(source.size_bytes)
        if has_parts and isinstance(error, _PASSING):
            display.say(
                "The parts that have arrived stay; send the rest by the same command with: "
                f"--resume {dataset.id}"
            )
        elif resumed is None:
            # The error that ends the upload says more than one of the tidying up.
            with suppress(WinnowError), signals_held():
                client.delete_dataset(dataset.id)
        raise
    return dataset


def await_validation(connection: Connection, dataset: Dataset, display: Display) -> Dataset:
    """Waits until the dataset is ready, and says what was found in it.

    Raises:
        DatasetInvalidError: validation refused it.
    """
    client = connection.client
    started_at = time.monotonic()
    with display.task(f"Validating {dataset.role}") as update:

        def show(_: Dataset) -> None:
            connection.check()
            # How much is left only the decoder knows; that it goes on is said all the same.
            update(0.0, "reading", f"for {time.monotonic() - started_at:.0f} s")

        ready = client.wait_for_dataset(dataset.id, on_news=show)
    found = f"{ready.role}: {ready.sample_count} samples in {len(ready.classes)} classes"
    display.say(found)
    if ready.rejected_count:
        rejected = islice(client.list_rejections(ready.id), _REJECTIONS_COUNTED)
        reasons = Counter(rejection.reason for rejection in rejected)
        named = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
        display.say(
            f"{ready.role}: left out {ready.rejected_count} ({named}); "
            f"see them with: winnow datasets show {ready.id}"
        )
    for warning in ready.warnings:
        display.say(f"{ready.role}: warning: {warning.detail} {warning.cure}")
    return ready


def follow_job(connection: Connection, job: Job, display: Display) -> Job:
    """Shows the job's progress until its end.

    Where this command runs the service itself, its interruption cancels the job: it would
    otherwise go on, unasked, when the stack is started again.

    Raises:
        JobFailedError: it failed.
        JobCancelledError: it was cancelled.
        ServerStartError: a process of the stack has ended.
    """
    try:
        title = "Curating" if job.selector_id is None else "Scoring"
        with display.task(title) as update:

            def show(news: Job) -> None:
                connection.check()
                update(news.fraction, _phase(news), _detail(news))

            return connection.client.wait_for_job(job.id, on_news=show)
    except (KeyboardInterrupt, Stopped):
        if connection.stack is None:
            display.say(f"The job goes on; watch it with: winnow jobs watch {job.id}")
        else:
            display.say("Cancelling the job")
            with suppress(WinnowError), signals_held():
                connection.client.cancel_job(job.id)
        raise


def _phase(job: Job) -> str:
    if job.queue_position is not None:
        return f"queued, position {job.queue_position}"
    return job.phase or job.state.value


def _detail(job: Job) -> str:
    parts = []
    if job.step is not None and job.total_steps:
        parts.append(f"step {job.step}/{job.total_steps}")
    if job.eta_seconds is not None:
        minutes, seconds = divmod(round(job.eta_seconds), 60)
        parts.append(f"{minutes}:{seconds:02d} left")
    return ", ".join(parts)


def _size(size_bytes: int) -> str:
    if size_bytes < _MEGABYTE:
        return f"{size_bytes / 1e3:.0f} kB"
    return f"{size_bytes / _MEGABYTE:.1f} MB"
