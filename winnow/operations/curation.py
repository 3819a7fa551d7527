"""The whole job in one call: upload, validate, run, wait."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, TypedDict, Unpack
from uuid import UUID

from winnow.inputs import PreparedInput, open_input
from winnow.operations.datasets import wait_for_dataset
from winnow.operations.jobs import create_job, get_selector, score_dataset
from winnow.operations.uploads import send_new
from winnow.operations.watching import wait_for_job
from winnow.resources import (
    Dataset,
    DatasetId,
    DatasetRequest,
    Job,
    JobRequest,
    JsonObject,
    Role,
    SelectorId,
)
from winnow.transport import Transport

OnProgress = Callable[[str, float], None]
"""Called with what is being done, and which fraction in [0, 1] of it is done."""


class ReadOptions(TypedDict, total=False):
    """How files are read, and whom progress is told.

    Attributes:
        label_column: The column of a table that holds the class; else ``label``.
        id_column: The column that holds the sample's id; else ``id``, if present.
        image_size: Side in pixels to which images are resized; needed where sizes differ.
        modality: image, text, tabular or embedding; else read off the content.
        on_progress: Called with what is being done, and which fraction of it is done.
    """

    label_column: str | None
    id_column: str | None
    image_size: int | None
    modality: str | None
    on_progress: OnProgress


class CurateOptions(ReadOptions, total=False):
    """How a pool is curated.

    Attributes:
        test: Real samples for the report; else it is cross-validated on the reference set.
        method: How samples are weighed; ``winnow`` by default.
        config: Settings that differ from the defaults.
        seed: The same seed and data give the same result; 0 by default.
        keep: Fraction of the pool to keep; else the job suggests one.
        balance: Whether to keep the same fraction of every class.
    """

    test: str | Path | None
    method: str
    config: JsonObject
    seed: int
    keep: float
    balance: bool


def _tell_nobody(_: str, __: float) -> None:
    """Reports progress to nobody."""


async def curate(
    transport: Transport,
    synthetic: str | Path,
    reference: str | Path,
    **options: Unpack[CurateOptions],
) -> Job:
    """Uploads the datasets, weighs the synthetic one, and returns the job that succeeded."""
    paths = {Role.SYNTHETIC: synthetic, Role.REFERENCE: reference}
    test = options.get("test")
    if test is not None:
        paths[Role.TEST] = test
    datasets = await _upload_all(transport, paths, options)
    config: dict[str, Any] = dict(options.get("config", {}))
    for name in ("keep", "balance"):
        if name in options:
            config[name] = options[name]
    request = JobRequest(
        synthetic_id=datasets[Role.SYNTHETIC].id,
        reference_id=datasets[Role.REFERENCE].id,
        test_id=datasets[Role.TEST].id if Role.TEST in datasets else None,
        method=options.get("method", "winnow"),
        config=config,
        seed=options.get("seed", 0),
    )
    job = await create_job(transport, request)
    return await _follow(transport, job, "curating", options)


async def score(
    transport: Transport,
    selector_id: SelectorId,
    dataset: str | Path | UUID,
    **options: Unpack[ReadOptions],
) -> Job:
    """Scores a dataset, uploaded where it is a path, and returns the job that succeeded."""
    # Asked first, so that a selector that is not there costs no upload.
    selector = await get_selector(transport, selector_id)
    if isinstance(dataset, UUID):
        dataset_id = DatasetId(dataset)
    else:
        paths = {Role.SYNTHETIC: dataset}
        dataset_id = (await _upload_all(transport, paths, options))[Role.SYNTHETIC].id
    job = await score_dataset(transport, selector.id, dataset_id)
    return await _follow(transport, job, "scoring", options)


async def _upload_all(
    transport: Transport, paths: dict[Role, str | Path], options: ReadOptions
) -> dict[Role, Dataset]:
    """Uploads every dataset, then waits for the validation of all."""
    tell = options.get("on_progress", _tell_nobody)
    with ExitStack() as stack:
        # All are opened before the first is sent, so that a misspelt path costs no upload.
        opened = {
            role: await transport.wire.work(partial(stack.enter_context, open_input(Path(path))))
            for role, path in paths.items()
        }
        sent = [await _send(transport, role, source, options) for role, source in opened.items()]
    ready = []
    for dataset in sent:
        tell(f"validating {dataset.role}", 0.0)
        ready.append(await wait_for_dataset(transport, dataset.id))
        tell(f"validating {dataset.role}", 1.0)
    return {dataset.role: dataset for dataset in ready}


async def _send(
    transport: Transport, role: Role, source: PreparedInput, options: ReadOptions
) -> Dataset:
    tell = options.get("on_progress", _tell_nobody)
    request = DatasetRequest(
        name=source.name,
        role=role,
        modality=options.get("modality"),
        label_column=options.get("label_column"),
        id_column=options.get("id_column"),
        image_size=options.get("image_size"),
    )
    size_bytes = max(source.size_bytes, 1)
    return await send_new(
        transport,
        source,
        request,
        on_progress=lambda sent_bytes: tell(f"uploading {role}", sent_bytes / size_bytes),
    )


async def _follow(transport: Transport, job: Job, doing: str, options: ReadOptions) -> Job:
    tell = options.get("on_progress", _tell_nobody)
    return await wait_for_job(
        transport, job.id, on_news=lambda news: tell(f"{doing}: {_phase_of(news)}", news.fraction)
    )


def _phase_of(job: Job) -> str:
    return job.phase or job.state.value
