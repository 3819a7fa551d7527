"""A run whose training is shared gives the result of one that is not."""

import threading

import numpy as np
import pytest
from curation_problems import QUICK, make_data, result_of, without_evaluation
from thread_ranks import ThreadRanks

from mts_core.pipeline import (
    CurationData,
    CurationResult,
    Phase,
    PipelineConfig,
    PipelineState,
    run_pipeline,
)

CONFIG = without_evaluation(QUICK)


@pytest.fixture(scope="module")
def data() -> CurationData:
    return make_data()[0]


@pytest.fixture(scope="module")
def alone(data: CurationData) -> CurationResult:
    return result_of(list(run_pipeline(data, CONFIG, seed=0)))


def follow(data: CurationData, state: PipelineState, ranks: ThreadRanks) -> None:
    list(run_pipeline(data, CONFIG, seed=0, resume=state, ranks=ranks))


def lead(
    data: CurationData, config: PipelineConfig, resume: PipelineState | None = None
) -> CurationResult:
    """Run with one follower, which joins by the state of the first report of the training."""
    barrier, desk = threading.Barrier(2), [None, None]
    ranks = ThreadRanks(0, barrier, desk)
    follower = None
    reports = []
    for report in run_pipeline(data, config, seed=0, resume=resume, ranks=ranks):
        if report.phase is Phase.TRAIN and follower is None:
            other = ThreadRanks(1, barrier, desk)
            follower = threading.Thread(target=follow, args=(data, report.capture(), other))
            follower.start()
        reports.append(report)
    assert follower is not None
    follower.join()
    # Both have put something on the desk for the other.
    assert None not in desk
    return result_of(reports)


def assert_close(found: CurationResult, expected: CurationResult) -> None:
    # Gradients are summed in another order in float32: some units in the last place.
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5)
    np.testing.assert_array_equal(found.features[:, :13], expected.features[:, :13])
    assert found.traces.keys() == expected.traces.keys()


def test_two_ranks_give_the_scores_of_one(data: CurationData, alone: CurationResult) -> None:
    assert_close(lead(data, CONFIG), alone)


def test_two_ranks_go_on_in_the_middle_of_the_training(
    data: CurationData, alone: CurationResult
) -> None:
    reports = run_pipeline(data, CONFIG, seed=0)
    middle = next(
        report for report in reports if report.phase is Phase.TRAIN and report.step == 15
    ).capture()
    assert_close(lead(data, CONFIG, resume=middle), alone)


def test_more_ranks_than_samples_of_a_batch_each_do_everything(
    data: CurationData, alone: CurationResult
) -> None:
    # Nobody else ever comes to this barrier.
    ranks = ThreadRanks(0, threading.Barrier(10_000), [])
    result = result_of(list(run_pipeline(data, CONFIG, seed=0, ranks=ranks)))
    np.testing.assert_array_equal(result.scores, alone.scores)
