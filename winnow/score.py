"""Scores a new dataset by a selector: uploads it where needed, and brings the results home."""

from dataclasses import dataclass, replace
from pathlib import Path

from winnow.connection import Connection
from winnow.curate import await_validation, follow_job, upload
from winnow.display import Display
from winnow.inputs import open_input
from winnow.operations.output_folder import Outcome
from winnow.resources import DatasetId, DatasetRequest, Role, SelectorId


@dataclass(frozen=True, kw_only=True)
class ScoreRequest:
    """What to score by what.

    Attributes:
        selector_id: What scores.
        dataset: A path to upload, or the id of a dataset that is there already.
        shape: How a path is read; its role is set.
    """

    selector_id: SelectorId
    dataset: Path | DatasetId
    shape: DatasetRequest


def score(connection: Connection, request: ScoreRequest, out: Path, display: Display) -> Outcome:
    """Scores the dataset and writes the results into the folder ``out``.

    Raises:
        InputError: the path cannot be read.
        DatasetInvalidError: validation refused the dataset.
        JobFailedError: the scoring failed.
        ApiError: the service refused a request, such as for a class that the selector lacks.
    """
    client = connection.client
    # Asked first, so that a selector that is not there costs no upload.
    selector = client.get_selector(request.selector_id)
    dataset_id = _dataset_id(connection, request, display)
    job = client.score_dataset(selector.id, dataset_id)
    display.say(f"Job {job.id}")
    job = follow_job(connection, job, display)
    with display.task("Downloading the results") as update:
        return client.write_results(job, out, on_progress=lambda done: update(done, "", ""))


def _dataset_id(connection: Connection, request: ScoreRequest, display: Display) -> DatasetId:
    if not isinstance(request.dataset, Path):
        return request.dataset
    shape = replace(request.shape, role=Role.SYNTHETIC)
    with open_input(request.dataset) as source:
        dataset = upload(connection.client, source, shape, display)
    return await_validation(connection, dataset, display).id
