"""Decodes stored samples in a process of its own, under limits and without any of our secrets."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import structlog

from curation.feature_columns import columns_to_json
from curation.limited_child import ResourceLimits
from curation.limited_process import ProcessAnswer, ProcessEnd, ask_limited_process
from curation.objects import storage_full
from worker.decoded_files import ClassMap, LoadedSet, inputs_bytes, read_samples
from worker.process_tree import ATTEMPT_VARIABLE
from worker.sample_arrays import InvalidDataError, SetFacts, payload_of
from worker.settings import WorkerSettings
from worker.table_arrays import TableReader

_FOLDER_PREFIX = "decoding-"

log = structlog.get_logger(__name__)


class DecodingStoppedError(Exception):
    """The run is to end, so that nobody waits for its samples any longer."""


class DecodingInterruptedError(Exception):
    """Somebody else ended the process; nothing was found out about the samples."""


@dataclass(frozen=True, kw_only=True)
class DecodingBounds:
    """Where samples are decoded, and what that may cost.

    Attributes:
        scratch: Folder for the decoded samples.
        memory_map_bytes: Inputs larger than this are mapped from a file instead of held.
        max_pixels: Width times height of an image at most.
        max_memory_bytes: Address space of the process.
        max_seconds: Time for each set, by the clock and of CPUs together.
        max_file_bytes: Size of texts, and of names, in all.
        keep_going: Asked about twenty times a second; False ends the process.
    """

    scratch: Path
    memory_map_bytes: int
    max_pixels: int
    max_memory_bytes: int
    max_seconds: int
    max_file_bytes: int
    keep_going: Callable[[], bool]

    @classmethod
    def of(cls, settings: WorkerSettings, scratch: Path, keep_going: Callable[[], bool]) -> Self:
        """Return the bounds of an installation: those under which the samples were validated."""
        return cls(
            scratch=scratch,
            memory_map_bytes=settings.memory_map_bytes,
            max_pixels=settings.max_image_pixels,
            max_memory_bytes=settings.max_validation_memory_bytes,
            max_seconds=settings.max_validation_seconds,
            max_file_bytes=settings.max_archive_bytes,
            keep_going=keep_going,
        )


@dataclass(frozen=True)
class StoredSet:
    """A set that is to be decoded.

    Attributes:
        path: Its normalised file.
        facts: What the database says of it.
        class_map: New label of each of its own.
    """

    path: Path
    facts: SetFacts
    class_map: ClassMap


def decode_sets(
    sets: Sequence[StoredSet], table: TableReader | None, bounds: DecodingBounds
) -> list[LoadedSet]:
    """Return the samples of sets, decoded by another process.

    Args:
        sets: The sets, in the order in which new categories are numbered.
        table: Reads the rows of all tables of a job, and is told the categories; none where the
            sets are no tables.
        bounds: Where to decode, and what it may cost.

    Raises:
        InvalidDataError: A file holds other samples than recorded, does not decode, or takes too
            long or too much memory to be decoded.
        DecodingStoppedError: `keep_going` said no.
        DecodingInterruptedError: Somebody else ended the process.
        StorageFullError: The scratch folder has no room.
    """
    with TemporaryDirectory(dir=bounds.scratch, prefix=_FOLDER_PREFIX) as name:
        parts = [(part, Path(name) / part.facts.role) for part in sets]
        answer = _ask(parts, table, bounds, answer_path=Path(name) / "answer.json")
        codes = _codes_of(answer, bounds)
        if table is not None:
            table.take_codes(codes)
        return [_loaded(part, folder, table, bounds) for part, folder in parts]


def _ask(
    parts: Sequence[tuple[StoredSet, Path]],
    table: TableReader | None,
    bounds: DecodingBounds,
    *,
    answer_path: Path,
) -> ProcessAnswer:
    for _, folder in parts:
        folder.mkdir()
    request = {
        "sets": [
            {"path": str(part.path), "folder": str(folder), "facts": _facts_to_json(part.facts)}
            for part, folder in parts
        ],
        "table": None if table is None else _table_to_json(table),
        "max_pixels": bounds.max_pixels,
    }
    return ask_limited_process(
        "worker.decoding_child",
        request,
        answer_path=answer_path,
        limits=_limits([part for part, _ in parts], table, bounds),
        keep_going=bounds.keep_going,
        # By its mark, whoever clears up after a killed attempt finds the process.
        environment={name: os.environ[name] for name in (ATTEMPT_VARIABLE,) if name in os.environ},
    )


def _loaded(
    part: StoredSet, folder: Path, table: TableReader | None, bounds: DecodingBounds
) -> LoadedSet:
    payload = payload_of(part.facts, table, max_pixels=bounds.max_pixels)
    return read_samples(
        folder,
        part.facts,
        payload,
        class_map=part.class_map,
        is_held=inputs_bytes(part.facts, payload) <= bounds.memory_map_bytes,
    )


def _limits(
    sets: Sequence[StoredSet], table: TableReader | None, bounds: DecodingBounds
) -> ResourceLimits:
    sizes = [
        inputs_bytes(part.facts, payload_of(part.facts, table, max_pixels=bounds.max_pixels))
        for part in sets
    ]
    return ResourceLimits(
        memory_bytes=bounds.max_memory_bytes,
        seconds=bounds.max_seconds * len(sets),
        file_bytes=max(bounds.max_file_bytes, *sizes),
    )


def _codes_of(answer: ProcessAnswer, bounds: DecodingBounds) -> list[Mapping[str, int]]:
    """Return the codes of categories that the child answered.

    Raises:
        InvalidDataError: It found the samples wanting, or they were too much for it.
        DecodingStoppedError: The run is to end.
        DecodingInterruptedError: Somebody else ended it.
        StorageFullError: The scratch folder has no room.
    """
    match answer.end:
        case ProcessEnd.ANSWERED:
            return _read_answer(answer.content)
        case ProcessEnd.FULL_DISK:
            raise storage_full()
        case ProcessEnd.INTERRUPTED if not bounds.keep_going():
            raise DecodingStoppedError
        case ProcessEnd.INTERRUPTED | ProcessEnd.KILLED:
            raise DecodingInterruptedError
        case ProcessEnd.TOO_SLOW:
            raise InvalidDataError(
                f"Decoding the stored samples took longer than {bounds.max_seconds} seconds a set."
            )
        case ProcessEnd.OUT_OF_MEMORY:
            raise InvalidDataError(
                f"Decoding the stored samples took more than {bounds.max_memory_bytes} bytes of"
                " memory."
            )
        case ProcessEnd.CRASHED:
            log.warning("decoding_crashed", exit_code=answer.exit_code)
            raise InvalidDataError("The stored samples make their decoder crash.")


def _read_answer(answer: Mapping[str, Any]) -> list[Mapping[str, int]]:  # JSON values.
    if "fault" in answer:
        log.error("decoding_fault", **answer["fault"])
        raise InvalidDataError("The stored samples do not decode.")
    if "invalid" in answer:
        raise InvalidDataError(answer["invalid"])
    codes: list[Mapping[str, int]] = answer["codes"]
    return codes


def _facts_to_json(facts: SetFacts) -> dict[str, Any]:  # JSON values.
    raw = asdict(facts)
    return {
        name: raw[name] for name in ("role", "digest", "modality", "sample_count", "input_shape")
    }


def _table_to_json(table: TableReader) -> dict[str, Any]:  # JSON values.
    known = [asdict(column) for column in table.table_columns] if table.is_closed else None
    return {"columns": columns_to_json(table.columns), "known": known}
