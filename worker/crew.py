"""Says with whom a process shares the training of an attempt."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import torch
from torch import distributed

from mts_core.errors import RankLostError
from mts_core.pipeline import Phase, PipelineReport, save_pipeline_state
from mts_core.ranks import ALONE, ProcessGroupRanks, Ranks
from worker.rank_folder import RankFolder


@dataclass(frozen=True)
class Crew:
    """The processes that share an attempt's training, seen from the one that leads.

    Attributes:
        count: How many there are.
        join: Connects this process, which computes on the device, with the others.
        enter_phase: Called with the first report of each phase, before the next is asked for.
    """

    count: int
    join: Callable[[torch.device], Ranks]
    enter_phase: Callable[[PipelineReport], None]


NO_CREW: Final = Crew(count=1, join=lambda _: ALONE, enter_phase=lambda _: None)
"""What a process has that does all by itself."""


def leading_crew(folder: RankFolder, *, count: int, timeout_seconds: float) -> Crew:
    """Return the crew of the process that leads.

    Args:
        folder: Where the processes of the attempt leave messages.
        count: How many there are.
        timeout_seconds: Longest wait of one for another.
    """

    def enter_phase(report: PipelineReport) -> None:
        if report.phase is Phase.TRAIN:
            draft = folder.path / "shared-start.draft"
            save_pipeline_state(report.capture(), draft)
            folder.publish_state(draft)
        elif report.phase is Phase.EVALUATE:
            # Their memory and their devices are free from here on.
            folder.say_end()

    return Crew(
        count=count,
        join=lambda device: join_ranks(device, timeout_seconds=timeout_seconds),
        enter_phase=enter_phase,
    )


def join_ranks(device: torch.device, *, timeout_seconds: float) -> Ranks:
    """Connect this process with all that torchrun started.

    Args:
        device: Where it computes.
        timeout_seconds: Longest wait for another process. A death is noticed without it, so that
            it may be as long as a slow checkpoint of the leader takes.

    Raises:
        RankLostError: The others cannot be reached.
    """
    backend = "nccl" if device.type == "cuda" else "gloo"
    try:
        distributed.init_process_group(backend, timeout=timedelta(seconds=timeout_seconds))
    except RuntimeError as error:
        raise RankLostError("The processes of this training did not find each other.") from error
    return ProcessGroupRanks()
