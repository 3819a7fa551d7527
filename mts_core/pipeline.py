"""Runs one curation from inputs to scores and report: encode, features, train, evaluate."""

from collections.abc import Iterator

import torch

from mts_core.curation_data import CurationData
from mts_core.pipeline_config import PipelineConfig, pipeline_config_from_mapping
from mts_core.pipeline_report import (
    CurationResult,
    Phase,
    PipelineReport,
    PipelineState,
    load_pipeline_state,
    save_pipeline_state,
)

__all__ = [
    "CurationData",
    "CurationResult",
    "Phase",
    "PipelineConfig",
    "PipelineReport",
    "PipelineState",
    "load_pipeline_state",
    "pipeline_config_from_mapping",
    "run_pipeline",
    "save_pipeline_state",
]


def run_pipeline(
    data: CurationData,
    config: PipelineConfig,
    *,
    seed: int,
    device: torch.device | str = "cpu",
    resume: PipelineState | None = None,
) -> Iterator[PipelineReport]:
    """Yields reports of a run; the last one carries the result.

    Args:
        data: Pool, reference set and optional test set.
        config: Hyper-parameters.
        seed: Seed of every random draw of the run.
        device: Where to compute.
        resume: State captured by an earlier run on the same data, config and seed.
    """
    raise RuntimeError("not yet")
