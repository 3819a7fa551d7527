"""Archives of images: a folder for each class, or a list of files with their labels."""

import io
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import pyarrow as pa

from curation.archive_members import Member, MemberError, iterate_members
from curation.census import shown
from curation.errors import InvalidInputError
from curation.image_files import (
    MAX_IMAGE_BYTES,
    ImageError,
    ImageFacts,
    check_image,
    is_image_name,
)
from curation.intake import Content, Intake, Sample, ValidationRequest
from curation.row_fields import (
    FieldColumns,
    RowError,
    RowFields,
    class_name,
    find_columns,
    is_plain_name,
    is_storable,
    read_fields,
)
from curation.sample_files import IMAGE_COLUMN
from curation.sample_kinds import Modality
from curation.text_tables import NumberedRow, iterate_csv, iterate_jsonl, peek_columns
from curation.upload_kinds import UploadKind
from curation.validation_limits import ValidationLimits

_LISTS: Mapping[str, Callable[..., Iterator[NumberedRow]]] = {
    "metadata.jsonl": iterate_jsonl,
    "manifest.jsonl": iterate_jsonl,
    "metadata.csv": iterate_csv,
}
_PATH_COLUMNS = ("file_name", "path")
_MAX_LIST_BYTES = 1 << 30
# What operating systems leave in folders.
_JUNK_NAMES = frozenset({"thumbs.db", "desktop.ini", "__macosx"})


@dataclass(frozen=True, slots=True)
class _Listed:
    """What the list says about one file.

    Attributes:
        row: Its row in the list.
        fields: Class, name and source.
        extras: The other columns, as JSON values.
    """

    row: int
    fields: RowFields
    extras: dict[str, Any]  # JSON values.


@dataclass(frozen=True, slots=True)
class _Layout:
    """How an archive is laid out.

    Attributes:
        root: The folder that all of it lies in, with a slash behind it, or nothing.
        listed: What the list says, by path; None where folders name the classes.
        rejected: Paths whose row of the list was rejected already.
    """

    root: str
    listed: dict[str, _Listed] | None
    rejected: frozenset[str] = frozenset()

    def passes_over(self, name: str) -> bool:
        """Return whether a file is no sample: a list, or a README beside the class folders."""
        if name in _LISTS or name in self.rejected:
            return True
        return self.listed is None and "/" not in name and not is_image_name(name)


@final
@dataclass(slots=True)
class _Shape:
    """What the images seen so far have in common."""

    wanted_size: int | None
    first: ImageFacts | None = None
    first_name: str = ""
    is_grey: bool = field(default=True)

    def add(self, facts: ImageFacts, name: str, row: int) -> None:
        """Take note of an image.

        Raises:
            InvalidInputError: It has another size than those before it, and no size was wanted.
        """
        self.is_grey = self.is_grey and facts.is_grey
        if self.first is None:
            self.first, self.first_name = facts, name
        same = (facts.width, facts.height) == (self.first.width, self.first.height)
        if self.wanted_size is None and not same:
            raise InvalidInputError(
                "MIXED_IMAGE_SIZES",
                f"{shown(name)} has {facts.width} x {facts.height} pixels,"
                f" {shown(self.first_name)} {self.first.width} x {self.first.height}.",
                field="image_size",
                row=row,
                cure="Set image_size, and all images are resized to it when they are read.",
            )

    def input_shape(self) -> list[int] | None:
        """Return channels, height and width of the images as a run reads them."""
        if self.first is None:
            return None
        channels = 1 if self.is_grey else 3
        if self.wanted_size is not None:
            return [channels, self.wanted_size, self.wanted_size]
        return [channels, self.first.height, self.first.width]


def read_image_archive(
    path: Path,
    kind: UploadKind,
    *,
    request: ValidationRequest,
    limits: ValidationLimits,
    intake: Intake,
) -> Content:
    """Hand in every image of an archive, and return what the images have in common.

    The archive is walked through twice: for its layout and list, and for the images.

    Raises:
        InvalidInputError: The archive or its list cannot be used, or sizes differ.
    """
    if request.modality not in {None, Modality.IMAGE}:
        raise InvalidInputError(
            "MODALITY_DIFFERS",
            f"An archive holds images, not {request.modality} samples.",
            field="modality",
            cure="Leave out the modality, or upload a table or an .npz file.",
        )
    layout = _find_layout(path, kind, request, limits, intake)
    intake.begin(IMAGE_COLUMN, pa.binary())
    shape = _Shape(request.image_size)
    unseen = set(layout.listed or ())
    number = 0
    for member in _relevant(iterate_members(path, kind, limits)):
        name = member.name.removeprefix(layout.root)
        if layout.passes_over(name):
            continue
        number += 1
        unseen.discard(name)
        listed = layout.listed.get(name) if layout.listed is not None else None
        row = number if listed is None else listed.row
        try:
            fields = _fields_of(name, layout, listed)
            content = _content_of(member)
            shape.add(_checked_image(content, name, limits), name, row)
        except RowError as error:
            intake.reject(row, error, name)
            continue
        intake.add(
            Sample(
                row=row,
                fields=fields,
                file_name=name,
                payload=content,
                size_bytes=len(content),
                extras=None if listed is None else listed.extras,
            )
        )
    _reject_missing(unseen, layout, intake)
    return Content(Modality.IMAGE, shape.input_shape())


def _relevant(members: Iterable[Member]) -> Iterator[Member]:
    for member in members:
        parts = member.name.lower().split("/")
        if not any(part.startswith(".") or part in _JUNK_NAMES for part in parts):
            yield member


def _find_layout(
    path: Path,
    kind: UploadKind,
    request: ValidationRequest,
    limits: ValidationLimits,
    intake: Intake,
) -> _Layout:
    names = []
    lists: dict[str, bytes] = {}
    for member in _relevant(iterate_members(path, kind, limits)):
        names.append(member.name)
        folder, _, base = member.name.rpartition("/")
        if base in _LISTS and "/" not in folder and member.is_regular:
            lists[member.name] = _list_content(member)
    root = _common_root(names, lists)
    own_lists = [name for name in _LISTS if f"{root}{name}" in lists]
    if not own_lists:
        return _Layout(root, None)
    if len(own_lists) > 1:
        raise InvalidInputError(
            "TWO_LISTS",
            f"The archive holds both {own_lists[0]} and {own_lists[1]}.",
            field="content",
            cure="Leave one of them.",
        )
    rows = _LISTS[own_lists[0]](io.BytesIO(lists[f"{root}{own_lists[0]}"]))
    return _read_list(root, rows, request, intake)


def _list_content(member: Member) -> bytes:
    if member.size_bytes > _MAX_LIST_BYTES:
        raise InvalidInputError(
            "LIST_TOO_LARGE",
            f"{shown(member.name)} is larger than {_MAX_LIST_BYTES} bytes.",
            field="content",
            cure="Leave out columns, or split the dataset.",
        )
    try:
        return member.read_all()
    except MemberError as error:
        raise InvalidInputError(
            "DAMAGED_FILE",
            f"{shown(member.name)} {error}.",
            field="content",
            cure="Pack and upload the archive again.",
        ) from error


def _common_root(names: list[str], lists: Mapping[str, bytes]) -> str:
    """Return the one folder that an archive was packed with, or nothing where it has none."""
    roots = {name.partition("/")[0] for name in names}
    if len(roots) != 1 or any("/" not in name for name in names):
        return ""
    root = f"{roots.pop()}/"
    has_list = any(f"{root}{name}" in lists for name in _LISTS)
    images = [name.removeprefix(root) for name in names if is_image_name(name)]
    has_folders = bool(images) and all("/" in name for name in images)
    return root if has_list or has_folders else ""


def _read_list(
    root: str,
    rows: Iterator[NumberedRow],
    request: ValidationRequest,
    intake: Intake,
) -> _Layout:
    listed: dict[str, _Listed] = {}
    rejected: set[str] = set()
    seen: set[str] = set()
    names, all_rows = peek_columns(rows)
    if names:
        path_column, fields = _list_columns(names, request)
    for number, row in all_rows:
        if isinstance(row, RowError):
            intake.reject(number, row)
            continue
        name = row.get(path_column)
        try:
            known = _new_path(name, path_column, seen)
            seen.add(known)
            consumed = {path_column, *fields.names}
            extras = {key: value for key, value in row.items() if key not in consumed}
            listed[known] = _Listed(number, read_fields(row, fields), extras)
        except RowError as error:
            intake.reject(number, error, name if isinstance(name, str) else None)
            if isinstance(name, str) and name not in listed:
                rejected.add(name)
    return _Layout(root, listed, frozenset(rejected))


def _list_columns(names: list[str], request: ValidationRequest) -> tuple[str, FieldColumns]:
    path_column = next((name for name in _PATH_COLUMNS if name in names), None)
    if path_column is None:
        raise InvalidInputError(
            "FILE_NAME_COLUMN_MISSING",
            "The list of the archive has no column `file_name` or `path`.",
            field="file_name",
            cure="Give each row the path of its image inside the archive.",
        )
    found = find_columns(names, label_column=request.label_column, id_column=request.id_column)
    return path_column, found


def _new_path(value: Any, column: str, known: Container[str]) -> str:  # Any cell.
    if not isinstance(value, str) or not value or not is_storable(value):
        raise RowError("FILE_NAME_MISSING", "The row names no file.", column)
    path = str(value).removeprefix("./")
    if path in known:
        raise RowError("DUPLICATE_FILE", f"{shown(path)} is listed twice.", column)
    return path


def _fields_of(name: str, layout: _Layout, listed: _Listed | None) -> RowFields:
    if listed is not None:
        return listed.fields
    if not is_plain_name(name):
        detail = f"{shown(name)} is no UTF-8, or holds characters that do not show."
        raise RowError("NAME_INVALID", detail, "file_name")
    if layout.listed is not None:
        raise RowError("NOT_LISTED", f"{shown(name)} is not in the list.", "file_name")
    folder, separator, _ = name.partition("/")
    if not separator:
        raise RowError("LABEL_MISSING", f"{shown(name)} lies in no class folder.", "label")
    return RowFields(class_name(folder, "label"), None, is_real=False)


def _content_of(member: Member) -> bytes:
    name = shown(member.name)
    if not member.is_regular:
        raise RowError("NOT_A_REGULAR_FILE", f"{name} is a link or a device.", "file_name")
    if not is_image_name(member.name):
        raise RowError("UNSUPPORTED_FILE", f"{name} is no PNG, JPEG or WebP file.", "file_name")
    if member.size_bytes > MAX_IMAGE_BYTES:
        raise RowError("IMAGE_TOO_LARGE", f"{name} is above {MAX_IMAGE_BYTES} bytes.", "file_name")
    try:
        return member.read_all()
    except MemberError as error:
        raise RowError("CORRUPT_IMAGE", f"{name} {error}.", "file_name") from error


def _checked_image(content: bytes, name: str, limits: ValidationLimits) -> ImageFacts:
    try:
        return check_image(content, name, max_pixels=limits.max_image_pixels)
    except ImageError as error:
        detail = f"{shown(name)} {error.detail}."
        raise RowError(error.reason, detail, "file_name") from error


def _reject_missing(unseen: set[str], layout: _Layout, intake: Intake) -> None:
    listed = layout.listed or {}
    for name in sorted(unseen, key=lambda name: listed[name].row):
        error = RowError("FILE_MISSING", f"{shown(name)} is not in the archive.", "file_name")
        intake.reject(listed[name].row, error, name)
