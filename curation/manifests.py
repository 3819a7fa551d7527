"""Manifests: a job's samples with their weights, as files that other tools read."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date
from functools import partial
from pathlib import Path

from sqlalchemy import Engine, select

from curation.croissant import CroissantDataset, CroissantTable, croissant_document
from curation.database import unit_of_work
from curation.errors import NotFoundError
from curation.identifiers import JobId, SelectionId, WorkspaceId
from curation.job_queries import get_job
from curation.manifest_archives import open_archive
from curation.manifest_files import open_id_array, open_table
from curation.manifest_formats import MANIFEST_FORMATS, ManifestFormat, TableFormat
from curation.manifest_rows import ManifestRows, ManifestSource
from curation.models import Dataset, Job
from curation.objects import ObjectStore, StoredObject
from curation.rendered_files import rendered_object
from curation.results import require_results
from curation.selections import get_selection, unpack_bitmap


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestRequest:
    """Which manifest.

    Attributes:
        workspace_id: Whose job.
        job_id: Which job.
        format: The file's format.
        selection_id: The cut that `keep` tells, or None for the suggested one.
        kept_only: Whether dropped samples are left out; None leaves that to the format.
    """

    workspace_id: WorkspaceId
    job_id: JobId
    format: ManifestFormat
    selection_id: SelectionId | None = None
    kept_only: bool | None = None

    @property
    def is_kept_only(self) -> bool:
        """Whether dropped samples are left out."""
        if self.kept_only is None:
            return MANIFEST_FORMATS[self.format].is_kept_only
        return self.kept_only

    @property
    def file_name(self) -> str:
        """Under which a client stores the file."""
        if self.format is ManifestFormat.CROISSANT:
            return MANIFEST_FORMATS[self.format].ending
        stem = "kept" if self.is_kept_only else "manifest"
        return f"{stem}.{MANIFEST_FORMATS[self.format].ending}"

    @property
    def kind(self) -> str:
        """The name under which the rendered file is kept with the job."""
        cut = "suggested" if self.selection_id is None else str(self.selection_id)
        return f"manifest:{self.format}:{cut}:{'kept' if self.is_kept_only else 'all'}"


def manifest_object(engine: Engine, store: ObjectStore, request: ManifestRequest) -> StoredObject:
    """Return the stored file of a manifest; it is rendered by the first who asks.

    Raises:
        NotFoundError: There is no such job or selection.
        ConflictError: The job has no results yet.
    """
    # A file that is kept already is as little for strangers as one that is still to be made.
    _find_source(engine, request)
    return rendered_object(
        engine,
        store,
        workspace_id=request.workspace_id,
        job_id=request.job_id,
        kind=request.kind,
        render=partial(write_manifest, engine, store, request),
    )


def write_manifest(
    engine: Engine, store: ObjectStore, request: ManifestRequest, destination: Path
) -> int:
    """Write a manifest to a file, in batches, and return the number of its rows.

    Raises:
        NotFoundError: There is no such job or selection.
        ConflictError: The job has no results yet.
    """
    source = _find_source(engine, request)
    with ManifestRows.opened(engine, store, source) as rows:
        if request.format is ManifestFormat.CROISSANT:
            tables = _described_tables(engine, store, request)
            return _write_croissant(engine, tables, request, rows, destination)
        if MANIFEST_FORMATS[request.format].holds_images:
            return _write_images(rows, request, destination)
        return _write_rows(rows, request, destination)


def _find_source(engine: Engine, request: ManifestRequest) -> ManifestSource:
    with unit_of_work(engine) as session:
        job = get_job(session, request.workspace_id, request.job_id)
        require_results(job)
        dataset = session.scalars(select(Dataset).where(Dataset.id == job.synthetic_id)).one()
        if dataset.samples_digest is None or dataset.class_names is None:
            raise NotFoundError("DATASET_NOT_FOUND", "The job's pool has no samples any more.")
        keep = None
        if request.selection_id is not None:
            selection = get_selection(session, request.workspace_id, request.selection_id)
            if selection.job_id != job.id:
                raise NotFoundError(
                    "SELECTION_NOT_FOUND", f"The job has no selection {selection.id}."
                )
            keep = unpack_bitmap(selection.bitmap, job.sample_count or 0)
        return ManifestSource(request.job_id, dataset.samples_digest, dataset.class_names, keep)


def _write_rows(rows: ManifestRows, request: ManifestRequest, path: Path) -> int:
    row_count = 0
    with (
        open_id_array(path)
        if request.format is ManifestFormat.NPY
        else open_table(path, TableFormat(request.format), rows.schema, rows.class_names)
    ) as file:
        for batch in rows.batches(kept_only=request.is_kept_only):
            file.write(batch)
            row_count += batch.num_rows
    return row_count


def _write_images(rows: ManifestRows, request: ManifestRequest, path: Path) -> int:
    row_count = 0
    with open_archive(path, request.format, rows.class_names) as archive:
        for batch in rows.image_batches(kept_only=request.is_kept_only):
            archive.write(batch)
            row_count += batch.rows.num_rows
    return row_count


def _write_croissant(
    engine: Engine,
    tables: Sequence[CroissantTable],
    request: ManifestRequest,
    rows: ManifestRows,
    path: Path,
) -> int:
    """Write the description of the tables and return their number."""
    with unit_of_work(engine) as session:
        job = get_job(session, request.workspace_id, request.job_id)
        cut = None
        if request.selection_id is not None:
            cut = get_selection(session, request.workspace_id, request.selection_id).name
        dataset = CroissantDataset(
            job_id=request.job_id,
            method=job.method,
            seed=job.seed,
            finished_on=_finished_on(job),
            cut=cut,
            class_names=rows.class_names,
            schema=rows.schema,
            tables=tables,
        )
    text = json.dumps(croissant_document(dataset), ensure_ascii=False, indent=2)
    path.write_text(f"{text}\n", encoding="utf-8")
    return len(tables)


def _described_tables(
    engine: Engine, store: ObjectStore, request: ManifestRequest
) -> list[CroissantTable]:
    """Return the Parquet files, which are rendered where nobody has asked for them yet."""
    tables = []
    for name, kept_only in (("weighted", False), ("kept", True)):
        if kept_only or not request.is_kept_only:
            asked = replace(request, format=ManifestFormat.PARQUET, kept_only=kept_only)
            stored = manifest_object(engine, store, asked)
            tables.append(CroissantTable(name, asked.file_name, stored))
    return tables


def _finished_on(job: Job) -> date:
    if job.finished_at is None:
        raise ValueError("a job with results has an end")
    return job.finished_at.astimezone(UTC).date()
