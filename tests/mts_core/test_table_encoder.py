import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mts_core.curation_data import CurationData
from mts_core.encoders import choose_encoder, fitted_state, restore_encoder
from mts_core.encoders.table import MOST_CATEGORIES, NumberScaling, TableEncoder
from mts_core.errors import ConfigError, MtsError
from mts_core.pipeline_config import EncoderChoice
from mts_core.table_columns import UNKNOWN_CATEGORY, ColumnKind, TableColumn

CPU = torch.device("cpu")
NAN = float("nan")
NUMBER = TableColumn("number", ColumnKind.NUMBER)
BOOLEAN = TableColumn("boolean", ColumnKind.BOOLEAN)
CATEGORY = TableColumn("category", ColumnKind.CATEGORY)
each_scaling = pytest.mark.parametrize("scaling", list(NumberScaling))


def _column(values: object) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64).reshape(-1, 1)


def _data(
    rows: NDArray[np.float64], labels: NDArray[np.int64], columns: tuple[TableColumn, ...]
) -> CurationData:
    return CurationData(
        pool_inputs=rows,
        pool_labels=labels,
        pool_is_real=np.zeros(len(labels), dtype=bool),
        reference_inputs=rows,
        reference_labels=labels,
        test_inputs=None,
        test_labels=None,
        class_count=int(labels.max()) + 1,
        table_columns=columns,
    )


def test_standard_scaling_is_the_deviation_from_the_mean() -> None:
    values = np.random.default_rng(0).uniform(-5.0, 9.0, 200)
    encoded = TableEncoder(NumberScaling.STANDARD, [NUMBER], _column(values))
    expected = (values - values.mean()) / values.std()
    # Vectors are of single precision.
    assert np.allclose(encoded.encode(_column(values))[:, 0], expected, atol=1e-6)


@given(st.sampled_from(["cube", "exponential"]), st.integers(0, 2**32 - 1))
def test_quantiles_do_not_depend_on_the_unit_of_a_number(bend: str, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=100)
    bent = values**3 if bend == "cube" else np.exp(values)
    encoded, other = (
        TableEncoder(NumberScaling.QUANTILES, [NUMBER], _column(part)).encode(_column(part))
        for part in (values, bent)
    )
    # Every row is a quantile of its own, so only ranks count; a rank's own rounding is left.
    assert np.allclose(encoded, other, atol=1e-3)


@each_scaling
def test_outliers_end_at_three_standard_deviations(scaling: NumberScaling) -> None:
    rows = _column(np.random.default_rng(0).standard_cauchy(500))
    encoder = TableEncoder(scaling, [NUMBER], rows)
    assert np.abs(encoder.encode(rows)).max() == pytest.approx(3.0)
    assert encoder.encode(_column([-1e300, 1e300])).ravel().tolist() == [-3.0, 3.0]


@each_scaling
def test_missing_number_becomes_the_middle_and_is_marked(scaling: NumberScaling) -> None:
    values = np.random.default_rng(0).normal(10.0, 2.0, 100)
    values[7] = NAN
    encoded = TableEncoder(scaling, [NUMBER], _column(values)).encode(_column(values))
    assert encoded[7].tolist() == [0.0, 1.0]
    assert not encoded[:7, 1].any()


@each_scaling
def test_number_without_gaps_has_no_mark(scaling: NumberScaling) -> None:
    encoder = TableEncoder(scaling, [NUMBER], _column(np.arange(50.0)))
    assert encoder.dimension == 1
    # A gap that comes later is the middle all the same.
    assert encoder.encode(_column([NAN])).tolist() == [[0.0]]


def test_each_category_that_is_not_rare_has_a_column() -> None:
    codes = np.repeat([0.0, 1.0, 2.0], 40)
    encoder = TableEncoder(NumberScaling.STANDARD, [CATEGORY], _column(codes))
    assert np.array_equal(encoder.encode(_column([0.0, 1.0, 2.0])), np.eye(3))


def test_rare_and_unseen_categories_share_a_column() -> None:
    codes = np.concatenate([np.repeat([0.0, 1.0], 100), [2.0, 3.0]])
    encoder = TableEncoder(NumberScaling.STANDARD, [CATEGORY], _column(codes))
    rare, also_rare, unseen, frequent = encoder.encode(_column([2.0, 3.0, 99.0, 0.0]))
    assert np.array_equal(rare, also_rare)
    assert np.array_equal(rare, unseen)
    assert not np.array_equal(rare, frequent)


def test_missing_category_is_a_category() -> None:
    codes = np.concatenate([np.zeros(60), np.full(60, NAN)])
    encoder = TableEncoder(NumberScaling.STANDARD, [CATEGORY], _column(codes))
    assert encoder.encode(_column([0.0, NAN])).tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_column_of_names_does_not_fill_the_vector() -> None:
    codes = np.repeat(np.arange(400.0), 12)
    encoder = TableEncoder(NumberScaling.STANDARD, [CATEGORY], _column(codes))
    assert encoder.dimension == MOST_CATEGORIES


def test_category_of_a_small_table_is_not_rare_for_its_size() -> None:
    encoder = TableEncoder(NumberScaling.STANDARD, [CATEGORY], _column([0.0, 1.0] * 4))
    assert encoder.dimension == 2


@each_scaling
def test_column_without_values_in_the_sample_is_passed_over(scaling: NumberScaling) -> None:
    rows = np.column_stack([np.arange(30.0), np.full(30, NAN), np.arange(30) % 2])
    encoder = TableEncoder(scaling, [NUMBER, CATEGORY, BOOLEAN], rows)
    assert encoder.dimension == 2
    assert np.array_equal(encoder.encode(rows), encoder.encode(np.nan_to_num(rows, nan=4.0)))


def test_a_row_is_encoded_alike_alone_and_in_company() -> None:
    generator = np.random.default_rng(0)
    rows = np.column_stack([generator.normal(size=60), generator.integers(0, 3, 60)])
    encoder = TableEncoder(NumberScaling.QUANTILES, [NUMBER, CATEGORY], rows)
    assert np.array_equal(encoder.encode(rows[5:6]), encoder.encode(rows)[5:6])


def test_auto_takes_quantiles_where_outliers_squeeze_the_scale() -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(60) % 2
    told = labels + 0.2 * generator.normal(size=60)
    told[generator.choice(60, 3, replace=False)] *= 1e6
    rows = np.column_stack([told, generator.normal(size=60)])
    data = _data(rows, labels, (NUMBER, NUMBER))
    encoder, losses = choose_encoder(data, EncoderChoice.AUTO, seed=0, device=CPU)
    assert encoder.name == "table_quantiles"
    assert set(losses) == {"table_scaled", "table_quantiles"}


def test_an_encoder_of_images_does_not_read_tables() -> None:
    data = _data(_column(np.arange(4.0)), np.arange(4) % 2, (NUMBER,))
    with pytest.raises(ConfigError, match="tables"):
        choose_encoder(data, EncoderChoice.PIXELS_PCA, seed=0, device=CPU)


def test_table_with_another_number_of_columns_is_refused() -> None:
    with pytest.raises(MtsError, match="columns"):
        _data(np.zeros((4, 3)), np.arange(4) % 2, (NUMBER, NUMBER))


def test_kept_encoder_reads_rare_and_unknown_categories_alike() -> None:
    words = {f"word {code}": code for code in range(6)}
    column = TableColumn("city", ColumnKind.CATEGORY, words)
    codes = np.repeat(np.arange(6.0), [60, 50, 3, 2, 2, 40])
    encoder = TableEncoder(NumberScaling.STANDARD, [column], _column(codes))
    state = fitted_state(encoder, [column])
    assert state is not None
    assert state.columns == (
        dataclasses.replace(column, codes={"word 0": 0, "word 1": 1, "word 5": 5}),
    )
    restored = restore_encoder(encoder.name, state, dimension=encoder.dimension)
    np.testing.assert_array_equal(restored.encode(_column(codes)), encoder.encode(_column(codes)))
    np.testing.assert_array_equal(
        restored.encode(_column([UNKNOWN_CATEGORY])), encoder.encode(_column([3.0]))
    )
