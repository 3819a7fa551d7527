"""Holds a selector to the run it was distilled from, to its file, and to its refusals."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skops.io
import torch
from curation_problems import (
    QUICK,
    as_table,
    as_texts,
    auroc,
    finish,
    make_data,
    make_images,
    without_evaluation,
)
from numpy.typing import NDArray

from mts_core.checkpoint import load_checkpoint, save_checkpoint
from mts_core.curation_data import CurationData
from mts_core.distillation import STORED_LIMIT, FinishedRun, distil, finished_run
from mts_core.encoders import FittedState, is_fitted, make_fixed_encoder, restore_encoder
from mts_core.errors import CheckpointError, ConfigError, MtsError
from mts_core.pipeline_config import EncoderChoice
from mts_core.pipeline_report import CurationResult, PipelineReport
from mts_core.selector import Selector, load_selector, save_selector, score_samples
from mts_core.selector_scoring import UnseenSamples, run_selector
from mts_core.transferable_features import TRANSFERABLE_FEATURE_NAMES, EncodedSamples

NAMES = ("ant", "bee", "cat")
SCORES_ONLY = without_evaluation(QUICK)


def distilled(run: FinishedRun, *, seed: int = 0) -> Selector:
    reports = list(distil(run, seed=seed))
    steps = [report.step for report in reports]
    assert steps == sorted(steps)
    assert reports[-1].step == reports[-1].total_steps
    selector = reports[-1].selector
    assert selector is not None
    return selector


def as_run(data: CurationData, result: CurationResult) -> FinishedRun:
    return finished_run(data, result, class_names=NAMES, method="mts")


@pytest.fixture(scope="module")
def source() -> tuple[CurationData, CurationResult, NDArray[np.bool_]]:
    data, is_good = make_data(seed=0, pool_size=300)
    # The scores themselves are given: what is tested is how they carry over.
    scores = np.where(is_good, 0.8, 0.2) + np.random.default_rng(1).uniform(-0.1, 0.1, 300)
    result = dataclasses.replace(
        finish(data, SCORES_ONLY), scores=scores.astype(np.float32), keep=scores > 0.5
    )
    return data, result, is_good


@pytest.fixture(scope="module")
def selector(source: tuple[CurationData, CurationResult, NDArray[np.bool_]]) -> Selector:
    data, result, _ = source
    return distilled(as_run(data, result))


def unseen(*, seed: int, size: int = 240) -> tuple[UnseenSamples, NDArray[np.bool_]]:
    data, is_good = make_data(seed=seed, pool_size=size)
    return UnseenSamples(data.pool_inputs, data.pool_labels, data.pool_is_real), is_good


def result_of(reports: list[PipelineReport]) -> CurationResult:
    result = reports[-1].result
    assert result is not None
    return result


def test_samples_that_no_run_has_seen_are_told_apart(selector: Selector) -> None:
    samples, is_good = unseen(seed=7)
    result = result_of(list(run_selector(selector, samples)))
    assert auroc(result.scores, is_good) > 0.9
    assert result.scores.min() >= 0
    assert result.scores.max() <= 1
    assert result.weights.mean() == pytest.approx(1, abs=1e-5)
    assert result.features.shape == (240, len(TRANSFERABLE_FEATURE_NAMES))
    assert np.isfinite(result.features).all()


def test_better_dataset_keeps_more_of_itself(selector: Selector) -> None:
    samples, is_good = unseen(seed=8, size=400)
    good = UnseenSamples(samples.inputs[is_good], samples.labels[is_good], samples.is_real[is_good])
    mixed_result = result_of(list(run_selector(selector, samples)))
    good_result = result_of(list(run_selector(selector, good)))
    assert good_result.keep.mean() > mixed_result.keep.mean() + 0.2
    assert good_result.scores.mean() > mixed_result.scores.mean() + 0.1


def test_scores_have_the_spread_of_the_run_they_come_from(
    selector: Selector, source: tuple[CurationData, CurationResult, NDArray[np.bool_]]
) -> None:
    _, result, _ = source
    samples, _ = unseen(seed=9, size=300)
    scores = result_of(list(run_selector(selector, samples))).scores
    # Two samples of 300 from one distribution; their quantiles differ by a few percent.
    for share in (0.1, 0.9):
        expected = np.quantile(result.scores, share)
        assert np.quantile(scores, share) == pytest.approx(expected, abs=0.12)


def test_a_run_without_any_preference_teaches_none(
    source: tuple[CurationData, CurationResult, NDArray[np.bool_]],
) -> None:
    data, result, _ = source
    flat = dataclasses.replace(result, scores=np.full(300, 0.4, dtype=np.float32))
    samples, _ = unseen(seed=7)
    scores = result_of(list(run_selector(distilled(as_run(data, flat)), samples))).scores
    np.testing.assert_allclose(scores, 0.4, rtol=1e-6)


def test_file_gives_back_the_same_selector(selector: Selector, tmp_path: Path) -> None:
    samples, _ = unseen(seed=3)
    save_selector(tmp_path / "selector.safetensors", selector)
    loaded = load_selector(tmp_path / "selector.safetensors")
    assert loaded.origin == selector.origin
    np.testing.assert_array_equal(
        result_of(list(run_selector(loaded, samples))).scores,
        result_of(list(run_selector(selector, samples))).scores,
    )


def test_same_run_and_seed_give_the_same_selector(
    selector: Selector, source: tuple[CurationData, CurationResult, NDArray[np.bool_]]
) -> None:
    data, result, _ = source
    again = distilled(as_run(data, result))
    for one, other in zip(selector.networks, again.networks, strict=True):
        assert all(
            torch.equal(left, right)
            for left, right in zip(one.parameters(), other.parameters(), strict=True)
        )


def test_scores_follow_the_order_of_the_samples(selector: Selector) -> None:
    samples, _ = unseen(seed=4, size=200)
    order = np.random.default_rng(0).permutation(200)
    encoded = EncodedSamples(
        selector.conditioning.apply(samples.inputs.astype(np.float32)),
        samples.labels,
        samples.is_real,
    )
    scores, _ = score_samples(selector, encoded)
    permuted, _ = score_samples(selector, encoded.take(order))
    # Sums over the block run in another order.
    np.testing.assert_allclose(permuted, scores[order], rtol=0, atol=1e-3)


def test_dataset_of_several_blocks_is_scored_whole(selector: Selector) -> None:
    samples, is_good = unseen(seed=5, size=700)
    result = result_of(list(run_selector(selector, samples)))
    assert auroc(result.scores, is_good) > 0.9
    assert sorted(result.ranks) == list(range(700))


def test_one_sample_alone_can_be_scored(selector: Selector) -> None:
    samples, _ = unseen(seed=6)
    alone = UnseenSamples(samples.inputs[:1], samples.labels[:1], samples.is_real[:1])
    result = result_of(list(run_selector(selector, alone)))
    assert result.scores.shape == (1,)
    assert result.keep.sum() == 1


def test_what_is_stored_does_not_grow_with_the_pool(
    source: tuple[CurationData, CurationResult, NDArray[np.bool_]],
) -> None:
    run = as_run(source[0], source[1])
    places = np.arange(STORED_LIMIT + 60) % 300
    large = dataclasses.replace(run, pool=run.pool.take(places), scores=run.scores[places])
    assert len(distilled(large).stored.scores) == STORED_LIMIT


def test_resumed_scoring_is_bit_equal(selector: Selector) -> None:
    samples, _ = unseen(seed=2, size=600)
    whole = list(run_selector(selector, samples))
    state = whole[0].capture()
    first = next(iter(run_selector(selector, samples)))
    resumed = list(run_selector(selector, samples, resume=first.capture()))
    assert state.tensors.keys() == first.capture().tensors.keys()
    assert len(resumed) == len(whole) - 1
    np.testing.assert_array_equal(result_of(resumed).scores, result_of(whole).scores)


def test_state_of_other_samples_is_refused(selector: Selector) -> None:
    state = next(iter(run_selector(selector, unseen(seed=2)[0]))).capture()
    with pytest.raises(CheckpointError):
        list(run_selector(selector, unseen(seed=2, size=90)[0], resume=state))


def test_images_are_encoded_as_the_run_encoded_them() -> None:
    data = make_images(count=90)
    result = finish(data, dataclasses.replace(SCORES_ONLY, steps=4))
    selector = distilled(as_run(data, result))
    assert result.encoded is not None
    assert selector.origin.encoder == result.encoded.encoder
    samples = UnseenSamples(data.pool_inputs, data.pool_labels, data.pool_is_real)
    state = list(run_selector(selector, samples))[-1].capture()
    # Chunks of other lengths are summed in another order.
    np.testing.assert_allclose(state.tensors["vectors"], result.encoded.pool, atol=1e-4)


@pytest.mark.slow
def test_texts_are_encoded_as_the_run_encoded_them(tmp_path: Path) -> None:
    data = as_texts(make_data(pool_size=60)[0])
    config = dataclasses.replace(SCORES_ONLY, steps=4, encoder=EncoderChoice.MINILM)
    result = finish(data, config)
    save_selector(tmp_path / "selector.safetensors", distilled(as_run(data, result)))
    selector = load_selector(tmp_path / "selector.safetensors")
    assert (selector.origin.encoder, selector.origin.input_shape) == ("minilm", ())
    samples = UnseenSamples(data.pool_inputs, data.pool_labels, data.pool_is_real)
    state = list(run_selector(selector, samples))[-1].capture()
    assert result.encoded is not None
    # Batches of other lengths are padded and summed differently.
    np.testing.assert_allclose(state.tensors["vectors"], result.encoded.pool, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "encoder"),
    [
        (as_texts, EncoderChoice.TFIDF_SVD),
        (as_table, EncoderChoice.TABLE_SCALED),
        (as_table, EncoderChoice.TABLE_QUANTILES),
    ],
)
def test_encoder_that_the_run_made_is_kept_with_the_selector(
    change: Callable[[CurationData], CurationData], encoder: EncoderChoice, tmp_path: Path
) -> None:
    data = change(make_data(pool_size=60)[0])
    result = finish(data, dataclasses.replace(SCORES_ONLY, steps=4, encoder=encoder))
    save_selector(tmp_path / "selector.safetensors", distilled(as_run(data, result)))
    selector = load_selector(tmp_path / "selector.safetensors")
    samples = UnseenSamples(data.pool_inputs, data.pool_labels, data.pool_is_real)
    state = list(run_selector(selector, samples))[-1].capture()
    assert result.encoded is not None
    np.testing.assert_allclose(state.tensors["vectors"], result.encoded.pool, atol=1e-5)


def test_kept_encoder_that_names_a_foreign_type_is_refused() -> None:
    state = FittedState(skops.io.dumps(Path("etc")))
    with pytest.raises(CheckpointError, match="tfidf_svd"):
        restore_encoder("tfidf_svd", state, dimension=4)
    with pytest.raises(CheckpointError, match="tfidf_svd"):
        restore_encoder("tfidf_svd", FittedState(b"not one"), dimension=4)


@pytest.mark.parametrize("encoder", [choice for choice in EncoderChoice if is_fitted(choice)])
def test_encoder_that_inputs_make_is_not_made_by_its_name(encoder: EncoderChoice) -> None:
    with pytest.raises(ConfigError, match=encoder):
        make_fixed_encoder(encoder, (8,), device=torch.device("cpu"))


def test_unknown_class_is_refused(selector: Selector) -> None:
    samples, _ = unseen(seed=2)
    wrong = dataclasses.replace(samples, labels=samples.labels + 1)
    with pytest.raises(MtsError, match="3 classes"):
        list(run_selector(selector, wrong))


def test_other_shape_is_refused(selector: Selector) -> None:
    samples, _ = unseen(seed=2)
    wrong = dataclasses.replace(samples, inputs=samples.inputs[:, :5])
    with pytest.raises(MtsError, match="shape"):
        list(run_selector(selector, wrong))


def test_selector_teaches_no_selector(
    selector: Selector, source: tuple[CurationData, CurationResult, NDArray[np.bool_]]
) -> None:
    samples, _ = unseen(seed=2, size=300)
    result = result_of(list(run_selector(selector, samples)))
    with pytest.raises(MtsError, match="no further selector"):
        as_run(source[0], result)


def test_file_that_is_no_selector_is_refused(selector: Selector, tmp_path: Path) -> None:
    path = tmp_path / "selector.safetensors"
    path.write_bytes(b"not one")
    with pytest.raises(CheckpointError):
        load_selector(path)
    save_selector(path, selector)
    tensors, metadata = load_checkpoint(path)
    save_checkpoint(path, tensors, {**metadata, "format": 99})
    with pytest.raises(CheckpointError, match="layout"):
        load_selector(path)
    del tensors["pool/scores"]
    save_checkpoint(path, tensors, metadata)
    with pytest.raises(CheckpointError, match="damaged"):
        load_selector(path)
