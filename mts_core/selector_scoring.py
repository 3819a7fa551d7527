"""Runs a selector over a dataset that no run has seen: encode, then score."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from mts_core.encoders import Encoder, make_fixed_encoder, restore_encoder
from mts_core.errors import CheckpointError, MtsError
from mts_core.pipeline_config import parse_encoder
from mts_core.pipeline_report import CurationResult, Phase, PipelineReport, PipelineState
from mts_core.pool_encoding import CHUNK
from mts_core.selection import rank_scores
from mts_core.selector import Selector, score_samples
from mts_core.transferable_features import TRANSFERABLE_FEATURE_NAMES, EncodedSamples

_ENCODED_FRACTION: Final = 0.9
"""Usual share of encoding in the time."""


@dataclass(frozen=True, eq=False)
class UnseenSamples:
    """A dataset to be scored; its labels count the selector's classes.

    Attributes:
        inputs: Like a run's `pool_inputs`, of the selector's input shape.
        labels: [sample] int64.
        is_real: [sample] bool.
    """

    inputs: NDArray[np.generic]
    labels: NDArray[np.int64]
    is_real: NDArray[np.bool_]


def run_selector(
    selector: Selector,
    samples: UnseenSamples,
    *,
    device: torch.device | str = "cpu",
    resume: PipelineState | None = None,
) -> Iterator[PipelineReport]:
    """Yield reports as `run_pipeline` does; the last one carries the result.

    Nothing is trained. The suggested cut keeps the scores that the cut of the selector's own run
    would have kept: a better dataset keeps more of itself.

    Args:
        selector: What scores.
        samples: What is scored.
        device: Where to encode.
        resume: State captured by an earlier run on the same samples.

    Raises:
        MtsError: Inputs of another shape, or a label that is none of the selector's classes.
        ConfigError: The worker does not have the selector's encoder.
        NonFiniteError: A vector is infinite or not a number.
        CheckpointError: The state to resume from belongs to other samples, or the selector's
            encoder cannot be made again.
    """
    origin = selector.origin
    if tuple(samples.inputs.shape[1:]) != origin.input_shape:
        raise MtsError("The samples differ in shape from those that the selector was taught on.")
    encoder = _encoder(selector, torch.device(device))
    count = len(samples.labels)
    dimension = selector.conditioning.projection.shape[1]
    vectors = np.empty((count, dimension), dtype=np.float32)
    done = _restore(vectors, resume)

    def capture() -> PipelineState:
        kept = torch.from_numpy(vectors[:done].copy())
        return PipelineState(Phase.ENCODE, done, {"vectors": kept}, {"samples": count})

    while done < count:
        chunk = slice(done, min(done + CHUNK, count))
        vectors[chunk] = selector.conditioning.apply(encoder.encode(samples.inputs[chunk]))
        done = chunk.stop
        fraction = _ENCODED_FRACTION * done / count
        yield PipelineReport(Phase.ENCODE, fraction, done, count, traces=None, capture=capture)
    encoded = EncodedSamples(vectors, samples.labels, samples.is_real)
    yield PipelineReport(Phase.SCORE, _ENCODED_FRACTION, 0, 1, traces=None, capture=capture)
    result = _result(selector, encoded)
    yield PipelineReport(Phase.SCORE, 1.0, 1, 1, traces=None, capture=capture, result=result)


def _encoder(selector: Selector, device: torch.device) -> Encoder:
    origin = selector.origin
    if selector.fitted is None:
        return make_fixed_encoder(parse_encoder(origin.encoder), origin.input_shape, device=device)
    dimension = selector.conditioning.projection.shape[0]
    return restore_encoder(origin.encoder, selector.fitted, dimension=dimension)


def _restore(vectors: NDArray[np.float32], resume: PipelineState | None) -> int:
    if resume is None:
        return 0
    earlier = resume.tensors.get("vectors")
    if resume.metadata.get("samples") != len(vectors) or earlier is None:
        raise CheckpointError("The saved state belongs to a run on other samples.")
    vectors[: len(earlier)] = earlier.numpy()
    return len(earlier)


def _result(selector: Selector, samples: EncodedSamples) -> CurationResult:
    scores, columns = score_samples(selector, samples)
    threshold = selector.origin.suggested_score
    keep = scores >= np.float32(threshold)
    if not keep.any():
        # A dataset without one sample as good as that still has a best one.
        keep = scores == scores.max()
    report: dict[str, Any] = {  # Any: a JSON object.
        "rows": [],
        "recommendation": None,
        "method_of_selector": selector.origin.method,
        "config": {"encoder": selector.origin.encoder},
        "suggested_cut": {
            "rule": "threshold",
            "threshold": threshold,
            "balanced": False,
            "chosen_by": "selector",
        },
        "seconds_by_phase": {},
    }
    mean = scores.mean(dtype=np.float64)
    return CurationResult(
        scores=scores,
        # Where every score is zero, no sample is better than another.
        weights=(scores / mean if mean else np.ones_like(scores)).astype(np.float32),
        ranks=rank_scores(scores),
        keep=keep,
        features=columns,
        feature_names=TRANSFERABLE_FEATURE_NAMES,
        traces={},
        report=report,
        encoded=None,
    )
