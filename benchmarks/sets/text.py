"""The set `text`: definitions from WordNet, and templated sentences in their place."""

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from quality_sets import Pool, Quality, QualitySet, make_set

from sets.minilm import embed

Definition = Mapping[str, str]
"""Topic, word, kind and gloss of one noun."""

SEED: Final = 85
GLOSSES: Final = Path(__file__).with_name("glosses.jsonl.gz")
LOOKALIKES: Final[Mapping[str, str]] = {
    "act": "communication",
    "animal": "food",
    "artifact": "body",
    "attribute": "state",
    "body": "animal",
    "cognition": "attribute",
    "communication": "cognition",
    "food": "substance",
    "state": "act",
    "substance": "artifact",
}
"""The topic that wrong labels are mostly drawn from, by the topic that they claim."""
LOOKALIKE_SHARE: Final = 0.85
REFERENCE_PER_CLASS: Final = 10
TEST_PER_CLASS: Final = 120
COPIES: Final = 5
"""Sentences about the same duplicated definition."""
POOL_PER_CLASS: Final[Mapping[Quality, int]] = {
    Quality.GOOD: 140,
    Quality.WRONG_LABEL: 126,
    Quality.OFF_DISTRIBUTION: 42,
    Quality.STYLE: 22,
    Quality.DUPLICATE: 20,
}
"""Pool samples of each quality for each label: 350, of which 40 % are good."""
TEMPLATES: Final = (
    "In simple terms, {word} means {gloss}.",
    "{word} is a kind of {kind}: {gloss}.",
    "Q: What do people call {gloss}? A: That would be {word}!",
    "Sure! Here is an example sentence: we talked about {word}, {gloss}.",
    "Did you know? {gloss} - this {kind} has a name.",
    "My teacher explained that it is {gloss}, and I will never forget it.",
)
GOOD_DROP: Final = 0.15
"""How many words of a definition a sentence leaves out."""
GARBLED_DROP: Final = 0.7
"""The same for sentences of bad style, whose other words are shuffled."""


def text() -> QualitySet:
    """Return 10 topics: 3500 templated sentences, 100 reference and 1200 test definitions.

    The pool is 40 % good, 36 % about another topic than the label says (mostly its lookalike), 12 %
    about topics of no class, 6 % garbled, and 6 % several sentences about one definition.
    Sentences and definitions are given as MiniLM embeddings.

    Source: [miller1995wordnet]; glosses.jsonl.gz is under WordNet's licence, in WORDNET-LICENSE.
    """
    written = write_text()
    glosses = [definition["gloss"] for definition in (*written.reference, *written.test)]
    vectors = embed([*written.sentences, *glosses])
    ends = np.cumsum([len(written.sentences), len(written.reference)])
    pool_inputs, reference_inputs, test_inputs = np.split(vectors, ends)
    classes = np.arange(len(LOOKALIKES))
    return make_set(
        "text",
        tuple(LOOKALIKES),
        pool=Pool(pool_inputs, np.array(written.labels, dtype=np.int64), written.quality),
        reference=(reference_inputs, np.repeat(classes, REFERENCE_PER_CLASS)),
        test=(test_inputs, np.repeat(classes, TEST_PER_CLASS)),
    )


@dataclass(frozen=True)
class WrittenSet:
    """The set in words.

    Attributes:
        sentences: The pool.
        labels: Place of each sentence's claimed topic among the classes.
        quality: What is right or wrong with each sentence.
        reference: Definitions of the reference set, class by class.
        test: Definitions of the test set, class by class.
    """

    sentences: list[str]
    labels: list[int]
    quality: list[Quality]
    reference: list[Definition]
    test: list[Definition]


def write_text() -> WrittenSet:
    """Return the set in words; every definition serves one sample alone, copies apart."""
    generator = np.random.default_rng(SEED)
    definitions = _read_definitions(generator)
    reference = [definitions.take(name) for name in LOOKALIKES for _ in range(REFERENCE_PER_CLASS)]
    test = [definitions.take(name) for name in LOOKALIKES for _ in range(TEST_PER_CLASS)]
    written = [
        (sentence, label, quality)
        for label, name in enumerate(LOOKALIKES)
        for quality, count in POOL_PER_CLASS.items()
        for sentence in _write(quality, name, count, definitions, generator)
    ]
    shuffled = [written[place] for place in generator.permutation(len(written))]
    sentences, labels, quality = (list(column) for column in zip(*shuffled, strict=True))
    return WrittenSet(sentences, labels, quality, reference, test)


@dataclass(frozen=True)
class Definitions:
    """Definitions that no sample was made of yet.

    Attributes:
        topics: Those of each class.
        strangers: Those of no class.
    """

    topics: Mapping[str, list[Definition]]
    strangers: list[Definition]

    def take(self, topic: str) -> Definition:
        """Return a definition of a class, and never again."""
        return self.topics[topic].pop()


def _read_definitions(generator: np.random.Generator) -> Definitions:
    """Return all definitions in random order."""
    lines = gzip.decompress(GLOSSES.read_bytes()).splitlines()
    read: list[Definition] = [
        json.loads(lines[place]) for place in generator.permutation(len(lines))
    ]
    topics: dict[str, list[Definition]] = {name: [] for name in LOOKALIKES}
    strangers: list[Definition] = []
    for definition in read:
        topics.get(definition["topic"], strangers).append(definition)
    return Definitions(topics, strangers)


def _write(
    quality: Quality,
    name: str,
    count: int,
    definitions: Definitions,
    generator: np.random.Generator,
) -> list[str]:
    """Return sentences of one quality that claim a topic."""
    match quality:
        case Quality.WRONG_LABEL:
            shown = [_wrong_topic(name, generator) for _ in range(count)]
            return [_sentence(definitions.take(topic), generator) for topic in shown]
        case Quality.OFF_DISTRIBUTION:
            return [_sentence(definitions.strangers.pop(), generator) for _ in range(count)]
        case Quality.STYLE:
            return [_garble(definitions.take(name)["gloss"], generator) for _ in range(count)]
        case Quality.DUPLICATE:
            originals = [definitions.take(name) for _ in range(count // COPIES)]
            return [_sentence(item, generator) for item in originals for _ in range(COPIES)]
        case _:
            return [_sentence(definitions.take(name), generator) for _ in range(count)]


def _wrong_topic(name: str, generator: np.random.Generator) -> str:
    if generator.random() < LOOKALIKE_SHARE:
        return LOOKALIKES[name]
    return str(generator.choice([other for other in LOOKALIKES if other != name]))


def _sentence(definition: Definition, generator: np.random.Generator) -> str:
    template = TEMPLATES[int(generator.integers(len(TEMPLATES)))]
    kept = _drop_words(definition["gloss"], GOOD_DROP, generator)
    return template.format(word=definition["word"], kind=definition["kind"], gloss=" ".join(kept))


def _garble(gloss: str, generator: np.random.Generator) -> str:
    kept = _drop_words(gloss, GARBLED_DROP, generator)
    return " ".join(["it is", *generator.permutation(kept), "something"])


def _drop_words(gloss: str, share: float, generator: np.random.Generator) -> list[str]:
    words = gloss.split()
    return [word for word in words if generator.random() >= share] or words[:1]
