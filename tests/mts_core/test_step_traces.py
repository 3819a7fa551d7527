"""Checks the traces of the weights against their definitions."""

import math

import pytest
import torch

from mts_core.errors import NonFiniteError
from mts_core.gsnr import GsnrRung
from mts_core.step_traces import fetch_finite, gsnr_traces, weight_traces


def test_traces_follow_their_definitions() -> None:
    weights = torch.tensor([0.1, 0.3, 0.6], dtype=torch.float64) / 2
    losses = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    found = {name: value.item() for name, value in weight_traces(weights, losses).items()}
    p = [0.1, 0.3, 0.6]
    assert found == pytest.approx(
        {
            "classifier_loss": 0.1 + 0.6 + 1.8,
            "weight_mean": 0.5 / 3,
            "p_max": 0.6,
            "p_variance": sum((value - 1 / 3) ** 2 for value in p) / 3,
            "effective_batch_size": 1 / sum(value**2 for value in p),
            "weight_entropy": -sum(value * math.log(value) for value in p),
        }
    )


def test_entropy_of_a_silenced_sample_is_finite() -> None:
    found = weight_traces(torch.tensor([0.0, 1.0]), torch.zeros(2))
    assert found["weight_entropy"].item() == 0.0


def test_rungs_beyond_measurement_are_marked_and_linear() -> None:
    rungs = [GsnrRung(32, 0.1, 1.0), GsnrRung(64, 0.1, 0.5)]
    found = gsnr_traces(rungs, sample_count=256)
    assert found == pytest.approx(
        {
            "gsnr_b32": 0.1,
            "gsnr_b64": 0.2,
            "gsnr_b128_extrapolated": 0.4,
            "gsnr_b256_extrapolated": 0.8,
            "gsnr_b512_extrapolated": 1.6,
            "gsnr_b1024_extrapolated": 3.2,
        }
    )


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_non_finite_value_is_named(bad: float) -> None:
    with pytest.raises(NonFiniteError) as caught:
        fetch_finite({"fine": torch.tensor(1.0), "reference_loss": torch.tensor(bad)}, step=7)
    assert caught.value.quantity == "reference loss"
    assert caught.value.step == 7
