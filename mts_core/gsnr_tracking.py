"""Measures the GSNR as a run goes on, and lets it choose the run's batch size once."""

from collections.abc import Mapping
from typing import Final

from mts_core.batch_size_choice import (
    BatchSizeChoice,
    BatchSizeReason,
    choose_batch_size,
    is_choice_measured,
    warm_up_steps,
)
from mts_core.config import MtsConfig
from mts_core.gsnr import (
    Ladder,
    MetaSample,
    gsnr_ladder,
    measurable_batch_sizes,
    recent_critical_batch_size,
)
from mts_core.step_traces import GSNR_LADDER, gsnr_traces
from mts_core.trainer_state import TrainerState

_RECENT_MEASUREMENTS: Final = 8


def is_gsnr_measured(number: int, config: MtsConfig) -> bool:
    """Return whether a step's GSNR is measured: for the traces, or for the batch size.

    Args:
        number: Number of the step, from 1.
        config: Resolved settings.
    """
    if config.gsnr_every == 0:
        return False
    is_for_choice = config.chooses_batch_size and is_choice_measured(number, config.steps)
    return number % config.gsnr_every == 0 or is_for_choice


def measure_gsnr(state: TrainerState, sample: MetaSample, config: MtsConfig) -> Mapping[str, float]:
    """Return the traces of a measurement, and add it to the run's history.

    Args:
        state: The run, in the step after `state.step`.
        sample: The step's batch with its alignments.
        config: Resolved settings.
    """
    sample_count = int(sample.labels.shape[0])
    sizes = measurable_batch_sizes(GSNR_LADDER, sample_count)
    if not sizes:
        return {}
    rungs = gsnr_ladder(
        state.meta_network,
        sample,
        floor=config.score_floor,
        ladder=Ladder(sizes, config.gsnr_partitions),
        generator=state.diagnostics_generator,
    )
    state.gsnr_steps.append(state.step + 1)
    state.gsnr_rungs.append(rungs)
    traces = gsnr_traces(rungs, sample_count)
    critical = recent_critical_batch_size(state.gsnr_rungs[-_RECENT_MEASUREMENTS:])
    return traces if critical is None else traces | {"critical_batch_size": critical}


def settle_batch_size(state: TrainerState, config: MtsConfig) -> None:
    """Give the run's batches their final size where its warm-up has just ended.

    Memory stays that of the warm-up: larger batches pass in micro-batches of its size.
    """
    if config.chooses_batch_size and state.step == warm_up_steps(config.steps):
        state.pool_sampler.resize(batch_size_choice(state, config).value)


def batch_size_choice(state: TrainerState, config: MtsConfig) -> BatchSizeChoice:
    """Return the size of the run's batches after its warm-up, and why.

    It follows from the measurements of the warm-up, which are part of the run's saved state.

    Args:
        state: A run that is past its warm-up, or whose size the job has set.
        config: Resolved settings.
    """
    if not config.chooses_batch_size:
        return BatchSizeChoice(state.pool_sampler.batch_size, BatchSizeReason.JOB, None, None)
    used = [
        rungs
        for step, rungs in zip(state.gsnr_steps, state.gsnr_rungs, strict=True)
        if is_choice_measured(step, config.steps)
    ]
    pool_size = state.pool_sampler.sample_count
    return choose_batch_size(used, start=min(config.batch_size, pool_size), pool_size=pool_size)
