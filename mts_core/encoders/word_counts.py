"""Encodes texts by which words and letter groups they use, reduced to few dimensions."""

from typing import Final, final

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import Pipeline, make_pipeline

from mts_core.encoders.texts import cut_texts

DIMENSION: Final = 128
_MOST_TERMS: Final = 50_000
_SEEDS: Final = 2**32
"""Seeds that numpy's older generators take."""
_LETTERS: Final = (2, 5)
_SMALL_SAMPLE: Final = 200
"""Texts below which even a term of a single text counts."""


@final
class WordCountEncoder:
    """Weighs letter groups within words by how few texts use them, and keeps main directions.

    Letter groups need no list of words, so that inflected and misspelt words count as alike and
    any language will do.

    Attributes:
        name: Name by which a job asks for it.
        dimension: Length of a vector.
        transformer: Maps the beginnings of texts to vectors.

    Source: [deerwester1990lsa], on tf-idf weights with logarithmic counts.
    """

    name: str = "tfidf_svd"

    def __init__(self, texts: NDArray[np.generic], *, seed: int) -> None:
        """Fit on a sample of texts.

        Args:
            texts: [sample] texts, as objects; a few thousand are enough.
            seed: Seed of the random projection that the directions are found by.
        """
        vectorizer = TfidfVectorizer(
            analyzer="char_wb",
            ngram_range=_LETTERS,
            min_df=2 if len(texts) >= _SMALL_SAMPLE else 1,
            max_features=_MOST_TERMS,
            sublinear_tf=True,
            dtype=np.float32,
        )
        counts = vectorizer.fit_transform(cut_texts(texts))
        kept = min(DIMENSION, *(size - 1 for size in counts.shape))
        directions = TruncatedSVD(kept, random_state=seed % _SEEDS).fit(counts)
        self.transformer: Pipeline = make_pipeline(vectorizer, directions)
        self.dimension = kept

    def encode(self, inputs: NDArray[np.generic]) -> NDArray[np.float32]:
        """Return weights of the main directions, [sample, dimension] float32."""
        return np.asarray(self.transformer.transform(cut_texts(inputs)), dtype=np.float32)
