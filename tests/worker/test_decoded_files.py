"""Decoded samples lie in plain files, and whoever reads them takes nothing on trust."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from curation.sample_kinds import Modality
from worker.decoded_files import ClassMap, LoadedSet, read_samples, write_samples
from worker.sample_arrays import InvalidDataError, SetFacts, payload_of

TEXTS = ["one", "", "zwölf Ähren", "日本語", "five"]
WIDTH = 6
OWN = ClassMap(np.array([0, 1]))


def facts_of(modality: Modality, count: int) -> SetFacts:
    return SetFacts(
        role="synthetic",
        digest="0" * 64,
        modality=modality,
        sample_count=count,
        input_shape=(WIDTH,) if modality is Modality.EMBEDDING else (),
        class_names=("ant", "bee"),
        feature_columns=(),
    )


def stored(path: Path, name: str, values: pa.Array) -> Path:
    count = len(values)
    columns = {
        "sample_id": [f"id/{position}" for position in range(count)],
        "label": pa.array(np.arange(count) % 2, pa.int32()),
        "is_real": np.arange(count) % 3 == 0,
        name: values,
    }
    pq.write_table(pa.table(columns), path, row_group_size=1024)
    return path


def embeddings(count: int, width: int = WIDTH) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(count, width)).astype(np.float32)


def vectors(values: NDArray[np.float32]) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])


def written(folder: Path, modality: Modality, file: Path, count: int) -> SetFacts:
    facts = facts_of(modality, count)
    write_samples(file, facts, payload_of(facts, None, max_pixels=1), folder)
    return facts


def read(folder: Path, facts: SetFacts, class_map: ClassMap = OWN) -> LoadedSet:
    payload = payload_of(facts, None, max_pixels=1)
    return read_samples(folder, facts, payload, class_map=class_map, is_held=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "decoded"
    folder.mkdir()
    return folder


@pytest.fixture
def text_facts(tmp_path: Path, folder: Path) -> SetFacts:
    file = stored(tmp_path / "texts.parquet", "text", pa.array(TEXTS))
    return written(folder, Modality.TEXT, file, len(TEXTS))


def test_texts_come_back_letter_by_letter(folder: Path, text_facts: SetFacts) -> None:
    loaded = read(folder, text_facts)
    assert loaded.inputs.tolist() == TEXTS
    assert loaded.sample_ids.to_pylist() == [f"id/{position}" for position in range(len(TEXTS))]
    assert loaded.is_real.tolist() == [True, False, False, True, False]
    assert list(folder.iterdir()) == []


def test_labels_are_those_of_the_class_map(folder: Path, text_facts: SetFacts) -> None:
    assert read(folder, text_facts, ClassMap(np.array([7, 3]))).labels.tolist() == [7, 3, 7, 3, 7]


def test_numbers_come_back_bit_by_bit_across_batches(tmp_path: Path, folder: Path) -> None:
    values = embeddings(2500)
    file = stored(tmp_path / "a.parquet", "embedding", vectors(values))
    loaded = read(folder, written(folder, Modality.EMBEDDING, file, len(values)))
    np.testing.assert_array_equal(loaded.inputs, values)
    assert len(loaded.sample_ids) == len(values)


def test_decoding_holds_a_part_of_the_file_at_a_time(tmp_path: Path, folder: Path) -> None:
    values = np.tile(embeddings(16_384, width=1), (1, WIDTH * 40))
    facts = facts_of(Modality.EMBEDDING, len(values))
    wide = SetFacts(**{**vars(facts), "input_shape": (values.shape[1],)})
    file = stored(tmp_path / "a.parquet", "embedding", vectors(values))
    usual = pa.default_memory_pool()
    watched = pa.proxy_memory_pool(usual)
    pa.set_memory_pool(watched)
    try:
        write_samples(file, wide, payload_of(wide, None, max_pixels=1), folder)
    finally:
        pa.set_memory_pool(usual)
    assert watched.max_memory() < values.nbytes / 2


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels", np.full(len(TEXTS), 2).tobytes()),
        ("labels", np.full(len(TEXTS), -1).tobytes()),
        ("labels", b"\x00" * 8),
        ("is_real", b"\x01" * 99),
        ("inputs", b"short"),
        ("inputs.lengths", np.full(len(TEXTS), 2**62).tobytes()),
        ("inputs.lengths", np.array([4, -1, 0, 0, 0]).tobytes()),
        ("names", b"\xff" * len("id/0" * len(TEXTS))),
    ],
)
def test_files_that_a_decoder_has_garbled_are_refused(
    folder: Path, text_facts: SetFacts, name: str, content: bytes
) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(InvalidDataError):
        read(folder, text_facts)
