"""Measures what an MTS step costs in plain weighted steps, and what micro-batches save in memory.

Images are random: 28x28x1 for `cnn`, 32x32x3 for `resnet20`; 10 classes, 100 reference samples, a
meta step at every step. The plain loop draws a batch, weighs its losses, and takes the same SGD
step with torch's fused optimiser, in whichever parts are fastest. All ways take one step each in
turn, so that a busy machine is slow for all alike; times are medians of the CPU time of one thread.
Prints a table and, as its last line, one JSON object, which it also writes to
benchmarks/results/speed.json.
"""

import argparse
import dataclasses
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch.nn import functional

from mts_core.classifiers import build_classifier, measure_input_scaling
from mts_core.compilation import settle_compilation
from mts_core.config import AlignmentKind, ClassifierKind, MtsConfig
from mts_core.gsnr import Ladder, MetaSample, gsnr_ladder, measurable_batch_sizes
from mts_core.step_traces import GSNR_LADDER
from mts_core.trainer import start_training, train
from mts_core.training_data import ReferenceSet, TrainingPool
from worker.child_process import TRAINING_ENVIRONMENT

RESULTS: Final = Path(__file__).parent / "results" / "speed.json"
SHAPES: Final = {ClassifierKind.CNN: (1, 28, 28), ClassifierKind.RESNET20: (3, 32, 32)}
BATCH_SIZES: Final = (256, 1024)
PLAIN_PARTS: Final = (32, 64, 128, 256, 1024)
"""Parts in which the plain loop may pass a batch; the fastest is taken."""
CLASS_COUNT: Final = 10
REFERENCE_COUNT: Final = 100
MICRO_BATCH: Final = 64
SEED: Final = 0
LEARNING_RATE: Final = 0.01
MOMENTUM: Final = 0.9
WEIGHT_DECAY: Final = 5e-4

Step = Callable[[], object]


def main() -> None:
    """Run the benchmark from the command line."""
    arguments = _parse_arguments()
    if not TRAINING_ENVIRONMENT.items() <= os.environ.items():
        # Measured as the worker runs it; an allocator reads its settings when a program starts.
        os.execve(  # noqa: S606  # This very script.
            sys.executable, [sys.executable, *sys.argv], {**os.environ, **TRAINING_ENVIRONMENT}
        )
    torch.set_num_threads(1)
    if arguments.compiled:
        print(json.dumps(compare_compiled(arguments.rounds)))
        return
    if arguments.peak:
        estimator, micro_batch = arguments.peak
        print(peak_growth_bytes(AlignmentKind(estimator), int(micro_batch)))
        return
    results = measure(arguments.rounds)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    print_table(results)
    print(json.dumps(results))


def measure(rounds: int) -> dict[str, Any]:
    """Return all ratios.

    Args:
        rounds: Steps behind each median.
    """
    results: dict[str, Any] = {str(kind): {} for kind in SHAPES}
    micro: dict[str, Any] = {}
    gsnr_shares: dict[str, float] = {}
    seconds: dict[str, Any] = {}
    parts: dict[str, Any] = {}
    for kind in SHAPES:
        for batch_size in BATCH_SIZES:
            key = f"{kind} {batch_size}"
            pool, reference = make_problem(kind, 2 * batch_size)
            part = fastest_part(kind, pool, batch_size)
            steps: dict[str, Step] = {"plain": plain_step(kind, pool, batch_size, part)}
            for estimator in AlignmentKind:
                config = configure(kind, estimator, batch_size)
                steps[estimator] = mts_step(pool, reference, config)
                bounded = configure(kind, estimator, batch_size, micro_batch=MICRO_BATCH)
                steps[f"{estimator} micro"] = mts_step(pool, reference, bounded)
            medians = median_seconds(steps, rounds)
            plain = medians["plain"]
            results[kind][str(batch_size)] = {
                name: medians[name] / plain for name in ("plain", *AlignmentKind)
            }
            micro[key] = {name: medians[f"{name} micro"] / plain for name in AlignmentKind}
            ladder = median_seconds({"ladder": ladder_step(pool, batch_size)}, rounds)["ladder"]
            gsnr_shares[key] = ladder / MtsConfig().gsnr_every / plain
            seconds[key], parts[key] = medians, part
            print(f"{key}: {results[kind][str(batch_size)]}", file=sys.stderr, flush=True)
    memory = {estimator: compare_memory(estimator) for estimator in ("head", "exact")}
    return results | {
        "gsnr_share": max(gsnr_shares.values()),
        "memory_ratio_microbatch": max(found["ratio"] for found in memory.values()),
        "micro_batched": {"micro_batch_size": MICRO_BATCH, "ratios": micro},
        "memory": memory,
        "gsnr_shares": gsnr_shares,
        "cpu_seconds": seconds,
        "plain_parts": parts,
        "rounds": rounds,
        "seeds": [SEED],
        "threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }


def make_problem(kind: ClassifierKind, sample_count: int) -> tuple[TrainingPool, ReferenceSet]:
    """Return random images with random labels, which cost as much as any others."""
    generator = torch.Generator().manual_seed(SEED)
    shape = (sample_count, *SHAPES[kind])
    images = torch.randint(0, 256, shape, generator=generator).to(torch.uint8)
    labels = torch.randint(0, CLASS_COUNT, (sample_count,), generator=generator)
    features = torch.randn(sample_count, 13, generator=generator)
    is_real = torch.zeros(sample_count, dtype=torch.bool)
    pool = TrainingPool(images, labels, is_real, features, CLASS_COUNT)
    reference_labels = torch.arange(REFERENCE_COUNT) % CLASS_COUNT
    return pool, ReferenceSet(images[:REFERENCE_COUNT], reference_labels)


def configure(
    kind: ClassifierKind,
    estimator: AlignmentKind,
    batch_size: int,
    *,
    micro_batch: int | None = None,
) -> MtsConfig:
    """Return settings of a run that takes a meta step at every step and measures no GSNR."""
    return MtsConfig(
        classifier=kind,
        alignment=estimator,
        steps=1_000_000,
        batch_size=batch_size,
        micro_batch_size=micro_batch,
        classifier_learning_rate=LEARNING_RATE,
        momentum=MOMENTUM,
        classifier_weight_decay=WEIGHT_DECAY,
        gsnr_every=0,
    )


def mts_step(pool: TrainingPool, reference: ReferenceSet, config: MtsConfig) -> Step:
    """Return a function that takes the next step of a run."""
    reports = train(start_training(pool, reference, config, seed=SEED), pool, reference, config)
    return lambda: next(reports)


def plain_step(kind: ClassifierKind, pool: TrainingPool, batch_size: int, part: int) -> Step:
    """Return a function that takes the next weighted step without a meta-network.

    Args:
        kind: The classifier.
        pool: Samples; all weigh the same, which costs as much as any other weights.
        batch_size: Samples in a batch.
        part: Samples that pass at once.
    """
    generator = torch.Generator().manual_seed(SEED)
    classifier = build_classifier(
        kind,
        input_shape=pool.input_shape,
        class_count=CLASS_COUNT,
        generator=generator,
        scaling=measure_input_scaling(pool.inputs),
    ).float()
    optimiser = torch.optim.SGD(
        classifier.parameters(),
        lr=LEARNING_RATE,
        momentum=MOMENTUM,
        weight_decay=WEIGHT_DECAY,
        fused=True,
    )
    weights = torch.ones(pool.sample_count)

    def step() -> None:
        indices = torch.randperm(pool.sample_count, generator=generator)[:batch_size]
        shares = weights[indices] / weights[indices].sum()
        inputs, labels = pool.inputs[indices], pool.labels[indices]
        optimiser.zero_grad()
        for start in range(0, batch_size, part):
            rows = slice(start, start + part)
            losses = functional.cross_entropy(
                classifier(inputs[rows]), labels[rows], reduction="none"
            )
            (losses * shares[rows]).sum().backward()
        optimiser.step()

    return step


def fastest_part(kind: ClassifierKind, pool: TrainingPool, batch_size: int) -> int:
    """Return the part in which the plain loop passes a batch fastest."""
    sizes = [size for size in PLAIN_PARTS if size <= batch_size]
    found = median_seconds(
        {str(size): plain_step(kind, pool, batch_size, size) for size in sizes}, rounds=3
    )
    return int(min(found, key=lambda name: found[name]))


def ladder_step(pool: TrainingPool, batch_size: int) -> Step:
    """Return a function that measures one GSNR ladder with the default settings."""
    config = MtsConfig()
    _, reference = make_problem(ClassifierKind.CNN, REFERENCE_COUNT)
    linear = configure(ClassifierKind.LINEAR, AlignmentKind.HEAD, batch_size)
    small = TrainingPool(
        pool.inputs[:REFERENCE_COUNT].flatten(1)[:, :2].float(),
        pool.labels[:REFERENCE_COUNT],
        pool.is_real[:REFERENCE_COUNT],
        pool.offline_features[:REFERENCE_COUNT],
        CLASS_COUNT,
    )
    anchors = ReferenceSet(reference.inputs.flatten(1)[:, :2].float(), reference.labels)
    meta_network = start_training(small, anchors, linear, seed=SEED).meta_network
    generator = torch.Generator().manual_seed(SEED)
    sample = MetaSample(
        torch.randn(batch_size, 17, generator=generator),
        pool.labels[:batch_size],
        pool.is_real[:batch_size],
        torch.randn(batch_size, generator=generator),
    )
    ladder = Ladder(measurable_batch_sizes(GSNR_LADDER, batch_size), config.gsnr_partitions)
    return lambda: gsnr_ladder(
        meta_network, sample, floor=config.score_floor, ladder=ladder, generator=generator
    )


def median_seconds(steps: Mapping[str, Step], rounds: int) -> dict[str, float]:
    """Return the median CPU time of each way of taking a step, after one step to warm up.

    Args:
        steps: Ways by name; they take turns.
        rounds: Measured steps of each.
    """
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for round_number in range(rounds + 1):
        for name, step in steps.items():
            started = time.process_time()
            step()
            if round_number:
                taken[name].append(time.process_time() - started)
    return {name: float(np.median(values)) for name, values in taken.items()}


def compare_compiled(rounds: int) -> dict[str, float]:
    """Return what a step of the ResNet costs as compiled code, with the head's alignment.

    Args:
        rounds: Steps behind each median.

    Returns:
        `ratio`: by the step as it is; `first_step_seconds`: CPU time of the first one, compiling
        included.

    Raises:
        RuntimeError: This machine has no compiler.
    """
    plain = configure(ClassifierKind.RESNET20, AlignmentKind.HEAD, min(BATCH_SIZES))
    compiled, note = settle_compilation(
        dataclasses.replace(plain, compile=True), torch.device("cpu")
    )
    if note is None or not note.is_used:
        raise RuntimeError("Nothing is compiled here.")
    pool, reference = make_problem(ClassifierKind.RESNET20, 2 * plain.batch_size)
    steps = {
        "plain": mts_step(pool, reference, plain),
        "compiled": mts_step(pool, reference, compiled),
    }
    started = time.process_time()
    steps["compiled"]()
    first = time.process_time() - started
    medians = median_seconds(steps, rounds)
    return {"ratio": medians["compiled"] / medians["plain"], "first_step_seconds": first}


def compare_memory(estimator: str) -> dict[str, float]:
    """Return by how much memory grows in a run of the ResNet at 1024 samples, whole and in parts.

    Args:
        estimator: Name of the estimator of alignment.

    Returns:
        `whole_mib` and `micro_mib`: peak growth of resident memory over two steps, in MiB, each in
        a process of its own; `ratio`: the latter by the former.
    """
    whole, micro = (_peak_in_process(estimator, size) for size in (max(BATCH_SIZES), MICRO_BATCH))
    return {"whole_mib": whole / 2**20, "micro_mib": micro / 2**20, "ratio": micro / whole}


def peak_growth_bytes(estimator: AlignmentKind, micro_batch: int) -> int:
    """Return by how much the peak of this process's memory grows over two steps."""
    kind, batch_size = ClassifierKind.RESNET20, max(BATCH_SIZES)
    pool, reference = make_problem(kind, 2 * batch_size)
    step = mts_step(
        pool, reference, configure(kind, estimator, batch_size, micro_batch=micro_batch)
    )
    before = peak_bytes()
    for _ in range(2):
        step()
    return peak_bytes() - before


def peak_bytes() -> int:
    """Return the most memory that this process has held so far."""
    # Not getrusage: there a process starts with the peak of the one that started it.
    status = Path("/proc/self/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    if found is None:
        raise RuntimeError("This system does not tell a process's peak of memory.")
    return int(found.group(1)) * 1024


def print_table(results: Mapping[str, Any]) -> None:
    """Print all ratios as a Markdown table."""
    estimators = list(AlignmentKind)
    print(f"| network, N | {' | '.join(estimators)} | in parts of {MICRO_BATCH}: ", end="")
    print(f"{' | '.join(estimators)} |\n|{'---|' * (1 + 2 * len(estimators))}")
    for kind in SHAPES:
        for size in BATCH_SIZES:
            whole = results[kind][str(size)]
            micro = results["micro_batched"]["ratios"][f"{kind} {size}"]
            cells = [f"{found[name]:.2f}" for found in (whole, micro) for name in estimators]
            print(f"| {kind}, {size} | {' | '.join(cells)} |")
    print(f"\nGSNR ladder: {100 * results['gsnr_share']:.2f} % of a plain step at most")
    for estimator, found in results["memory"].items():
        print(
            f"memory with {estimator}: {found['whole_mib']:.0f} MiB whole, "
            f"{found['micro_mib']:.0f} MiB in parts, ratio {found['ratio']:.2f}"
        )


def _peak_in_process(estimator: str, micro_batch: int) -> int:
    command: Sequence[str] = [sys.executable, __file__, "--peak", estimator, str(micro_batch)]
    ended = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603  # This very script.
    return int(ended.stdout)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--compiled", action="store_true", help="only compare compiled steps of the ResNet"
    )
    parser.add_argument(
        "--peak",
        nargs=2,
        metavar=("ESTIMATOR", "MICRO_BATCH"),
        help="only print by how many bytes memory grows in two steps of the larger batch",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
