"""What a new job must satisfy before its row is made."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy.orm import Session

from curation.datasets import get_dataset
from curation.errors import InvalidInputError, NotFoundError
from curation.feature_columns import FeatureColumn, check_columns_agree, columns_from_json
from curation.identifiers import DatasetId, SelectorId, WorkspaceId
from curation.job_config import resolve_job_config
from curation.models import Dataset, DatasetState, Modality, Role, Selector
from curation.settings import CurationSettings

_MAX_SEED = 2**63 - 1
_NAMES_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """What a user asks for.

    Attributes:
        synthetic_id: The pool to curate.
        reference_id: The trusted real samples.
        test_id: Samples to judge by, or None to judge by cross-validation on the reference.
        method: How the samples are weighed.
        config: The method's settings, as far as they differ from the defaults.
        seed: Seed of every random choice.
        max_runtime_seconds: Longest run, or None for the installation's limit.
    """

    synthetic_id: DatasetId
    reference_id: DatasetId
    test_id: DatasetId | None = None
    method: str = "winnow"
    config: dict[str, Any]  # JSON values, checked by `job_config`.
    seed: int = 0
    max_runtime_seconds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRequest:
    """A dataset to be scored by a selector, without training.

    Attributes:
        selector_id: What scores.
        synthetic_id: The samples to score.
        max_runtime_seconds: Longest run, or None for the installation's limit.
    """

    selector_id: SelectorId
    synthetic_id: DatasetId
    max_runtime_seconds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedRequest:
    """What an acceptable request comes to.

    Attributes:
        synthetic: The pool.
        reference: The trusted real samples.
        test: Samples to judge by, or None.
        config: The method's settings in full.
        max_runtime_seconds: Longest run.
    """

    synthetic: Dataset
    reference: Dataset
    test: Dataset | None
    config: dict[str, Any]  # JSON values of a validated config.
    max_runtime_seconds: int


def request_hash(request: JobRequest | ScoreRequest) -> bytes:
    """Return the SHA-256 of a request, equal for requests that ask for the same."""
    canonical = json.dumps(asdict(request), sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).digest()


def check_job_request(
    session: Session, workspace_id: WorkspaceId, request: JobRequest, settings: CurationSettings
) -> CheckedRequest:
    """Return what a request comes to; whoever makes or weighs a job refuses by this alone.

    Args:
        session: The transaction.
        workspace_id: Who asks.
        request: What is asked for.
        settings: Limits of the installation.

    Raises:
        InvalidInputError: Datasets do not exist, are not ready or do not fit together, or a setting
            is unknown or out of range; field, detail and cure say which and why.
    """
    synthetic = _ready_dataset(
        session, workspace_id, request.synthetic_id, Role.SYNTHETIC, "synthetic_id"
    )
    reference = _ready_dataset(
        session, workspace_id, request.reference_id, Role.REFERENCE, "reference_id"
    )
    _check_pair(synthetic, reference, "reference_id")
    test = None
    if request.test_id is not None:
        test = _ready_dataset(session, workspace_id, request.test_id, Role.TEST, "test_id")
        _check_pair(synthetic, test, "test_id")
    config = resolve_job_config(request.method, request.config)
    _check_seed(request.seed)
    return CheckedRequest(
        synthetic=synthetic,
        reference=reference,
        test=test,
        config=config,
        max_runtime_seconds=checked_runtime(request.max_runtime_seconds, settings),
    )


def checked_runtime(seconds: int | None, settings: CurationSettings) -> int:
    """Return the longest run in seconds, the installation's limit where none is asked for.

    Raises:
        InvalidInputError: It is not positive, or longer than the installation allows.
    """
    longest = settings.max_runtime_seconds
    if seconds is None:
        return longest
    if not 0 < seconds <= longest:
        raise InvalidInputError(
            "OUT_OF_RANGE",
            f"max_runtime_seconds has to lie between 1 and {longest}.",
            field="max_runtime_seconds",
            cure="Leave it out to take the installation's limit.",
        )
    return seconds


def check_scorable(
    session: Session, workspace_id: WorkspaceId, selector: Selector, dataset_id: DatasetId
) -> None:
    """Refuse a dataset that a selector cannot score.

    Raises:
        InvalidInputError: The dataset does not exist, is not ready, or has another modality, shape
            columns, or classes that the selector does not know.
    """
    field = "dataset_id"
    dataset = _ready_dataset(session, workspace_id, dataset_id, Role.SYNTHETIC, field)
    if dataset.modality is not selector.modality:
        raise InvalidInputError(
            "MODALITY_DIFFERS",
            f"The dataset holds {dataset.modality} samples; the selector scores"
            f" {selector.modality} samples.",
            field=field,
            cure="Name a dataset of the selector's modality.",
        )
    if selector.feature_columns is not None:
        known = columns_from_json(selector.feature_columns)
        check_columns_agree(_columns(dataset, field), known, role="selector's", field=field)
    elif dataset.input_shape != selector.input_shape:
        raise InvalidInputError(
            "SHAPES_DIFFER",
            f"Samples of the dataset are {_shape(dataset)}, those of the selector"
            f" {_shape(selector)}.",
            field=field,
            cure=_shape_cure(dataset),
        )
    unknown = sorted(set(dataset.class_names or ()) - set(selector.class_names))
    if unknown:
        raise InvalidInputError(
            "CLASSES_UNKNOWN",
            f"The selector does not know these classes of the dataset: {_listed(unknown)}.",
            field=field,
            cure=f"Its classes are {_listed(selector.class_names)}: rename or leave out samples,"
            " or curate the dataset by a job of its own.",
        )


def _check_seed(seed: int) -> None:
    if not 0 <= seed <= _MAX_SEED:
        raise InvalidInputError(
            "OUT_OF_RANGE",
            f"The seed has to lie between 0 and {_MAX_SEED}.",
            field="seed",
            cure="Choose another seed.",
        )


def _ready_dataset(
    session: Session, workspace_id: WorkspaceId, dataset_id: DatasetId, role: Role, field: str
) -> Dataset:
    try:
        dataset = get_dataset(session, workspace_id, dataset_id)
    except NotFoundError as error:
        raise InvalidInputError(
            "DATASET_NOT_FOUND",
            error.detail,
            field=field,
            cure="Name a dataset of this workspace.",
        ) from error
    if dataset.role is not role:
        raise InvalidInputError(
            "WRONG_ROLE",
            f"Dataset {dataset_id} is of role {dataset.role}, not {role}.",
            field=field,
            cure=f"Name a dataset of role {role}.",
        )
    if dataset.state is not DatasetState.READY:
        raise InvalidInputError(
            "DATASET_NOT_READY",
            f"Dataset {dataset_id} is {dataset.state}.",
            field=field,
            cure=_readiness_cure(dataset),
        )
    return dataset


def _readiness_cure(dataset: Dataset) -> str:
    match dataset.state:
        case DatasetState.CREATED:
            return "Upload its content first."
        case DatasetState.VALIDATING:
            return "Wait until its validation is done."
        case _:
            return dataset.failure_cure or "Upload a content that passes validation."


def _check_pair(synthetic: Dataset, other: Dataset, field: str) -> None:
    if other.modality is not synthetic.modality:
        raise InvalidInputError(
            "MODALITY_DIFFERS",
            f"The {other.role} set holds {other.modality} samples, the synthetic set"
            f" {synthetic.modality} samples.",
            field=field,
            cure="Use sets of one modality.",
        )
    if synthetic.modality is Modality.TABULAR:
        check_columns_agree(
            _columns(synthetic, "synthetic_id"),
            _columns(other, field),
            role=other.role,
            field=field,
        )
    elif other.input_shape != synthetic.input_shape:
        raise InvalidInputError(
            "SHAPES_DIFFER",
            f"Samples of the {other.role} set are {_shape(other)}, those of the synthetic set"
            f" {_shape(synthetic)}.",
            field=field,
            cure=_shape_cure(synthetic),
        )
    _check_classes(synthetic, other, field)


def _columns(dataset: Dataset, field: str) -> tuple[FeatureColumn, ...]:
    if dataset.feature_columns is None:
        raise InvalidInputError(
            "COLUMNS_UNKNOWN",
            f"Dataset {dataset.id} was validated before the columns of tables were kept.",
            field=field,
            cure="Upload the table again.",
        )
    return columns_from_json(dataset.feature_columns)


def _check_classes(synthetic: Dataset, other: Dataset, field: str) -> None:
    here, there = set(synthetic.class_names or ()), set(other.class_names or ())
    if here == there:
        return
    parts = []
    if here - there:
        parts.append(f"only in the synthetic set: {_listed(sorted(here - there))}")
    if there - here:
        parts.append(f"only in the {other.role} set: {_listed(sorted(there - here))}")
    raise InvalidInputError(
        "CLASSES_DIFFER",
        f"The sets have different classes ({'; '.join(parts)}).",
        field=field,
        cure="Classes are matched by name: rename them, or add or remove samples.",
    )


def _shape(dataset: Dataset | Selector) -> str:
    sides = " x ".join(str(side) for side in dataset.input_shape or ())
    order = "channels x height x width" if dataset.modality is Modality.IMAGE else "long"
    return f"{sides} ({order})" if dataset.modality is Modality.IMAGE else f"{sides} {order}"


def _shape_cure(dataset: Dataset) -> str:
    if dataset.modality is Modality.IMAGE:
        return "Give both sets the same image_size, and both colour or both grey images."
    return "Make both sets' embeddings with the same encoder."


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:_NAMES_SHOWN])
    hidden = len(names) - _NAMES_SHOWN
    return f"{shown} and {hidden} more" if hidden > 0 else shown
