"""A table whose texts have no column `text` is told that they were taken as categories."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from sample_world import Service
from uploads import jsonl, parquet

from curation.database import unit_of_work
from curation.dataset_warnings import warnings_from_json
from curation.datasets import DatasetRequest, attach_content, create_dataset, get_dataset
from curation.identifiers import DatasetId
from curation.ingest import validate_and_record
from curation.models import DatasetState, Modality, Role
from curation.text_columns import TextColumnWatch
from curation.validation import Refusal, Validation

Validate = Callable[..., Validation | Refusal]

REVIEWS = [f"Room {number} was clean, and the view was fine" for number in range(20)]


def found_in(values: Sequence[Any]) -> list[str]:
    watch = TextColumnWatch()
    for value in values:
        watch.observe({"column": value})
    return watch.names()


def labelled(**columns: Sequence[Any]) -> list[dict[str, Any]]:
    rows = [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]
    return [{**row, "label": ("good", "bad")[index % 2]} for index, row in enumerate(rows)]


def as_csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    lines = [",".join(rows[0]), *(",".join(f'"{cell}"' for cell in row.values()) for row in rows)]
    return "\n".join(lines).encode()


def as_parquet(rows: Sequence[Mapping[str, Any]]) -> bytes:
    return parquet({name: [row[name] for row in rows] for name in rows[0]})


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(REVIEWS, id="sentences"),
        pytest.param([*REVIEWS, *REVIEWS], id="each twice"),
        pytest.param([*REVIEWS, *([None] * 100)], id="mostly missing"),
        pytest.param([*REVIEWS, *(["good"] * 15)], id="some of one word"),
        pytest.param([f"第{number}间房很干净风景也很好" for number in range(12)], id="Chinese"),
        pytest.param([f"ห้องที่ {number} สะอาดมากวิวสวยดี" for number in range(12)], id="Thai"),
        pytest.param(
            [f"방 {number}호 는 정말 깨끗하고 좋았다" for number in range(12)], id="Korean"
        ),
    ],
)
def test_free_text_is_seen(values: Sequence[Any]) -> None:
    assert found_in(values) == ["column"]


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(REVIEWS[:9], id="too few to tell"),
        pytest.param(["red", "green", "blue"] * 20, id="categories"),
        pytest.param(["very good but far too dear", "not good at all"] * 20, id="long categories"),
        pytest.param([f"Ann {chr(65 + n)}. Smith" for n in range(26)], id="names"),
        pytest.param([f"2024-01-{n:02} 10:00:{n} +01:00 5" for n in range(30)], id="times"),
        pytest.param([f"{n} {n} {n} {n} {n}" for n in range(30)], id="numbers"),
        pytest.param([f"0e02b2c3-{n}-4372-a567-0e02b2c3d479" for n in range(30)], id="codes"),
        pytest.param([[f"a {n} b c d e"] for n in range(30)], id="lists"),
        pytest.param([n / 7 for n in range(30)], id="floats"),
        pytest.param([*REVIEWS, *(["good"] * 25)], id="mostly one word"),
    ],
)
def test_other_columns_are_not_taken_for_text(values: Sequence[Any]) -> None:
    assert found_in(values) == []


def test_only_the_first_thousand_rows_are_looked_at() -> None:
    assert found_in([*(["red"] * 1000), *(REVIEWS * 200)]) == []
    assert found_in([*REVIEWS * 50, *(["red"] * 5000)]) == []
    distinct = [f"text {number} of a long table" for number in range(1000)]
    assert found_in([*distinct, *(["red"] * 5000)]) == ["column"]


@pytest.mark.parametrize(
    ("encode", "file_name"), [(as_csv, "a.csv"), (jsonl, "a.jsonl"), (as_parquet, "a.parquet")]
)
def test_table_of_reviews_is_told_which_column_to_rename(
    validate: Validate, encode: Callable[[Any], bytes], file_name: str
) -> None:
    outcome = validate(encode(labelled(review=REVIEWS, stars=range(20))), file_name)
    assert isinstance(outcome, Validation), outcome
    assert outcome.modality is Modality.TABULAR
    [warning] = outcome.warnings
    assert (warning.reason, warning.field) == ("TEXT_AS_CATEGORY", "review")
    assert "'review' looks like free text" in warning.detail
    assert "rename it to 'text'" in warning.cure


def test_several_columns_of_text_share_one_warning(validate: Validate) -> None:
    titles = [f"The title of number {number}" for number in range(20)]
    outcome = validate(jsonl(labelled(title=titles, stars=range(20), review=REVIEWS)), "a.jsonl")
    assert isinstance(outcome, Validation), outcome
    [warning] = outcome.warnings
    assert "The columns 'title', 'review' look like free text" in warning.detail
    assert "rename one of them" in warning.cure


def test_texts_where_they_belong_are_no_reason_to_warn(validate: Validate) -> None:
    rows = labelled(text=REVIEWS, review=REVIEWS)
    texts = validate(jsonl(rows), "a.jsonl")
    assert isinstance(texts, Validation), texts
    assert (texts.modality, texts.warnings) == (Modality.TEXT, ())
    # Ids and labels are not learned from, whatever they look like.
    named = labelled(stars=range(20), id=REVIEWS)
    tabular = validate(jsonl(named), "a.jsonl")
    assert isinstance(tabular, Validation), tabular
    assert tabular.warnings == ()


def test_who_says_that_a_table_is_tabular_is_not_warned(validate: Validate) -> None:
    content = jsonl(labelled(review=REVIEWS, stars=range(20)))
    outcome = validate(content, "a.jsonl", modality=Modality.TABULAR)
    assert isinstance(outcome, Validation), outcome
    assert outcome.warnings == ()


def test_warning_is_kept_with_the_dataset(service: Service) -> None:
    stored = service.store.put_bytes(jsonl(labelled(review=REVIEWS)))
    with unit_of_work(service.engine) as session:
        request = DatasetRequest(name="reviews", role=Role.SYNTHETIC)
        row = create_dataset(session, service.workspace, request, service.now)
        attach_content(session, service.workspace, DatasetId(row.id), stored, "a.jsonl")
        dataset_id = DatasetId(row.id)
    assert validate_and_record(
        service.engine, service.store, dataset_id, service.settings, service.now
    )
    with unit_of_work(service.engine) as session:
        row = get_dataset(session, service.workspace, dataset_id)
    assert row.state is DatasetState.READY
    [warning] = warnings_from_json(row.warnings or [])
    assert (warning.reason, warning.field) == ("TEXT_AS_CATEGORY", "review")
