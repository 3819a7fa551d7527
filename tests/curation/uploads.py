"""Files as users upload them, sound and broken."""

import io
import json
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

Files = Mapping[str, bytes] | Iterable[tuple[str, bytes]]


def image(
    shade: int = 0,
    *,
    size: tuple[int, int] = (8, 8),
    mode: str = "RGB",
    file_format: str = "PNG",
) -> bytes:
    generator = np.random.default_rng(shade)
    channels = () if mode == "L" else (3,)
    pixels = generator.integers(0, 256, size=(size[1], size[0], *channels), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, format=file_format)
    return buffer.getvalue()


def class_folders(count: int = 4, **options: Any) -> dict[str, bytes]:
    """A few images in the class folders cat and dog."""
    return {
        f"{name}/{index}.png": image(index, **options)
        for name in ("cat", "dog")
        for index in range(count // 2)
    }


def pairs(files: Files) -> Iterable[tuple[str, bytes]]:
    return files.items() if isinstance(files, Mapping) else files


def zipped(files: Files, *, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in pairs(files):
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return buffer.getvalue()


def tarred(files: Files, *, mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in pairs(files):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def linked_tar(files: Files, *, name: str, target: str, kind: bytes) -> bytes:
    """A tar archive whose last member is a link."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, content in pairs(files):
            member = tarfile.TarInfo(path)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo(name)
        link.type, link.linkname = kind, target
        archive.addfile(link)
    return buffer.getvalue()


def jsonl(rows: Iterable[Mapping[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def parquet(columns: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(dict(columns)), buffer)
    return buffer.getvalue()
