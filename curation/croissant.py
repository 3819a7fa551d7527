"""Croissant: JSON-LD that tells tools what the tables of a job's samples hold.

Source: the Croissant format, version 1.0 (http://mlcommons.org/croissant/1.0).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa

from curation.identifiers import JobId
from curation.objects import StoredObject

_VERSION = "http://mlcommons.org/croissant/1.0"
# The terms of the format; readers compare them with their own list of this version.
_CONTEXT: Mapping[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    **{
        term: f"cr:{term}"
        for term in (
            *("citeAs", "column", "equivalentProperty", "extract", "field", "fileProperty"),
            *("fileObject", "fileSet", "format", "includes", "isLiveDataset", "jsonPath", "key"),
            *("md5", "parentField", "path", "recordSet", "references", "regex", "repeated"),
            *("replace", "samplingRate", "separator", "source", "subField", "transform"),
        )
    },
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "sc": "https://schema.org/",
}
_DATA_TYPES = {
    pa.string(): "sc:Text",
    pa.int64(): "sc:Integer",
    pa.float32(): "sc:Float",
    pa.float64(): "sc:Float",
    pa.bool_(): "sc:Boolean",
}
_DESCRIPTIONS = {
    "sample_id": "The sample's name.",
    "file_name": "Path inside the archive that was uploaded, where the samples were files.",
    "label": "The class, as an index into the classes.",
    "score": "What the method makes of the sample, from 0 to 1.",
    "weight": "The score divided by its mean over the pool; goes into a loss or a sampler.",
    "keep": "Whether the cut keeps the sample.",
    "rank": "0 for the best sample.",
}
_PLAIN = re.compile(r"[A-Za-z0-9_]+")


@dataclass(frozen=True, slots=True)
class CroissantTable:
    """One table that is described.

    Attributes:
        name: Of its records: `weighted` or `kept`.
        file_name: Under which it lies beside the description.
        stored: Its bytes.
    """

    name: str
    file_name: str
    stored: StoredObject


@dataclass(frozen=True, slots=True, kw_only=True)
class CroissantDataset:
    """What is described.

    Attributes:
        job_id: Which job weighed the samples.
        method: How.
        seed: With which seed.
        finished_on: When.
        cut: The name of the selection, or None for the suggested cut.
        class_names: Names of the classes, by label.
        schema: The columns of each table.
        tables: The tables.
    """

    job_id: JobId
    method: str
    seed: int
    finished_on: date
    cut: str | None
    class_names: Sequence[str]
    schema: pa.Schema
    tables: Sequence[CroissantTable]


def croissant_document(dataset: CroissantDataset) -> dict[str, Any]:  # JSON values.
    """Return the description as a JSON object.

    The tables are named by their digests, so that a reader notices when one is another. The
    licence is left out: only the owner of the samples knows it.
    """
    cut = "the suggested cut" if dataset.cut is None else f"the cut {dataset.cut!r}"
    return {
        "@context": dict(_CONTEXT),
        "@type": "sc:Dataset",
        "name": f"winnow-{dataset.job_id}",
        "description": (
            f"Synthetic samples weighed by Winnow: job {dataset.job_id}, method {dataset.method},"
            f" seed {dataset.seed}; kept are those of {cut}."
        ),
        "conformsTo": _VERSION,
        "version": "1.0.0",
        "datePublished": dataset.finished_on.isoformat(),
        "distribution": [_file_object(table) for table in dataset.tables],
        "recordSet": [
            _classes(dataset.class_names),
            *(_record_set(table, dataset.schema) for table in dataset.tables),
        ],
    }


def _file_object(table: CroissantTable) -> dict[str, Any]:  # JSON values.
    return {
        "@type": "cr:FileObject",
        "@id": table.file_name,
        "name": table.file_name,
        "contentUrl": table.file_name,
        "contentSize": f"{table.stored.size_bytes} B",
        "encodingFormat": "application/x-parquet",
        "sha256": table.stored.digest,
    }


def _classes(class_names: Iterable[str]) -> dict[str, Any]:  # JSON values.
    return {
        "@type": "cr:RecordSet",
        "@id": "classes",
        "name": "classes",
        "dataType": "sc:Enumeration",
        "key": {"@id": "classes/label"},
        "field": [
            _field("classes", "label", "sc:Integer"),
            _field("classes", "name", ["sc:Text", "sc:name"]),
        ],
        "data": [
            {"classes/label": label, "classes/name": name} for label, name in enumerate(class_names)
        ],
    }


def _record_set(table: CroissantTable, schema: pa.Schema) -> dict[str, Any]:  # JSON values.
    fields = []
    for place, column in enumerate(schema):
        # An identifier is part of an address, which the user's own names need not suit.
        name = column.name if _PLAIN.fullmatch(column.name) else f"column-{place}"
        field = _field(table.name, name, _DATA_TYPES[column.type])
        field["source"] = {
            "fileObject": {"@id": table.file_name},
            "extract": {"column": column.name},
        }
        if column.name in _DESCRIPTIONS:
            field["description"] = _DESCRIPTIONS[column.name]
        if column.name == "label":
            field["dataType"] = ["sc:Integer", "cr:Label"]
            field["references"] = {"field": {"@id": "classes/label"}}
        fields.append(field)
    return {"@type": "cr:RecordSet", "@id": table.name, "name": table.name, "field": fields}


def _field(record_set: str, name: str, data_type: str | list[str]) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"{record_set}/{name}",
        "name": name,
        "dataType": data_type,
    }
