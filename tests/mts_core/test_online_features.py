"""Checks the online features against similarities computed pair by pair."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mts_core.online_features import online_features, standardise_columns


def cosine(left: list[float], right: list[float]) -> float:
    products = sum(a * b for a, b in zip(left, right, strict=True))
    lengths = math.sqrt(sum(a * a for a in left)) * math.sqrt(sum(b * b for b in right))
    return products / lengths


@given(seed=st.integers(0, 2**32), anchor_count=st.integers(1, 6))
def test_columns_are_the_nearest_cosines_and_the_mean_s(seed: int, anchor_count: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    anchors = torch.randn(anchor_count, 5, generator=generator, dtype=torch.float64)
    found = online_features(hidden, anchors)
    for row, sample in zip(found.tolist(), hidden.tolist(), strict=True):
        nearest = sorted((cosine(sample, anchor) for anchor in anchors.tolist()), reverse=True)
        nearest = (nearest + [nearest[-1]] * 3 if anchor_count < 3 else nearest)[:3]
        mean = anchors.mean(dim=0).tolist()
        assert row == pytest.approx([*nearest, cosine(sample, mean)], abs=1e-12)


def test_dead_sample_has_finite_features() -> None:
    found = online_features(torch.zeros(2, 5), torch.ones(4, 5))
    assert torch.equal(found, torch.zeros(2, 4))


def test_standardised_columns_have_mean_zero_and_variance_one(generator: torch.Generator) -> None:
    columns = 5 + 3 * torch.randn(50, 4, generator=generator, dtype=torch.float64)
    found = standardise_columns(columns)
    torch.testing.assert_close(found.mean(dim=0), torch.zeros(4, dtype=torch.float64))
    torch.testing.assert_close(found.var(dim=0, correction=0), torch.ones(4, dtype=torch.float64))


def test_constant_column_becomes_zero() -> None:
    columns = torch.full((100, 1), 0.1)
    assert torch.count_nonzero(standardise_columns(columns)) == 0
