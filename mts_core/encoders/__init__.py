"""Maps inputs to vectors in which distance means likeness."""

from mts_core.encoders.choice import choose_encoder, is_fitted, make_encoder, make_fixed_encoder
from mts_core.encoders.conditioning import Conditioning, fit_conditioning
from mts_core.encoders.fitted import FittedState, fitted_state, restore_encoder
from mts_core.encoders.protocol import Encoder

__all__ = [
    "Conditioning",
    "Encoder",
    "FittedState",
    "choose_encoder",
    "fit_conditioning",
    "fitted_state",
    "is_fitted",
    "make_encoder",
    "make_fixed_encoder",
    "restore_encoder",
]
