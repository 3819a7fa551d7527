"""Runs the classifier over batches: per-sample losses, weighted gradients, the reference pass."""

import dataclasses
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from mts_core.alignment import head_direction, loss_residuals
from mts_core.axes import Hidden, Logits, ParameterTensors, PerSample, Scalar
from mts_core.classifiers import Classifier
from mts_core.config import MtsConfig
from mts_core.layer_taps import LayerTaps
from mts_core.ranks import ALONE, Ranks
from mts_core.training_data import LabelledInputs

_CPU_IMAGES_AT_ONCE: Final = 128
_IMAGE_BATCH_AXES: Final = 4


@dataclass(frozen=True)
class PassSettings:
    """How the classifier is run.

    Attributes:
        micro_batch_size: Most samples whose activations are held at once; None sets no bound.
        use_autocast: Whether to compute in bfloat16 on a CUDA device.
        ranks: Processes that share the work; each passes its own samples of a batch.
        is_compiled: Whether to run the layers below the head as compiled code, where nothing has to
            see what passes between them.
    """

    micro_batch_size: int | None = None
    use_autocast: bool = False
    ranks: Ranks = ALONE
    is_compiled: bool = False

    def precision(self, device: torch.device) -> torch.autocast:
        """Return the context in which the classifier is called on a device."""
        is_enabled = self.use_autocast and device.type == "cuda"
        return torch.autocast(device.type, dtype=torch.bfloat16, enabled=is_enabled)

    def part_size(self, inputs: Tensor) -> int | None:
        """Return how many samples go through the network in one call; None means all.

        On a CPU, images pass in small parts whatever the memory bound: larger activations come
        fresh from the system at every call, which took twice the time where it was measured.
        """
        if inputs.device.type != "cpu" or inputs.dim() != _IMAGE_BATCH_AXES:
            return self.micro_batch_size
        return min(self.micro_batch_size or _CPU_IMAGES_AT_ONCE, _CPU_IMAGES_AT_ONCE)


def pass_settings(config: MtsConfig, ranks: Ranks = ALONE) -> PassSettings:
    """Return how a run's settings want the classifier to be run.

    Without a bound of its own, a run holds no more samples at once than a training batch: a large
    reference set or the pool passes in parts of that size.
    """
    return PassSettings(
        config.micro_batch_size or config.batch_size,
        config.use_autocast,
        ranks,
        is_compiled=config.compile,
    )


@dataclass(frozen=True)
class BatchForward:
    """What one pass over a batch leaves behind, all at the same parameters.

    Attributes:
        losses: Cross-entropy of each sample, without a graph.
        hidden: Penultimate features, without a graph.
        residuals: Softmax minus one-hot, without a graph.
        graph_losses: Losses of this rank's samples, by parts with their graphs; empty where memory
            does not hold them.
        taps: What the layers saw of this rank's samples, by parts; empty where it was not asked
            for, or where memory does not hold it.
    """

    losses: PerSample
    hidden: Hidden
    residuals: Logits
    graph_losses: tuple[Tensor, ...]
    taps: tuple[LayerTaps, ...] = ()


@dataclass(frozen=True)
class ReferencePass:
    """The reference batch seen at one setting of the parameters.

    Attributes:
        loss: Mean cross-entropy.
        accuracy: Share of samples whose largest logit is their class's.
        hidden: Penultimate features: the anchors of the online features.
        direction: Gradient v of the mean loss; of the head alone where only that was asked for.
    """

    loss: Scalar
    accuracy: Scalar
    hidden: Hidden
    direction: ParameterTensors


def forward_batch(
    classifier: Classifier,
    batch: LabelledInputs,
    settings: PassSettings,
    *,
    is_tapped: bool = False,
) -> BatchForward:
    """Return losses and penultimate features of a batch at the present parameters.

    The graph is kept where the whole batch may be held in memory. Beyond that it is dropped, and
    `weighted_gradient` runs a second forward pass: the weights depend on statistics of the whole
    batch, so no part can be finished before all have been seen.

    Args:
        classifier: The network.
        batch: Raw inputs and classes.
        settings: Memory bound and precision.
        is_tapped: Whether to record what the layers see, where the graph is kept.
    """
    bound, total = settings.micro_batch_size, batch.sample_count
    own = batch.part(settings.ranks.rows(total))
    is_kept = bound is None or own.sample_count <= bound
    parts = []
    taps: list[LayerTaps] = []
    # Compiled code has no layers left to listen to.
    used = dataclasses.replace(settings, is_compiled=False) if is_tapped and is_kept else settings
    with torch.set_grad_enabled(is_kept):
        for part in own.split(settings.part_size(own.inputs)):
            if is_tapped and is_kept:
                taps.append(LayerTaps())
            with taps[-1].listen(classifier) if taps else nullcontext():
                hidden, logits = _call(classifier, part, used)
            losses = functional.cross_entropy(logits, part.labels, reduction="none")
            residuals = loss_residuals(logits.detach(), part.labels)
            parts.append((losses, hidden.detach(), residuals))
    gather = settings.ranks.gather
    return BatchForward(
        losses=gather(torch.cat([losses.detach() for losses, _, _ in parts]), total),
        hidden=gather(torch.cat([hidden for _, hidden, _ in parts]), total),
        residuals=gather(torch.cat([residuals for _, _, residuals in parts]), total),
        graph_losses=tuple(losses for losses, _, _ in parts) if is_kept else (),
        taps=tuple(taps),
    )


def weighted_gradient(
    classifier: Classifier,
    batch: LabelledInputs,
    shares: PerSample,
    settings: PassSettings,
    *,
    graph_losses: tuple[Tensor, ...] = (),
) -> ParameterTensors:
    """Return the gradient of the weighted loss ``sum_i p_i l_i`` at the present parameters.

    Args:
        classifier: The network.
        batch: Raw inputs and classes.
        shares: Normalised weights p; a sample with share zero adds nothing.
        settings: Memory bound and precision.
        graph_losses: Losses of `forward_batch` at these parameters, used up here; where empty,
            they are computed again part by part.
    """
    parameters = dict(classifier.named_parameters())
    rows = settings.ranks.rows(batch.sample_count)
    own = batch.part(rows)
    losses = iter(graph_losses) if graph_losses else _losses_by_part(classifier, own, settings)
    total: list[Tensor] | None = None
    start = rows.start
    for part_losses in losses:
        stop = start + part_losses.shape[0]
        loss = (shares[start:stop] * part_losses).sum()
        gradients = torch.autograd.grad(loss, list(parameters.values()))
        total = _added(total, gradients)
        start = stop
    return dict(zip(parameters, settings.ranks.add(total or []), strict=True))


def reference_pass(
    classifier: Classifier,
    reference: LabelledInputs,
    settings: PassSettings,
    *,
    is_head_only: bool,
) -> ReferencePass:
    """Return loss, accuracy, anchors and gradient of the reference batch.

    Args:
        classifier: The network.
        reference: The reference batch.
        settings: Memory bound and precision.
        is_head_only: Whether the last layer's gradient will do; it needs no backward pass.
    """
    parameters = {} if is_head_only else dict(classifier.named_parameters())
    own = reference.part(settings.ranks.rows(reference.sample_count))
    total: list[Tensor] | None = None
    hidden_parts, logit_parts = [], []
    with torch.set_grad_enabled(not is_head_only):
        for part in own.split(settings.part_size(own.inputs)):
            hidden, logits = _call(classifier, part, settings)
            if not is_head_only:
                loss = functional.cross_entropy(logits, part.labels, reduction="sum")
                share = loss / reference.sample_count
                total = _added(total, torch.autograd.grad(share, list(parameters.values())))
            hidden_parts.append(hidden.detach())
            logit_parts.append(logits.detach())
    hidden, logits = (
        settings.ranks.gather(torch.cat(parts), reference.sample_count)
        for parts in (hidden_parts, logit_parts)
    )
    if total is None:
        direction = head_direction(hidden, loss_residuals(logits, reference.labels))
    else:
        direction = dict(zip(parameters, settings.ranks.add(total), strict=True))
    return ReferencePass(
        loss=functional.cross_entropy(logits, reference.labels),
        accuracy=(logits.argmax(dim=1) == reference.labels).to(logits.dtype).mean(),
        hidden=hidden,
        direction=direction,
    )


def hidden_features(
    classifier: Classifier, batch: LabelledInputs, settings: PassSettings
) -> Hidden:
    """Return the penultimate features of a batch, without a graph."""
    with torch.no_grad():
        parts = batch.split(settings.part_size(batch.inputs))
        return torch.cat([_call(classifier, part, settings)[0] for part in parts])


def sample_losses(
    classifier: Classifier, batch: LabelledInputs, settings: PassSettings
) -> PerSample:
    """Return the cross-entropy of each sample, without a graph."""
    with torch.no_grad():
        return torch.cat(list(_losses_by_part(classifier, batch, settings)))


def clone_parameters(module: nn.Module) -> ParameterTensors:
    """Return copies of a module's parameters that later steps do not change."""
    return {name: value.detach().clone() for name, value in module.named_parameters()}


def _call(
    classifier: Classifier, part: LabelledInputs, settings: PassSettings
) -> tuple[Tensor, Tensor]:
    dtype = classifier.shift.dtype
    with settings.precision(part.inputs.device):
        features = classifier.compiled_features if settings.is_compiled else classifier.features
        hidden = features(part.inputs)
        logits = classifier.head(hidden)
    # Losses and similarities are taken in full precision: bfloat16 rounds them to two digits.
    return hidden.to(dtype), logits.to(dtype)


def _losses_by_part(
    classifier: Classifier, batch: LabelledInputs, settings: PassSettings
) -> Iterator[Tensor]:
    for part in batch.split(settings.part_size(batch.inputs)):
        _, logits = _call(classifier, part, settings)
        yield functional.cross_entropy(logits, part.labels, reduction="none")


def _added(total: list[Tensor] | None, gradients: tuple[Tensor, ...]) -> list[Tensor]:
    if total is None:
        return list(gradients)
    return [known.add_(new) for known, new in zip(total, gradients, strict=True)]
