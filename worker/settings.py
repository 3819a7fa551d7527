"""The settings of a worker process, read from the environment."""

import tempfile
from pathlib import Path

from pydantic import Field

from curation.settings import CurationSettings


class WorkerSettings(CurationSettings):
    """What both kinds of worker need to know; built once in the entry point and passed down."""

    devices: str = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="Where to train: auto, cpu, cuda or cuda:N; auto takes GPUs where some are.",
    )
    checkpoint_seconds: float = Field(30.0, gt=0, description="Time between two checkpoints.")
    stall_seconds: float = Field(
        3_600.0,
        gt=0,
        description="Time without progress after which a run is ended and tried again.",
    )
    scratch_dir: Path = Field(
        default_factory=lambda: Path(tempfile.gettempdir()),
        description="Folder for an attempt's temporary files; removed with the attempt.",
    )
    train_processes: int | None = Field(
        None, ge=1, description="Processes that share a training; one for each GPU if not set."
    )
    torch_threads: int | None = Field(
        None, ge=1, description="Threads of a training process; all CPUs it may use if not set."
    )
    memory_map_bytes: int = Field(
        1 << 30, ge=0, description="Inputs larger than this are mapped from a scratch file."
    )
    short_concurrency: int = Field(2, ge=1, description="Processes of a worker for short tasks.")
