"""Manifests that carry the images themselves, as archives that training tools read.

Names inside an archive are made of a sample's position and never of what the user called it, so
no name leads out of the folder that the archive is unpacked into. The same samples always make
the same bytes: members have no times, and their order is that of the pool.
"""

import io
import json
import re
import shutil
import tarfile
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self, final

from curation.image_files import image_ending
from curation.manifest_files import free_name, plain_rows
from curation.manifest_formats import ManifestFormat
from curation.manifest_rows import ImageRows

# As many samples as one worker of a data loader takes in one go, and files of a handy size.
SHARD_SAMPLES = 10_000
SHARD_BYTES = 1 << 30

_MODE = 0o644
_IS_REGULAR = 0o100000
# What is a folder's name on every system as it stands; other classes get a folder by number.
_PORTABLE = re.compile(r"[^\W_](?:[\w .-]{0,98}[^\W_])?")
_RESERVED = frozenset(
    {"con", "prn", "aux", "nul", *(f"{device}{n}" for device in ("com", "lpt") for n in range(10))}
)


class ImageArchive(ABC):
    """An archive of images that is being written, to be used as a context."""

    def __init__(self, path: Path) -> None:
        self._resources = ExitStack()
        self._zip = self._resources.enter_context(zipfile.ZipFile(path, "w", zipfile.ZIP_STORED))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._resources:
            if kind is None:
                self._complete()

    def write(self, batch: ImageRows) -> None:
        """Append samples."""
        rows = plain_rows(batch.rows)
        for position, row, image in zip(batch.positions, rows, batch.images, strict=True):
            content = memoryview(image.as_buffer())
            self._write_sample(f"{position:08}", image_ending(content), row, content)

    @abstractmethod
    def _write_sample(
        self, key: str, ending: str, row: dict[str, Any], content: memoryview
    ) -> None:
        """Append one sample.

        Args:
            key: Its name in the archive.
            ending: Ending of an image's file, with the dot.
            row: Its manifest row, as JSON values.
            content: The image.
        """

    @abstractmethod
    def _complete(self) -> None:
        """Write what only the last sample decides."""


def open_archive(
    path: Path,
    file_format: ManifestFormat,
    class_names: Sequence[str],
    *,
    shard_samples: int = SHARD_SAMPLES,
) -> ImageArchive:
    """Return a new archive of images.

    Args:
        path: Where to write it; a file of the same name and another ending may lie there meanwhile.
        file_format: One that holds images.
        class_names: Names of the classes, by label.
        shard_samples: Most samples of a shard, where the format has shards.
    """
    match file_format:
        case ManifestFormat.IMAGEFOLDER:
            return _ImageFolder(path, class_names)
        case ManifestFormat.WEBDATASET:
            return _WebDataset(path, class_names, shard_samples)
        case ManifestFormat.FIFTYONE:
            return _FiftyOne(path, class_names)
        case _:
            raise ValueError(f"{file_format} holds no images")


def class_folders(class_names: Sequence[str]) -> list[str]:
    """Return a folder name for each class: its own where that is safe everywhere.

    No two are equal on systems that take capital and small letters for the same.
    """
    folders: list[str] = []
    taken: set[str] = set()
    for label, name in enumerate(class_names):
        is_plain = _PORTABLE.fullmatch(name) and not name.lower().startswith("class-")
        is_free = name.lower() not in taken and name.lower().split(".")[0] not in _RESERVED
        folders.append(name if is_plain and is_free else f"class-{label}")
        taken.add(folders[-1].lower())
    return folders


@final
class _ImageFolder(ImageArchive):
    """`datasets.load_dataset("imagefolder")`: a folder a class, and metadata.jsonl at the top."""

    def __init__(self, path: Path, class_names: Sequence[str]) -> None:
        super().__init__(path)
        self._class_names = class_names
        self._folders = class_folders(class_names)
        self._draft = path.with_name(f"{path.name}.metadata")
        self._metadata = self._resources.enter_context(
            self._draft.open("w", encoding="utf-8", newline="\n")
        )

    def _write_sample(
        self, key: str, ending: str, row: dict[str, Any], content: memoryview
    ) -> None:
        label = row.pop("label")
        name = f"{self._folders[label]}/{key}{ending}"
        source = row.pop("file_name")
        listed = {"file_name": name, "label": self._class_names[label]}
        listed[free_name("source_path", row)] = source
        for column, value in row.items():
            listed[_unlike_a_file(column, listed)] = value
        self._metadata.write(f"{_json(listed)}\n")
        self._zip.writestr(_zip_entry(name), content)

    def _complete(self) -> None:
        self._metadata.close()
        _add_file(self._zip, "metadata.jsonl", self._draft)


@final
class _WebDataset(ImageArchive):
    """Tar shards of samples, whose members share a key: the image, its class and its row."""

    def __init__(self, path: Path, class_names: Sequence[str], shard_samples: int) -> None:
        super().__init__(path)
        self._class_names = class_names
        self._shard_samples = shard_samples
        self._open_files = self._resources.enter_context(ExitStack())
        self._shard_count = 0
        self._begin_shard()

    def _begin_shard(self) -> None:
        self._open_files.close()
        entry = _zip_entry(f"shard-{self._shard_count:06}.tar")
        member = self._open_files.enter_context(self._zip.open(entry, "w", force_zip64=True))
        self._shard = self._open_files.enter_context(
            tarfile.open(  # noqa: SIM115 - left together with the shard.
                fileobj=member, mode="w|", format=tarfile.USTAR_FORMAT
            )
        )
        self._shard_count += 1
        self._samples = self._bytes = 0

    def _write_sample(
        self, key: str, ending: str, row: dict[str, Any], content: memoryview
    ) -> None:
        if self._samples == self._shard_samples or self._bytes >= SHARD_BYTES:
            self._begin_shard()
        label = row["label"]
        row[free_name("label_name", row)] = self._class_names[label]
        for tail, member in (
            (ending, content),
            (".cls", str(label).encode()),
            (".json", _json(row).encode()),
        ):
            header = tarfile.TarInfo(f"{key}{tail}")
            header.size, header.mode = len(member), _MODE
            self._shard.addfile(header, io.BytesIO(member))
        self._samples += 1
        self._bytes += len(content)

    def _complete(self) -> None:
        self._open_files.close()
        self._zip.writestr(_zip_entry("classes.json"), _json(list(self._class_names)))


@final
class _FiftyOne(ImageArchive):
    """FiftyOneImageClassificationDataset: data/, and labels.json with an entry for each image."""

    def __init__(self, path: Path, class_names: Sequence[str]) -> None:
        super().__init__(path)
        self._draft = path.with_name(f"{path.name}.labels")
        self._labels = self._resources.enter_context(self._draft.open("w", encoding="utf-8"))
        self._labels.write(f'{{"classes": {_json(list(class_names))}, "labels": {{')
        self._separator = "\n"

    def _write_sample(
        self, key: str, ending: str, row: dict[str, Any], content: memoryview
    ) -> None:
        target = {"label": row.pop("label"), "attributes": row}
        self._labels.write(f'{self._separator}"{key}": {_json(target)}')
        self._separator = ",\n"
        self._zip.writestr(_zip_entry(f"data/{key}{ending}"), content)

    def _complete(self) -> None:
        self._labels.write("\n}}\n")
        self._labels.close()
        _add_file(self._zip, "labels.json", self._draft)


def _unlike_a_file(column: str, taken: Collection[str]) -> str:
    """Return a free name for a column, which `datasets` takes neither for paths nor for images."""
    while column in taken or column == "image" or column.endswith(("file_name", "file_names")):
        column = f"{column}_"
    return column


def _zip_entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.create_system = 3  # Unix, whose modes the next line gives.
    entry.external_attr = (_IS_REGULAR | _MODE) << 16
    return entry


def _add_file(archive: zipfile.ZipFile, name: str, draft: Path) -> None:
    entry = _zip_entry(name)
    entry.compress_type = zipfile.ZIP_DEFLATED
    with draft.open("rb") as source, archive.open(entry, "w", force_zip64=True) as target:
        shutil.copyfileobj(source, target, 1 << 20)
    draft.unlink()


def _json(value: Any) -> str:  # Any: JSON values.
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
