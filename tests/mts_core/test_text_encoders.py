import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mts_core.curation_data import CurationData
from mts_core.encoders import choose_encoder, make_encoder
from mts_core.encoders.texts import LONGEST_TEXT
from mts_core.encoders.word_counts import DIMENSION, WordCountEncoder
from mts_core.errors import ConfigError, MtsError
from mts_core.library_models import Library, LibraryModel
from mts_core.pipeline_config import EncoderChoice

CPU = torch.device("cpu")
ANIMALS = ["A cat sat there.", "The dog barks.", "Horses run far.", "My parrot talks."]
FOODS = ["Bread is baked.", "Soup with noodles.", "An apple a day.", "Cheese and butter."]


def _texts(*texts: str) -> NDArray[np.object_]:
    return np.array(texts, dtype=np.object_)


def _data(texts: NDArray[np.object_], labels: NDArray[np.int64]) -> CurationData:
    return CurationData(
        pool_inputs=texts,
        pool_labels=labels,
        pool_is_real=np.zeros(len(labels), dtype=bool),
        reference_inputs=texts,
        reference_labels=labels,
        test_inputs=None,
        test_labels=None,
        class_count=int(labels.max()) + 1,
    )


MEALS = _data(_texts(*ANIMALS, *FOODS), np.repeat([0, 1], 4))


def test_minilm_knows_what_texts_are_about() -> None:
    encoder = make_encoder(EncoderChoice.MINILM, MEALS, seed=0, device=CPU)
    vectors = encoder.encode(_texts("A kitten purrs.", "The cat meows.", "Interest rates rise."))
    assert vectors.shape == (3, encoder.dimension) == (3, 384)
    assert vectors.dtype == np.float32
    cosines = vectors @ vectors.T
    assert cosines[0, 1] > cosines[0, 2] + 0.3


def test_a_text_is_encoded_alike_alone_and_in_company() -> None:
    encoder = make_encoder(EncoderChoice.MINILM, MEALS, seed=0, device=CPU)
    together = encoder.encode(_texts("short", "a text that is a good deal longer than the others"))
    # Padding to the longest text of a batch changes the order of sums.
    assert np.allclose(encoder.encode(_texts("short")), together[:1], atol=1e-5)


def test_word_counts_bring_texts_of_the_same_words_together() -> None:
    encoder = WordCountEncoder(_texts(*ANIMALS, *FOODS, *ANIMALS, *FOODS), seed=0)
    one, other, unlike = encoder.encode(_texts("the dog barked", "dogs bark", "apples and bread"))
    assert one @ other > one @ unlike


def test_word_counts_have_at_most_128_dimensions() -> None:
    generator = np.random.default_rng(0)
    letters = generator.choice(list("abcdefgh "), size=(300, 40))
    encoder = WordCountEncoder(_texts(*("".join(row) for row in letters)), seed=0)
    assert encoder.dimension == DIMENSION == 128


@pytest.mark.parametrize(
    "texts", [("ab", "cd", "ef", "gh"), ("我", "你", "他", "她"), ("!", "?", ".", ";")]
)
def test_word_counts_bear_texts_without_a_common_word(texts: tuple[str, ...]) -> None:
    encoder = WordCountEncoder(_texts(*texts), seed=0)
    vectors = encoder.encode(_texts(*texts, "something else", " "))
    assert vectors.shape == (6, encoder.dimension)
    assert np.isfinite(vectors).all()


def test_word_counts_are_the_same_for_the_same_seed() -> None:
    texts = _texts(*ANIMALS, *FOODS)
    # A seed of the run has more bits than numpy's older generators take.
    one, other = (WordCountEncoder(texts, seed=2**62 + 5).encode(texts) for _ in range(2))
    assert np.array_equal(one, other)


@pytest.mark.parametrize("choice", [EncoderChoice.TFIDF_SVD, EncoderChoice.MINILM])
def test_nothing_is_looked_at_beyond_the_longest_text(choice: EncoderChoice) -> None:
    encoder = make_encoder(choice, MEALS, seed=0, device=CPU)
    text = "dog " * (LONGEST_TEXT // 4)
    assert np.array_equal(encoder.encode(_texts(text)), encoder.encode(_texts(f"{text}cheese")))


def test_auto_compares_both_views_of_texts() -> None:
    encoder, losses = choose_encoder(MEALS, EncoderChoice.AUTO, seed=0, device=CPU)
    assert set(losses) == {"tfidf_svd", "minilm"}
    # No two texts of a class share a word, so only a model of language sees the classes.
    assert encoder.name == "minilm"


def test_model_that_the_worker_does_not_have_is_named_with_a_cure() -> None:
    model = LibraryModel(Library.SENTENCE_TRANSFORMERS, "nobody/has-this")
    with pytest.raises(ConfigError, match="hf download nobody/has-this") as refused:
        choose_encoder(MEALS, model, seed=0, device=CPU)
    assert refused.value.field == "encoder"


@pytest.mark.parametrize(
    "choice",
    [EncoderChoice.IDENTITY, EncoderChoice.PIXELS_PCA, LibraryModel(Library.TIMM, "resnet18")],
)
def test_an_encoder_for_another_kind_of_input_is_refused(
    choice: EncoderChoice | LibraryModel,
) -> None:
    with pytest.raises(ConfigError, match="does not read texts"):
        choose_encoder(MEALS, choice, seed=0, device=CPU)


def test_texts_that_are_no_objects_are_refused() -> None:
    with pytest.raises(MtsError, match="texts as objects"):
        _data(np.array(["a", "b"]), np.arange(2))  # type: ignore[arg-type]
