"""Defines the messages between a supervisor and its training process, one JSON object a line."""

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, TypeAdapter

from curation.jobs import Claim, FailureReason


@dataclass(frozen=True, kw_only=True)
class Start:
    """First message to the child: what it is to run.

    Attributes:
        claim: The attempt, with the token under which everything is written.
        lease_seconds: Silence after which the child must leave.
        scratch: Folder for temporary files; the supervisor removes it.
    """

    claim: Claim
    lease_seconds: float
    scratch: str
    type: Literal["start"] = "start"


@dataclass(frozen=True, kw_only=True)
class Alive:
    """The lease was renewed: the child may go on for one lease more."""

    type: Literal["alive"] = "alive"


@dataclass(frozen=True, kw_only=True)
class Stop:
    """The child is to save a checkpoint and leave."""

    type: Literal["stop"] = "stop"


@dataclass(frozen=True, kw_only=True)
class ProgressMade:
    """How far the child has come.

    Attributes:
        phase: Part of the run at work.
        fraction: Done share of the whole run, in [0, 1].
        step: Done steps of this phase.
        total_steps: Steps of this phase.
        eta_seconds: Seconds that the rest should take, where known.
        device: Where the child computes.
        seconds_by_phase: What this attempt has spent in each phase so far.
    """

    phase: str
    fraction: float
    step: int
    total_steps: int
    eta_seconds: float | None
    device: str
    seconds_by_phase: dict[str, float]
    type: Literal["progress"] = "progress"


@dataclass(frozen=True, kw_only=True)
class CheckpointSaved:
    """A checkpoint was stored and registered."""

    phase: str
    step: int
    type: Literal["checkpoint"] = "checkpoint"


@dataclass(frozen=True, kw_only=True)
class Finished:
    """All results are written and the job row says so."""

    type: Literal["finished"] = "finished"


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """The child left because it was told to; its checkpoint is registered."""

    type: Literal["stopped"] = "stopped"


@dataclass(frozen=True, kw_only=True)
class Superseded:
    """The token is no longer the job's: the child wrote nothing more and left."""

    type: Literal["superseded"] = "superseded"


@dataclass(frozen=True, kw_only=True)
class Failed:
    """The job cannot succeed, and trying again would not help.

    Attributes:
        reason: Stable code.
        detail: One sentence that is safe to show.
    """

    reason: FailureReason
    detail: str
    type: Literal["failed"] = "failed"


@dataclass(frozen=True, kw_only=True)
class Interrupted:
    """Database or object store gave way: another attempt may succeed.

    Attributes:
        detail: One sentence that is safe to show.
    """

    detail: str
    type: Literal["interrupted"] = "interrupted"


SupervisorMessage: TypeAlias = Annotated[Start | Alive | Stop, Field(discriminator="type")]
Verdict: TypeAlias = Finished | Stopped | Superseded | Failed | Interrupted
ChildMessage: TypeAlias = Annotated[
    ProgressMade | CheckpointSaved | Finished | Stopped | Superseded | Failed | Interrupted,
    Field(discriminator="type"),
]

_TO_CHILD: TypeAdapter[SupervisorMessage] = TypeAdapter(SupervisorMessage)
_TO_SUPERVISOR: TypeAdapter[ChildMessage] = TypeAdapter(ChildMessage)


def encode_for_child(message: SupervisorMessage) -> bytes:
    """Return the line that carries a message to the child."""
    return _TO_CHILD.dump_json(message) + b"\n"


def decode_from_supervisor(line: bytes) -> SupervisorMessage:
    """Return the message of a line that the supervisor wrote.

    Raises:
        pydantic.ValidationError: The line is none of the supervisor's messages.
    """
    return _TO_CHILD.validate_json(line)


def encode_for_supervisor(message: ChildMessage) -> bytes:
    """Return the line that carries a message to the supervisor."""
    return _TO_SUPERVISOR.dump_json(message) + b"\n"


def decode_from_child(line: bytes) -> ChildMessage:
    """Return the message of a line that the child wrote.

    Raises:
        pydantic.ValidationError: The line is none of the child's messages.
    """
    return _TO_SUPERVISOR.validate_json(line)
