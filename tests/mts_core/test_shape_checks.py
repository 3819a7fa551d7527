"""Makes sure that the checks of shapes and dtypes are really on in these tests."""

import pytest
import torch
from jaxtyping import TypeCheckError

from mts_core.meta_gradient import weight_gradient
from mts_core.training_data import LabelledInputs


def test_lengths_that_disagree_are_caught() -> None:
    with pytest.raises(TypeCheckError):
        weight_gradient(torch.ones(3), torch.ones(4), 1.0)


def test_wrong_dtype_is_caught() -> None:
    with pytest.raises(TypeCheckError):
        LabelledInputs(torch.ones(3, 2), torch.ones(3))
