"""What a client sends and receives about datasets."""

from dataclasses import asdict
from typing import Annotated

from pydantic import Field

from api.schemas.fields import (
    ColumnName,
    DisplayName,
    Identifier,
    ImportUrl,
    Page,
    RequestModel,
    ResponseModel,
    UtcTime,
    Whole,
)
from curation.dataset_warnings import warnings_from_json
from curation.feature_columns import ColumnKind, columns_from_json
from curation.models import Dataset, DatasetRejection, DatasetState, Modality, Role

MAX_IMAGE_SIDE = 1024
ImageSide = Annotated[int, Field(strict=True, ge=8, le=MAX_IMAGE_SIDE), Whole]


class DatasetCreate(RequestModel):
    """A dataset to be made; its content is uploaded afterwards."""

    name: DisplayName = Field(examples=["digits, synthetic"])
    role: Role = Field(examples=["synthetic"])
    modality: Modality | None = Field(
        default=None, description="Null lets validation read it off the content."
    )
    label_column: ColumnName | None = Field(
        default=None, description="The column of a table that holds the class; null is `label`."
    )
    id_column: ColumnName | None = Field(
        default=None, description="The column that holds the sample's id; null is `id`, if present."
    )
    image_size: ImageSide | None = Field(
        default=None,
        description="Side in pixels to which all images are resized; needed where sizes differ.",
    )


class DatasetImport(DatasetCreate):
    """A dataset to be made of a file that a worker fetches."""

    url: ImportUrl = Field(
        description="`s3://bucket/key` of one file, under what the operator allows; nothing in the"
        " key is escaped. The key's ending says how to read the file.",
        examples=["s3://pools/digits/synthetic.zip"],
    )


class DatasetContent(ResponseModel):
    """The file that was uploaded, or fetched."""

    file_name: str = Field(examples=["synthetic.zip"])
    size_bytes: int = Field(examples=[1_203_311])
    sha256: str = Field(description="Lower-case hexadecimal SHA-256 of the file.")


class ClassCount(ResponseModel):
    """A class and how many accepted samples it has."""

    name: str = Field(examples=["seven"])
    count: int = Field(examples=[312])


class FeatureColumnView(ResponseModel):
    """A column of a tabular dataset that is learned from."""

    name: str = Field(examples=["age"])
    kind: ColumnKind = Field(
        description="What its values are, missing ones aside; empty fits every kind."
    )


class DatasetWarningView(ResponseModel):
    """Something about a ready dataset that may have been meant otherwise."""

    reason: str = Field(examples=["TEXT_AS_CATEGORY"])
    detail: str = Field(description="What was understood, and why that may be wrong.")
    field: str | None = Field(description="The column that it is about.")
    cure: str = Field(description="What to do to have it otherwise.")


class DatasetFailure(ResponseModel):
    """Why a dataset is invalid."""

    reason: str = Field(examples=["MIXED_IMAGE_SIZES"])
    detail: str
    field: str | None
    row: int | None
    cure: str | None


class DatasetView(ResponseModel):
    """A dataset: state, counts by class, and the reason where it was refused."""

    id: Identifier
    name: str
    role: Role
    modality: Modality | None
    state: DatasetState = Field(
        description="created (no content yet), validating, ready, or invalid (see `failure`)."
    )
    label_column: str | None
    id_column: str | None
    image_size: int | None
    content: DatasetContent | None
    sample_count: int | None = Field(description="Samples accepted; null until validated.")
    rejected_count: int = Field(description="Rows rejected; see `/rejections`.")
    classes: list[ClassCount] = Field(description="In label order, empty until validated.")
    input_shape: list[int] | None = Field(
        description="[dimension] or [channels, height, width]; null where it does not apply."
    )
    feature_columns: list[FeatureColumnView] = Field(
        description="Columns of a table in its order; empty for other samples."
    )
    warnings: list[DatasetWarningView] = Field(
        description="What may have been meant otherwise; the dataset can be used all the same."
    )
    failure: DatasetFailure | None
    created_at: UtcTime
    validated_at: UtcTime | None

    @classmethod
    def from_row(cls, row: Dataset) -> "DatasetView":
        """Return the wire form of a dataset's row."""
        counts = row.class_counts or {}
        return cls(
            id=row.id,
            name=row.name,
            role=row.role,
            modality=row.modality,
            state=row.state,
            label_column=row.label_column,
            id_column=row.id_column,
            image_size=row.image_size,
            content=_content_of(row),
            sample_count=row.sample_count,
            rejected_count=row.rejected_count,
            classes=[
                ClassCount(name=name, count=counts.get(name, 0)) for name in row.class_names or []
            ],
            input_shape=row.input_shape,
            feature_columns=[
                FeatureColumnView(name=column.name, kind=column.kind)
                for column in columns_from_json(row.feature_columns or [])
            ],
            warnings=[
                DatasetWarningView(**asdict(warning))
                for warning in warnings_from_json(row.warnings or [])
            ],
            failure=_failure_of(row),
            created_at=row.created_at,
            validated_at=row.validated_at,
        )


def _content_of(row: Dataset) -> DatasetContent | None:
    if row.content_digest is None or row.content_name is None or row.content_bytes is None:
        return None
    return DatasetContent(
        file_name=row.content_name, size_bytes=row.content_bytes, sha256=row.content_digest
    )


def _failure_of(row: Dataset) -> DatasetFailure | None:
    if row.failure_reason is None:
        return None
    return DatasetFailure(
        reason=row.failure_reason,
        detail=row.failure_detail or "",
        field=row.failure_field,
        row=row.failure_row,
        cure=row.failure_cure,
    )


class DatasetPage(Page):
    """One page of datasets, newest first."""

    items: list[DatasetView]


class RejectionView(ResponseModel):
    """A row that validation rejected, and why."""

    ordinal: int = Field(description="Counts the rejections from 0.")
    row: int | None = Field(description="Row in the user's own file, counted from 1.")
    name: str | None = Field(description="The sample's id or file name, where it is known.")
    field: str | None
    reason: str = Field(examples=["CORRUPT_IMAGE"])
    detail: str

    @classmethod
    def from_row(cls, row: DatasetRejection) -> "RejectionView":
        """Return the wire form of a rejection's row."""
        return cls(
            ordinal=row.ordinal,
            row=row.row,
            name=row.name,
            field=row.field,
            reason=row.reason,
            detail=row.detail,
        )


class RejectionPage(Page):
    """One page of rejected rows, in the order in which they were met."""

    items: list[RejectionView]
