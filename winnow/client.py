"""The Python client: every call of the service as a method with typed answers."""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, TypeVar
from uuid import UUID, uuid4

from pydantic import TypeAdapter, ValidationError

from winnow.errors import (
    ApiError,
    DatasetInvalidError,
    JobCancelledError,
    JobFailedError,
    WinnowError,
    describe_refusal,
)
from winnow.resources import (
    Dataset,
    DatasetId,
    DatasetRequest,
    DatasetState,
    Job,
    JobId,
    JobRequest,
    JobState,
    JsonObject,
    Page,
    Rejection,
    SampleWeight,
    Selection,
    SelectionId,
    SelectionRule,
    Selector,
    SelectorId,
)
from winnow.transport import Call, Progress, Transport

_WAIT_SECONDS = 10.0
# A service that answers a waiting request at once, changed or not, must not be asked in a rush.
_MIN_ROUND_SECONDS = 0.2
_PAGE_SIZE = 1000
# A large upload is written through to the disk, and a large file put together, before the answer.
_FILE_SECONDS = 900.0

AnswerT = TypeVar("AnswerT")


def _ignore(_: int) -> None:
    """Reports progress to nobody."""


class Client:
    """One service, seen with one API key.

    Every method raises ``ApiError`` where the service refuses, with the problem it states, and
    ``ServerUnreachableError`` where none answers. Requests that may safely be sent twice are
    repeated after a passing fault. Use it as a context manager, or close it.
    """

    def __init__(self, server: str, api_key: str | None = None) -> None:
        """Names the service without contacting it.

        Args:
            server: Its address, such as ``http://127.0.0.1:8765``.
            api_key: ``wnw_<prefix>_<secret>``.
        """
        self._transport = Transport(server, api_key)

    @property
    def server(self) -> str:
        """The service's address."""
        return self._transport.server

    def close(self) -> None:
        """Closes the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # Datasets.

    def create_dataset(self, request: DatasetRequest) -> Dataset:
        """Creates a dataset that has no content yet."""
        body = asdict(request)
        call = Call(method="POST", path="/v1/datasets", body=body, is_repeatable=False)
        return self._get(Dataset, call)

    def upload_content(
        self,
        dataset_id: DatasetId,
        source: IO[bytes],
        *,
        file_name: str,
        size_bytes: int,
        on_progress: Progress = _ignore,
    ) -> None:
        """Sends the dataset's content; its validation then runs in the service.

        Args:
            dataset_id: The dataset.
            source: An open file; read from its beginning, again after a passing fault.
            file_name: Its ending says the format.
            size_bytes: The file's length.
            on_progress: Called with the bytes sent so far.
        """
        call = Call(
            method="PUT",
            path=f"/v1/datasets/{dataset_id}/content",
            params={"file_name": file_name},
            wait_seconds=_FILE_SECONDS,
        )
        try:
            self._transport.upload(call, source, size_bytes=size_bytes, on_progress=on_progress)
        except ApiError as error:
            # An upload whose answer was lost has arrived, and its repetition is refused.
            is_taken = error.problem.reason == "DATASET_HAS_CONTENT"
            if not (is_taken and self._holds(dataset_id, source)):
                raise

    def _holds(self, dataset_id: DatasetId, source: IO[bytes]) -> bool:
        content = self.get_dataset(dataset_id).content
        source.seek(0)
        digest = hashlib.file_digest(source, "sha256").hexdigest()  # type: ignore[arg-type] # Any binary file will do.
        return content is not None and content.sha256 == digest

    def get_dataset(self, dataset_id: DatasetId) -> Dataset:
        """Returns the dataset as it stands."""
        return self._get(Dataset, Call(method="GET", path=f"/v1/datasets/{dataset_id}"))

    def list_datasets(self) -> Iterator[Dataset]:
        """Yields every dataset, newest first."""
        return self._pages(Dataset, "/v1/datasets")

    def list_rejections(self, dataset_id: DatasetId) -> Iterator[Rejection]:
        """Yields every row that validation left out, in the order of the file."""
        return self._pages(Rejection, f"/v1/datasets/{dataset_id}/rejections")

    def delete_dataset(self, dataset_id: DatasetId) -> None:
        """Deletes the dataset; refused while a job needs it."""
        self._transport.send(Call(method="DELETE", path=f"/v1/datasets/{dataset_id}"))

    def wait_for_dataset(
        self, dataset_id: DatasetId, *, on_news: Callable[[Dataset], None] = lambda _: None
    ) -> Dataset:
        """Waits for the end of validation and returns the dataset.

        Args:
            dataset_id: A dataset with content.
            on_news: Called with the dataset at every change, and at least every ten seconds.

        Raises:
            DatasetInvalidError: validation refused it.
        """
        for dataset in self._watch(Dataset, f"/v1/datasets/{dataset_id}"):
            on_news(dataset)
            if dataset.state is DatasetState.READY:
                return dataset
            failure = dataset.failure
            if failure is not None:
                raise DatasetInvalidError(
                    f"The {dataset.role} dataset {dataset.name!r} is invalid: "
                    + describe_refusal(
                        failure.reason,
                        failure.detail,
                        field=failure.field,
                        row=failure.row,
                        cure=failure.cure,
                    )
                )
        raise AssertionError("a watched dataset never ends without a state")

    # Jobs.

    def create_job(self, request: JobRequest, *, idempotency_key: str | None = None) -> Job:
        """Creates a job; the same idempotency key never creates a second one.

        Without a key a fresh one is used, so that a repeated request still creates one job.
        """
        body = {
            name: str(value) if isinstance(value, UUID) else value
            for name, value in asdict(request).items()
        }
        headers = {"Idempotency-Key": idempotency_key or uuid4().hex}
        return self._get(Job, Call(method="POST", path="/v1/jobs", body=body, headers=headers))

    def get_job(self, job_id: JobId) -> Job:
        """Returns the job as it stands."""
        return self._get(Job, Call(method="GET", path=f"/v1/jobs/{job_id}"))

    def list_jobs(
        self, *, state: JobState | None = None, dataset_id: DatasetId | None = None
    ) -> Iterator[Job]:
        """Yields the jobs in the state and with the dataset, where given, newest first."""
        params = {"state": state, "dataset_id": None if dataset_id is None else str(dataset_id)}
        return self._pages(Job, "/v1/jobs", params)

    def watch_job(self, job_id: JobId) -> Iterator[Job]:
        """Yields the job now, at every change and at least every ten seconds, to its end."""
        for job in self._watch(Job, f"/v1/jobs/{job_id}"):
            yield job
            if job.state.is_final:
                return

    def wait_for_job(
        self, job_id: JobId, *, on_news: Callable[[Job], None] = lambda _: None
    ) -> Job:
        """Waits for the job's end and returns it.

        Args:
            job_id: The job.
            on_news: Called with the job at every change, and at least every ten seconds.

        Raises:
            JobFailedError: it failed; the text holds the reason.
            JobCancelledError: it was cancelled.
        """
        job = None
        for job in self.watch_job(job_id):
            on_news(job)
        assert job is not None  # noqa: S101 - A watched job is yielded at least once.
        if job.state is JobState.CANCELLED:
            raise JobCancelledError(f"The job {job.id} was cancelled.")
        if job.state is JobState.FAILED:
            failure = job.failure
            said = f"{failure.reason}: {failure.detail}" if failure else "without a reason"
            raise JobFailedError(f"The job {job.id} failed: {said}")
        return job

    def cancel_job(self, job_id: JobId) -> Job:
        """Asks the job to stop."""
        return self._get(Job, Call(method="POST", path=f"/v1/jobs/{job_id}:cancel"))

    def retry_job(self, job_id: JobId) -> Job:
        """Queues a failed or cancelled job again."""
        call = Call(method="POST", path=f"/v1/jobs/{job_id}:retry", is_repeatable=False)
        return self._get(Job, call)

    def delete_job(self, job_id: JobId) -> None:
        """Deletes a finished job and its results."""
        self._transport.send(Call(method="DELETE", path=f"/v1/jobs/{job_id}"))

    def get_job_config_schema(self) -> JsonObject:
        """Returns the JSON Schema of every method's settings."""
        return self._get(dict[str, Any], Call(method="GET", path="/v1/job-config-schema"))

    # Results.

    def list_weights(
        self, job_id: JobId, *, sort: str | None = None, label: int | None = None
    ) -> Iterator[SampleWeight]:
        """Yields the result of every sample, in the order of ``sort``.

        Args:
            job_id: A job that succeeded.
            sort: ``position``, ``score`` or ``-score``.
            label: Only samples of this class.
        """
        path = f"/v1/jobs/{job_id}/weights"
        return self._pages(SampleWeight, path, {"sort": sort, "label": label})

    def get_traces(self, job_id: JobId) -> JsonObject:
        """Returns every series recorded in training, by name, with its steps and values."""
        return self._get(dict[str, Any], Call(method="GET", path=f"/v1/jobs/{job_id}/traces"))

    def get_report(self, job_id: JobId) -> JsonObject:
        """Returns accuracy before and after curation, and the settings that gave it."""
        return self._get(dict[str, Any], Call(method="GET", path=f"/v1/jobs/{job_id}/report"))

    def download_weights(
        self, job_id: JobId, target: Path, *, on_progress: Progress = _ignore
    ) -> None:
        """Writes all weights; the target's ending (parquet, csv, jsonl) says the format."""
        self._download(f"/v1/jobs/{job_id}/weights{target.suffix}", {}, target, on_progress)

    def download_manifest(
        self,
        job_id: JobId,
        target: Path,
        *,
        is_kept_only: bool = False,
        on_progress: Progress = _ignore,
    ) -> None:
        """Writes the job's manifest; the target's ending (parquet, csv, jsonl) says the format."""
        params = {"format": target.suffix.lstrip("."), "kept_only": str(is_kept_only).lower()}
        self._download(f"/v1/jobs/{job_id}/manifest", params, target, on_progress)

    # Selections.

    def create_selection(self, job_id: JobId, *, name: str, rule: SelectionRule) -> Selection:
        """Makes a named cut of a finished job."""
        path = f"/v1/jobs/{job_id}/selections"
        body = {"name": name, "rule": asdict(rule)}
        return self._get(Selection, Call(method="POST", path=path, body=body, is_repeatable=False))

    def list_selections(self, job_id: JobId) -> Iterator[Selection]:
        """Yields the job's cuts, newest first."""
        return self._pages(Selection, f"/v1/jobs/{job_id}/selections")

    def get_selection(self, selection_id: SelectionId) -> Selection:
        """Returns the cut."""
        return self._get(Selection, Call(method="GET", path=f"/v1/selections/{selection_id}"))

    def download_selection_manifest(
        self,
        selection_id: SelectionId,
        target: Path,
        *,
        is_kept_only: bool = False,
        on_progress: Progress = _ignore,
    ) -> None:
        """Writes the cut's manifest; the target's ending says the format."""
        params = {"format": target.suffix.lstrip("."), "kept_only": str(is_kept_only).lower()}
        self._download(f"/v1/selections/{selection_id}/manifest", params, target, on_progress)

    # Selectors.

    def list_selectors(self) -> Iterator[Selector]:
        """Yields every selector, newest first."""
        return self._pages(Selector, "/v1/selectors")

    def get_selector(self, selector_id: SelectorId) -> Selector:
        """Returns the selector."""
        return self._get(Selector, Call(method="GET", path=f"/v1/selectors/{selector_id}"))

    def delete_selector(self, selector_id: SelectorId) -> None:
        """Deletes the selector; refused while a job scores by it."""
        self._transport.send(Call(method="DELETE", path=f"/v1/selectors/{selector_id}"))

    def score_dataset(
        self,
        selector_id: SelectorId,
        dataset_id: DatasetId,
        *,
        idempotency_key: str | None = None,
    ) -> Job:
        """Creates a job that scores a dataset without training; read its results as any job's.

        Args:
            selector_id: What scores.
            dataset_id: A ready dataset of role synthetic.
            idempotency_key: The same key never creates a second job; without one a fresh one is
                used.
        """
        call = Call(
            method="POST",
            path=f"/v1/selectors/{selector_id}/scores",
            body={"dataset_id": str(dataset_id)},
            headers={"Idempotency-Key": idempotency_key or uuid4().hex},
        )
        return self._get(Job, call)

    # How answers become values.

    def _get(self, kind: type[AnswerT], call: Call) -> AnswerT:
        return _parse(kind, self._transport.send_for_json(call))

    def _download(
        self, path: str, params: Mapping[str, str], target: Path, on_progress: Progress
    ) -> None:
        call = Call(method="GET", path=path, params=params, wait_seconds=_FILE_SECONDS)
        self._transport.download(call, target, on_progress=on_progress)

    def _pages(
        self,
        kind: type[AnswerT],
        path: str,
        params: Mapping[str, Any] | None = None,  # Whatever has a text form.
    ) -> Iterator[AnswerT]:
        page_kind: type[Page[AnswerT]] = Page[kind]  # type: ignore[valid-type] # Known at run time.
        cursor: str | None = None
        while True:
            asked = {**(params or {}), "limit": _PAGE_SIZE, "cursor": cursor}
            page = self._get(page_kind, Call(method="GET", path=path, params=asked))
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def _watch(self, kind: type[AnswerT], path: str) -> Iterator[AnswerT]:
        """Yields the resource at once, then after each long poll, changed or not, for ever."""
        tag: str | None = None
        newest: AnswerT | None = None
        while True:
            started_at = time.monotonic()
            response = self._transport.send(
                Call(
                    method="GET",
                    path=path,
                    params={"wait": None if tag is None else _WAIT_SECONDS},
                    headers=None if tag is None else {"If-None-Match": tag},
                    wait_seconds=_WAIT_SECONDS,
                )
            )
            if newest is None or response.status_code != HTTPStatus.NOT_MODIFIED:
                tag = response.headers.get("ETag")
                newest = _parse(kind, response.json())
            yield newest
            rest_seconds = _MIN_ROUND_SECONDS - (time.monotonic() - started_at)
            time.sleep(max(0.0, rest_seconds))


def _parse(kind: type[AnswerT], said: Any) -> AnswerT:  # Said is whatever JSON holds.
    try:
        return TypeAdapter(kind).validate_python(said)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise WinnowError(
            f"The service's answer is not what this client expects ({place}: {first['msg']}); "
            "client and service may be of different versions."
        ) from error
