"""What the user names becomes one file: the same bytes each time, and a clear word if it cannot."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from winnow.errors import InputError
from winnow.inputs import open_input


def write(path: Path, content: bytes = b"content") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def packed(path: Path) -> bytes:
    with open_input(path) as prepared:
        content = prepared.source.read()
        assert len(content) == prepared.size_bytes
        return content


def test_folder_is_packed_alike_whatever_its_dates_modes_and_order(tmp_path: Path) -> None:
    names = ["two/b.png", "one/a.png", "two/a.png"]
    for folder, order in (("first", names), ("second", names[::-1])):
        for name in order:
            write(tmp_path / folder / "digits" / name, name.encode())
    changed = tmp_path / "second" / "digits" / "one" / "a.png"
    os.utime(changed, (1, 1))
    changed.chmod(0o600)
    content = packed(tmp_path / "first" / "digits")
    assert content == packed(tmp_path / "second" / "digits")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == ["one/a.png", "two/a.png", "two/b.png"]
        assert archive.read("two/a.png") == b"two/a.png"


def test_folder_leaves_no_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    write(tmp_path / "digits" / "one" / "a.png")
    with open_input(tmp_path / "digits") as prepared:
        assert prepared.file_name == "digits.zip"
        assert list((tmp_path / "tmp").iterdir()) == []


def test_hidden_files_are_left_out(tmp_path: Path) -> None:
    write(tmp_path / "digits" / ".DS_Store")
    write(tmp_path / "digits" / ".git" / "config")
    write(tmp_path / "digits" / "one" / "a.png")
    with zipfile.ZipFile(io.BytesIO(packed(tmp_path / "digits"))) as archive:
        assert archive.namelist() == ["one/a.png"]


def test_pair_of_arrays_becomes_an_npz(tmp_path: Path) -> None:
    (tmp_path / "arrays").mkdir()
    np.save(tmp_path / "arrays" / "x.npy", np.eye(3))
    np.save(tmp_path / "arrays" / "y.npy", np.arange(3))
    with open_input(tmp_path / "arrays") as prepared:
        assert prepared.file_name == "arrays.npz"
        with np.load(prepared.source) as arrays:
            np.testing.assert_array_equal(arrays["x"], np.eye(3))
            np.testing.assert_array_equal(arrays["y"], np.arange(3))


def test_file_is_sent_as_it_is(tmp_path: Path) -> None:
    path = write(tmp_path / "pool.parquet", b"PAR1")
    with open_input(path) as prepared:
        assert (prepared.name, prepared.file_name) == ("pool.parquet", "pool.parquet")
        assert prepared.source.read() == b"PAR1"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda root: root / "missing", "does not exist"),
        (lambda root: write(root / "notes.txt"), "of no known kind"),
        (lambda root: write(root / "empty" / ".hidden").parent, "holds no files"),
    ],
)
def test_unusable_input_is_named(tmp_path: Path, make: object, said: str) -> None:
    assert callable(make)
    path = make(tmp_path)
    with pytest.raises(InputError, match=said) as caught, open_input(path):
        pass
    assert str(path) in str(caught.value)


def test_link_to_a_folder_is_refused_and_not_silently_left_out(tmp_path: Path) -> None:
    write(tmp_path / "digits" / "one" / "a.png")
    (tmp_path / "digits" / "two").symlink_to(tmp_path / "digits" / "one")
    with pytest.raises(InputError, match="link to a folder"), open_input(tmp_path / "digits"):
        pass
