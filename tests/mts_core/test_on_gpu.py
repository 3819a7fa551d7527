"""Runs the trainer on a CUDA device where there is one; elsewhere these tests are skipped."""

import dataclasses

import pytest
import torch
from trainer_problems import Problem, make_problem

from mts_core.config import AlignmentKind, Augmentation, ClassifierKind, MetaInput, MtsConfig
from mts_core.scoring import meta_features, score_pool
from mts_core.trainer import resume_training, start_training, train
from mts_core.training_data import ReferenceSet, TrainingPool

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

CONFIG = MtsConfig(steps=6, batch_size=16, gsnr_every=2, reference_batch_size=6)


def make_images() -> tuple[TrainingPool, ReferenceSet]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (160, 1, 12, 12), generator=generator).to(torch.uint8)
    labels = torch.arange(160) % 2
    features = torch.randn(160, 13, generator=generator)
    return TrainingPool(images, labels, labels == 2, features, 2), ReferenceSet(
        images[:20], labels[:20]
    )


@pytest.mark.parametrize("meta_input", list(MetaInput))
@pytest.mark.parametrize("alignment", list(AlignmentKind))
def test_run_on_a_gpu_follows_the_run_on_a_cpu(
    alignment: AlignmentKind, meta_input: MetaInput, problem: Problem
) -> None:
    pool, reference, _ = problem
    config = dataclasses.replace(CONFIG, alignment=alignment, meta_input=meta_input)
    scores = []
    for device in ("cpu", "cuda"):
        state = start_training(pool, reference, config, seed=0, device=device)
        list(train(state, pool, reference, config))
        scores.append(score_pool(state, pool, config))
    # The same draws in float64; sums in another order, grown over six steps.
    torch.testing.assert_close(scores[1], scores[0], rtol=1e-5, atol=1e-5)


def test_run_moves_from_a_gpu_to_a_cpu() -> None:
    pool, reference, _ = make_problem(dtype=torch.float32)
    state = start_training(pool, reference, CONFIG, seed=0, device="cuda")
    reports = train(state, pool, reference, CONFIG)
    next(reports)
    moved = resume_training(state.to_tensors(), pool, reference, CONFIG, device="cpu")
    assert [report.step for report in train(moved, pool, reference, CONFIG)] == [2, 3, 4, 5, 6]


@pytest.mark.parametrize("alignment", list(AlignmentKind))
def test_cnn_trains_under_autocast(alignment: AlignmentKind) -> None:
    pool, reference = make_images()
    config = dataclasses.replace(
        CONFIG,
        classifier=ClassifierKind.CNN,
        alignment=alignment,
        batch_size=128,
        micro_batch_size=50,
        use_autocast=True,
    )
    state = start_training(pool, reference, config, seed=0, device="cuda")
    assert len(list(train(state, pool, reference, config))) == config.steps
    assert bool(torch.isfinite(meta_features(state, pool, config)).all())


@pytest.mark.parametrize("micro_batch_size", [None, 10])
@pytest.mark.parametrize("alignment", list(AlignmentKind))
def test_pretrained_network_trains_under_autocast(
    alignment: AlignmentKind, micro_batch_size: int | None
) -> None:
    pool, reference = make_images()
    config = dataclasses.replace(
        CONFIG,
        classifier=ClassifierKind.EFFICIENTNET_LITE0,
        alignment=alignment,
        micro_batch_size=micro_batch_size,
        classifier_learning_rate=0.003,
        use_autocast=True,
        augmentation=Augmentation.AFFINE_FLIP,
    )
    state = start_training(pool, reference, config, seed=0, device="cuda")
    assert len(list(train(state, pool, reference, config))) == config.steps
    assert bool(torch.isfinite(meta_features(state, pool, config)).all())
