"""Runs a validation in a process of its own, which may be killed or crash and nothing else."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog

from curation.census import Rejection
from curation.errors import InvalidInputError
from curation.feature_columns import columns_from_json
from curation.intake import ValidationRequest
from curation.sample_kinds import Modality
from curation.validation import Refusal, Validation
from curation.validation_child import OUT_OF_MEMORY_EXIT
from curation.validation_limits import ValidationLimits

_POLL_SECONDS = 0.05
_REPOSITORY = Path(__file__).parents[1]
_SEND_AGAIN = "Upload a smaller or simpler file, or raise the installation's limits."

_log = structlog.get_logger(__name__)


class ValidationInterruptedError(Exception):
    """The child was stopped from outside; nothing was decided about the upload."""


def run_validation(
    path: Path,
    destination: Path,
    *,
    request: ValidationRequest,
    limits: ValidationLimits,
    keep_going: Callable[[], bool],
) -> Validation | Refusal:
    """Return what an upload holds, decoded in a process of its own under hard limits.

    Args:
        path: The upload.
        destination: Where the normalised file goes, in a folder of its own.
        request: What the user said about the upload.
        limits: Caps, among them the child's memory and time.
        keep_going: Asked about twenty times a second; False ends the child.

    Raises:
        ValidationInterruptedError: `keep_going` said no, or somebody else ended the child.
    """
    message = {
        "path": str(path),
        "destination": str(destination),
        "parent": os.getpid(),
        "request": asdict(request),
        "limits": asdict(limits),
    }
    answer_path = destination.with_suffix(".json")
    with answer_path.open("wb") as answer:
        child = _spawn(answer.fileno(), folder=destination.parent)
        try:
            _send(child, message)
            is_late = not _wait(child, limits.max_validation_seconds, keep_going)
        finally:
            # The child's whole session; a decoder may have started processes of its own.
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    if is_late or child.returncode == -signal.SIGXCPU:
        return _refused(
            "VALIDATION_TOO_SLOW",
            f"Reading the file took longer than {limits.max_validation_seconds} seconds.",
        )
    return _outcome(child.returncode, answer_path, limits)


def _spawn(answer: int, *, folder: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "curation.validation_child"],
        stdin=subprocess.PIPE,
        stdout=answer,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        # None of the service's own settings: whoever takes over a decoder finds neither an
        # address nor a password.
        env={
            "PATH": os.defpath,
            "PYTHONPATH": str(_REPOSITORY),
            "LC_ALL": "C.UTF-8",
            "OMP_NUM_THREADS": "1",
            # Both reserve address space by the gibibyte otherwise, which the limit counts.
            "ARROW_DEFAULT_MEMORY_POOL": "system",
            "MALLOC_ARENA_MAX": "2",
        },
        start_new_session=True,
    )


def _send(child: "subprocess.Popen[bytes]", message: dict[str, Any]) -> None:  # JSON values.
    if child.stdin is None:
        raise ValueError("the child was started without an input")
    # A child that has died already tells by its exit code.
    with suppress(BrokenPipeError), child.stdin as stream:
        stream.write(json.dumps(message).encode())


def _wait(child: "subprocess.Popen[bytes]", seconds: float, keep_going: Callable[[], bool]) -> bool:
    """Wait for the child's end, and return whether it came in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(subprocess.TimeoutExpired):
            child.wait(_POLL_SECONDS)
            return True
        if not keep_going():
            raise ValidationInterruptedError("the claim on the dataset is lost")
    return False


def _outcome(exit_code: int, answer_path: Path, limits: ValidationLimits) -> Validation | Refusal:
    match exit_code:
        case 0:
            return _read_answer(json.loads(answer_path.read_bytes()))
        case code if code in {OUT_OF_MEMORY_EXIT, -signal.SIGKILL}:
            return _refused(
                "VALIDATION_OUT_OF_MEMORY",
                f"Reading the file took more than {limits.max_validation_memory_bytes} bytes of"
                " memory.",
            )
        case code if -code in {signal.SIGTERM, signal.SIGHUP, signal.SIGINT}:
            raise ValidationInterruptedError("the validation was ended from outside")
        case _:
            _log.warning("validation_crashed", exit_code=exit_code)
            return _refused("DECODER_CRASHED", "The file makes its decoder crash.")


def _read_answer(
    answer: dict[str, Any],  # JSON values, as the child wrote them.
) -> Validation | Refusal:
    if "fault" in answer:
        _log.error("validation_fault", **answer["fault"])
        return _refused("VALIDATION_FAILED", "Reading the file failed in an unexpected way.")
    rejections = tuple(Rejection(**rejection) for rejection in answer.pop("rejections"))
    if "error" in answer:
        error = InvalidInputError(**answer.pop("error"))
        return Refusal(error=error, rejections=rejections, **answer)
    modality = Modality(answer.pop("modality"))
    columns = columns_from_json(answer.pop("feature_columns"))
    return Validation(modality=modality, feature_columns=columns, rejections=rejections, **answer)


def _refused(reason: str, detail: str) -> Refusal:
    return Refusal(InvalidInputError(reason, detail, field="content", cure=_SEND_AGAIN), 0, ())
