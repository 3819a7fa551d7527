"""Samples are drawn in proportion to their weights, at any size, and losses are weighted."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from scipy import stats
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import winnow.torch
from winnow.errors import InputError
from winnow.tables import ResultTable
from winnow.torch import WeightedSampler, load_weights, weighted_loss

WEIGHTS = (0.0, 1.0, 2.0, 0.0, 5.0, 0.0)


def chi_square_p(drawn: Sequence[int], weights: Sequence[float]) -> float:
    expected = np.asarray(weights) / np.sum(weights) * len(drawn)
    counts = np.bincount(drawn, minlength=len(weights))
    is_possible = expected > 0
    assert counts[~is_possible].sum() == 0
    p: float = stats.chisquare(counts[is_possible], expected[is_possible]).pvalue
    return p


def test_draws_follow_the_weights_and_leave_zeros_out() -> None:
    drawn = list(WeightedSampler(WEIGHTS, num_samples=40_000, seed=1))
    assert len(drawn) == 40_000
    # The seed is fixed: this says that the draws are no unlikely ones, and stays true.
    assert chi_square_p(drawn, WEIGHTS) > 0.01


def test_first_draws_without_replacement_follow_the_weights() -> None:
    sampler = WeightedSampler(WEIGHTS, replacement=False, seed=2)
    passes = [list(sampler) for _ in range(4_000)]
    assert all(sorted(drawn) == [1, 2, 4] for drawn in passes)
    assert chi_square_p([drawn[0] for drawn in passes], WEIGHTS) > 0.01
    # Given that 4 came first, the second draw is 1 or 2 as 1 is to 2.
    seconds = [drawn[1] for drawn in passes if drawn[0] == 4]
    assert chi_square_p(seconds, [0, 1, 2, 0, 0, 0]) > 0.01


def test_more_samples_than_float32_can_count_are_drawn_alike() -> None:
    # Beyond 2^24 torch's own sampler refuses, and a float32 sum of ones does not grow any more.
    count = (1 << 24) + (1 << 22)
    weights = torch.ones(count)
    weights[0] = 0.0
    drawn = torch.tensor(list(WeightedSampler(weights, num_samples=200_000, seed=3)))
    assert int(drawn.min()) > 0
    parts = torch.bincount(drawn * 10 // count, minlength=10)
    assert chi_square_p(np.repeat(np.arange(10), parts.numpy()).tolist(), [1.0] * 10) > 0.01
    assert int((drawn >= 1 << 24).sum()) == pytest.approx(200_000 / 5, rel=0.05)


def test_pass_depends_on_seed_and_epoch_alone() -> None:
    def draws(seed: int, epoch: int) -> list[int]:
        sampler = WeightedSampler(WEIGHTS, num_samples=50, seed=seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    sampler = WeightedSampler(WEIGHTS, num_samples=50, seed=7)
    assert [list(sampler), list(sampler)] == [draws(7, 0), draws(7, 1)]
    assert len({tuple(draws(*pair)) for pair in [(0, 0), (0, 1), (1, 0), (1, 1)]}) == 4


@pytest.mark.parametrize("replacement", [True, False])
def test_processes_share_one_pass(replacement: bool) -> None:  # noqa: FBT001 - A parameter.
    weights = torch.linspace(0.1, 1.0, 101)
    whole = list(WeightedSampler(weights, num_samples=101, replacement=replacement))
    shares = [
        WeightedSampler(weights, num_samples=101, replacement=replacement, rank=rank, world_size=4)
        for rank in range(4)
    ]
    assert [len(share) for share in shares] == [25] * 4
    drawn = [list(share) for share in shares]
    assert [position for together in zip(*drawn, strict=True) for position in together] == whole[
        :100
    ]


def test_shares_stay_apart_over_many_blocks_of_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winnow.torch, "_DRAWS_AT_ONCE", 7)
    whole = list(WeightedSampler(WEIGHTS, num_samples=60))
    shares = [
        list(WeightedSampler(WEIGHTS, num_samples=60, rank=rank, world_size=3)) for rank in range(3)
    ]
    assert [position for together in zip(*shares, strict=True) for position in together] == whole


@pytest.mark.parametrize(
    ("weights", "options"),
    [
        ((1.0, -1.0), {}),
        ((1.0, float("nan")), {}),
        ((1.0, float("inf")), {}),
        ((0.0, 0.0), {}),
        ((1.0, 0.0), {"num_samples": 2, "replacement": False}),
        ((1.0, 1.0), {"rank": 2, "world_size": 2}),
        ((1.0, 1.0), {"rank": 0}),
        ((1.0, 1.0), {"rank": 0, "world_size": 3}),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    weights: tuple[float, ...], options: dict[str, int]
) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        WeightedSampler(weights, **options)  # type: ignore[arg-type] # A table of mixed options.


def test_sampler_serves_a_data_loader() -> None:
    data = TensorDataset(torch.arange(6))
    loader = DataLoader(data, batch_size=4, sampler=WeightedSampler(WEIGHTS, num_samples=12))
    seen = Counter(int(position) for (batch,) in loader for position in batch)
    assert sum(seen.values()) == 12
    assert set(seen) <= {1, 2, 4}


def test_weighted_loss_is_the_mean_of_weight_times_loss() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 1, 2, 1, 0])
    weights = torch.tensor([0.0, 1.0, 2.0, 0.5, 1.5])
    loss = weighted_loss(functional.cross_entropy)(logits, labels, weights)
    by_hand = sum(
        w * -torch.log_softmax(row, 0)[label]
        for w, row, label in zip(weights.double(), logits, labels, strict=True)
    )
    torch.testing.assert_close(loss, by_hand / 5)
    (gradient,) = torch.autograd.grad(loss, logits)
    # Weight zero equals removal.
    assert not gradient[0].any()
    assert gradient[1:].any(1).all()


def test_weighted_loss_takes_options_modules_and_losses_of_many_positions() -> None:
    logits = torch.tensor([[[2.0, -1.0], [0.5, 0.0]]] * 2).transpose(1, 2)
    labels = torch.tensor([[0, 1], [1, 1]])
    ones = torch.ones(2)
    smooth = weighted_loss(functional.cross_entropy)(logits, labels, ones, label_smoothing=0.1)
    torch.testing.assert_close(
        smooth, functional.cross_entropy(logits, labels, label_smoothing=0.1)
    )
    module = torch.nn.CrossEntropyLoss(reduction="none")
    torch.testing.assert_close(
        weighted_loss(module)(logits, labels, ones), functional.cross_entropy(logits, labels)
    )
    with pytest.raises(ValueError, match="reduction"):
        weighted_loss(torch.nn.CrossEntropyLoss())
    with pytest.raises(ValueError, match="one weight is needed for each sample"):
        weighted_loss(functional.cross_entropy)(logits, labels, torch.ones(2, 1))


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "manifest.parquet"
    columns = {"sample_id": ["a", "b", "c"], "weight": pa.array([0.5, 2.0, 0.5], pa.float32())}
    pq.write_table(pa.table(columns), path)
    return path


def test_weights_come_out_of_a_manifest_in_its_order_or_in_that_of_ids(manifest: Path) -> None:
    assert load_weights(manifest).tolist() == [0.5, 2.0, 0.5]
    assert load_weights(str(manifest)).dtype is torch.float32
    table = ResultTable(manifest.read_bytes())
    assert load_weights(table, sample_ids=["c", "b"]).tolist() == [0.5, 2.0]


def test_unreadable_weights_are_named(manifest: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no sample 'd'"):
        load_weights(manifest, sample_ids=["a", "d"])
    with pytest.raises(InputError, match="cannot be read"):
        load_weights(tmp_path / "missing.parquet")
    (tmp_path / "text.parquet").write_text("no Parquet")
    with pytest.raises(InputError, match="cannot be read"):
        load_weights(tmp_path / "text.parquet")
    pq.write_table(pa.table({"sample_id": ["a"]}), manifest)
    with pytest.raises(InputError, match="no column weight"):
        load_weights(manifest)
