from dataclasses import replace

import numpy as np
import pytest
import torch
from curation_problems import QUICK, as_table, make_data, result_of

from mts_core.curation_data import CurationData
from mts_core.methods import METHODS, pipeline_config_from_mapping
from mts_core.pipeline import Phase, run_pipeline
from mts_core.pipeline_config import EncoderChoice, MethodName
from mts_core.settings_resolution import resolve_settings
from mts_core.stages import OTHER_VIEWS_LIMIT, EncodeStage, RunContext

BOTH = {"table_scaled", "table_quantiles"}


def _stage(
    data: CurationData,
    *,
    with_other_views: bool = True,
    encoder: EncoderChoice = EncoderChoice.AUTO,
) -> EncodeStage:
    settings = resolve_settings(replace(QUICK, encoder=encoder), data)
    context = RunContext(data, settings, seed=0, device=torch.device("cpu"))
    return EncodeStage(context, None, {}, with_other_views=with_other_views)


def _table(pool_size: int = 600) -> CurationData:
    return as_table(make_data(pool_size=pool_size)[0])


def test_the_view_in_use_comes_first_and_the_others_have_no_test_set() -> None:
    data = _table()
    stage = _stage(data)
    for _ in stage.advance():
        pass
    views = stage.encoding.views
    assert next(iter(views)) == stage.encoder == min(BOTH, key=stage.candidate_losses.__getitem__)
    assert set(views) == BOTH
    assert stage.step == stage.total_steps == 2 * (600 + 18) + 90
    assert np.array_equal(views[stage.encoder].pool, stage.encoding.pool)
    (other,) = BOTH - {stage.encoder}
    alone = _stage(data, encoder=EncoderChoice(other))
    for _ in alone.advance():
        pass
    assert np.array_equal(views[other].pool, alone.encoding.pool)
    assert np.array_equal(views[other].reference, alone.encoding.reference)


# Chunks of 256: the raw part of a view, its end, and the middle of the second view are all met.
def test_every_view_is_captured_and_restored() -> None:
    data = _table()
    whole = _stage(data)
    states = [whole.capture(), *(whole.capture() for _ in whole.advance())]
    assert len(states) > 6
    for place, state in enumerate(states):
        resumed = _stage(data)
        resumed.restore(state)
        assert sum(1 for _ in resumed.advance()) == len(states) - 1 - place
        for name, view in whole.encoding.views.items():
            assert np.array_equal(resumed.encoding.views[name].pool, view.pool)
            assert np.array_equal(resumed.encoding.views[name].reference, view.reference)
        assert np.array_equal(resumed.encoding.test, whole.encoding.test)


def test_a_view_that_was_asked_for_is_the_only_one() -> None:
    assert set(_stage(_table(), encoder=EncoderChoice.TABLE_SCALED).encoding.views) == {
        "table_scaled"
    }


@pytest.mark.parametrize(("excess", "count"), [(0, 2), (1, 1)])
def test_a_large_pool_is_seen_in_one_view_alone(excess: int, count: int) -> None:
    stage = _stage(_table(OTHER_VIEWS_LIMIT + excess))
    assert len(stage.encoding.views) == count


def test_only_methods_that_look_through_all_views_have_them_encoded() -> None:
    data = _table(pool_size=60)
    for method in (MethodName.WINNOW, MethodName.MTS):
        config = pipeline_config_from_mapping(method, {"steps": 2, "classifier": "linear"})
        first = next(iter(run_pipeline(data, config, seed=0)))
        assert first.phase is Phase.ENCODE
        views = 2 if METHODS[method].reads_all_views else 1
        assert first.total_steps == views * (60 + 18) + 90
    assert METHODS[MethodName.WINNOW].reads_all_views
    assert not METHODS[MethodName.MTS].reads_all_views


def test_a_run_of_several_views_is_resumed_from_its_first_phase_bit_by_bit_alike() -> None:
    data = _table(pool_size=400)
    values = {"steps": 5, "classifier": "linear", "evaluate": False, "gsnr_every": 0}
    config = pipeline_config_from_mapping("winnow", values)
    reports = []
    states = []
    for report in run_pipeline(data, config, seed=0):
        reports.append(report)
        if report.phase is Phase.ENCODE:
            states.append(report.capture())
    whole = result_of(reports)
    # In the second view: the first alone has 400 + 18 + 90 vectors.
    state = next(state for state in states if state.step > 508)
    resumed = result_of(list(run_pipeline(data, config, seed=0, resume=state)))
    assert np.array_equal(resumed.scores, whole.scores)
    assert resumed.report["label_support"] == whole.report["label_support"]
