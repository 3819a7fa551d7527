"""Messages between supervisor and child survive the pipe; anything else is refused."""

from uuid import uuid4

import pytest
from pydantic import ValidationError

from curation.identifiers import DatasetId, JobId, WorkspaceId
from curation.jobs import Claim, FailureReason
from worker.child_link import (
    Alive,
    CheckpointSaved,
    ChildMessage,
    Failed,
    Finished,
    Interrupted,
    ProgressMade,
    Start,
    Stop,
    Stopped,
    Superseded,
    SupervisorMessage,
    decode_from_child,
    decode_from_supervisor,
    encode_for_child,
    encode_for_supervisor,
)

CLAIM = Claim(
    job_id=JobId(uuid4()),
    workspace_id=WorkspaceId(uuid4()),
    attempt=1,
    fencing_token=7,
    synthetic_id=DatasetId(uuid4()),
    reference_id=DatasetId(uuid4()),
    test_id=None,
    method="mts",
    config={"steps": 3, "encoder": "auto", "micro_batch_size": None},
    seed=0,
    max_runtime_seconds=60,
)


@pytest.mark.parametrize(
    "message",
    [Start(claim=CLAIM, lease_seconds=75.0, scratch="/tmp/a b\n"), Alive(), Stop()],  # noqa: S108
)
def test_message_to_the_child_survives_the_pipe(message: SupervisorMessage) -> None:
    line = encode_for_child(message)

    assert line.count(b"\n") == 1
    assert decode_from_supervisor(line) == message


@pytest.mark.parametrize(
    "message",
    [
        ProgressMade(
            phase="train",
            fraction=0.5,
            step=3,
            total_steps=6,
            eta_seconds=None,
            device="cpu",
            seconds_by_phase={"load": 0.5},
        ),
        CheckpointSaved(phase="train", step=3),
        Finished(),
        Stopped(),
        Superseded(),
        Failed(reason=FailureReason.NON_FINITE, detail="The loss is not finite."),
        Interrupted(detail="The database was not reachable."),
    ],
)
def test_message_to_the_supervisor_survives_the_pipe(message: ChildMessage) -> None:
    assert decode_from_child(encode_for_supervisor(message)) == message


@pytest.mark.parametrize("line", [b"", b"{}", b'{"type":"alive"}', b"a library's own words"])
def test_line_that_is_no_message_of_a_child_is_refused(line: bytes) -> None:
    with pytest.raises(ValidationError):
        decode_from_child(line)
