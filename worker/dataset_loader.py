"""Loads the datasets of a job: what the database says of them, their arrays, their classes."""

import mmap
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sqlalchemy import Engine

from curation.database import unit_of_work
from curation.datasets import get_dataset
from curation.errors import InvalidInputError, NotFoundError
from curation.feature_columns import (
    FeatureColumn,
    check_columns_agree,
    columns_from_json,
    merged_columns,
)
from curation.identifiers import DatasetId, WorkspaceId
from curation.jobs import Claim
from curation.models import Dataset, DatasetState, Modality
from curation.objects import ObjectStore
from mts_core.pipeline import CurationData
from mts_core.selector_scoring import UnseenSamples
from mts_core.table_columns import TableColumn
from worker.decoded_files import ClassMap, LoadedSet
from worker.decoding_process import DecodingBounds, StoredSet, decode_sets
from worker.sample_arrays import InvalidDataError, SetFacts
from worker.table_arrays import TableReader


class DatasetMissingError(Exception):
    """A dataset of the job, or its content, is no longer there."""


@dataclass(frozen=True)
class PoolRows:
    """What results say of each sample beside its score.

    Attributes:
        sample_ids: Names, by position.
        labels: [sample], int64, index into the dataset's class names.
    """

    sample_ids: pa.ChunkedArray
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class LoadedSamples:
    """What a run needs of its datasets.

    Attributes:
        data: Arrays to learn from.
        pool_rows: Names and labels of the pool's samples.
        class_names: Names of the classes, by label.
        feature_columns: Columns of the tables together; none where the sets are no tables.
        mappings: Files behind the inputs that are mapped instead of held.
    """

    data: CurationData
    pool_rows: PoolRows
    class_names: tuple[str, ...]
    feature_columns: tuple[FeatureColumn, ...] | None
    mappings: tuple[mmap.mmap, ...]


@dataclass(frozen=True)
class LoadedUnseen:
    """What a selector's run needs of its dataset.

    Attributes:
        samples: Arrays to score; labels count the selector's classes.
        pool_rows: Names and labels of the samples; these labels count the dataset's own classes.
        mappings: Files behind the inputs that are mapped instead of held.
    """

    samples: UnseenSamples
    pool_rows: PoolRows
    mappings: tuple[mmap.mmap, ...]


def load_samples(
    engine: Engine, store: ObjectStore, claim: Claim, *, bounds: DecodingBounds
) -> LoadedSamples:
    """Return the samples of a job's datasets, with classes matched by name.

    Labels count the synthetic set's class names, in their order.

    Args:
        engine: The database.
        store: Where the samples lie.
        claim: The attempt; names the datasets.
        bounds: Where to decode, and what it may cost.

    Raises:
        DatasetMissingError: A dataset or its samples are not there any more.
        InvalidDataError: Shapes or classes of the sets do not fit together, or a file does not
            decode within the bounds.
        DecodingStoppedError: The run is to end.
        DecodingInterruptedError: Somebody else ended the process that decodes.
    """
    if claim.reference_id is None:
        raise DatasetMissingError("The job names no reference dataset.")
    pool_facts = _facts(engine, claim.workspace_id, claim.synthetic_id, "synthetic")
    reference_facts = _facts(engine, claim.workspace_id, claim.reference_id, "reference")
    test_facts = (
        None if claim.test_id is None else _facts(engine, claim.workspace_id, claim.test_id, "test")
    )
    others = [facts for facts in (reference_facts, test_facts) if facts is not None]
    for facts in others:
        _check_same_kind(pool_facts, facts)
    columns = _joined_columns([pool_facts, *others])
    table = None if columns is None else TableReader(columns)
    class_maps = [
        match_classes(facts.class_names, pool_facts.class_names, role=facts.role)
        for facts in (pool_facts, *others)
    ]
    with ExitStack() as files:
        sets = [
            StoredSet(files.enter_context(_samples_file(store, facts)), facts, class_map)
            for facts, class_map in zip((pool_facts, *others), class_maps, strict=True)
        ]
        pool, reference, *rest = decode_sets(sets, table, bounds)
    test = rest[0] if rest else None
    _check_reference_classes(reference.labels, pool_facts.class_names)
    data = CurationData(
        pool_inputs=pool.inputs,
        pool_labels=pool.labels,
        pool_is_real=pool.is_real,
        reference_inputs=reference.inputs,
        reference_labels=reference.labels,
        test_inputs=None if test is None else test.inputs,
        test_labels=None if test is None else test.labels,
        class_count=len(pool_facts.class_names),
        table_columns=None if table is None else table.table_columns,
    )
    return LoadedSamples(
        data=data,
        pool_rows=PoolRows(pool.sample_ids, pool.labels),
        class_names=pool_facts.class_names,
        feature_columns=columns,
        mappings=_mappings(pool, reference, test),
    )


def load_unseen(  # noqa: PLR0913 - as `load_samples`, and what the selector knows.
    engine: Engine,
    store: ObjectStore,
    claim: Claim,
    *,
    class_names: Sequence[str],
    table_columns: Sequence[TableColumn],
    bounds: DecodingBounds,
) -> LoadedUnseen:
    """Return the samples that a selector is to score, with classes matched by name.

    Args:
        engine: The database.
        store: Where the samples lie.
        claim: The attempt; names the dataset.
        class_names: The selector's classes, by its labels.
        table_columns: Columns of the tables that it reads; empty for other samples.
        bounds: Where to decode, and what it may cost.

    Raises:
        DatasetMissingError: The dataset or its samples are not there any more.
        InvalidDataError: The selector does not know one of its classes, or the file does not
            decode within the bounds.
        DecodingStoppedError: The run is to end.
        DecodingInterruptedError: Somebody else ended the process that decodes.
    """
    facts = _facts(engine, claim.workspace_id, claim.synthetic_id, "synthetic")
    unknown = [name for name in facts.class_names if name not in class_names]
    if unknown:
        raise InvalidDataError(f"The selector does not know these classes: {', '.join(unknown)}.")
    places = np.array([class_names.index(name) for name in facts.class_names], dtype=np.int64)
    table = TableReader.like(table_columns) if facts.modality is Modality.TABULAR else None
    own = ClassMap(np.arange(len(facts.class_names), dtype=np.int64))
    with _samples_file(store, facts) as path:
        (pool,) = decode_sets([StoredSet(path, facts, own)], table, bounds)
    return LoadedUnseen(
        samples=UnseenSamples(pool.inputs, places[pool.labels], pool.is_real),
        pool_rows=PoolRows(pool.sample_ids, pool.labels),
        mappings=_mappings(pool),
    )


def release_mapped(mappings: Sequence[mmap.mmap]) -> None:
    """Let go of the memory of mapped inputs; what is read again comes back from the file.

    Args:
        mappings: Files behind inputs.
    """
    for mapping in mappings:
        mapping.madvise(mmap.MADV_DONTNEED)


def match_classes(names: Sequence[str], pool_names: Sequence[str], *, role: str) -> ClassMap:
    """Return, for each class of a set, the pool's index of the class with the same name.

    Args:
        names: Class names of the set, by its own index.
        pool_names: Class names of the pool.
        role: What the set is, for the message.

    Raises:
        InvalidDataError: The pool lacks a class.
    """
    index = {name: position for position, name in enumerate(pool_names)}
    unknown = [name for name in names if name not in index]
    if unknown:
        raise InvalidDataError(
            f"The {role} set has classes that the synthetic set lacks: {', '.join(unknown)}."
        )
    return ClassMap(np.array([index[name] for name in names], dtype=np.int64))


def _mappings(*sets: LoadedSet | None) -> tuple[mmap.mmap, ...]:
    return tuple(part.mapping for part in sets if part and part.mapping is not None)


def _facts(engine: Engine, workspace_id: WorkspaceId, dataset_id: DatasetId, role: str) -> SetFacts:
    with unit_of_work(engine) as session:
        try:
            row = get_dataset(session, workspace_id, dataset_id)
        except NotFoundError as error:
            raise DatasetMissingError(f"The {role} dataset was deleted.") from error
        return _checked_facts(row, role)


def _checked_facts(row: Dataset, role: str) -> SetFacts:
    if row.state != DatasetState.READY:
        raise InvalidDataError(f"The {role} dataset is not ready.")
    # The database's constraints promise these of a ready dataset.
    return SetFacts(
        role=role,
        digest=_present(row.samples_digest),
        modality=_present(row.modality),
        sample_count=_present(row.sample_count),
        input_shape=() if row.modality is Modality.TEXT else tuple(_present(row.input_shape)),
        class_names=tuple(_present(row.class_names)),
        feature_columns=columns_from_json(row.feature_columns or []),
    )


def _present(value: Any) -> Any:  # Any: whatever the nullable column holds.
    if value is None:
        raise InvalidDataError("A ready dataset lacks a value that it must have.")
    return value


def _check_same_kind(pool: SetFacts, other: SetFacts) -> None:
    if other.modality != pool.modality:
        raise InvalidDataError(
            f"The synthetic set holds {pool.modality} samples and the {other.role} set "
            f"{other.modality} samples."
        )
    if pool.modality is Modality.TABULAR:
        try:
            check_columns_agree(
                pool.feature_columns, other.feature_columns, role=other.role, field=other.role
            )
        except InvalidInputError as error:
            raise InvalidDataError(error.detail) from error
    elif other.input_shape != pool.input_shape:
        raise InvalidDataError(
            f"Samples of the synthetic set have shape {list(pool.input_shape)} and those of the "
            f"{other.role} set {list(other.input_shape)}."
        )


def _check_reference_classes(labels: NDArray[np.int64], class_names: Sequence[str]) -> None:
    counts = np.bincount(labels, minlength=len(class_names))
    missing = [name for name, count in zip(class_names, counts, strict=True) if count == 0]
    if missing:
        raise InvalidDataError(
            f"The reference set has no sample of these classes: {', '.join(missing)}."
        )


def _joined_columns(sets: Sequence[SetFacts]) -> tuple[FeatureColumn, ...] | None:
    if sets[0].modality is not Modality.TABULAR:
        return None
    return merged_columns([facts.feature_columns for facts in sets])


@contextmanager
def _samples_file(store: ObjectStore, facts: SetFacts) -> Iterator[Path]:
    if not store.exists(facts.digest):
        raise DatasetMissingError(f"The samples of the {facts.role} dataset are gone.")
    with store.local_path(facts.digest) as path:
        yield path
