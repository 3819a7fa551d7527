"""Uploads of somebody who means ill, each made by code and small, with what it must come to."""

import io
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image, PngImagePlugin
from uploads import class_folders, image, linked_tar, parquet, tarred, zipped

_SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
_HTML = b"<!doctype html><script>alert(1)</script>"


@dataclass(frozen=True)
class Attack:
    """One hostile upload.

    Attributes:
        name: What it tries.
        content: The file.
        file_name: Under which it is uploaded.
        refusal: Reason with which all of it is refused, or None where the rest is kept.
        rejection: Reason with which the hostile part alone is left out.
    """

    name: str
    content: bytes
    file_name: str
    refusal: str | None = None
    rejection: str | None = None


def attacks() -> Iterator[Attack]:
    """Yield every attack."""
    yield from _archives()
    yield from _tar_headers()
    yield from _images()
    yield from _names()
    yield from _arrays()
    yield from _parquet_files()
    yield from _texts()


def _with(files: Mapping[str, bytes]) -> bytes:
    return zipped({**class_folders(), **files})


def _nested_bomb() -> bytes:
    packed = zipped({"cat/zeros.png": bytes(80 << 20)})
    for _ in range(4):
        packed = zipped({"cat/inner.zip": packed})
    return _with({"cat/inner.zip": packed})


def _overlapping() -> bytes:
    # Both entries of the directory lead to the first member.
    packed = bytearray(zipped({"cat/a.png": image(1), "dog/b.png": image(2)}))
    place = packed.rfind(b"PK\x01\x02")
    packed[place + 42 : place + 46] = bytes(4)
    return bytes(packed)


def _damaged_member(compression: int) -> bytes:
    packed = bytearray(zipped(class_folders(), compression=compression))
    packed[60:90] = b"\xff" * 30
    return bytes(packed)


def _mode_in_zip(mode: int) -> bytes:
    buffer = io.BytesIO(zipped(class_folders()))
    with zipfile.ZipFile(buffer, "a") as archive:
        member = zipfile.ZipInfo("cat/z.png")
        member.external_attr = mode << 16
        archive.writestr(member, "/etc/passwd")
    return buffer.getvalue()


def _archives() -> Iterator[Attack]:
    flat = {"cat/zeros.png": bytes(80 << 20)}
    yield Attack("flat bomb", zipped(flat), "a.zip", refusal="ARCHIVE_TOO_LARGE")
    packed = tarred(flat, mode="w:gz")
    yield Attack("packed tar bomb", packed, "a.tar.gz", refusal="ARCHIVE_TOO_LARGE")
    yield Attack("nested bomb", _nested_bomb(), "a.zip", rejection="UNSUPPORTED_FILE")
    yield Attack("overlap", _overlapping(), "a.zip", refusal="OVERLAPPING_MEMBERS")
    lzma, bzip2 = zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2
    yield Attack("damaged lzma", _damaged_member(lzma), "a.zip", rejection="CORRUPT_IMAGE")
    yield Attack("damaged bzip2", _damaged_member(bzip2), "a.zip", rejection="CORRUPT_IMAGE")
    for path in ("../x.png", "/etc/x.png", "cat/../../x.png", "C:/x.png", "cat\\..\\x.png"):
        for ending, pack in (("zip", zipped), ("tar", tarred)):
            content = pack({**class_folders(), path: image(9)})
            yield Attack(f"{ending} {path}", content, f"a.{ending}", refusal="PATH_ESCAPES_ARCHIVE")
    deep = "/".join(["cat"] * 60) + "/x.png"
    yield Attack("deep path", _with({deep: image(9)}), "a.zip", refusal="PATH_TOO_LONG")
    for name, mode in (("link", 0o120777), ("device", 0o020666), ("pipe", 0o010666)):
        yield Attack(f"zip {name}", _mode_in_zip(mode), "a.zip", rejection="NOT_A_REGULAR_FILE")
    for kind in (
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
    ):
        content = linked_tar(class_folders(), name="cat/z.png", target="/etc/passwd", kind=kind)
        yield Attack(f"tar {kind!r}", content, "a.tar", rejection="NOT_A_REGULAR_FILE")


def _tar_with_header(**headers: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in {**class_folders(), "cat/z.png": image(9)}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            if name == "cat/z.png":
                member.pax_headers = {key.replace("__", "."): text for key, text in headers.items()}
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _tar_headers() -> Iterator[Attack]:
    for headers in (
        {"GNU__sparse__map": "a,b", "GNU__sparse__size": "x"},
        {"GNU__sparse__major": "1", "GNU__sparse__minor": "0"},
        {"GNU__sparse__size": "zz", "GNU__sparse__realsize": "abc"},
        {"size": "-512"},
    ):
        content = _tar_with_header(**headers)
        yield Attack(f"tar header {headers}", content, "a.tar", refusal="TRUNCATED_ARCHIVE")
    # Skipped block by block, this length would keep a processor for hours.
    content = _tar_with_header(size="99999999999999")
    yield Attack("tar length", content, "a.tar", refusal="ARCHIVE_TOO_LARGE")
    content = _tar_with_header(path="../../evil.png")
    yield Attack("tar path", content, "a.tar", refusal="PATH_ESCAPES_ARCHIVE")


def _png_header(side: int) -> bytes:
    chunk = b"IHDR" + struct.pack(">II", side, side) + bytes([8, 2, 0, 0, 0])
    checksum = zlib.crc32(chunk).to_bytes(4, "big")
    return b"\x89PNG\r\n\x1a\n" + (13).to_bytes(4, "big") + chunk + checksum


def _text_bomb() -> bytes:
    buffer, info = io.BytesIO(), PngImagePlugin.PngInfo()
    info.add_text("comment", "A" * (8 << 20), zip=True)
    Image.new("RGB", (8, 8)).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def _animation() -> bytes:
    buffer = io.BytesIO()
    frames = [Image.new("RGB", (8, 8), (shade, 0, 0)) for shade in range(40)]
    frames[0].save(buffer, "PNG", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def _images() -> Iterator[Attack]:
    for name, file_name, content, reason in (
        ("pixel bomb", "z.png", _png_header(60_000) + b"\0\0\0\0IDAT", "IMAGE_TOO_LARGE"),
        ("no pixels", "z.png", _png_header(8), "CORRUPT_IMAGE"),
        ("text bomb", "z.png", _text_bomb(), "CORRUPT_IMAGE"),
        ("frames", "z.png", _animation(), "ANIMATED_IMAGE"),
        ("svg as png", "z.png", _SVG, "NOT_WHAT_NAME_SAYS"),
        ("svg", "z.svg", _SVG, "UNSUPPORTED_FILE"),
        ("html as jpeg", "z.jpg", _HTML, "NOT_WHAT_NAME_SAYS"),
        ("html after a png's first bytes", "z.png", image(1)[:24] + _HTML, "CORRUPT_IMAGE"),
        ("postscript", "z.png", b"%!PS-Adobe-3.0 EPSF-3.0\n", "NOT_WHAT_NAME_SAYS"),
    ):
        packed = _with({f"cat/{file_name}": content})
        yield Attack(name, packed, "a.zip", rejection=reason)


def _names() -> Iterator[Attack]:
    for name, path in (
        ("direction override", "cat/\u202egnp.png"),
        ("line feed", "cat/a\nb.png"),
        ("terminal escape", "cat/\x1b[31m.png"),
    ):
        yield Attack(name, _with({path: image(9)}), "a.zip", rejection="NAME_INVALID")
    packed = tarred({**class_folders(), "cat/\udcff.png": image(9)})
    yield Attack("name that is no UTF-8", packed, "a.tar", rejection="NAME_INVALID")
    packed = _with({"cat/aQb.png": image(9)}).replace(b"aQb.png", b"a\0b.png")
    yield Attack("NUL in a path", packed, "a.zip", refusal="PATH_ESCAPES_ARCHIVE")
    rows = (
        b'{"text": "a", "label": "x"}\n{"text": "b", "label": "y"}\n{"text": "c", "label": "y"}\n'
    )
    for name, label in (
        ("override in a label", "\\u202ecat"),
        ("NUL in a label", "c\\u0000at"),
        ("half a character in a label", "\\ud800"),
        ("line feed in a label", "cat\\nlevel=error"),
    ):
        row = f'{{"text": "d", "label": "{label}"}}\n'.encode()
        yield Attack(name, rows + row, "a.jsonl", rejection="LABEL_INVALID")
    decomposed = unicodedata.normalize("NFD", "caf\u00e9")
    folders = {f"{decomposed}/a.png": image(1), "caf\u00e9/b.png": image(2)}
    yield Attack("one class in two spellings", zipped(folders), "a.zip", refusal="ONE_CLASS")


def _npy(header: bytes, body: bytes = bytes(64), version: tuple[int, int] = (1, 0)) -> bytes:
    length = struct.pack("<H" if version == (1, 0) else "<I", len(header))
    return b"\x93NUMPY" + bytes(version) + length + header + body


def _saved(array: Any) -> bytes:  # Whatever numpy makes an array of.
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def _header(descr: str = "<f4", shape: str = "(2, 2)", *, fortran: bool = False) -> bytes:
    return f"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}".encode()


def _arrays() -> Iterator[Attack]:
    labels, vectors = _saved([0, 1]), _saved(np.ones((2, 2), np.float32))
    for name, content, reason in (
        ("a trillion rows", _npy(_header(shape="(1000000000000, 2)")), "LENGTHS_DIFFER"),
        ("a row of a trillion", _npy(_header(shape="(2, 1000000000000)")), "WRONG_DIMENSION"),
        ("negative shape", _npy(_header(shape="(-1, 2)")), "DAMAGED_FILE"),
        ("short columns", _npy(_header(shape="(2, 60000)", fortran=True)), "DAMAGED_FILE"),
        ("code in a header", _npy(b"__import__('os').system('id')"), "DAMAGED_FILE"),
        ("deep header", _npy(b"(" * 9000), "DAMAGED_FILE"),
        ("open text in a header", _npy(b"{'descr': '''"), "DAMAGED_FILE"),
        ("long header", _npy(b" " * 1_000_000, version=(2, 0)), "DAMAGED_FILE"),
        ("unknown version", _npy(_header(), version=(9, 9)), "DAMAGED_FILE"),
        ("two gibibytes an item", _npy(_header("|V2147483647")), "WRONG_TYPE"),
        ("no array", b"", "DAMAGED_FILE"),
        ("pickled vectors", _saved(np.array([[print], [print]], dtype=object)), "PICKLED_ARRAY"),
    ):
        packed = zipped({"x.npy": content, "y.npy": labels})
        yield Attack(f"npz: {name}", packed, "a.npz", refusal=reason)
    for name, content, reason in (
        ("labels without length", _npy(_header("<U0", "(1000000000000,)")), "WRONG_TYPE"),
        ("a trillion labels", _npy(_header("<i8", "(1000000000000,)")), "DAMAGED_FILE"),
        ("no characters", _npy(_header("<U1", "(2,)"), b"\xff\xff\xff\x7f" * 2), "DAMAGED_FILE"),
        ("pickled labels", _saved(np.array(["a", None], dtype=object)), "PICKLED_ARRAY"),
    ):
        packed = zipped({"x.npy": vectors, "y.npy": content})
        yield Attack(f"npz: {name}", packed, "a.npz", refusal=reason)


def _parquet_files() -> Iterator[Attack]:
    sound = parquet({"text": ["a", "b", "c", "d"], "label": [0, 1, 0, 1]})
    length = struct.pack("<I", 0xFFFFFFF0)
    for name, content in (
        ("footer beyond the file", sound[:-8] + length + sound[-4:]),
        ("empty footer", sound[:-8] + bytes(4) + sound[-4:]),
        ("encrypted footer", sound[:-4] + b"PARE"),
        ("footer of noise", sound[:-60] + b"\xff" * 52 + sound[-8:]),
        ("pages of noise", sound[:4] + b"\xff" * 60 + sound[64:]),
    ):
        yield Attack(f"parquet: {name}", content, "a.parquet", refusal="DAMAGED_FILE")
    ends = pa.py_buffer(np.arange(5, dtype=np.int32))
    no_text = pa.StringArray.from_buffers(4, ends, pa.py_buffer(b"\xff\xfe\x80\x81"))
    nested = pa.int64()
    for _ in range(200):
        nested = pa.list_(nested)
    for name, column in (
        ("times beyond the calendar", pa.array([2**62, 1, 2, 3], pa.timestamp("us"))),
        ("days beyond the calendar", pa.array([2**30, 1, 2, 3], pa.date32())),
        ("text that is none", no_text),
        ("deep schema", pa.array([None] * 4, nested)),
    ):
        content = parquet({"a": column, "label": [0, 1, 0, 1]})
        yield Attack(f"parquet: {name}", content, "a.parquet", refusal="DAMAGED_FILE")


def _texts() -> Iterator[Attack]:
    for name, content in (
        ("header without an end", b'text,"label\na,0\nb,1\n'),
        ("header of megabytes", b"a" * (17 << 20) + b",label\n1,0\n2,1\n"),
    ):
        yield Attack(f"csv: {name}", content, "a.csv", refusal="BAD_HEADER")
    rows = b"".join(b'{"embedding": [1, 2], "label": %d}\n' % (row % 2) for row in range(4))
    for name, row, reason in (
        ("deep nesting", b'{"a": ' + b"[" * 100_000, "UNREADABLE_ROW"),
        ("number of 5000 digits", b'{"a": ' + b"9" * 5000 + b"}", "UNREADABLE_ROW"),
        ("no object", b'"' + b"a" * 1000 + b'"', "UNREADABLE_ROW"),
        ("coordinate of 400 digits", b'{"embedding": [1, %s], "label": 1}' % (b"9" * 400), "EMBED"),
        ("deep embedding", b'{"embedding": "' + b"[" * 5000 + b'", "label": 1}', "EMBED"),
        ("infinite coordinate", b'{"embedding": [1, 1e999], "label": 1}', "NOT_FINITE"),
        ("no number", b'{"embedding": [1, NaN], "label": 1}', "NOT_FINITE"),
    ):
        known = "EMBEDDING_UNREADABLE" if reason == "EMBED" else reason
        yield Attack(f"jsonl: {name}", rows + row + b"\n", "a.jsonl", rejection=known)
