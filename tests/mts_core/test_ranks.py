"""Sets runs that several processes share against the run of one."""

import dataclasses
import threading
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from thread_ranks import ThreadRanks
from torch import distributed, multiprocessing
from trainer_problems import make_problem

from mts_core.config import AlignmentKind, ClassifierKind, MtsConfig
from mts_core.errors import ConfigError
from mts_core.ranks import ALONE, ProcessGroupRanks, Ranks
from mts_core.trainer import start_training, train
from mts_core.training_data import ReferenceSet, TrainingPool

CONFIG = MtsConfig(
    alignment=AlignmentKind.EXACT, steps=6, batch_size=130, gsnr_every=2, gsnr_partitions=1
)
# Gradients are summed in another order, in float64, and grow over six steps.
ROUNDING = 1e-10


def make_images() -> tuple[TrainingPool, ReferenceSet]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (150, 1, 8, 8), generator=generator).to(torch.uint8)
    labels = torch.arange(150) % 2
    features = torch.randn(150, 13, generator=generator, dtype=torch.float64)
    return TrainingPool(images, labels, labels == 2, features, 2), ReferenceSet(
        images[:7], labels[:7]
    )


def train_with(
    ranks: Ranks, pool: TrainingPool, reference: ReferenceSet, config: MtsConfig
) -> dict[str, torch.Tensor]:
    state = start_training(pool, reference, config, seed=0)
    state.share_with(ranks)
    list(train(state, pool, reference, config))
    return state.to_tensors()


def train_in_threads(
    count: int, pool: TrainingPool, reference: ReferenceSet, config: MtsConfig
) -> list[dict[str, torch.Tensor]]:
    barrier, desk = threading.Barrier(count), [None] * count
    found: list[dict[str, torch.Tensor]] = [{} for _ in range(count)]

    def work(index: int) -> None:
        try:
            found[index] = train_with(ThreadRanks(index, barrier, desk), pool, reference, config)
        finally:
            # The others must not wait for one that failed.
            if not found[index]:
                barrier.abort()

    threads = [threading.Thread(target=work, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def assert_same_run(
    found: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]
) -> None:
    torch.testing.assert_close(found, expected, rtol=ROUNDING, atol=ROUNDING, equal_nan=True)


@pytest.mark.parametrize(
    ("alignment", "count"),
    [(AlignmentKind.HEAD, 2), (AlignmentKind.EXACT, 3), (AlignmentKind.FINITE_DIFFERENCE, 2)],
)
def test_shared_run_equals_the_run_of_one_process(alignment: AlignmentKind, count: int) -> None:
    pool, reference, _ = make_problem(sample_count=200)
    # A quotient by the step of the difference would magnify rounding beyond the tolerance.
    config = dataclasses.replace(CONFIG, alignment=alignment, finite_difference_epsilon=1.0)
    expected = train_with(ALONE, pool, reference, config)
    for found in train_in_threads(count, pool, reference, config):
        assert_same_run(found, expected)


# Forward mode knows one level in a process, whatever the thread, so that exact alignment in
# micro-batches is left to the test with real processes.
@pytest.mark.parametrize(
    ("alignment", "micro_batch_size"),
    [(AlignmentKind.EXACT, None), (AlignmentKind.HEAD, 20)],
)
def test_shared_run_of_images_equals_the_run_of_one_process(
    alignment: AlignmentKind, micro_batch_size: int | None
) -> None:
    pool, reference = make_images()
    config = dataclasses.replace(
        CONFIG,
        classifier=ClassifierKind.CNN,
        alignment=alignment,
        steps=2,
        micro_batch_size=micro_batch_size,
    )
    expected = train_with(ALONE, pool, reference, config)
    for found in train_in_threads(2, pool, reference, config):
        assert_same_run(found, expected)


def test_all_ranks_end_with_the_same_state_bit_by_bit() -> None:
    pool, reference, _ = make_problem(sample_count=200)
    first, second = train_in_threads(2, pool, reference, CONFIG)
    torch.testing.assert_close(first, second, rtol=0, atol=0, equal_nan=True)


def test_more_processes_than_samples_of_a_batch_are_refused() -> None:
    pool, reference, _ = make_problem(reference_count=3)
    state = start_training(pool, reference, CONFIG, seed=0)
    with pytest.raises(ConfigError):
        state.share_with(ThreadRanks(0, threading.Barrier(4), []))


def train_in_process_group(index: int, folder: str, micro_batch_size: int | None) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder}/meeting",
        rank=index,
        world_size=2,
        timeout=timedelta(seconds=120),
    )
    pool, reference, _ = make_problem(sample_count=200)
    config = dataclasses.replace(CONFIG, micro_batch_size=micro_batch_size)
    tensors = train_with(ProcessGroupRanks(), pool, reference, config)
    torch.save(tensors, Path(folder) / f"rank{index}.pt")
    distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.parametrize("micro_batch_size", [None, 20])
def test_run_of_two_processes_equals_the_run_of_one(
    micro_batch_size: int | None, tmp_path: Path
) -> None:
    multiprocessing.spawn(train_in_process_group, args=(str(tmp_path), micro_batch_size), nprocs=2)
    pool, reference, _ = make_problem(sample_count=200)
    expected = train_with(ALONE, pool, reference, CONFIG)
    found = [torch.load(tmp_path / f"rank{index}.pt") for index in range(2)]
    # AdamW divides by roots of small means, which magnifies the rounding of micro-batches.
    tolerance = ROUNDING if micro_batch_size is None else 1e-8
    torch.testing.assert_close(found[0], expected, rtol=tolerance, atol=tolerance, equal_nan=True)
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0, equal_nan=True)
