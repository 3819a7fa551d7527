"""Makes sets/glosses.jsonl.gz, the definitions behind the set `text`, out of WordNet 3.0.

Run it from anywhere, with Debian's package wordnet-base installed:

    python benchmarks/sets/make_glosses.py [FOLDER OF data.noun]

The same WordNet gives the same bytes: the sample is seeded, and the archive carries no date.
"""

import gzip
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

SEED: Final = 74
TARGET: Final = Path(__file__).with_name("glosses.jsonl.gz")
LENGTHS: Final = range(30, 161)
"""Characters of the definitions that are taken."""
TOPICS: Final = {
    4: "act",
    5: "animal",
    6: "artifact",
    7: "attribute",
    8: "body",
    9: "cognition",
    10: "communication",
    13: "food",
    26: "state",
    27: "substance",
}
"""Number in WordNet of each lexicographer's file that is a class."""
OTHER_TOPICS: Final = {11: "event", 14: "group", 15: "location", 18: "person", 20: "plant"}
"""Those whose definitions belong to no class."""
PER_TOPIC: Final = 460
PER_OTHER_TOPIC: Final = 100


def main() -> None:
    """Write the archive and say where."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/wordnet")
    records = sample_glosses((folder / "data.noun").read_text(encoding="utf-8"))
    lines = "".join(f"{json.dumps(record)}\n" for record in records)
    TARGET.write_bytes(gzip.compress(lines.encode(), mtime=0))
    print(f"{TARGET}  {len(records)} definitions, {TARGET.stat().st_size} bytes")


def sample_glosses(data_noun: str) -> list[dict[str, str]]:
    """Return definitions drawn at random from each topic, as topic, word, kind and gloss."""
    synsets = list(read_synsets(data_noun))
    words = {str(synset["offset"]): str(synset["word"]) for synset in synsets}
    generator = random.Random(SEED)  # noqa: S311  # It samples definitions, not secrets.
    records = []
    for topics, count in ((TOPICS, PER_TOPIC), (OTHER_TOPICS, PER_OTHER_TOPIC)):
        for number, topic in topics.items():
            # A definition that several words share would be on both sides of a split.
            own = {
                str(synset["gloss"]): synset
                for synset in synsets
                if synset["file"] == number and len(str(synset["gloss"])) in LENGTHS
            }
            for gloss in generator.sample(sorted(own), count):
                kind = words.get(str(own[gloss]["parent"]), "thing")
                word = str(own[gloss]["word"])
                records.append({"topic": topic, "word": word, "kind": kind, "gloss": gloss})
    return records


def read_synsets(data_noun: str) -> Iterator[dict[str, str | int]]:
    """Yield each synset's offset, lexicographer's file, first word, parent and definition.

    Source: the manual page wndb(5) of WordNet for the layout.
    """
    for line in data_noun.splitlines():
        if line.startswith(" "):
            continue
        head, _, gloss = line.partition("|")
        fields = head.split()
        parent = fields[fields.index("@") + 1] if "@" in fields else ""
        yield {
            "offset": fields[0],
            "file": int(fields[1]),
            "word": fields[4].replace("_", " "),
            "parent": parent,
            "gloss": gloss.partition(";")[0].strip(),
        }


if __name__ == "__main__":
    main()
