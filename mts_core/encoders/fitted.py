"""Keeps encoders that a run's inputs made, and makes them again; nothing is pickled."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final
from zipfile import BadZipFile

import numpy as np
import skops.io
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

from mts_core.encoders.protocol import Encoder
from mts_core.encoders.table import TableEncoder
from mts_core.encoders.texts import cut_texts
from mts_core.encoders.word_counts import WordCountEncoder
from mts_core.errors import CheckpointError
from mts_core.table_columns import TableColumn

_TRUSTED: Final = ("numpy.clip", "numpy.dtype")
"""What the transformers name besides the types that skops knows to be harmless."""


@dataclass(frozen=True, eq=False)
class FittedState:
    """What makes a fitted encoder again.

    Attributes:
        content: Its transformer, in the format of skops.
        columns: A table's columns, with the codes of the categories that its vectors tell apart;
            empty for texts.
    """

    content: bytes
    columns: tuple[TableColumn, ...] = ()


@final
class RestoredEncoder:
    """An encoder that was fitted in another run.

    Attributes:
        name: Name by which a job asks for it.
        dimension: Length of a vector.
    """

    def __init__(
        self, name: str, transformer: ColumnTransformer | Pipeline, *, dimension: int
    ) -> None:
        self.name = name
        self.dimension = dimension
        self._transformer = transformer

    def encode(self, inputs: NDArray[np.generic]) -> NDArray[np.float32]:
        """Return vectors, [sample, dimension] float32."""
        is_text = inputs.dtype == np.object_
        given = cut_texts(inputs) if is_text else inputs
        return np.asarray(self._transformer.transform(given), dtype=np.float32)


def fitted_state(encoder: Encoder, columns: Sequence[TableColumn] | None) -> FittedState | None:
    """Return what makes an encoder again; none where its name alone does.

    Args:
        encoder: The encoder.
        columns: Columns of the table that it was fitted on; none for other inputs.
    """
    if isinstance(encoder, TableEncoder):
        known = encoder.told_apart(columns or ())
        return FittedState(skops.io.dumps(encoder.transformer), known)
    if isinstance(encoder, WordCountEncoder):
        return FittedState(skops.io.dumps(encoder.transformer))
    return None


def restore_encoder(name: str, state: FittedState, *, dimension: int) -> Encoder:
    """Return the encoder that a state was taken of.

    Args:
        name: Its name.
        state: From `fitted_state`.
        dimension: Length of its vectors.

    Raises:
        CheckpointError: The content is damaged, or names a type that no encoder is made of.
    """
    try:
        transformer = skops.io.loads(state.content, trusted=_TRUSTED)
    except (AttributeError, BadZipFile, ImportError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"The encoder {name} cannot be made again.") from error
    return RestoredEncoder(name, transformer, dimension=dimension)
