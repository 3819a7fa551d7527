"""Checks that batches use every sample equally often and follow from the saved state."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from mts_core.batch_sampler import BatchSampler


def make_sampler(sample_count: int, batch_size: int, seed: int = 0) -> BatchSampler:
    return BatchSampler(sample_count, batch_size, torch.Generator().manual_seed(seed))


@given(sample_count=st.integers(1, 40), batch_size=st.integers(1, 50), draws=st.integers(1, 30))
def test_every_sample_comes_equally_often(sample_count: int, batch_size: int, draws: int) -> None:
    sampler = make_sampler(sample_count, batch_size)
    drawn = torch.cat([sampler.draw() for _ in range(draws)])
    counts = torch.bincount(drawn, minlength=sample_count)
    assert drawn.shape[0] == draws * min(batch_size, sample_count)
    assert int(counts.max() - counts.min()) <= 1


@given(sample_count=st.integers(2, 40), batch_size=st.integers(1, 39), before=st.integers(0, 20))
def test_batches_go_on_from_the_saved_state(
    sample_count: int, batch_size: int, before: int
) -> None:
    sampler = make_sampler(sample_count, batch_size)
    for _ in range(before):
        sampler.draw()
    saved = {name: value.clone() for name, value in sampler.to_tensors().items()}
    expected = [sampler.draw() for _ in range(5)]
    other = make_sampler(sample_count, batch_size, seed=9)
    other.load_tensors(saved)
    for batch in expected:
        assert torch.equal(other.draw(), batch)


@given(
    sample_count=st.integers(2, 40),
    sizes=st.lists(st.integers(1, 39), min_size=1, max_size=4),
    before=st.integers(0, 20),
)
def test_every_sample_comes_equally_often_through_changes_of_size(
    sample_count: int, sizes: list[int], before: int
) -> None:
    sampler = make_sampler(sample_count, min(sizes[0], sample_count - 1))
    drawn = [sampler.draw() for _ in range(before)]
    for size in sizes:
        sampler.resize(min(size, sample_count - 1))
        assert sampler.batch_size == min(size, sample_count - 1)
        drawn.append(sampler.draw())
    counts = torch.bincount(torch.cat(drawn), minlength=sample_count)
    assert int(counts.max() - counts.min()) <= 1


def test_whole_pool_is_drawn_in_its_own_order() -> None:
    assert torch.equal(make_sampler(5, 8).draw(), torch.arange(5))
