"""Says what each augmentation does to images, and that draws come from its generator alone."""

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mts_core.augmentation import augment_images
from mts_core.classifier_pair import TessProblem, advance_pair, start_pair
from mts_core.classifiers import measure_input_scaling
from mts_core.config import AlignmentKind, Augmentation, ClassifierKind, MtsConfig, TessConfig
from mts_core.optimisers import SgdRule
from mts_core.plain_training import JoinedInputs, TrainingRecipe, TrainingRun, train_runs
from mts_core.trainer import resume_training, start_training, train
from mts_core.training_data import LabelledInputs, ReferenceSet, TrainingPool

VARYING = [kind for kind in Augmentation if kind is not Augmentation.NONE]
SIDE = 16


def draw_images(count: int = 50, channels: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, channels, SIDE, 20), generator=generator).to(torch.uint8)


def augment(images: torch.Tensor, kind: Augmentation, seed: int = 0) -> torch.Tensor:
    return augment_images(images, kind, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", VARYING)
@given(
    count=st.integers(1, 5),
    channels=st.sampled_from([1, 3]),
    height=st.integers(1, 33),
    width=st.integers(1, 33),
)
def test_shape_and_dtype_stay(
    kind: Augmentation, count: int, channels: int, height: int, width: int
) -> None:
    for dtype in (torch.uint8, torch.float32, torch.float64):
        images = torch.full((count, channels, height, width), 7).to(dtype)
        varied = augment(images, kind)
        assert varied.dtype == dtype
        # What comes into view repeats the edge, so an even image stays what it is.
        torch.testing.assert_close(varied, images)


@pytest.mark.parametrize("kind", VARYING)
def test_draws_follow_the_generator_and_leave_the_batch_alone(kind: Augmentation) -> None:
    images = draw_images()
    before = images.clone()
    first = augment(images, kind)
    assert torch.equal(first, augment(images, kind))
    assert not torch.equal(first, augment(images, kind, seed=1))
    assert not torch.equal(first, images)
    assert torch.equal(images, before)


def test_none_changes_and_draws_nothing() -> None:
    images, generator = draw_images(), torch.Generator().manual_seed(0)
    state = generator.get_state()
    assert augment_images(images, Augmentation.NONE, generator) is images
    assert torch.equal(generator.get_state(), state)


@pytest.mark.parametrize("kind", [Augmentation.SHIFT, Augmentation.SHIFT_FLIP])
def test_shift_is_a_crop_of_the_padded_image(kind: Augmentation) -> None:
    images = draw_images()
    padding = {"down": 2, "right": 2}
    padded = torch.nn.functional.pad(images.float(), (2, 2, 2, 2), mode="replicate")
    seen = set()
    for image, varied in zip(padded, augment(images, kind).float(), strict=True):
        matches = [
            (down, right, is_mirrored)
            for down in range(2 * padding["down"] + 1)
            for right in range(2 * padding["right"] + 1)
            for is_mirrored in (False, True)
            if torch.equal(
                image[:, down : down + SIDE, right : right + 20],
                varied.flip(-1) if is_mirrored else varied,
            )
        ]
        assert len(matches) == 1
        seen.update(matches)
    assert {is_mirrored for *_, is_mirrored in seen} == (
        {False, True} if kind is Augmentation.SHIFT_FLIP else {False}
    )
    # Fifty images reach both ends of both axes.
    assert {down for down, *_ in seen} == set(range(5))
    assert {right for _, right, _ in seen} == set(range(5))


def test_affine_moves_a_spot_by_no_more_than_it_may() -> None:
    images = torch.zeros(300, 1, 33, 33)
    images[:, 0, 16, 28] = 255.0
    varied = augment(images, Augmentation.AFFINE)
    places = torch.arange(33.0)
    mass = varied.sum(dim=(1, 2, 3))
    rows = (varied.sum(dim=(1, 3)) @ places) / mass - 16
    columns = (varied.sum(dim=(1, 2)) @ places) / mass - 16
    # A turn of 10 degrees takes the spot, 12 pixels out, 2.1 pixels round; the move is up to 4.1,
    # and its centre of mass, spread over four pixels, is off by less than one.
    assert rows.abs().max() < 7.2
    assert (columns - 12).abs().max() < 5.5
    assert rows.max() > 4
    assert rows.min() < -4


def test_affine_turns_without_bending() -> None:
    images = torch.zeros(200, 1, 30, 60)
    images[:, 0, 15, 30], images[:, 0, 15, 45] = 255.0, 255.0
    for varied in augment(images, Augmentation.AFFINE):
        bright = torch.nonzero(varied[0] > 20).float()
        left, right = bright[bright[:, 1] < bright[:, 1].mean()], bright
        right = bright[bright[:, 1] >= bright[:, 1].mean()]
        distance = (left.mean(dim=0) - right.mean(dim=0)).norm()
        # The two spots stay 15 pixels apart, however the image is turned; pixels round that.
        assert abs(float(distance) - 15) < 1.5


def make_problem() -> tuple[TrainingPool, ReferenceSet]:
    images = draw_images(48, channels=1)
    features = torch.randn(48, 13, generator=torch.Generator().manual_seed(2)).double()
    labels = torch.arange(48) % 3
    return TrainingPool(images, labels, labels < 0, features, 3), ReferenceSet(
        images[:9], labels[:9]
    )


CONFIG = MtsConfig(
    classifier=ClassifierKind.CNN,
    alignment=AlignmentKind.EXACT,
    steps=4,
    batch_size=16,
    gsnr_every=2,
    classifier_learning_rate=0.01,
    augmentation=Augmentation.AFFINE_FLIP,
)


def end_of(config: MtsConfig) -> dict[str, torch.Tensor]:
    pool, reference = make_problem()
    state = start_training(pool, reference, config, seed=0)
    list(train(state, pool, reference, config))
    return state.to_tensors()


def test_trainer_sees_varied_images_and_resumes_alike() -> None:
    pool, reference = make_problem()
    whole = end_of(CONFIG)
    plain = end_of(dataclasses.replace(CONFIG, augmentation=Augmentation.NONE))
    assert not torch.equal(whole["classifier/head.weight"], plain["classifier/head.weight"])
    state = start_training(pool, reference, CONFIG, seed=0)
    next(iter(train(state, pool, reference, CONFIG)))
    resumed = resume_training(state.to_tensors(), pool, reference, CONFIG)
    list(train(resumed, pool, reference, CONFIG))
    ended = resumed.to_tensors()
    assert all(torch.equal(ended[name], value) for name, value in whole.items())


def test_alignment_sees_the_images_of_the_training_pass() -> None:
    # Taken from the training pass, or by a pass of its own over the same varied batch.
    tapped = end_of(CONFIG)
    again = end_of(dataclasses.replace(CONFIG, micro_batch_size=5))
    # Rounding of float64 sums, grown over four steps and by AdamW's division.
    torch.testing.assert_close(again, tapped, rtol=1e-7, atol=1e-9)


def test_pair_of_tess_is_trained_on_varied_images() -> None:
    pool, reference = make_problem()
    ends = []
    for kind in (Augmentation.NONE, Augmentation.SHIFT):
        config = TessConfig(
            classifier=ClassifierKind.CNN, steps=2, batch_size=16, augmentation=kind
        )
        problem = TessProblem(pool, reference, config)
        pair = start_pair(problem, seed=0, device=torch.device("cpu"))
        advance_pair(pair, problem)
        again = start_pair(problem, seed=1, device=torch.device("cpu"))
        again.restore(pair.capture())
        for each in (pair, again):
            advance_pair(each, problem)
        assert torch.equal(pair.pool_only.head.weight, again.pool_only.head.weight)
        ends.append(pair.pool_only.head.weight)
    assert not torch.equal(*ends)


def test_plain_training_varies_images_by_run() -> None:
    images = draw_images(30, channels=1)
    samples = LabelledInputs(images, torch.arange(30) % 3)
    recipe = TrainingRecipe(
        kind=ClassifierKind.CNN,
        input_shape=(1, SIDE, 20),
        class_count=3,
        scaling=measure_input_scaling(images),
        sgd=SgdRule(0.01),
        batch_size=8,
        augmentation=Augmentation.SHIFT,
    )

    def logits_of(own: TrainingRecipe, repetitions: list[int]) -> torch.Tensor:
        runs = [TrainingRun(torch.ones(60), repetition) for repetition in repetitions]
        joined = JoinedInputs(samples, samples)
        *_, (_, predict) = train_runs(runs, joined, own, steps=2, seed=0)
        return predict(images)

    varied = logits_of(recipe, [0, 1])
    plain = logits_of(dataclasses.replace(recipe, augmentation=Augmentation.NONE), [0, 1])
    assert not torch.allclose(varied, plain)
    # A run's images do not hang on the runs beside it; grouped convolutions sum in another order.
    torch.testing.assert_close(varied[1:], logits_of(recipe, [1]), rtol=1e-3, atol=1e-4)
