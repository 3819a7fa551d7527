"""Run as a program: compares compiled with plain runs, and writes what it found as JSON.

A process of its own, since the checks of shapes that tests install cannot be compiled.
"""

import dataclasses
import json
import sys

import torch
from curation_problems import QUICK, finish, make_images, without_evaluation
from pretrained_networks import make_classifier
from pretrained_networks import make_images as make_batch

from mts_core.classifier_passes import (
    PassSettings,
    forward_batch,
    reference_pass,
    weighted_gradient,
)
from mts_core.compilation import find_compiler_problem
from mts_core.pipeline_config import ClassifierChoice, EncoderChoice
from mts_core.trainer_settings import AlignmentChoice


def passes_difference() -> float:
    """Return the largest relative difference of losses, features and gradients."""
    generator = torch.Generator().manual_seed(0)
    classifier, batch = make_classifier(generator).float(), make_batch(generator)
    shares = torch.full((batch.sample_count,), 1 / batch.sample_count)
    found = []
    for is_compiled in (False, True):
        settings = PassSettings(is_compiled=is_compiled)
        forward = forward_batch(classifier, batch, settings)
        gradient = weighted_gradient(
            classifier, batch, shares, settings, graph_losses=forward.graph_losses
        )
        seen = reference_pass(classifier, batch, settings, is_head_only=False)
        found.append([forward.losses, forward.hidden, *gradient.values(), *seen.direction.values()])
    return max(
        float((plain - compiled).norm() / plain.norm().clamp_min(1e-3))
        for plain, compiled in zip(*found, strict=True)
    )


def job_difference() -> dict[str, object]:
    """Return how far a compiled job's scores are from the plain one's, and what it reports."""
    config = dataclasses.replace(
        without_evaluation(QUICK),
        classifier=ClassifierChoice.CNN,
        encoder=EncoderChoice.PIXELS_PCA,
        alignment=AlignmentChoice.HEAD,
        steps=3,
        batch_size=8,
    )
    plain = finish(make_images(), config)
    compiled = finish(make_images(), dataclasses.replace(config, compile=True))
    return {
        "scores": float(abs(plain.scores - compiled.scores).max()),
        "told": compiled.report["compile"],
        "is_told_unasked": "compile" in plain.report,
    }


def main() -> None:
    """Write all differences."""
    torch.set_num_threads(1)
    found: dict[str, object] = {"problem": find_compiler_problem("cpu")}
    if found["problem"] is None:
        found["passes"] = passes_difference()
        found["job"] = job_difference()
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
