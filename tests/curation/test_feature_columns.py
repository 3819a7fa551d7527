"""Tables of one job have to say the same about their samples, and misfits are named."""

from collections.abc import Callable
from typing import Any

import pytest
from sample_world import World
from sqlalchemy import update
from uploads import jsonl, parquet

from curation.database import unit_of_work
from curation.datasets import get_dataset
from curation.errors import InvalidInputError
from curation.feature_columns import (
    ColumnKind,
    FeatureColumn,
    check_columns_agree,
    columns_from_json,
    merged_columns,
)
from curation.identifiers import DatasetId
from curation.models import Dataset, Role
from curation.validation import Refusal, Validation

Maker = Callable[..., DatasetId]
Validate = Callable[..., Validation | Refusal]
POOL = b"age,city,member,label\n31,Rome,,a\n,Oslo,,b\n4.5,,,a\n"


def columns(**kinds: str) -> tuple[FeatureColumn, ...]:
    return tuple(FeatureColumn(name, ColumnKind(kind)) for name, kind in kinds.items())


def refusal(ours: Any, theirs: Any) -> InvalidInputError:
    with pytest.raises(InvalidInputError) as caught:
        check_columns_agree(ours, theirs, role="reference", field="reference_id")
    assert caught.value.field == "reference_id"
    assert caught.value.cure
    return caught.value


def test_validation_says_what_the_columns_hold(validate: Validate) -> None:
    found = validate(POOL, "a.csv")
    assert isinstance(found, Validation), found
    assert found.feature_columns == columns(age="number", city="category", member="empty")


def test_kinds_are_those_of_all_rows_together(validate: Validate) -> None:
    rows: list[dict[str, Any]] = [
        {"whole": 1, "mixed": 1, "truth": True, "odd": True, "label": 0},
        {"whole": 2.5, "mixed": "one", "truth": None, "odd": 1, "label": 1},
    ]
    found = validate(jsonl(rows), "a.jsonl")
    assert isinstance(found, Validation), found
    assert found.feature_columns == columns(
        whole="number", mixed="category", truth="boolean", odd="category"
    )


def test_other_samples_have_no_feature_columns(validate: Validate) -> None:
    found = validate(b"text,stars,label\na,1,x\nb,2,y\n", "a.csv")
    assert isinstance(found, Validation), found
    assert found.feature_columns == ()


def test_table_whose_features_are_all_missing_is_refused(validate: Validate) -> None:
    outcome = validate(b"age,label\n,a\n,b\n", "a.csv")
    assert isinstance(outcome, Refusal)
    assert outcome.error.reason == "NO_FEATURES"


def test_order_of_columns_does_not_matter() -> None:
    check_columns_agree(
        columns(age="number", city="category"),
        columns(city="category", age="number"),
        role="test",
        field="test_id",
    )


def test_columns_of_one_table_alone_are_named() -> None:
    error = refusal(columns(age="number", city="category"), columns(age="number", town="category"))
    assert error.reason == "COLUMNS_DIFFER"
    assert "only in the synthetic set: 'city'" in error.detail
    assert "only in the reference set: 'town'" in error.detail


def test_only_a_few_of_many_columns_are_named() -> None:
    many = columns(**{f"c{index}": "number" for index in range(30)}, age="number")
    assert "and 25 more" in refusal(many, columns(age="number")).detail


def test_column_of_another_kind_is_named_with_both_kinds() -> None:
    error = refusal(columns(age="number"), columns(age="category"))
    assert error.reason == "COLUMN_KINDS_DIFFER"
    for word in ("'age'", "number", "category"):
        assert word in error.detail


@pytest.mark.parametrize("kind", list(ColumnKind))
def test_empty_column_fits_every_kind(kind: ColumnKind) -> None:
    ours, theirs = columns(age=kind), columns(age="empty")
    check_columns_agree(ours, theirs, role="test", field="test_id")
    assert merged_columns([ours, theirs]) == merged_columns([theirs, ours]) == ours


def test_job_on_tables_that_agree_is_created(world: World, ready_dataset: Maker) -> None:
    pool = ready_dataset(POOL, "pool.csv")
    rows = {"city": ["Bern", "Oslo"] * 2, "age": [1, 2, 3, 4], "member": [True] * 4}
    reference = ready_dataset(
        parquet({**rows, "label": ["a", "b"] * 2}), "ref.parquet", role=Role.REFERENCE
    )
    assert world.create_job(synthetic_id=pool, reference_id=reference)
    with unit_of_work(world.engine) as session:
        row = get_dataset(session, world.workspace, reference)
        assert columns_from_json(row.feature_columns or []) == columns(
            city="category", age="number", member="boolean"
        )


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        (b"age,town,member,label\n1,x,,a\n2,y,,b\n3,z,,a\n4,z,,b\n", "COLUMNS_DIFFER"),
        (b"age,city,member,label\nold,x,,a\n2,y,,b\n3,z,,a\n4,z,,b\n", "COLUMN_KINDS_DIFFER"),
    ],
)
def test_job_on_tables_that_differ_is_refused(
    world: World, ready_dataset: Maker, reference: bytes, reason: str
) -> None:
    pool = ready_dataset(POOL, "pool.csv")
    other = ready_dataset(reference, "ref.csv", role=Role.REFERENCE)
    with pytest.raises(InvalidInputError) as caught:
        world.create_job(synthetic_id=pool, reference_id=other)
    assert (caught.value.reason, caught.value.field) == (reason, "reference_id")


def test_table_from_before_columns_were_kept_has_to_be_uploaded_again(
    world: World, ready_dataset: Maker
) -> None:
    pool = ready_dataset(POOL, "pool.csv")
    reference = ready_dataset(POOL + POOL.split(b"\n", 1)[1], "ref.csv", role=Role.REFERENCE)
    with unit_of_work(world.engine) as session:
        session.execute(update(Dataset).where(Dataset.id == pool).values(feature_columns=None))
    with pytest.raises(InvalidInputError) as caught:
        world.create_job(synthetic_id=pool, reference_id=reference)
    assert (caught.value.reason, caught.value.field) == ("COLUMNS_UNKNOWN", "synthetic_id")
