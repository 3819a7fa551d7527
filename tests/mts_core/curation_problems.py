"""Small curation problems whose good samples are known, and ways to run them."""

from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from mts_core.curation_data import CurationData
from mts_core.pipeline import CurationResult, PipelineConfig, PipelineReport, run_pipeline
from mts_core.pipeline_config import ClassifierChoice
from mts_core.table_columns import ColumnKind, TableColumn
from mts_core.trainer_settings import MtsSettings

Settings = TypeVar("Settings", bound=PipelineConfig)
CLASSES = 3
DIMENSION = 8
QUICK = MtsSettings(
    classifier=ClassifierChoice.LINEAR,
    steps=30,
    batch_size=32,
    gsnr_every=10,
    gsnr_partitions=2,
    evaluation_seeds=2,
)


def draw(
    count: int, generator: np.random.Generator, *, shift: float = 0.0
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return points of three clusters and their true classes."""
    centres = 2.0 * np.eye(CLASSES, DIMENSION)
    truth = np.arange(count) % CLASSES
    points = centres[truth] + generator.normal(size=(count, DIMENSION)) + shift
    return points.astype(np.float32), truth


def make_data(
    *,
    seed: int = 0,
    pool_size: int = 180,
    reference_size: int = 18,
    test_size: int = 90,
    wrong_share: float = 0.5,
) -> tuple[CurationData, NDArray[np.bool_]]:
    """Return a pool with wrong labels, its reference and test set, and which labels are right."""
    generator = np.random.default_rng(seed)
    pool, truth = draw(pool_size, generator, shift=0.1)
    is_good = generator.random(pool_size) >= wrong_share
    wrong = (truth + generator.integers(1, CLASSES, pool_size)) % CLASSES
    reference, reference_labels = draw(reference_size, generator)
    test, test_labels = draw(max(test_size, CLASSES), generator)
    data = CurationData(
        pool_inputs=pool,
        pool_labels=np.where(is_good, truth, wrong),
        pool_is_real=np.arange(pool_size) % 10 == 0,
        reference_inputs=reference,
        reference_labels=reference_labels,
        test_inputs=test if test_size else None,
        test_labels=test_labels if test_size else None,
        class_count=CLASSES,
    )
    return data, is_good


def make_images(*, seed: int = 0, count: int = 60) -> CurationData:
    """Return 8-pixel images whose class is the bright third of the raster."""
    generator = np.random.default_rng(seed)

    def render(size: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        labels = np.arange(size) % CLASSES
        images = generator.integers(0, 80, size=(size, 1, 9, 9))
        for image, label in zip(images, labels, strict=True):
            image[0, 3 * label : 3 * label + 3] += 120
        return images.astype(np.uint8), labels

    pool, pool_labels = render(count)
    reference, reference_labels = render(12)
    test, test_labels = render(30)
    return CurationData(
        pool_inputs=pool,
        pool_labels=pool_labels,
        pool_is_real=np.zeros(count, dtype=bool),
        reference_inputs=reference,
        reference_labels=reference_labels,
        test_inputs=test,
        test_labels=test_labels,
        class_count=CLASSES,
    )


def as_table(data: CurationData) -> CurationData:
    """Return the same problem as a table of numbers."""
    columns = [TableColumn(f"c{index}", ColumnKind.NUMBER) for index in range(DIMENSION)]
    return replace(
        data,
        pool_inputs=data.pool_inputs.astype(np.float64),
        reference_inputs=data.reference_inputs.astype(np.float64),
        test_inputs=None if data.test_inputs is None else data.test_inputs.astype(np.float64),
        table_columns=tuple(columns),
    )


def as_texts(data: CurationData) -> CurationData:
    """Return the same problem as texts of one word for each rounded number."""

    def spell(rows: NDArray[np.generic]) -> NDArray[np.object_]:
        words = [
            " ".join(f"{chr(97 + index)}{round(value)}" for index, value in enumerate(row))
            for row in rows.tolist()
        ]
        return np.array(words, dtype=np.object_)

    return replace(
        data,
        pool_inputs=spell(data.pool_inputs),
        reference_inputs=spell(data.reference_inputs),
        test_inputs=None if data.test_inputs is None else spell(data.test_inputs),
    )


def finish(data: CurationData, config: PipelineConfig, *, seed: int = 0) -> CurationResult:
    """Return the result of a whole run."""
    return result_of(list(run_pipeline(data, config, seed=seed)))


def result_of(reports: list[PipelineReport]) -> CurationResult:
    """Return the result that the last report carries."""
    result = reports[-1].result
    assert result is not None
    return result


def without_evaluation(config: Settings) -> Settings:
    """Return settings that stop after the scores."""
    return replace(config, evaluate=False)


def auroc(scores: NDArray[np.floating], is_good: NDArray[np.bool_]) -> float:
    """Return the probability that a good sample has the higher score than a bad one."""
    good = int(is_good.sum())
    ranks = rankdata(scores)[is_good].sum()
    return float((ranks - good * (good + 1) / 2) / (good * (len(scores) - good)))
