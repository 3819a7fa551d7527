"""A training run turns a claimed job into results, and its troubles into a last word."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from embedding_jobs import (
    JobPlace,
    add_dataset,
    make_samples,
    queue_job,
    queue_score_job,
    queue_tiny_job,
    read_job,
)
from table_jobs import add_rows, make_rows
from text_jobs import add_texts, make_texts
from training_bench import TrainingBench

from curation.database import unit_of_work
from curation.identifiers import SelectorId
from curation.jobs import FailureReason, cancel_job
from curation.models import JobState, Modality, Role
from curation.results import job_object, report, score_columns, traces
from curation.selectors import list_selectors
from worker.child_link import (
    CheckpointSaved,
    Failed,
    Finished,
    ProgressMade,
    Stopped,
    Superseded,
)


@pytest.fixture
def training(job_place: JobPlace, tmp_path: Path) -> TrainingBench:
    return TrainingBench(job_place, tmp_path)


def test_run_writes_scores_traces_features_and_report(training: TrainingBench) -> None:
    job_id = queue_tiny_job(training.place, evaluate=False)

    assert training.run(training.claim(job_id)) == Finished()

    job = read_job(training.place, job_id)
    assert (job.state, job.fraction, job.sample_count) == (JobState.SUCCEEDED, 1.0, 64)
    with unit_of_work(training.place.engine) as session:
        columns = score_columns(session, job_id)
        series = traces(session, job_id)
        table = report(session, job_id)
        features = job_object(session, job_id, "features")
        names = job_object(session, job_id, "feature_names")
    assert columns.scores.shape == (64,)
    assert columns.scores.min() >= 0.0
    assert columns.scores.max() <= 1.0
    assert len(series["classifier_loss"].steps) > 0
    assert set(table["seconds_by_phase"]) >= {"load", "encode", "features", "train", "write"}
    assert all(seconds >= 0.0 for seconds in table["seconds_by_phase"].values())
    assert features is not None
    assert names is not None
    with training.place.store.open(features) as stored:
        assert np.frombuffer(stored.read(), dtype="<f4").reshape(64, 23).dtype == np.float32
    with training.place.store.open(names) as stored:
        assert len(json.load(stored)) == 23


def test_run_keeps_a_selector_that_scores_another_dataset(training: TrainingBench) -> None:
    place = training.place
    training.run(training.claim(queue_tiny_job(place)))
    with unit_of_work(place.engine) as session:
        [selector] = list_selectors(session, place.workspace)
    assert (selector.class_names, selector.input_shape) == (["ant", "bee"], [6])
    # The new dataset knows the classes in another order.
    fresh = add_dataset(
        place,
        Role.SYNTHETIC,
        make_samples(40, seed=5, bad_fraction=0.3),
        class_names=("bee", "ant"),
    )
    job_id = queue_score_job(place, SelectorId(selector.id), fresh)

    assert training.run(training.claim(job_id)) == Finished()

    job = read_job(place, job_id)
    assert (job.state, job.method, job.sample_count) == (JobState.SUCCEEDED, "selector", 40)
    is_bad = np.random.default_rng(5)
    is_bad.normal(size=(40, 6))
    truth = is_bad.random(40) >= 0.3
    with unit_of_work(place.engine) as session:
        columns = score_columns(session, job_id)
        names = job_object(session, job_id, "feature_names")
        found = list_selectors(session, place.workspace)
    assert columns.scores[truth].mean() > columns.scores[~truth].mean()
    assert (columns.labels == 1).sum() == make_samples(40, seed=5, bad_fraction=0.3).labels.count(
        "ant"
    )
    assert names is not None
    # Scores of a selector teach no further one.
    assert [row.id for row in found] == [selector.id]


@pytest.mark.parametrize("encoder", ["minilm", "tfidf_svd"])
def test_selector_of_texts_scores_texts(training: TrainingBench, encoder: str) -> None:
    place = training.place
    taught = queue_job(
        place,
        add_texts(place, Role.SYNTHETIC, make_texts(64)),
        add_texts(place, Role.REFERENCE, make_texts(16)),
        encoder=encoder,
    )
    assert training.run(training.claim(taught)) == Finished()
    with unit_of_work(place.engine) as session:
        [selector] = list_selectors(session, place.workspace)
    assert (selector.modality, selector.input_shape) == (Modality.TEXT, None)

    fresh = add_texts(place, Role.SYNTHETIC, make_texts(20))
    job_id = queue_score_job(place, SelectorId(selector.id), fresh)
    assert training.run(training.claim(job_id)) == Finished()
    with unit_of_work(place.engine) as session:
        assert score_columns(session, job_id).scores.shape == (20,)


def test_selector_of_tables_scores_tables_with_new_words(training: TrainingBench) -> None:
    place = training.place
    taught = queue_job(
        place,
        add_rows(place, Role.SYNTHETIC, make_rows(64, seed=1, bad_fraction=0.3)),
        add_rows(place, Role.REFERENCE, make_rows(16, seed=2)),
    )
    assert training.run(training.claim(taught)) == Finished()
    with unit_of_work(place.engine) as session:
        [selector] = list_selectors(session, place.workspace)
    assert selector.feature_columns == [
        {"name": "age", "kind": "number"},
        {"name": "city", "kind": "category"},
    ]

    rows = make_rows(40, seed=5, bad_fraction=0.3)
    unknown = ["Lima", *rows.columns["city"][1:]]
    fresh = add_rows(
        place, Role.SYNTHETIC, replace(rows, columns={**rows.columns, "city": unknown})
    )
    job_id = queue_score_job(place, SelectorId(selector.id), fresh)
    assert training.run(training.claim(job_id)) == Finished()
    is_sound = np.array(rows.labels) == np.array(make_rows(40, seed=5).labels)
    with unit_of_work(place.engine) as session:
        scores = score_columns(session, job_id).scores
    assert scores[is_sound].min() > scores[~is_sound].max()


def test_scoring_goes_on_after_a_release(training: TrainingBench) -> None:
    place = training.place
    training.run(training.claim(queue_tiny_job(place)))
    with unit_of_work(place.engine) as session:
        [selector] = list_selectors(session, place.workspace)
    fresh = add_dataset(place, Role.SYNTHETIC, make_samples(600, seed=6))
    whole, stopped = (queue_score_job(place, SelectorId(selector.id), fresh) for _ in range(2))
    assert training.run(training.claim(whole)) == Finished()

    stops = iter([False, True])
    assert training.run(training.claim(stopped), should_stop=lambda: next(stops)) == Stopped()
    training.release(stopped)
    assert training.run(training.claim(stopped)) == Finished()
    with unit_of_work(place.engine) as session:
        first, second = score_columns(session, whole), score_columns(session, stopped)
    np.testing.assert_array_equal(first.scores, second.scores)


def test_run_tells_its_progress_and_saves_at_each_phase(training: TrainingBench) -> None:
    training.run(training.claim(queue_tiny_job(training.place)))

    progress = [message for message in training.told if isinstance(message, ProgressMade)]
    fractions = [message.fraction for message in progress]
    assert fractions == sorted(fractions)
    assert progress[0].device == "cpu"
    assert [progress[0].phase, progress[-1].phase] == ["load", "write"]
    saved = {message.phase for message in training.told if isinstance(message, CheckpointSaved)}
    assert saved == {"encode", "features", "train"}
    assert "distil" in {message.phase for message in progress}


def test_run_leaves_no_scratch_file(training: TrainingBench) -> None:
    training.run(training.claim(queue_tiny_job(training.place)), memory_map_bytes=0)

    assert list(training.scratch.iterdir()) == []


def test_mapped_inputs_give_the_same_scores_as_inputs_in_memory(training: TrainingBench) -> None:
    held, mapped = queue_tiny_job(training.place), queue_tiny_job(training.place)
    training.run(training.claim(held))
    training.run(training.claim(mapped), memory_map_bytes=0)

    with unit_of_work(training.place.engine) as session:
        first, second = score_columns(session, held), score_columns(session, mapped)
    np.testing.assert_array_equal(first.scores, second.scores)


def test_cancel_that_comes_before_the_writing_wins(training: TrainingBench) -> None:
    job_id = queue_tiny_job(training.place)
    claim = training.claim(job_id)
    with unit_of_work(training.place.engine) as session:
        cancel_job(session, training.place.workspace, job_id, training.now())

    assert training.run(claim) == Superseded()
    with unit_of_work(training.place.engine) as session:
        assert score_columns(session, job_id).scores.size == 0


def test_missing_samples_end_as_dataset_missing(training: TrainingBench) -> None:
    claim = training.claim(queue_tiny_job(training.place))
    for digest in list(training.place.store.list_digests()):
        training.place.store.delete(digest)

    verdict = training.run(claim)

    assert isinstance(verdict, Failed)
    assert verdict.reason is FailureReason.DATASET_MISSING


@pytest.mark.parametrize("content", [b"", b"PAR1" + bytes(100), b"\x89PNG\r\n\x1a\n"])
def test_samples_that_were_changed_in_the_store_end_as_invalid_data(
    training: TrainingBench, content: bytes
) -> None:
    claim = training.claim(queue_tiny_job(training.place))
    for digest in list(training.place.store.list_digests()):
        with training.place.store.local_path(digest) as path:
            path.write_bytes(content)

    verdict = training.run(claim)

    assert isinstance(verdict, Failed)
    assert (verdict.reason, verdict.detail) == (
        FailureReason.INVALID_DATA,
        "The stored samples do not decode.",
    )
    assert list(training.scratch.iterdir()) == []


def test_run_that_is_to_end_while_it_loads_leaves_at_once(training: TrainingBench) -> None:
    verdict = training.run(training.claim(queue_tiny_job(training.place)), stops_loading=True)
    assert verdict == Stopped()
    assert not any(isinstance(message, CheckpointSaved) for message in training.told)


def test_numbers_that_are_not_finite_end_as_non_finite(training: TrainingBench) -> None:
    place = training.place
    pool = make_samples(64, seed=1)
    pool.embeddings[5, 3] = np.nan  # Validation leaves such rows out; here it did not run.
    job_id = queue_job(
        place,
        add_dataset(place, Role.SYNTHETIC, pool),
        add_dataset(place, Role.REFERENCE, make_samples(16, seed=2)),
    )

    verdict = training.run(training.claim(job_id))

    assert isinstance(verdict, Failed)
    assert verdict.reason is FailureReason.NON_FINITE


def test_gpu_that_is_not_there_is_said(training: TrainingBench) -> None:
    verdict = training.run(training.claim(queue_tiny_job(training.place)), devices="cuda:63")

    assert isinstance(verdict, Failed)
    assert "cuda:63" in verdict.detail


def test_checkpoint_that_cannot_be_saved_costs_the_way_back_and_not_the_job(
    training: TrainingBench,
) -> None:
    (training.scratch / "checkpoint.safetensors").mkdir()

    assert training.run(training.claim(queue_tiny_job(training.place))) == Finished()
    assert not any(isinstance(message, CheckpointSaved) for message in training.told)


def test_unreadable_checkpoint_costs_time_and_not_the_job(training: TrainingBench) -> None:
    job_id = queue_tiny_job(training.place)
    training.register_checkpoint(training.claim(job_id), b"not a checkpoint")
    training.release(job_id)

    assert training.run(training.claim(job_id)) == Finished()
