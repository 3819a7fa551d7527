"""Checks that checkpoints come back as they were, and that broken ones are refused."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from mts_core.checkpoint import load_checkpoint, save_checkpoint
from mts_core.errors import CheckpointError

TENSORS = {
    "weights": torch.tensor([[1.5, float("inf")], [0.1, -0.0]], dtype=torch.float64),
    "flags": torch.tensor([True, False]),
    "state": torch.arange(7, dtype=torch.uint8),
    "step": torch.tensor(12),
    "nothing": torch.empty(0, 3),
}
METADATA = {"phase": "train", "steps": [1, 2.5, None]}


def test_checkpoint_comes_back_bit_by_bit(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    save_checkpoint(path, TENSORS, METADATA)
    tensors, metadata = load_checkpoint(path)
    assert metadata == METADATA
    assert tensors.keys() == TENSORS.keys()
    for name, value in TENSORS.items():
        assert tensors[name].dtype == value.dtype
        assert torch.equal(tensors[name], value)


def test_tensors_that_share_memory_are_saved(tmp_path: Path) -> None:
    base = torch.arange(6.0)
    save_checkpoint(tmp_path / "a", {"all": base, "part": base[2:]}, {})
    assert torch.equal(load_checkpoint(tmp_path / "a").tensors["part"], base[2:])


def test_second_save_replaces_the_first(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    save_checkpoint(path, TENSORS, METADATA)
    save_checkpoint(path, {"step": torch.tensor(13)}, {})
    assert int(load_checkpoint(path).tensors["step"]) == 13
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("metadata", [{"value": float("nan")}, {"value": object()}])
def test_metadata_that_is_no_json_leaves_no_file(
    tmp_path: Path, metadata: dict[str, object]
) -> None:
    with pytest.raises(CheckpointError):
        save_checkpoint(tmp_path / "run.safetensors", TENSORS, metadata)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("length", [0, 4, 60, -3])
def test_truncated_checkpoint_is_refused(tmp_path: Path, length: int) -> None:
    path = tmp_path / "run.safetensors"
    save_checkpoint(path, TENSORS, METADATA)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(CheckpointError):
        load_checkpoint(path)


def test_missing_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        load_checkpoint(tmp_path / "nothing")


@pytest.mark.parametrize("header", [None, {"json": "[1, 2]"}, {"json": "{"}])
def test_foreign_safetensors_file_is_refused(tmp_path: Path, header: dict[str, str] | None) -> None:
    save_file({"a": torch.ones(2)}, tmp_path / "foreign", metadata=header)
    with pytest.raises(CheckpointError):
        load_checkpoint(tmp_path / "foreign")
