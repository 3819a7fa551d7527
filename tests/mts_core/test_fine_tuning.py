"""Holds fine-tuned networks to per-sample gradients, whole batches and their frozen statistics."""

import dataclasses
import sys

import numpy as np
import pytest
import torch
from curation_problems import QUICK, finish, make_images, without_evaluation
from pretrained_networks import (
    CLASS_COUNT,
    DIMENSION,
    SIDE,
    make_body,
    make_classifier,
)
from pretrained_networks import make_images as make_batch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional

from mts_core.alignment import (
    TangentLine,
    exact_alignment,
    finite_difference_alignment,
    head_alignment,
)
from mts_core.classifier_passes import (
    PassSettings,
    clone_parameters,
    forward_batch,
    hidden_features,
    reference_pass,
    weighted_gradient,
)
from mts_core.classifiers import FineTunedClassifier, build_classifier
from mts_core.config import AlignmentKind, ClassifierKind, MtsConfig
from mts_core.encoders.efficientnet_lite0 import EfficientNetLite0Encoder, load_model
from mts_core.encoders.image_batches import resize_images
from mts_core.encoders.timm_images import ImageNetwork
from mts_core.errors import ConfigError
from mts_core.fine_tuning import load_backbone, measure_dimension, with_plain_convolutions
from mts_core.layer_taps import LayerTaps, can_be_tapped, tapped_alignment
from mts_core.library_models import Library, LibraryModel
from mts_core.online_features import Anchors
from mts_core.optimisers import SgdRule, sgd_step, zeros_like_parameters
from mts_core.pipeline import run_pipeline
from mts_core.pipeline_config import ClassifierChoice, EncoderChoice
from mts_core.settings_resolution import resolve_settings
from mts_core.tess_settings import TessSettings
from mts_core.trainer import start_training, train
from mts_core.trainer_state import TrainerState
from mts_core.training_data import LabelledInputs, ReferenceSet, TrainingPool

# Two orders of summation of a few thousand products of order one, in float64.
ROUNDING = 1e-11
CPU = torch.device("cpu")


def make_line(classifier: nn.Module, generator: torch.Generator) -> TangentLine:
    direction = {
        name: torch.randn(value.shape, generator=generator, dtype=value.dtype)
        for name, value in classifier.named_parameters()
    }
    return TangentLine(clone_parameters(classifier), direction)


class Trained(nn.Module):
    """What of a classifier has parameters; memory formats have no rule for vmap."""

    def __init__(self, classifier: FineTunedClassifier) -> None:
        super().__init__()
        self.body, self.head = classifier.body, classifier.head

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.body(images))
        return logits


def gradients_dotted(
    classifier: FineTunedClassifier, batch: LabelledInputs, line: TangentLine
) -> torch.Tensor:
    """Return the inner products with each sample's own gradient."""
    resized = resize_images(batch.inputs.double(), (SIDE, SIDE))
    images = classifier.scaled(resized)
    network = Trained(classifier)

    def loss(
        point: dict[str, torch.Tensor], sample: torch.Tensor, label: torch.Tensor
    ) -> torch.Tensor:
        logits = functional_call(network, point, (sample.unsqueeze(0),))
        return functional.cross_entropy(logits, label.unsqueeze(0))

    gradients = vmap(grad(loss), in_dims=(None, 0, 0))(dict(line.point), images, batch.labels)
    products = [
        (gradients[name] * line.direction[name]).flatten(1).sum(dim=1) for name in line.point
    ]
    return torch.stack(products).sum(dim=0)


def tap(classifier: FineTunedClassifier, batch: LabelledInputs, line: TangentLine) -> torch.Tensor:
    """Return the alignments that the training pass leaves behind."""
    shares = torch.full_like(batch.labels, 1, dtype=torch.float64) / batch.sample_count
    forward = forward_batch(classifier, batch, PassSettings(), is_tapped=True)
    weighted_gradient(classifier, batch, shares, PassSettings(), graph_losses=forward.graph_losses)
    return tapped_alignment(forward.taps, line.direction, shares)


def test_exact_alignments_equal_per_sample_gradients(generator: torch.Generator) -> None:
    classifier, batch = make_classifier(generator), make_batch(generator)
    line = make_line(classifier, generator)
    expected = gradients_dotted(classifier, batch, line)
    assert can_be_tapped(classifier)
    for found in (exact_alignment(classifier, batch, line), tap(classifier, batch, line)):
        torch.testing.assert_close(found, expected, rtol=ROUNDING, atol=ROUNDING)


def test_other_estimators_agree_with_per_sample_gradients(generator: torch.Generator) -> None:
    classifier, batch = make_classifier(generator), make_batch(generator)
    line = make_line(classifier, generator)
    # Far below any kink of a ReLU, most of the time; the error falls with the step's square.
    found = finite_difference_alignment(classifier, batch, line, epsilon=1e-5)
    expected = gradients_dotted(classifier, batch, line)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    seen = forward_batch(classifier, batch, PassSettings())
    only_head = {
        name: value if name.startswith("head.") else torch.zeros_like(value)
        for name, value in line.direction.items()
    }
    torch.testing.assert_close(
        head_alignment(seen.hidden, seen.residuals, line.direction),
        gradients_dotted(classifier, batch, TangentLine(line.point, only_head)),
        rtol=ROUNDING,
        atol=ROUNDING,
    )


def test_parts_of_a_batch_give_the_whole_batch_s_results(generator: torch.Generator) -> None:
    classifier, batch = make_classifier(generator), make_batch(generator)
    line = make_line(classifier, generator)
    shares = torch.rand(batch.sample_count, generator=generator, dtype=torch.float64)
    results = [
        (
            weighted_gradient(classifier, batch, shares, settings),
            reference_pass(classifier, batch, settings, is_head_only=False).direction,
            exact_alignment(classifier, batch, line, micro_batch_size=settings.micro_batch_size),
        )
        for settings in (PassSettings(), PassSettings(micro_batch_size=7))
    ]
    torch.testing.assert_close(results[1], results[0], rtol=ROUNDING, atol=ROUNDING)


def start_run(config: MtsConfig) -> tuple[TrainerState, TrainingPool, ReferenceSet]:
    """Return a run whose classifier is the stand-in for a pretrained network."""
    generator = torch.Generator().manual_seed(3)
    batch, reference = make_batch(generator, 48), make_batch(generator, 9)
    labels = torch.arange(9) % CLASS_COUNT
    features = torch.randn(48, 13, generator=generator, dtype=torch.float64)
    pool = TrainingPool(batch.inputs, batch.labels, batch.labels < 0, features, CLASS_COUNT)
    sets = ReferenceSet(reference.inputs, labels)
    state = start_training(pool, sets, config, seed=0)
    state.classifier = make_classifier(generator)
    state.velocities = zeros_like_parameters(state.classifier)
    known = LabelledInputs(sets.inputs, labels)
    state.anchors = Anchors(hidden_features(state.classifier, known, PassSettings()), labels)
    return state, pool, sets


@pytest.mark.parametrize("alignment", list(AlignmentKind))
def test_micro_batched_run_equals_whole_batches(alignment: AlignmentKind) -> None:
    config = MtsConfig(
        classifier=ClassifierKind.CNN,
        alignment=alignment,
        steps=4,
        batch_size=16,
        gsnr_every=0,
        classifier_learning_rate=0.02,
    )
    ends = []
    for micro_batch_size in (None, 5):
        own = dataclasses.replace(config, micro_batch_size=micro_batch_size)
        state, pool, reference = start_run(own)
        list(train(state, pool, reference, own))
        ends.append(state.to_tensors())
    # Rounding of float64 sums, grown over four steps and by AdamW's division.
    torch.testing.assert_close(ends[1], ends[0], rtol=1e-7, atol=1e-9)


def test_training_moves_gains_and_biases_of_batch_norm_but_not_its_statistics(
    generator: torch.Generator,
) -> None:
    classifier, batch = make_classifier(generator), make_batch(generator)
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    classifier.train()
    gradient = weighted_gradient(
        classifier, batch, torch.full((40,), 1 / 40, dtype=torch.float64), PassSettings()
    )
    parameters = dict(classifier.named_parameters())
    sgd_step(parameters, gradient, zeros_like_parameters(classifier), SgdRule(0.1))
    moved = {
        name for name, value in classifier.state_dict().items() if not value.equal(before[name])
    }
    assert moved == set(parameters)
    assert "body.1.weight" in moved
    assert "body.1.running_mean" in before


def test_sample_does_not_depend_on_its_neighbours(generator: torch.Generator) -> None:
    classifier, batch = make_classifier(generator), make_batch(generator)
    classifier.train()
    alone = classifier(batch.inputs[:1])
    torch.testing.assert_close(classifier(batch.inputs)[:1], alone, rtol=ROUNDING, atol=ROUNDING)


def test_grey_images_are_read_as_colour(generator: torch.Generator) -> None:
    classifier, batch = make_classifier(generator), make_batch(generator)
    colour = batch.inputs.expand(-1, 3, -1, -1)
    torch.testing.assert_close(classifier(colour), classifier(batch.inputs))


def test_batch_norm_of_the_batch_cannot_be_tapped(generator: torch.Generator) -> None:
    assert not can_be_tapped(make_body(generator).train())
    assert can_be_tapped(make_body(generator).eval())


def test_layer_that_only_looks_linear_cannot_be_tapped() -> None:
    class ActivatedNorm(nn.BatchNorm2d):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.relu(super().forward(images))

    assert not can_be_tapped(ActivatedNorm(3).eval())


def test_exact_alignment_goes_through_attention(generator: torch.Generator) -> None:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            weight = torch.randn(12, 3 * 3, generator=generator, dtype=torch.float64)
            self.weight = nn.Parameter(weight)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            query, key, value = (images.flatten(2).transpose(1, 2) @ self.weight.T).chunk(3, dim=2)
            return functional.scaled_dot_product_attention(query, key, value).mean(dim=1)

    class Patches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = Attention()

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            patches = functional.unfold(images, 6, stride=6).mean(dim=2)
            return self.attention(patches.view(len(images), 9, -1))

    network = ImageNetwork(Patches(), (SIDE, SIDE), (0.5,) * 3, (0.2,) * 3)
    classifier = make_classifier(generator)
    classifier.body = network.module
    classifier.head = nn.Linear(4, CLASS_COUNT, dtype=torch.float64, device="meta").to_empty(
        device="cpu"
    )
    classifier.head.weight.data.normal_(generator=generator)
    classifier.head.bias.data.zero_()
    batch = make_batch(generator, 5)
    line = make_line(classifier, generator)
    found = exact_alignment(classifier, batch, line)
    near = finite_difference_alignment(classifier, batch, line, epsilon=1e-5)
    torch.testing.assert_close(found, near, rtol=1e-6, atol=1e-6)


def test_features_that_leave_a_parameter_out_are_refused(generator: torch.Generator) -> None:
    name = LibraryModel(Library.TIMM, "tiny")
    body = make_body(generator)
    network = ImageNetwork(body, (SIDE, SIDE), (0.5,) * 3, (0.2,) * 3)
    assert measure_dimension(name, network) == DIMENSION
    body.register_parameter("idle", nn.Parameter(torch.zeros(2)))
    with pytest.raises(ConfigError, match="idle") as refused:
        measure_dimension(name, network)
    assert refused.value.field == "classifier"


def test_library_model_that_the_worker_lacks_names_the_classifier(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # timm is an optional extra, which may be installed where this runs.
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ConfigError, match=r"pip install winnow\[timm\]") as refused:
        load_backbone(LibraryModel(Library.TIMM, "resnet18"), (3, 32, 32))
    assert refused.value.field == "classifier"


def test_plain_convolutions_give_the_same_features(generator: torch.Generator) -> None:
    model = load_model()
    images = torch.rand(2, 3, 64, 64, generator=generator)
    with torch.no_grad():
        before = model.extract_features(images)
        with_plain_convolutions(model)
        after = model.extract_features(images)
    # The same products in another order, through some fifty layers in single precision.
    torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-4)
    kinds = {type(layer) for layer in model.modules() if isinstance(layer, nn.Conv2d)}
    assert kinds == {nn.Conv2d}


def test_efficientnet_starts_from_its_weights_under_an_empty_head() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 1, 28, 28), dtype=np.uint8)
    classifier = build_classifier(
        ClassifierKind.EFFICIENTNET_LITE0,
        input_shape=(1, 28, 28),
        class_count=4,
        generator=torch.Generator(),
    )
    assert can_be_tapped(classifier)
    inputs = torch.from_numpy(images)
    with torch.no_grad():
        hidden = classifier.features(inputs).numpy()
        assert not classifier(inputs).any()
    encoded = EfficientNetLite0Encoder((1, 28, 28), CPU).encode(images)
    assert np.allclose(hidden, encoded, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "classifier",
    [ClassifierChoice.EFFICIENTNET_LITE0, LibraryModel(Library.TIMM, "resnet18")],
)
def test_automatic_settings_of_a_pretrained_network_are_gentle(
    classifier: ClassifierChoice | LibraryModel,
) -> None:
    config = dataclasses.replace(QUICK, classifier=classifier, steps="auto", batch_size="auto")
    resolved = resolve_settings(config, make_images(count=90))
    assert (resolved.mts.steps, resolved.mts.batch_size) == (100, 64)
    assert resolved.mts.alignment is AlignmentKind.EXACT
    # Decay as strong as that of the other networks would undo the pretraining.
    assert resolved.mts.classifier_weight_decay == config.classifier_weight_decay
    assert resolved.pipeline.classifier == classifier
    tess = resolve_settings(TessSettings(classifier=classifier), make_images(count=90))
    assert (tess.mts.steps, tess.evaluation_batch_size) == (100, 64)


def test_pretrained_network_is_refused_for_embeddings() -> None:
    with pytest.raises(ConfigError) as refused:
        build_classifier(
            ClassifierKind.EFFICIENTNET_LITE0,
            input_shape=(8,),
            class_count=2,
            generator=torch.Generator(),
        )
    assert refused.value.field == "classifier"


EFFICIENTNET = dataclasses.replace(
    QUICK,
    classifier=ClassifierChoice.EFFICIENTNET_LITE0,
    encoder=EncoderChoice.PIXELS_PCA,
    steps=2,
    batch_size=4,
    baselines=(),
)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_job_fine_tunes_efficientnet_from_inputs_to_report() -> None:
    result = finish(make_images(count=24), EFFICIENTNET)
    assert [row["method"] for row in result.report["rows"]] == [
        "no_selection",
        "reference_only",
        "no_selection_upweighted",
        "mts_weighted",
        "mts_selected",
    ]
    # The class is the bright third of an image; guessing is right a third of the time.
    assert result.report["rows"][0]["accuracy_mean"] > 0.5
    assert result.report["config"]["classifier"] == "efficientnet_lite0"
    assert np.isfinite(result.scores).all()


@pytest.mark.slow
def test_stopped_job_with_efficientnet_ends_alike() -> None:
    data, config = make_images(count=24), without_evaluation(EFFICIENTNET)
    reports = list(run_pipeline(data, config, seed=0))
    state = None
    for report in run_pipeline(data, config, seed=0):
        if report.traces is not None:
            state = report.capture()
            break
    resumed = list(run_pipeline(data, config, seed=0, resume=state))
    first, again = reports[-1].result, resumed[-1].result
    assert first is not None
    assert again is not None
    assert np.array_equal(first.scores, again.scores)


def test_alignment_of_the_training_pass_stays_right_in_half_precision(
    generator: torch.Generator,
) -> None:
    classifier, batch = make_classifier(generator).float(), make_batch(generator)
    line = make_line(classifier, generator)
    taps = LayerTaps()
    # As on a GPU, where alone runs turn it on by themselves.
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with taps.listen(classifier):
            logits = classifier(batch.inputs)
        loss = functional.cross_entropy(logits.float(), batch.labels, reduction="sum")
        torch.autograd.grad(loss, list(classifier.parameters()))
        found = taps.alignment(line.direction)
    assert found.dtype == torch.float32
    expected = exact_alignment(classifier, batch, line)
    # Bfloat16 has eight bits: a few layers leave some per cent of the alignments' own size.
    assert float((found - expected).norm() / expected.norm()) < 0.05
