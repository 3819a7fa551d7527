"""The validation of an upload, from its bytes to the normalised file; no database, no network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from curation.census import Rejection
from curation.dataset_warnings import DatasetWarning
from curation.embeddings import read_npz
from curation.errors import InvalidInputError
from curation.feature_columns import ColumnKind, FeatureColumn
from curation.image_archives import read_image_archive
from curation.intake import Content, Intake, ValidationRequest
from curation.sample_kinds import Modality
from curation.table_files import read_table
from curation.upload_kinds import UploadKind
from curation.validation_limits import ValidationLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """A dataset that passed.

    Attributes:
        modality: What the samples are.
        sample_count: The number of accepted samples.
        class_names: Names of the classes, by label.
        class_counts: The number of samples of each class.
        input_shape: `[dimension]`, `[channels, height, width]`, or None for texts.
        feature_columns: What is learned from, for tables; none for other samples.
        rejected_count: The number of rows that are left out.
        rejections: Why, for as many of them as the limits allow.
        warnings: What the user may have meant otherwise.
    """

    modality: Modality
    sample_count: int
    class_names: Sequence[str]
    class_counts: Mapping[str, int]
    input_shape: Sequence[int] | None
    feature_columns: Sequence[FeatureColumn]
    rejected_count: int
    rejections: Sequence[Rejection]
    warnings: Sequence[DatasetWarning] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """A dataset that did not pass.

    Attributes:
        error: Why, and what helps.
        rejected_count: The number of rows that had been left out by then.
        rejections: Why, for as many of them as the limits allow.
    """

    error: InvalidInputError
    rejected_count: int
    rejections: Sequence[Rejection]


def validate_dataset(
    path: Path, destination: Path, request: ValidationRequest, limits: ValidationLimits
) -> Validation | Refusal:
    """Return what an upload holds, and write its normalised form where it passes.

    Args:
        path: The upload.
        destination: Where the normalised Parquet file goes; a draft is written beside it.
        request: What the user said about it.
        limits: Caps.
    """
    draft = destination.with_suffix(".draft")
    with Intake(draft, limits) as intake:
        try:
            content = _read(path, request, limits, intake)
            columns = intake.finish(destination, request.role, content.modality)
            features = columns if content.modality is Modality.TABULAR else ()
            input_shape = _input_shape(content, features)
        except InvalidInputError as error:
            census = intake.census
            return Refusal(error, census.rejected_count, tuple(census.rejections))
        finally:
            draft.unlink(missing_ok=True)
        census = intake.census
        return Validation(
            modality=content.modality,
            sample_count=census.sample_count,
            class_names=census.class_names(),
            class_counts=census.class_counts(),
            input_shape=input_shape,
            feature_columns=features,
            rejected_count=census.rejected_count,
            rejections=tuple(census.rejections),
            warnings=content.warnings,
        )


def _read(
    path: Path, request: ValidationRequest, limits: ValidationLimits, intake: Intake
) -> Content:
    kind = UploadKind.of(request.file_name)
    match kind:
        case UploadKind.ZIP | UploadKind.TAR | UploadKind.TAR_GZ:
            return read_image_archive(path, kind, request=request, limits=limits, intake=intake)
        case UploadKind.NPZ:
            return read_npz(path, request, limits, intake)
        case UploadKind.CSV | UploadKind.JSONL | UploadKind.PARQUET:
            return read_table(path, kind, request, intake)
        case None:
            raise InvalidInputError(
                "UNSUPPORTED_FORMAT",
                "The file's ending names no format that can be read.",
                field="file_name",
                cure=f"Upload one of: {', '.join(UploadKind.endings())}.",
            )


def _input_shape(content: Content, features: Sequence[FeatureColumn]) -> Sequence[int] | None:
    if content.modality is not Modality.TABULAR:
        return content.input_shape
    if all(column.kind is ColumnKind.EMPTY for column in features):
        raise InvalidInputError(
            "NO_FEATURES",
            "The table has no column with values beside label, id and source.",
            field="content",
            cure="Add the columns to learn from.",
        )
    return [len(features)]
