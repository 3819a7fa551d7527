"""A finished job with its results at hand, for both clients."""

from dataclasses import dataclass
from pathlib import Path
from typing import final

from winnow.operation import AsyncRunner, BlockingRunner, Operation
from winnow.operations import output_folder, results
from winnow.resources import Job, JobId, JsonObject, Selection, SelectionRule, describe_rule
from winnow.tables import ResultTable
from winnow.transport import Transport


@dataclass(frozen=True)
class _Place:
    """Where the results lie."""

    transport: Transport
    job: Job


async def _weights(place: _Place) -> ResultTable:
    """Returns position, score, weight, rank and keep of every sample as a table."""
    return await results.get_weights_table(place.transport, place.job.id)


async def _manifest(place: _Place) -> ResultTable:
    """Returns every sample with its score, weight, rank and whether it is kept as a table."""
    return await results.get_manifest_table(place.transport, place.job.id)


async def _kept(place: _Place) -> ResultTable:
    """Returns the manifest of the kept samples alone as a table."""
    return await results.get_manifest_table(place.transport, place.job.id, is_kept_only=True)


async def _report(place: _Place) -> JsonObject:
    """Returns accuracy before and after curation, and the settings that gave it."""
    return await results.get_report(place.transport, place.job.id)


async def _traces(place: _Place) -> JsonObject:
    """Returns every series recorded in training, by name, with its steps and values."""
    return await results.get_traces(place.transport, place.job.id)


async def _select(place: _Place, rule: SelectionRule, *, name: str | None = None) -> Selection:
    """Makes a named cut of the samples; without a name it is called after its rule."""
    return await results.create_selection(
        place.transport, place.job.id, name=name or describe_rule(rule), rule=rule
    )


async def _download(place: _Place, folder: str | Path) -> list[Path]:
    """Writes manifest, kept rows, weights, traces and report into a folder; returns the files.

    Raises:
        InputError: the folder cannot be made.
    """
    outcome = await output_folder.write_results(place.transport, place.job, Path(folder))
    return outcome.files


class _FinishedJobOperations:
    weights = Operation(_weights)
    manifest = Operation(_manifest)
    kept = Operation(_kept)
    report = Operation(_report)
    traces = Operation(_traces)
    select = Operation(_select)
    download = Operation(_download)

    job: Job
    """The job as it ended."""

    @property
    def id(self) -> JobId:
        """The job's id."""
        return self.job.id

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.job.id})"


@final
class FinishedJob(_FinishedJobOperations, BlockingRunner[_Place]):
    """A job that succeeded: ``finished.weights().to_pandas()``."""

    def __init__(self, transport: Transport, job: Job) -> None:
        """Reads the job's results over the transport, when they are asked for."""
        super().__init__(_Place(transport, job))
        self.job = job


@final
class AsyncFinishedJob(_FinishedJobOperations, AsyncRunner[_Place]):
    """A job that succeeded: ``(await finished.weights()).to_pandas()``."""

    def __init__(self, transport: Transport, job: Job) -> None:
        """Reads the job's results over the transport, when they are asked for."""
        super().__init__(_Place(transport, job))
        self.job = job
