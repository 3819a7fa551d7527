"""Takes a follower's part in an attempt: the same training, with its own share of each batch."""

from pathlib import Path

import structlog
from sqlalchemy import Engine

from curation.database import create_database_engine
from curation.jobs import Claim
from curation.object_stores import open_object_store
from mts_core.errors import RankLostError
from mts_core.pipeline import (
    Phase,
    load_pipeline_state,
    pipeline_config_from_mapping,
    run_pipeline,
)
from worker.child_link import Failed, Interrupted
from worker.crew import join_ranks
from worker.dataset_loader import LoadedSamples, load_samples
from worker.decoding_process import DecodingBounds
from worker.device import choose_device, set_up_torch
from worker.failures import failure_of
from worker.rank_folder import RankFolder
from worker.settings import WorkerSettings

log = structlog.get_logger(__name__)


def follow_attempt(
    claim: Claim, settings: WorkerSettings, folder: RankFolder, *, rank: int, count: int
) -> Failed | Interrupted | None:
    """Share the training of an attempt, and return what went wrong if something did.

    Nothing is written but the mapped arrays of the datasets.

    Args:
        claim: The attempt.
        settings: Settings of the process.
        folder: Where the processes of the attempt leave messages.
        rank: Number of this process, from 1.
        count: Number of all processes.

    Raises:
        RankLostError: Another process ended.
    """
    engine = create_database_engine(
        settings.database_url, pool_size=1, idle_transaction_seconds=settings.lease_seconds
    )
    try:
        device = choose_device(settings.devices, process=rank)
        set_up_torch(device, threads=settings.torch_threads, processes=count)
        ranks = join_ranks(device, timeout_seconds=claim.max_runtime_seconds)
        samples = _load(engine, claim, settings, folder.path / f"rank-{rank}")
        folder.wait_for_state()
        reports = run_pipeline(
            samples.data,
            pipeline_config_from_mapping(claim.method, claim.config),
            seed=claim.seed,
            device=device,
            resume=load_pipeline_state(folder.state_file),
            ranks=ranks,
        )
        for report in reports:
            if report.phase is Phase.TRAIN and report.step >= report.total_steps:
                break
    except RankLostError:
        raise
    except Exception as error:
        log.exception("run_failed")
        return failure_of(error, claim.config)
    finally:
        engine.dispose()
    return None


def _load(engine: Engine, claim: Claim, settings: WorkerSettings, scratch: Path) -> LoadedSamples:
    scratch.mkdir()
    return load_samples(
        engine,
        open_object_store(settings.object_store),
        claim,
        # Whoever leads this process hears of the end, and takes it along.
        bounds=DecodingBounds.of(settings, scratch, keep_going=lambda: True),
    )
