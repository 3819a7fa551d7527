"""The Python client: every call of the service as a method with typed answers."""

from pathlib import Path
from types import TracebackType
from typing import Self, Unpack, final
from uuid import UUID

from winnow.finished_job import AsyncFinishedJob, FinishedJob
from winnow.operation import AsyncRunner, BlockingRunner, Listing, Operation
from winnow.operations import (
    curation,
    datasets,
    jobs,
    keys,
    output_folder,
    results,
    uploads,
    watching,
    webhooks,
)
from winnow.operations.curation import CurateOptions, ReadOptions
from winnow.resources import JobId, SelectorId
from winnow.transport import MAX_TRIES, Transport
from winnow.wire import AsyncWire, BlockingWire, WireOptions, run_to_end

_TIMEOUT_SECONDS = 60.0


class _Operations:
    """What both clients can ask; each line is a method, described where its function is."""

    create_dataset = Operation(datasets.create_dataset)
    upload_dataset = Operation(uploads.upload_dataset)
    upload_content = Operation(uploads.upload_content)
    list_parts = Listing(uploads.list_parts)
    import_dataset = Operation(datasets.import_dataset)
    get_dataset = Operation(datasets.get_dataset)
    list_datasets = Listing(datasets.list_datasets)
    list_rejections = Listing(datasets.list_rejections)
    delete_dataset = Operation(datasets.delete_dataset)
    wait_for_dataset = Operation(datasets.wait_for_dataset)
    get_usage = Operation(datasets.get_usage)

    create_job = Operation(jobs.create_job)
    estimate_job = Operation(jobs.estimate_job)
    get_job = Operation(jobs.get_job)
    list_jobs = Listing(jobs.list_jobs)
    watch_job = Listing(watching.watch_job)
    wait_for_job = Operation(watching.wait_for_job)
    cancel_job = Operation(jobs.cancel_job)
    retry_job = Operation(jobs.retry_job)
    delete_job = Operation(jobs.delete_job)
    get_job_config_schema = Operation(jobs.get_job_config_schema)

    list_weights = Listing(results.list_weights)
    get_traces = Operation(results.get_traces)
    get_report = Operation(results.get_report)
    get_weights_table = Operation(results.get_weights_table)
    get_manifest_table = Operation(results.get_manifest_table)
    download_weights = Operation(results.download_weights)
    download_manifest = Operation(results.download_manifest)
    write_results = Operation(output_folder.write_results)

    create_selection = Operation(results.create_selection)
    list_selections = Listing(results.list_selections)
    get_selection = Operation(results.get_selection)
    get_selection_table = Operation(results.get_selection_table)
    download_selection_manifest = Operation(results.download_selection_manifest)

    list_selectors = Listing(jobs.list_selectors)
    get_selector = Operation(jobs.get_selector)
    delete_selector = Operation(jobs.delete_selector)
    score_dataset = Operation(jobs.score_dataset)

    create_key = Operation(keys.create_key)
    list_keys = Listing(keys.list_keys)
    get_key = Operation(keys.get_key)
    rotate_key = Operation(keys.rotate_key)
    revoke_key = Operation(keys.revoke_key)
    list_audit = Listing(keys.list_audit)

    create_webhook = Operation(webhooks.create_webhook)
    list_webhooks = Listing(webhooks.list_webhooks)
    get_webhook = Operation(webhooks.get_webhook)
    update_webhook = Operation(webhooks.update_webhook)
    enable_webhook = Operation(webhooks.enable_webhook)
    delete_webhook = Operation(webhooks.delete_webhook)
    rotate_webhook_secret = Operation(webhooks.rotate_webhook_secret)
    ping_webhook = Operation(webhooks.ping_webhook)
    list_webhook_deliveries = Listing(webhooks.list_webhook_deliveries)
    get_webhook_delivery = Operation(webhooks.get_webhook_delivery)
    redeliver_webhook = Operation(webhooks.redeliver_webhook)

    _curate = Operation(curation.curate)
    _score = Operation(curation.score)


@final
class Client(_Operations, BlockingRunner[Transport]):
    """One service, seen with one API key.

    Every method raises an ``ApiError`` where the service refuses, with the problem it states, and
    ``ServerUnreachableError`` where none answers. Requests that may safely be sent twice are
    repeated after a passing fault. Use it as a context manager, or close it.
    """

    def __init__(
        self,
        server: str,
        api_key: str | None = None,
        *,
        timeout_seconds: float = _TIMEOUT_SECONDS,
        max_tries: int = MAX_TRIES,
    ) -> None:
        """Names the service without contacting it.

        Args:
            server: Its address, such as ``http://127.0.0.1:8765``.
            api_key: ``wnw_<prefix>_<secret>``.
            timeout_seconds: How long an answer may take.
            max_tries: How often a request that is safe to repeat is sent at most.
        """
        options = WireOptions(server=server, api_key=api_key, timeout_seconds=timeout_seconds)
        super().__init__(Transport(BlockingWire(options), server=server, max_tries=max_tries))

    @property
    def server(self) -> str:
        """The service's address."""
        return self._context.server

    def curate(
        self, synthetic: str | Path, reference: str | Path, **options: Unpack[CurateOptions]
    ) -> FinishedJob:
        """Uploads the datasets, weighs the synthetic one, waits, and returns the finished job.

        Args:
            synthetic: The pool to curate: an image folder, an archive of one, a table or an .npz.
            reference: A few real samples of each class.
            **options: See ``CurateOptions``.

        Raises:
            InputError: a path cannot be read.
            DatasetInvalidError: validation refused a dataset.
            JobFailedError: the job failed.
        """
        return FinishedJob(self._context, self._curate(synthetic, reference, **options))

    def score(
        self, selector_id: SelectorId, dataset: str | Path | UUID, **options: Unpack[ReadOptions]
    ) -> FinishedJob:
        """Scores a path, or a dataset by its id, without training; returns the finished job."""
        return FinishedJob(self._context, self._score(selector_id, dataset, **options))

    def finished_job(self, job_id: JobId) -> FinishedJob:
        """Waits for the job's end, where that is still to come, and returns it with its results.

        Raises:
            JobFailedError: it failed.
            JobCancelledError: it was cancelled.
        """
        return FinishedJob(self._context, self.wait_for_job(job_id))

    def close(self) -> None:
        """Closes the connections."""
        run_to_end(self._context.wire.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@final
class AsyncClient(_Operations, AsyncRunner[Transport]):
    """The same client for asyncio: what ``Client`` returns is awaited here.

    What ``Client`` iterates over is iterated over by ``async for``. Callbacks are plain functions.
    """

    def __init__(
        self,
        server: str,
        api_key: str | None = None,
        *,
        timeout_seconds: float = _TIMEOUT_SECONDS,
        max_tries: int = MAX_TRIES,
    ) -> None:
        """Names the service without contacting it; the arguments are those of ``Client``."""
        options = WireOptions(server=server, api_key=api_key, timeout_seconds=timeout_seconds)
        super().__init__(Transport(AsyncWire(options), server=server, max_tries=max_tries))

    @property
    def server(self) -> str:
        """The service's address."""
        return self._context.server

    async def curate(
        self, synthetic: str | Path, reference: str | Path, **options: Unpack[CurateOptions]
    ) -> AsyncFinishedJob:
        """Uploads the datasets, weighs the synthetic one, waits, and returns the finished job."""
        job = await self._curate(synthetic, reference, **options)
        return AsyncFinishedJob(self._context, job)

    async def score(
        self, selector_id: SelectorId, dataset: str | Path | UUID, **options: Unpack[ReadOptions]
    ) -> AsyncFinishedJob:
        """Scores a path, or a dataset by its id, without training; returns the finished job."""
        job = await self._score(selector_id, dataset, **options)
        return AsyncFinishedJob(self._context, job)

    async def finished_job(self, job_id: JobId) -> AsyncFinishedJob:
        """Waits for the job's end, where that is still to come, and returns it with its results."""
        return AsyncFinishedJob(self._context, await self.wait_for_job(job_id))

    async def close(self) -> None:
        """Closes the connections."""
        await self._context.wire.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
