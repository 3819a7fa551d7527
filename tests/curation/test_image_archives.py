"""Archives of images: every layout is read, and every hostile or broken one is refused."""

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from uploads import class_folders, image, jsonl, linked_tar, tarred, zipped

from curation.models import Modality, Role
from curation.validation import Refusal, Validation

Validate = Callable[..., Validation | Refusal]
PACKERS = {
    "a.zip": zipped,
    "a.tar": tarred,
    "a.tar.gz": lambda files: tarred(files, mode="w:gz"),
    "a.TGZ": lambda files: tarred(files, mode="w:gz"),
}


def accepted(outcome: Validation | Refusal) -> Validation:
    assert isinstance(outcome, Validation), outcome
    return outcome


def refused(outcome: Validation | Refusal, reason: str) -> Refusal:
    assert isinstance(outcome, Refusal), outcome
    assert outcome.error.reason == reason
    assert outcome.error.cure
    return outcome


def reasons(outcome: Validation | Refusal) -> dict[str | None, str]:
    return {rejection.name: rejection.reason for rejection in outcome.rejections}


def samples(tmp_path: Path) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = pq.read_table(tmp_path / "samples.parquet").to_pydict()
    return columns


@pytest.mark.parametrize("file_name", PACKERS)
def test_class_folders_are_read_from_every_kind_of_archive(
    validate: Validate, tmp_path: Path, file_name: str
) -> None:
    files = class_folders()
    found = accepted(validate(PACKERS[file_name](files), file_name))
    assert (found.modality, found.input_shape) == (Modality.IMAGE, [3, 8, 8])
    assert found.class_names == ["cat", "dog"]
    assert found.class_counts == {"cat": 2, "dog": 2}
    columns = samples(tmp_path)
    assert columns["position"] == [0, 1, 2, 3]
    assert columns["sample_id"] == columns["file_name"] == list(files)
    assert columns["label"] == [0, 0, 1, 1]
    assert columns["is_real"] == [False] * 4
    assert columns["image"] == list(files.values())


def test_folder_that_wraps_everything_names_no_class(validate: Validate, tmp_path: Path) -> None:
    files = {f"digits/{name}": content for name, content in class_folders().items()}
    found = accepted(validate(zipped(files), "a.zip"))
    assert found.class_names == ["cat", "dog"]
    assert samples(tmp_path)["file_name"][0] == "cat/0.png"


def test_class_names_that_are_numbers_are_in_their_order(validate: Validate) -> None:
    files = {f"{name}/a.png": image(name) for name in (10, 9, 2)}
    assert accepted(validate(zipped(files), "a.zip")).class_names == ["2", "9", "10"]


@pytest.mark.parametrize(
    ("list_name", "content"),
    [
        (
            "metadata.jsonl",
            jsonl(
                [
                    {"file_name": "a.png", "label": 7, "id": "first", "note": "x"},
                    {"file_name": "b.png", "label": 3, "id": "second", "source": "real"},
                ]
            ),
        ),
        (
            "manifest.jsonl",
            jsonl(
                [
                    {"path": "./a.png", "label": "7", "id": "first", "note": "x"},
                    {"path": "b.png", "label": "3", "id": "second", "source": "real"},
                ]
            ),
        ),
        (
            "metadata.csv",
            b"file_name,label,id,source,note\na.png,7,first,,x\nb.png,3,second,real,\n",
        ),
    ],
)
@pytest.mark.parametrize("root", ["", "folder/"])
def test_list_names_classes_ids_and_sources(
    validate: Validate, tmp_path: Path, list_name: str, content: bytes, root: str
) -> None:
    files = {"a.png": image(1), list_name: content, "b.png": image(2)}
    packed = zipped({f"{root}{name}": data for name, data in files.items()})
    found = accepted(validate(packed, "a.zip"))
    assert found.class_names == ["3", "7"]
    columns = samples(tmp_path)
    assert columns["sample_id"] == ["first", "second"]
    assert columns["label"] == [1, 0]
    assert columns["is_real"] == [False, True]
    assert columns["user:note"] == ["x", None]


def test_files_and_list_that_disagree_are_rejected_row_by_row(validate: Validate) -> None:
    rows = [{"file_name": f"{index}.png", "label": index % 2} for index in range(6)]
    rows += [{"file_name": "missing.png", "label": 0}, {"file_name": "0.png", "label": 1}]
    files = {f"{index}.png": image(index) for index in range(6)}
    files |= {"extra.png": image(9), "metadata.jsonl": jsonl(rows)}
    found = accepted(validate(zipped(files), "a.zip"))
    assert found.sample_count == 6
    assert reasons(found) == {
        "0.png": "DUPLICATE_FILE",
        "extra.png": "NOT_LISTED",
        "missing.png": "FILE_MISSING",
    }
    assert {rejection.row for rejection in found.rejections} >= {7, 8}


def test_what_systems_leave_in_folders_is_passed_over(validate: Validate) -> None:
    files = class_folders() | {
        "__MACOSX/cat/._0.png": b"fork",
        "cat/.DS_Store": b"junk",
        "cat/Thumbs.db": b"junk",
        "README.md": b"about",
    }
    found = accepted(validate(zipped(files), "a.zip"))
    assert (found.sample_count, found.rejected_count) == (4, 0)


def broken_image() -> bytes:
    return image(5)[:60]


def animation() -> bytes:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, format="WEBP", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def half_transparent_palette() -> bytes:
    picture = Image.new("P", (8, 8))
    picture.putpalette(list(range(256)) * 3)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", transparency=bytes(range(256)))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("cat/bad.png", half_transparent_palette(), "UNSUPPORTED_IMAGE"),
        ("cat/bad.png", broken_image(), "CORRUPT_IMAGE"),
        ("cat/bad.png", b"hello", "NOT_WHAT_NAME_SAYS"),
        ("cat/bad.png", b"", "NOT_WHAT_NAME_SAYS"),
        ("cat/bad.png", image(1, file_format="JPEG"), "NOT_WHAT_NAME_SAYS"),
        ("cat/bad.jpg", image(1, file_format="PNG"), "NOT_WHAT_NAME_SAYS"),
        ("cat/bad.gif", image(1, file_format="GIF"), "UNSUPPORTED_FILE"),
        ("cat/bad.png", image(1, file_format="GIF"), "NOT_WHAT_NAME_SAYS"),
        ("cat/bad.webp", animation(), "ANIMATED_IMAGE"),
        ("cat/notes.txt", b"notes", "UNSUPPORTED_FILE"),
        ("loose.png", image(1), "LABEL_MISSING"),
    ],
)
def test_single_bad_file_is_rejected_with_its_reason(
    validate: Validate, name: str, content: bytes, reason: str
) -> None:
    found = accepted(validate(zipped(class_folders() | {name: content}), "a.zip"))
    assert found.sample_count == 4
    assert reasons(found) == {name: reason}
    assert found.rejections[0].row == 5
    assert found.rejections[0].detail


@pytest.mark.parametrize("file_format", ["JPEG", "WEBP"])
def test_other_allowed_formats_are_read(validate: Validate, file_format: str) -> None:
    ending = file_format.lower()
    files = {
        f"{name}/a.{ending}": image(index, file_format=file_format)
        for index, name in enumerate(("cat", "dog"))
    }
    assert accepted(validate(zipped(files), "a.zip")).input_shape == [3, 8, 8]


def test_grey_images_have_one_channel_and_a_mixture_three(validate: Validate) -> None:
    grey = class_folders(mode="L")
    assert accepted(validate(zipped(grey), "a.zip")).input_shape == [1, 8, 8]
    mixed = grey | {"cat/colour.png": image(9)}
    assert accepted(validate(zipped(mixed), "a.zip")).input_shape == [3, 8, 8]


def test_mixed_sizes_are_refused_unless_a_size_is_wanted(validate: Validate) -> None:
    packed = zipped(class_folders() | {"dog/large.png": image(9, size=(16, 8))})
    error = refused(validate(packed, "a.zip"), "MIXED_IMAGE_SIZES").error
    assert (error.field, error.row) == ("image_size", 5)
    assert "'dog/large.png' has 16 x 8 pixels" in error.detail
    assert accepted(validate(packed, "a.zip", image_size=12)).input_shape == [3, 12, 12]


@pytest.mark.parametrize("side", [5_000, 60_000])
def test_image_above_the_cap_is_rejected_before_it_is_decoded(
    validate: Validate, side: int
) -> None:
    # A header alone: decoding would fail, so the size was read first.
    header = struct.pack(">II", side, side) + bytes([1, 0, 0, 0, 0])
    chunk = b"IHDR" + header
    checksum = zlib.crc32(chunk).to_bytes(4, "big")
    content = b"\x89PNG\r\n\x1a\n" + len(header).to_bytes(4, "big") + chunk + checksum
    content += b"\x00\x00\x00\x00IDAT"
    found = accepted(validate(zipped(class_folders() | {"cat/x.png": content}), "a.zip"))
    assert reasons(found) == {"cat/x.png": "IMAGE_TOO_LARGE"}


@pytest.mark.parametrize("file_name", ["a.zip", "a.tar", "a.tar.gz"])
@pytest.mark.parametrize(
    "path",
    ["../evil.png", "/etc/evil.png", "cat/../../evil.png", "C:/evil.png", "cat\\..\\evil.png"],
)
def test_path_that_leaves_the_archive_is_refused(
    validate: Validate, file_name: str, path: str
) -> None:
    packed = PACKERS[file_name](class_folders() | {path: image(1)})
    error = refused(validate(packed, file_name), "PATH_ESCAPES_ARCHIVE").error
    assert error.field == "content"


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_never_followed(validate: Validate, kind: bytes) -> None:
    packed = linked_tar(class_folders(), name="cat/link.png", target="/etc/passwd", kind=kind)
    assert reasons(accepted(validate(packed, "a.tar"))) == {"cat/link.png": "NOT_A_REGULAR_FILE"}


def test_link_in_a_zip_is_never_followed(validate: Validate) -> None:
    buffer = io.BytesIO(zipped(class_folders()))
    with zipfile.ZipFile(buffer, "a") as archive:
        link = zipfile.ZipInfo("cat/link.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    found = accepted(validate(buffer.getvalue(), "a.zip"))
    assert reasons(found) == {"cat/link.png": "NOT_A_REGULAR_FILE"}


@pytest.mark.parametrize("file_name", ["a.zip", "a.tar", "a.tar.gz"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_truncated_archive_is_refused(validate: Validate, file_name: str, share: float) -> None:
    generator = np.random.default_rng(0)
    files = class_folders() | {"dog/large.png": generator.bytes(400_000)}
    packed = PACKERS[file_name](files)
    refused(validate(packed[: int(len(packed) * share)], file_name), "TRUNCATED_ARCHIVE")


def test_tar_that_ends_between_two_members_is_truncated(validate: Validate) -> None:
    packed = tarred(class_folders())
    refused(
        validate(packed.rstrip(b"\0") + bytes(-len(packed.rstrip(b"\0")) % 512), "a.tar"),
        "TRUNCATED_ARCHIVE",
    )


@pytest.mark.parametrize("file_name", ["a.zip", "a.tar", "a.tar.gz"])
@pytest.mark.parametrize("content", [b"not an archive" * 100, image(1)])
def test_file_that_is_no_archive_is_not_what_its_name_says(
    validate: Validate, file_name: str, content: bytes
) -> None:
    refused(validate(content, file_name), "NOT_WHAT_NAME_SAYS")


def test_damaged_member_is_rejected_and_the_rest_kept(validate: Validate) -> None:
    packed = bytearray(zipped(class_folders(), compression=zipfile.ZIP_STORED))
    place = packed.find(image(1)[40:60])
    packed[place] ^= 0xFF
    found = accepted(validate(bytes(packed), "a.zip"))
    assert reasons(found) == {"cat/1.png": "CORRUPT_IMAGE"}


@pytest.mark.parametrize("file_name", ["a.zip", "a.tar.gz"])
def test_bomb_is_refused_by_its_ratio(validate: Validate, file_name: str) -> None:
    packed = PACKERS[file_name]({"cat/zeros.png": bytes(100 << 20)})
    assert len(packed) < 200_000
    refused(validate(packed, file_name), "ARCHIVE_TOO_LARGE")


def test_zip_whose_sizes_are_lies_is_rejected_member_by_member(validate: Validate) -> None:
    packed = zipped(class_folders() | {"cat/zz.png": bytes(5_000_000)})
    # Both headers say 9 bytes; the content is five million.
    true, false = (5_000_000).to_bytes(4, "little"), (9).to_bytes(4, "little")
    assert packed.count(true) == 2
    found = accepted(validate(packed.replace(true, false), "a.zip"))
    assert reasons(found) == {"cat/zz.png": "CORRUPT_IMAGE"}


def test_encrypted_archive_is_refused(validate: Validate) -> None:
    packed = bytearray(zipped(class_folders()))
    place = packed.find(b"PK\x01\x02")
    packed[place + 8] |= 1
    refused(validate(bytes(packed), "a.zip"), "ENCRYPTED_ARCHIVE")


def test_too_many_members_are_refused(validate: Validate) -> None:
    files = [(f"cat/{index}.txt", b"") for index in range(40)]
    refused(validate(zipped(files), "a.zip", max_archive_members=20), "TOO_MANY_MEMBERS")


def test_archive_within_an_archive_is_not_opened(validate: Validate) -> None:
    packed = zipped(class_folders() | {"cat/inner.zip": zipped(class_folders())})
    assert reasons(accepted(validate(packed, "a.zip"))) == {"cat/inner.zip": "UNSUPPORTED_FILE"}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_same_path_twice_is_a_duplicate_id(validate: Validate) -> None:
    files = [*class_folders().items(), ("cat/0.png", image(7))]
    error = refused(validate(zipped(files), "a.zip"), "DUPLICATE_ID").error
    assert (error.field, error.row) == ("id", 5)


def test_empty_archive_is_refused(validate: Validate) -> None:
    refused(validate(zipped({}), "a.zip"), "EMPTY_DATASET")
    refused(validate(tarred({}), "a.tar"), "EMPTY_DATASET")


def test_one_class_is_refused(validate: Validate) -> None:
    files = {name: data for name, data in class_folders().items() if name.startswith("cat")}
    error = refused(validate(zipped(files), "a.zip"), "ONE_CLASS").error
    assert error.field == "label"


def test_reference_needs_two_samples_of_each_class(validate: Validate) -> None:
    files = {"cat/0.png": image(0), "cat/1.png": image(1), "dog/0.png": image(2)}
    outcome = validate(zipped(files), "a.zip", role=Role.REFERENCE)
    assert "'dog' has 1 sample." in refused(outcome, "REFERENCE_TOO_SMALL").error.detail
    accepted(validate(zipped(files), "a.zip", role=Role.TEST))


def test_dataset_of_which_more_than_half_is_bad_is_refused(
    validate: Validate, tmp_path: Path
) -> None:
    bad = {f"cat/bad{index}.png": b"hello" for index in range(5)}
    outcome = refused(validate(zipped(class_folders() | bad), "a.zip"), "TOO_MANY_REJECTED")
    assert (outcome.error.field, outcome.error.row) == ("file_name", 5)
    assert "5 of 9 rows" in outcome.error.detail
    assert len(outcome.rejections) == 5
    assert not list(tmp_path.glob("samples*"))


def test_archive_holds_images_and_nothing_else(validate: Validate) -> None:
    outcome = validate(zipped(class_folders()), "a.zip", modality=Modality.TEXT)
    assert refused(outcome, "MODALITY_DIFFERS").error.field == "modality"


def test_list_without_labels_is_refused_with_its_columns(validate: Validate) -> None:
    files = class_folders() | {"metadata.jsonl": jsonl([{"file_name": "cat/0.png", "class": 1}])}
    error = refused(validate(zipped(files), "a.zip"), "LABEL_COLUMN_MISSING").error
    assert error.field == "label_column"
    assert error.cure == "Name one of the columns: 'file_name', 'class'."


def test_only_as_many_rejections_as_allowed_are_kept_and_all_are_counted(
    validate: Validate,
) -> None:
    bad = {f"cat/bad{index}.png": b"hello" for index in range(4)}
    packed = zipped(class_folders(8) | bad)
    found = accepted(validate(packed, "a.zip", max_rejections_stored=2))
    assert (found.rejected_count, len(found.rejections)) == (4, 2)
