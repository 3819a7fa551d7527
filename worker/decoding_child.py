"""The process that decodes stored samples: one JSON request comes in, one JSON answer goes out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from curation.feature_columns import columns_from_json
from curation.limited_child import answer_request
from curation.sample_kinds import Modality
from mts_core.table_columns import ColumnKind, TableColumn
from worker.decoded_files import write_samples
from worker.sample_arrays import InvalidDataError, SetFacts, payload_of
from worker.table_arrays import TableReader

# JSON values throughout, as the parent wrote them.


def main() -> int:
    """Answer the request on standard input, and return the exit code."""
    return answer_request(_answer)


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    table = None if request["table"] is None else _reader_of(request["table"])
    try:
        for part in request["sets"]:
            facts = _facts_of(part["facts"])
            payload = payload_of(facts, table, max_pixels=request["max_pixels"])
            write_samples(Path(part["path"]), facts, payload, Path(part["folder"]))
    except InvalidDataError as error:
        return {"invalid": str(error)}
    return {"codes": [] if table is None else [dict(each.codes) for each in table.table_columns]}


def _reader_of(table: Mapping[str, Any]) -> TableReader:
    if table["known"] is None:
        return TableReader(columns_from_json(table["columns"]))
    return TableReader.like(
        [
            TableColumn(each["name"], ColumnKind(each["kind"]), each["codes"])
            for each in table["known"]
        ]
    )


def _facts_of(raw: Mapping[str, Any]) -> SetFacts:
    return SetFacts(
        role=raw["role"],
        digest=raw["digest"],
        modality=Modality(raw["modality"]),
        sample_count=raw["sample_count"],
        input_shape=tuple(raw["input_shape"]),
        class_names=(),
        feature_columns=(),
    )


if __name__ == "__main__":
    raise SystemExit(main())
