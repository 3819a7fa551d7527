"""Every hostile upload is refused or stripped of its hostile part, with a stable reason."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from corpus import Attack, attacks
from sample_world import npz_bytes
from uploads import parquet

from curation.csv_lines import csv_id, csv_text
from curation.intake import ValidationRequest
from curation.models import Role
from curation.validation import Refusal, Validation
from curation.validation_limits import ValidationLimits
from curation.validation_process import run_validation

CORPUS = list(attacks())
# What a fault of ours would be called, or a decoder's end.
FAULTS = {"VALIDATION_FAILED", "DECODER_CRASHED", "VALIDATION_TOO_SLOW", "VALIDATION_OUT_OF_MEMORY"}


def check(attack: Attack, outcome: Validation | Refusal) -> None:
    if attack.refusal is not None:
        assert isinstance(outcome, Refusal), outcome
        assert outcome.error.reason == attack.refusal, outcome.error
        assert outcome.error.cure
        return
    assert isinstance(outcome, Validation), outcome
    assert [rejection.reason for rejection in outcome.rejections] == [attack.rejection]
    assert outcome.rejections[0].detail


@pytest.mark.parametrize("attack", CORPUS, ids=lambda attack: attack.name)
def test_hostile_upload_is_refused_with_a_stable_reason(
    validate: Callable[..., Validation | Refusal], attack: Attack, tmp_path: Path
) -> None:
    check(attack, validate(attack.content, attack.file_name))
    written = {path.name for path in tmp_path.iterdir()}
    assert written <= {"upload", "samples.parquet"}


@pytest.mark.slow
@pytest.mark.parametrize("attack", CORPUS, ids=lambda attack: attack.name)
def test_hostile_upload_is_refused_by_the_limited_process_too(
    attack: Attack, limits: ValidationLimits, tmp_path: Path
) -> None:
    check(attack, in_process(attack.content, attack.file_name, limits, tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("file_name", ["a.parquet", "a.npz"])
def test_file_with_any_byte_changed_is_no_fault(
    limits: ValidationLimits, tmp_path: Path, file_name: str
) -> None:
    labels = np.arange(40) % 2
    content = {
        "a.parquet": parquet({"text": [f"text {row}" for row in labels], "label": labels}),
        "a.npz": npz_bytes(x=np.ones((40, 2)), y=labels),
    }[file_name]
    generator = np.random.default_rng(0)
    for _ in range(20):
        changed = bytearray(content)
        for place in generator.integers(0, len(content), size=4):
            changed[place] = generator.integers(0, 256)
        outcome = in_process(bytes(changed), file_name, limits, tmp_path)
        assert isinstance(outcome, Validation) or outcome.error.reason not in FAULTS, outcome


def in_process(
    content: bytes, file_name: str, limits: ValidationLimits, folder: Path
) -> Validation | Refusal:
    path = folder / "upload"
    path.write_bytes(content)
    return run_validation(
        path,
        folder / "samples.parquet",
        request=ValidationRequest(file_name=file_name, role=Role.SYNTHETIC),
        limits=limits,
        keep_going=lambda: True,
    )


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r=", "\n=", "＝", "＋", "－", "＠"])
def test_formula_in_an_export_is_a_text(start: str) -> None:
    formula = f"{start}cmd|'/c calc'!A0"
    assert csv_text(formula) == f"'{formula}"
    assert csv_id(formula) == f"'{formula}"
