"""Checks the online features against similarities computed pair by pair."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mts_core.online_features import Anchors, online_features, standardise_columns


def cosine(left: list[float], right: list[float]) -> float:
    products = sum(a * b for a, b in zip(left, right, strict=True))
    lengths = math.sqrt(sum(a * a for a in left)) * math.sqrt(sum(b * b for b in right))
    return products / lengths


def expected_row(sample: list[float], anchors: list[list[float]]) -> list[float]:
    """Return the features of one sample among the anchors that it is compared with."""
    nearest = sorted((cosine(sample, anchor) for anchor in anchors), reverse=True)
    padded = (nearest + 2 * [nearest[-1]])[:3]
    mean = [sum(column) / len(anchors) for column in zip(*anchors, strict=True)]
    return [*padded, cosine(sample, mean)]


@given(seed=st.integers(0, 2**32), anchor_count=st.integers(1, 9))
def test_columns_are_the_cosines_to_the_own_class(seed: int, anchor_count: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(6, 5, generator=generator, dtype=torch.float64)
    labels = torch.arange(6) % 3
    anchors = torch.randn(anchor_count, 5, generator=generator, dtype=torch.float64)
    anchor_labels = torch.randint(0, 2, (anchor_count,), generator=generator)
    found = online_features(hidden, labels, Anchors(anchors, anchor_labels))
    for row, sample, label in zip(found.tolist(), hidden.tolist(), labels, strict=True):
        # A class that the batch lacks, as class 2 always, is compared with the whole batch.
        own = anchors[anchor_labels == label].tolist() or anchors.tolist()
        assert row == pytest.approx(expected_row(sample, own), abs=1e-12)


def test_dead_sample_has_finite_features() -> None:
    anchors = Anchors(torch.ones(4, 5), torch.zeros(4, dtype=torch.int64))
    found = online_features(torch.zeros(2, 5), torch.zeros(2, dtype=torch.int64), anchors)
    assert torch.equal(found, torch.zeros(2, 4))


def test_standardised_columns_have_mean_zero_and_variance_one(generator: torch.Generator) -> None:
    columns = 5 + 3 * torch.randn(50, 4, generator=generator, dtype=torch.float64)
    found = standardise_columns(columns)
    torch.testing.assert_close(found.mean(dim=0), torch.zeros(4, dtype=torch.float64))
    torch.testing.assert_close(found.var(dim=0, correction=0), torch.ones(4, dtype=torch.float64))


def test_constant_column_becomes_zero() -> None:
    columns = torch.full((100, 1), 0.1)
    assert torch.count_nonzero(standardise_columns(columns)) == 0
