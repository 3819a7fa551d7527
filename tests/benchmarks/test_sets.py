"""The benchmark sets hold what they promise, always the same, and keep the truth to themselves."""

import dataclasses
from functools import lru_cache

import numpy as np
import pytest
from quality_sets import Quality, QualitySet
from sets import BUILDERS
from sets.glyphs import Distortion, draw_glyph, find_faces
from sets.interpolated import RowSource
from sets.letters import PRINTED
from sets.scenes import SCENE_COUNT, draw_scene
from sets.tabular import fit_copula
from sets.text import LOOKALIKES, write_text

from mts_core.curation_data import CurationData

SIZES = {
    "digits": (3000, 100, 2000, 10, 0.4),
    "backgrounds": (3200, 80, 1600, 8, 0.5),
    "tabular": (4000, 50, 1200, 5, 0.4),
    "letters": (3120, 260, 1560, 26, 0.4),
    "text": (3500, 100, 1200, 10, 0.4),
    "two_classes": (4000, 20, 12_000, 2, 0.4),
    "fifty_classes": (4000, 500, 12_000, 50, 0.4),
    "two_hundred_classes": (4000, 2000, 12_000, 200, 0.4),
    "handwriting": (2000, 100, 799, 10, 0.4),
    "nuclei": (2000, 20, 265, 2, 0.4),
    "penguins": (1800, 30, 138, 6, 0.4),
}
"""Pool, reference, test, classes, share of good samples."""
BUILT = ["digits", "tabular", "two_classes", "fifty_classes", "two_hundred_classes"]
BUILT += (INTERPOLATED := ["handwriting", "nuclei", "penguins"])
BUILT += [pytest.param(name, marks=pytest.mark.slow) for name in ("backgrounds", "letters", "text")]


@lru_cache(maxsize=1)
def build(name: str) -> QualitySet:
    return BUILDERS[name]()


def arrays(data: CurationData) -> dict[str, np.ndarray]:
    values = {item.name: getattr(data, item.name) for item in dataclasses.fields(data)}
    return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}


@pytest.mark.parametrize("name", BUILT)
def test_a_set_has_the_promised_sizes_in_every_class(name: str) -> None:
    problem = build(name)
    data = problem.data
    pool, reference, test, classes, good_share = SIZES[name]
    assert len(problem.class_names) == data.class_count == classes
    for labels, size in (
        (data.pool_labels, pool),
        (data.reference_labels, reference),
        (data.test_labels, test),
    ):
        assert labels is not None
        assert len(labels) == size
        # What is left over of real rows for testing has its classes as they come.
        if labels is not data.test_labels or name not in INTERPOLATED:
            assert np.bincount(labels).tolist() == [size // classes] * classes
    assert problem.is_good.mean() == pytest.approx(good_share, abs=1e-12)


@pytest.mark.parametrize("name", BUILT)
def test_a_set_is_the_same_on_every_call(name: str) -> None:
    first, second = build(name), BUILDERS[name]()
    for field, values in arrays(first.data).items():
        assert np.array_equal(values, arrays(second.data)[field]), field
    assert np.array_equal(first.quality, second.quality)


@pytest.mark.parametrize("name", BUILT)
def test_no_place_in_the_pool_tells_the_quality(name: str) -> None:
    is_good = build(name).is_good
    half = len(is_good) // 2
    first = int(is_good[:half].sum())
    # Hypergeometric: the spread of the good samples that fall into the first half.
    spread = np.sqrt(half * is_good.mean() * (1 - is_good.mean()) / 2)
    assert abs(first - is_good.sum() / 2) < 4 * spread


@pytest.mark.parametrize("name", BUILT)
def test_nothing_that_a_run_is_given_separates_good_from_bad_by_itself(name: str) -> None:
    problem = build(name)
    data = problem.data
    assert not data.pool_is_real.any()
    # Every label has its share of good samples, and inputs are values alone, without names.
    for label in range(data.class_count):
        assert problem.is_good[data.pool_labels == label].mean() == pytest.approx(
            problem.is_good.mean()
        )
    assert data.pool_inputs.dtype in (np.uint8, np.float32)


@pytest.mark.parametrize("name", BUILT)
def test_no_sample_is_in_two_parts(name: str) -> None:
    data = build(name).data
    parts = [data.pool_inputs, data.reference_inputs, data.test_inputs]
    seen = [{sample.tobytes() for sample in part} for part in parts if part is not None]
    assert len(set.union(*seen)) == sum(len(samples) for samples in seen)


def test_every_definition_serves_one_part_of_the_text_set() -> None:
    written = write_text()
    glosses = [definition["gloss"] for definition in (*written.reference, *written.test)]
    assert len(set(glosses)) == len(glosses) == 1300
    topics = [definition["topic"] for definition in written.reference]
    assert topics == [name for name in LOOKALIKES for _ in range(10)]
    clean = [
        sentence
        for sentence, quality in zip(written.sentences, written.quality, strict=True)
        if quality is Quality.GOOD
    ]
    assert len(clean) == len(set(clean)) == 1400
    assert not [gloss for gloss in glosses if any(gloss in sentence for sentence in clean)]


def test_the_text_set_is_written_alike_on_every_call() -> None:
    assert write_text() == write_text()


def test_lookalikes_are_asked_for_evenly() -> None:
    # A topic that two others borrow from would run out of definitions.
    assert sorted(LOOKALIKES.values()) == sorted(LOOKALIKES)


def test_a_copula_keeps_marginals_and_order() -> None:
    generator = np.random.default_rng(0)
    latent = generator.multivariate_normal(np.zeros(2), [[1.0, 0.7], [0.7, 1.0]], size=4000)
    rows = np.column_stack([np.exp(latent), generator.integers(0, 3, size=4000)])
    copula = fit_copula(rows)
    drawn = copula.rows(copula.draw_latent(4000, generator))
    for column in range(3):
        assert np.isin(drawn[:, column], rows[:, column]).all()
    correlation = np.corrcoef(np.log(drawn[:, :2]).T)[0, 1]
    # The standard error of a correlation of 0.7 is (1 - 0.7^2) / sqrt(4000); both are estimates.
    assert correlation == pytest.approx(0.7, abs=4 * np.sqrt(2) * 0.51 / np.sqrt(4000))


def test_an_interpolated_row_lies_between_a_row_and_a_near_one_of_its_class() -> None:
    near, other = np.array([[0.0, 0.0], [4.0, 2.0]]), np.array([[9.0, 9.0], [9.0, 9.5]])
    partners = np.array([[1], [0]])
    source = RowSource([near, other], [partners, partners], np.random.default_rng(0))
    drawn = np.array([source.draw(0) for _ in range(200)])
    assert np.allclose(drawn[:, 0], 2.0 * drawn[:, 1])
    # Uniform between both ends: the spread of a mean of 200 is 4 / sqrt(12 * 200).
    assert drawn[:, 0].mean() == pytest.approx(2.0, abs=4 * 4.0 / np.sqrt(12 * 200))
    halfway = np.array([source.draw_between_classes() for _ in range(200)])
    assert ((halfway[:, 0] > 3.1) & (halfway[:, 0] < 7.5)).all()


def test_a_glyph_is_ink_inside_its_picture() -> None:
    generator = np.random.default_rng(0)
    faces = find_faces(PRINTED)
    for character in "agM":
        ink = draw_glyph(character, faces[0], side=28, distortion=Distortion(), generator=generator)
        assert ink.shape == (28, 28)
        assert 0.05 < ink.mean() < 0.6
        assert ink.min() >= 0
        assert ink.max() <= 1
        border = np.concatenate([ink[0], ink[-1], ink[:, 0], ink[:, -1]])
        assert border.mean() < 0.1


def test_a_missing_typeface_package_names_the_cure() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"requirements/dev\.txt"):
        find_faces({"no_such_package/files": ("a.ttf",)})


def test_scenes_differ_between_kinds_and_draws() -> None:
    generator = np.random.default_rng(0)
    scenes = [draw_scene(kind, 32, generator) for kind in range(SCENE_COUNT) for _ in range(2)]
    for scene in scenes:
        assert scene.shape == (3, 32, 32)
        assert scene.min() >= 0
        assert scene.max() <= 1
    assert len({scene.tobytes() for scene in scenes}) == len(scenes)
