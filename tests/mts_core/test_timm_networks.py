"""Encodes and fine-tunes by real networks of timm, from a model cache that each test makes itself.

The weights are drawn, since a test fetches none; everything else is timm's. Skipped without timm.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from curation_problems import QUICK, finish, make_images, without_evaluation
from huggingface_hub import constants
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from mts_core.alignment import TangentLine, exact_alignment, finite_difference_alignment
from mts_core.classifier_passes import (
    PassSettings,
    clone_parameters,
    forward_batch,
    weighted_gradient,
)
from mts_core.classifiers import Classifier, build_classifier
from mts_core.encoders import make_fixed_encoder
from mts_core.encoders.timm_images import load_timm_network
from mts_core.errors import ConfigError
from mts_core.layer_taps import can_be_tapped, tapped_alignment
from mts_core.library_models import Library, LibraryModel
from mts_core.pipeline_config import EncoderChoice
from mts_core.trainer_settings import AlignmentChoice
from mts_core.training_data import LabelledInputs

timm = pytest.importorskip("timm", reason="timm is an extra of Winnow: pip install winnow[timm]")

# Networks that timm ships for tests: each a few layers of its family, on images of 160 pixels.
RESIDUAL, ATTENTION = "test_resnet", "test_vit"
NETWORKS = (RESIDUAL, ATTENTION, "test_convnext", "test_efficientnet", "test_nfnet")
SIDE = 160
CPU = torch.device("cpu")
COMMIT = "0" * 40
# Two orders of summation of the products of some hundred thousand parameters, in float64.
ROUNDING = 1e-10

Put = Callable[[str], nn.Module]


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Put:
    """Return what puts a network with drawn weights into a cache, and returns the network."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))

    def put_into_cache(name: str) -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(5)
            network: nn.Module = timm.create_model(name, pretrained=False)
            for value in network.parameters():
                # Branches whose gain starts at zero would leave half of the network without a part.
                if value.dim() <= 1:
                    value.data.uniform_(0.5, 1.0)
        repository = timm.models.get_pretrained_cfg(name).hf_hub_id
        folder = tmp_path / f"models--{repository.replace('/', '--')}"
        snapshot = folder / "snapshots" / COMMIT
        snapshot.mkdir(parents=True)
        (folder / "refs").mkdir()
        (folder / "refs" / "main").write_text(COMMIT)
        save_file(network.state_dict(), snapshot / "model.safetensors")
        return network.eval()

    return put_into_cache


def named(name: str) -> LibraryModel:
    return LibraryModel(Library.TIMM, name)


@pytest.mark.parametrize("name", NETWORKS)
def test_encoder_gives_what_reaches_the_network_s_last_layer(put: Put, name: str) -> None:
    whole: Any = put(name)  # Any: timm's networks have methods of their own.
    images = np.random.default_rng(0).integers(0, 256, (3, 3, SIDE, SIDE), dtype=np.uint8)
    encoder = make_fixed_encoder(named(name), images.shape[1:], device=CPU)
    found = encoder.encode(images)
    known = whole.pretrained_cfg
    mean, deviation = (torch.tensor(known[key]).view(-1, 1, 1) for key in ("mean", "std"))
    with torch.no_grad():
        scaled = (torch.from_numpy(images) / 255 - mean) / deviation
        expected = whole.forward_head(whole.forward_features(scaled), pre_logits=True)
    assert found.shape == (3, encoder.dimension)
    # Single precision through some twenty layers.
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-4)
    assert np.ptp(found, axis=0).max() > 0.01


def test_tag_names_the_weights_and_may_be_left_out(put: Put) -> None:
    put(RESIDUAL)
    plain, tagged = (
        load_timm_network(named(name)).module.state_dict()
        for name in (RESIDUAL, f"{RESIDUAL}.r160_in1k")
    )
    torch.testing.assert_close(plain, tagged, rtol=0, atol=0)


@pytest.mark.parametrize("field", ["encoder", "classifier"])
def test_weights_that_are_not_in_the_cache_are_named_with_a_cure(
    put: Put, tmp_path: Path, field: str
) -> None:
    put(RESIDUAL)
    # The cache of the machine may hold anything; this one holds another network.
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(
        ConfigError, match=r"hf download timm/test_vit\.r160_in1k model\.safetensors"
    ) as refused:
        load_timm_network(named(ATTENTION), field=field)
    assert refused.value.field == field


@pytest.mark.parametrize(
    "name", ["no_such_network", "test_resnet.no_such_tag", "timm/test_resnet", "gcvit_tiny"]
)
def test_network_that_timm_cannot_name_the_weights_of_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="has no pretrained network") as refused:
        load_timm_network(named(name))
    assert refused.value.field == "encoder"


def make_problem(name: str, generator: torch.Generator) -> tuple[Classifier, LabelledInputs]:
    """Return a classifier in float64 whose head knows something, and five small images."""
    classifier = build_classifier(
        named(name), input_shape=(1, 28, 28), class_count=3, generator=torch.Generator()
    ).double()
    classifier.head.weight.data.normal_(generator=generator)
    images = torch.randint(0, 256, (5, 1, 28, 28), generator=generator).to(torch.uint8)
    return classifier, LabelledInputs(images, torch.tensor([0, 1, 2, 0, 1]))


def gradients_dotted(classifier: Classifier, batch: LabelledInputs, line: TangentLine) -> Tensor:
    """Return the inner product with each sample's gradient, by one backward pass for each."""
    products = []
    for image, label in zip(batch.inputs.split(1), batch.labels.split(1), strict=True):
        loss = functional.cross_entropy(classifier(image), label)
        gradients = torch.autograd.grad(loss, list(classifier.parameters()))
        directions = (line.direction[key] for key, _ in classifier.named_parameters())
        pairs = zip(gradients, directions, strict=True)
        products.append(torch.stack([(own * along).sum() for own, along in pairs]).sum())
    return torch.stack(products)


@pytest.mark.parametrize("name", NETWORKS)
def test_estimators_agree_with_each_sample_s_own_gradient(
    put: Put, generator: torch.Generator, name: str
) -> None:
    put(name)
    classifier, batch = make_problem(name, generator)
    direction = {
        key: torch.randn(value.shape, generator=generator, dtype=value.dtype)
        for key, value in classifier.named_parameters()
    }
    line = TangentLine(clone_parameters(classifier), direction)
    expected = gradients_dotted(classifier, batch, line)
    size = float(expected.abs().max())
    exact = [exact_alignment(classifier, batch, line, micro_batch_size=part) for part in (None, 2)]
    for found in exact:
        torch.testing.assert_close(found, expected, rtol=ROUNDING, atol=ROUNDING * size)
    near = finite_difference_alignment(classifier, batch, line, epsilon=1e-5)
    # A few of the ReLUs change sides within the step; elsewhere the error falls with its square.
    torch.testing.assert_close(near, expected, rtol=1e-3, atol=1e-3 * size)
    assert can_be_tapped(classifier) == (name == RESIDUAL)
    if can_be_tapped(classifier):
        shares = torch.full((5,), 0.2, dtype=torch.float64)
        forward = forward_batch(classifier, batch, PassSettings(), is_tapped=True)
        weighted_gradient(
            classifier, batch, shares, PassSettings(), graph_losses=forward.graph_losses
        )
        tapped = tapped_alignment(forward.taps, line.direction, shares)
        torch.testing.assert_close(tapped, expected, rtol=ROUNDING, atol=ROUNDING * size)


@pytest.mark.parametrize(
    "alignment", [choice for choice in AlignmentChoice if choice is not AlignmentChoice.AUTO]
)
@pytest.mark.parametrize("name", [RESIDUAL, ATTENTION])
def test_job_fine_tunes_by_every_estimator(put: Put, name: str, alignment: AlignmentChoice) -> None:
    put(name)
    config = dataclasses.replace(
        without_evaluation(QUICK),
        classifier=named(name),
        encoder=EncoderChoice.PIXELS_PCA,
        alignment=alignment,
        steps=3,
        batch_size=6,
        micro_batch_size=4,
        gsnr_every=0,
    )
    result = finish(make_images(count=24), config)
    assert result.report["config"]["classifier"] == f"timm:{name}"
    assert result.report["config"]["alignment"] == alignment
    assert np.isfinite(result.scores).all()
    # Three steps of the meta-network have told samples apart.
    assert np.ptp(result.scores) > 0.0


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_whole_job_encodes_by_one_network_and_fine_tunes_another(put: Put) -> None:
    put(RESIDUAL)
    put(ATTENTION)
    config = dataclasses.replace(
        QUICK,
        encoder=named(RESIDUAL),
        classifier=named(ATTENTION),
        steps=3,
        batch_size=6,
        baselines=(),
    )
    result = finish(make_images(count=24), config)
    assert result.report["config"]["encoder"] == f"timm:{RESIDUAL}"
    assert [row["method"] for row in result.report["rows"]] == [
        "no_selection",
        "reference_only",
        "no_selection_upweighted",
        "mts_weighted",
        "mts_selected",
    ]
    assert np.isfinite(result.scores).all()
