"""The parts of the methods are switched off one at a time, and held against the whole."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from ablations import (
    ACCURACY,
    AUROC,
    VARIANTS,
    Measured,
    add,
    measure_seed,
    missing_of,
    summarise,
    take_over,
)
from blindness import FeatureGroup, hidden_from_networks, hide_columns
from judge_views import look_at
from problems import blobs

from mts_core import meta_input
from mts_core.meta_network import MetaNetwork

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize(
    ("group", "hidden"),
    [
        (FeatureGroup.POSITION, slice(0, 10)),
        (FeatureGroup.DYNAMICS, slice(10, 13)),
        (FeatureGroup.ONLINE, slice(0, 0)),
        (None, slice(0, 0)),
    ],
)
def test_offline_columns_of_a_group_are_hidden(group: FeatureGroup | None, hidden: slice) -> None:
    table = np.random.default_rng(0).normal(size=(5, 13)).astype(np.float32)
    expected = table.copy()
    expected[:, hidden] = 0
    np.testing.assert_array_equal(hide_columns(table, group), expected)


def test_classes_and_groups_are_hidden_for_as_long_as_the_context_lasts() -> None:
    network = MetaNetwork(3, 17, torch.Generator().manual_seed(0))
    scalars = torch.zeros(2, 17)
    labels, is_real = torch.tensor([0, 2]), torch.tensor([False, True])
    with hidden_from_networks(FeatureGroup.EMBEDDINGS):
        hidden = network(scalars, labels, is_real)
    assert hidden[0] == hidden[1]
    seen = network(scalars, labels, is_real)
    assert seen[0] != seen[1]


def test_features_of_the_training_are_hidden_for_as_long_as_the_context_lasts() -> None:
    original = meta_input.online_features
    with hidden_from_networks(FeatureGroup.ONLINE):
        assert meta_input.online_features is not original
        found = meta_input.online_features(torch.ones(3, 8))  # type: ignore[call-arg]
        assert found.shape == (3, 4)
        assert not found.any()
    assert meta_input.online_features is original


def test_differences_are_those_from_the_default_of_the_same_method() -> None:
    measured = {
        ACCURACY: {
            "one": {
                "no_selection": [0.3, 0.5],
                "mts": [0.5, 0.6],
                "mts, frozen": [0.4, 0.6],
                "winnow": [0.9, 0.9],
            },
            "two": {
                "no_selection": [0.6, 0.6],
                "mts": [0.7, 0.7],
                "mts, frozen": [0.6, 0.5],
                "winnow": [0.9, 0.9],
            },
        },
        AUROC: {},
    }
    found = summarise(measured)
    assert found["seeds"] == {"one": 2, "two": 2}
    assert list(found["difference"]) == ["mts, frozen"]
    assert found["difference"]["mts, frozen"]["mean"] == pytest.approx(-0.1)
    by_set = {
        name: rows["mts, frozen"]["mean"] for name, rows in found["difference_by_set"].items()
    }
    assert by_set == {"one": pytest.approx(-0.05), "two": pytest.approx(-0.15)}
    assert found["gain_over_no_selection"]["winnow"]["mean"] == pytest.approx(0.4)
    assert found[ACCURACY]["two"]["mts"]["mean"] == pytest.approx(0.7)
    assert found["values"] == measured


def test_what_an_earlier_run_holds_is_not_measured_again() -> None:
    measured: Measured = {ACCURACY: {}, AUROC: {}}
    kept = {
        ACCURACY: {"one": {"no_selection": [0.3, 0.4, 0.5], "mts": [0.5, 0.6, 0.7]}},
        AUROC: {"one": {"mts": [0.8, 0.9, 0.7]}},
    }
    take_over(measured, kept, seeds=2)
    # Results that hold fewer seeds of a variant say nothing new.
    take_over(measured, {ACCURACY: {"one": {"mts": [0.5]}}}, seeds=2)
    variants = {name: VARIANTS[name] for name in ("mts", "winnow")}
    assert list(missing_of(measured, "one", variants, 1)) == ["winnow"]
    assert list(missing_of(measured, "one", variants, 2)) == ["mts", "winnow"]
    assert list(missing_of(measured, "another", variants, 0)) == ["mts", "winnow"]
    for seed, plain in enumerate((0.3, 0.4)):
        found = {ACCURACY: {"no_selection": plain, "winnow": 0.9}, AUROC: {"winnow": 0.99}}
        add(measured, "one", found, seed=seed)
    assert measured[ACCURACY]["one"] == {
        "no_selection": [0.3, 0.4],
        "mts": [0.5, 0.6],
        "winnow": [0.9, 0.9],
    }
    assert kept[ACCURACY]["one"]["mts"] == [0.5, 0.6, 0.7]
    assert not any(missing_of(measured, "one", variants, seed) for seed in range(2))


def test_results_of_other_draws_are_not_put_together() -> None:
    measured: Measured = {ACCURACY: {"one": {"no_selection": [0.3]}}, AUROC: {}}
    with pytest.raises(ValueError, match=r"seed 0: no_selection was 0\.3, is 0\.35"):
        add(measured, "one", {ACCURACY: {"no_selection": 0.35}}, seed=0)


def test_results_of_earlier_runs_alone_are_put_together(tmp_path: Path) -> None:
    paths = []
    for name, gain in (("one", 0.1), ("two", 0.3)):
        rows = {"no_selection": [0.5, 0.4], "mts": [0.5 + gain, 0.4 + gain]}
        values = {ACCURACY: {name: rows}, AUROC: {name: {"mts": [0.75, 0.85]}}}
        paths.append(tmp_path / f"{name}.json")
        paths[-1].write_text(json.dumps({"values": values}))
    output = tmp_path / "whole" / "ablations.json"
    asked = ("--variants", "mts", "--seeds", "2", "--sets", "one", "two")
    finished = subprocess.run(
        [sys.executable, BENCHMARKS / "ablations.py", *asked, "--keep", *paths, "--output", output],
        capture_output=True,
        text=True,
        check=True,
    )
    whole = json.loads(output.read_text())
    assert json.loads(finished.stdout.splitlines()[-1]) == whole
    assert whole["seeds"] == {"one": 2, "two": 2}
    assert whole["gain_over_no_selection"]["mts"]["mean"] == pytest.approx(0.2)
    line = "| mts |  | +20.0 (+20.0 to +20.0) |  |  | 0.800 | 0.800 |"
    assert line in finished.stdout.splitlines()


def test_what_cannot_learn_tells_less_than_what_can() -> None:
    problem = blobs(pool=90)
    names = ("mts", "mts, frozen", "mts, permuted")
    variants = {name: VARIANTS[name] for name in names}
    found = measure_seed(problem, look_at(problem), variants, seed=0)
    assert list(found[ACCURACY]) == ["no_selection", *names]
    assert list(found[AUROC]) == list(names)
    mts, frozen, permuted = found[AUROC].values()
    assert mts > frozen > permuted
