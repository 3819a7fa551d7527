"""The list of reasons for which a dataset is refused is whole."""

import ast
from pathlib import Path

from curation.dataset_failures import DatasetFailure

CURATION = Path(__file__).parents[2] / "curation"
# What takes part in a validation.
MODULES = (
    "archive_members",
    "census",
    "content_imports",
    "embeddings",
    "image_archives",
    "ingest",
    "row_fields",
    "sweep",
    "table_files",
    "text_tables",
    "user_columns",
    "validation",
    "validation_process",
)
# These raise a refusal of the whole file, by a reason that they are given; a `RowError` refuses a
# single row.
RAISING = ("InvalidInputError", "_refused", "_missing", "_column", "_open_array")


def test_every_reason_of_a_refusal_is_listed() -> None:
    trees = [ast.parse((CURATION / f"{name}.py").read_text(encoding="utf-8")) for name in MODULES]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    raised = {
        constant.value
        for node in nodes
        if isinstance(node, ast.Call) and ast.unparse(node.func) in RAISING
        for argument in node.args
        for constant in ast.walk(argument)
        if isinstance(constant, ast.Constant) and str(constant.value).replace("_", "").isupper()
    }
    assert "TOO_MANY_REJECTED" in raised
    # A full disk and a validation that was begun too often are no fault of the file; a quota and
    # the operator's list of buckets are looked at again while an import is fetched.
    elsewhere = {"STORAGE_FULL", "VALIDATION_LOST", "QUOTA_BYTES_EXCEEDED"}
    elsewhere |= {"IMPORTS_DISABLED", "IMPORT_NOT_ALLOWED"}
    assert raised | elsewhere == set(DatasetFailure)
