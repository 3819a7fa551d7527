"""Stored samples are decoded by a process that may cost so much and no more, and knows nothing."""

import signal
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.sample_kinds import Modality
from worker.decoded_files import ClassMap, LoadedSet
from worker.decoding_process import (
    DecodingBounds,
    DecodingInterruptedError,
    DecodingStoppedError,
    StoredSet,
    decode_sets,
)
from worker.process_tree import ATTEMPT_VARIABLE
from worker.sample_arrays import InvalidDataError, SetFacts

COUNT = 512
GIBI = 1 << 30


@pytest.fixture
def decode(tmp_path: Path) -> Callable[..., LoadedSet]:
    def decode(
        name: str, values: pa.Array | bytes, shape: tuple[int, ...] = (), **changes: Any
    ) -> LoadedSet:
        path = tmp_path / "samples.parquet"
        if isinstance(values, bytes):
            path.write_bytes(values)
        else:
            _write(path, name, values)
        facts = SetFacts(
            role="synthetic",
            digest="0" * 64,
            modality=Modality(name),
            sample_count=COUNT,
            input_shape=shape,
            class_names=("ant",),
            feature_columns=(),
        )
        bounds: dict[str, Any] = {
            "scratch": tmp_path,
            "memory_map_bytes": GIBI,
            "max_pixels": 1_000_000,
            "max_memory_bytes": 2 * GIBI,
            "max_seconds": 120,
            "max_file_bytes": GIBI,
            "keep_going": lambda: True,
        }
        part = StoredSet(path, facts, ClassMap(np.zeros(1, np.int64)))
        (loaded,) = decode_sets([part], None, DecodingBounds(**{**bounds, **changes}))
        return loaded

    return decode


def _write(path: Path, column: str, values: pa.Array) -> None:
    columns = {
        "sample_id": [f"id/{position}" for position in range(COUNT)],
        "label": pa.array(np.zeros(COUNT), pa.int32()),
        "is_real": np.zeros(COUNT, dtype=bool),
        column: values,
    }
    # The schema of Arrow would tell the reader to leave repeated values packed.
    pq.write_table(pa.table(columns), path, compression="zstd", store_schema=False)


def _vast_png(side: int) -> bytes:
    """Return a few hundred bytes that claim to be a grey picture of `side` times `side` pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(4096)))
        + chunk(b"IEND", b"")
    )


def _child() -> psutil.Process | None:
    for process in psutil.Process().children():
        # One that has just ended has no command line any more.
        with suppress(psutil.NoSuchProcess):
            if "worker.decoding_child" in process.cmdline():
                return process
    return None


def test_texts_of_another_process_arrive(decode: Callable[..., LoadedSet]) -> None:
    loaded = decode("text", pa.array([f"Nr. {position} ✓" for position in range(COUNT)]))
    assert loaded.inputs[COUNT - 1] == f"Nr. {COUNT - 1} ✓"


def test_repeated_text_that_unpacks_to_gibibytes_is_refused(
    decode: Callable[..., LoadedSet], tmp_path: Path
) -> None:
    vast = pa.DictionaryArray.from_arrays(np.zeros(COUNT, np.int32), pa.array(["a" * (16 << 20)]))
    with pytest.raises(InvalidDataError, match=f"more than {2 * GIBI} bytes of memory"):
        decode("text", vast, max_memory_bytes=2 * GIBI)
    assert (tmp_path / "samples.parquet").stat().st_size < 1 << 20


def test_picture_of_more_pixels_than_allowed_is_not_unpacked(
    decode: Callable[..., LoadedSet],
) -> None:
    with pytest.raises(InvalidDataError, match="more than 1000000 pixels"):
        decode("image", pa.array([_vast_png(8_000)] * COUNT), (1, 8, 8))


@pytest.mark.parametrize("content", [b"", b"PAR1 is what it begins with", bytes(10_000)])
def test_file_that_is_no_samples_at_all_is_refused(
    decode: Callable[..., LoadedSet], content: bytes
) -> None:
    with pytest.raises(InvalidDataError, match="do not decode"):
        decode("text", content)


def test_decoding_that_takes_too_long_is_ended(decode: Callable[..., LoadedSet]) -> None:
    with pytest.raises(InvalidDataError, match="longer than 0 seconds"):
        decode("text", pa.array(["a"] * COUNT), max_seconds=0)
    assert _child() is None


def test_run_that_is_to_end_does_not_wait(decode: Callable[..., LoadedSet]) -> None:
    with pytest.raises(DecodingStoppedError):
        decode("text", pa.array(["a"] * COUNT), keep_going=lambda: False)
    assert _child() is None


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (signal.SIGKILL, DecodingInterruptedError),
        (signal.SIGTERM, DecodingInterruptedError),
        (signal.SIGSEGV, InvalidDataError),
    ],
)
def test_end_from_outside_is_told_from_a_crash(
    decode: Callable[..., LoadedSet], number: int, error: type[Exception]
) -> None:
    def kill() -> bool:
        child = _child()
        if child is not None:
            child.send_signal(number)
        return True

    with pytest.raises(error):
        decode("text", pa.array(["a"] * COUNT), keep_going=kill)


def test_process_knows_no_secret_and_bears_the_attempt_s_mark(
    decode: Callable[..., LoadedSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WINNOW_DATABASE_URL", "postgresql://winnow:word@host/winnow")
    monkeypatch.setenv(ATTEMPT_VARIABLE, "job:7:")
    seen: dict[str, str] = {}

    def look() -> bool:
        child = _child()
        if child is not None and not seen:
            seen.update(child.environ())
        return True

    decode("text", pa.array(["a"] * COUNT), keep_going=look)
    assert seen[ATTEMPT_VARIABLE] == "job:7:"
    assert not any(name.startswith("WINNOW_") for name in seen.keys() - {ATTEMPT_VARIABLE})
