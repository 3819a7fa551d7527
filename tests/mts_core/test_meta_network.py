"""Checks the meta-network's size, its embeddings and the bounds of its score."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from mts_core.meta_network import (
    EMBEDDING_FEATURE_NAMES,
    OFFLINE_FEATURE_COUNT,
    ONLINE_FEATURE_NAMES,
    MetaNetwork,
    embed_groups,
    score_from_logit,
    score_slope,
)

SCALARS = OFFLINE_FEATURE_COUNT + len(ONLINE_FEATURE_NAMES)


def test_network_reads_twenty_two_features(generator: torch.Generator) -> None:
    network = MetaNetwork(5, SCALARS, generator)
    assert SCALARS + len(EMBEDDING_FEATURE_NAMES) == 22
    sizes = [tuple(layer.weight.shape) for layer in (network.first, network.second, network.last)]
    assert sizes == [(100, 22), (100, 100), (1, 100)]


def test_embedded_columns_are_those_of_class_and_group(generator: torch.Generator) -> None:
    network = MetaNetwork(3, SCALARS, generator)
    labels = torch.tensor([2, 0, 2])
    is_real = torch.tensor([True, False, False])
    found = embed_groups(dict(network.named_parameters()), labels, is_real)
    assert torch.equal(found[:, :4], network.class_embedding[labels])
    assert torch.equal(found[:, 4:], network.group_embedding[is_real.long()])


def test_all_weights_start_near_the_middle(generator: torch.Generator) -> None:
    network = MetaNetwork(3, SCALARS, generator)
    scalars = torch.randn(500, SCALARS, generator=generator)
    labels = torch.arange(500) % 3
    scores = score_from_logit(network(scalars, labels, labels == 0), 0.0)
    assert (scores - 0.5).abs().max().item() < 0.2


@given(logit=st.floats(-1e4, 1e4), floor=st.floats(0.0, 0.9))
def test_score_lies_between_floor_and_one(logit: float, floor: float) -> None:
    score = score_from_logit(torch.tensor([logit], dtype=torch.float64), floor)
    assert floor <= score.item() <= 1.0


@given(logit=st.floats(-30, 30), floor=st.floats(0.0, 0.9))
def test_slope_is_the_derivative_of_the_score(logit: float, floor: float) -> None:
    logits = torch.tensor([logit], dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad(score_from_logit(logits, floor), logits)
    torch.testing.assert_close(
        score_slope(logits.detach(), floor), expected, rtol=1e-12, atol=1e-15
    )
