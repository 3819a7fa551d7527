from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def _scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_the_written_pool_is_read_by_numpy_and_half_of_it_is_good(tmp_path: Path) -> None:
    from scale_data import make_mixture, write_pool  # noqa: PLC0415  # A script's folder.

    is_good = write_pool(make_mixture(0), 4000, tmp_path / "pool.npz", seed=0)
    with np.load(tmp_path / "pool.npz") as arrays:
        x, y = arrays["x"], arrays["y"]
    assert x.shape == (4000, 512)
    assert x.dtype == np.float32
    assert np.isfinite(x).all()
    assert set(y.tolist()) == set(range(10))
    # Four standard deviations of a share of 4000 coin tosses.
    assert is_good.mean() == pytest.approx(0.5, abs=0.032)


def test_classes_overlap_in_at_least_32_dimensions() -> None:
    from scale_data import draw_real, make_mixture  # noqa: PLC0415  # A script's folder.

    mixture = make_mixture(0)
    real = draw_real(mixture, 20_000, np.random.default_rng(0))
    centres = mixture.class_centres @ mixture.rotation
    values = np.linalg.eigvalsh(np.cov((real.x - centres[real.y]).T))
    assert values.sum() ** 2 / np.square(values).sum() > 32
    squared_distances = -2 * real.x @ centres.T + np.square(centres).sum(axis=1)
    nearest_centre_accuracy = (squared_distances.argmin(axis=1) == real.y).mean()
    assert 0.6 < nearest_centre_accuracy < 0.95


def test_good_samples_lie_where_the_reference_does_and_bad_ones_do_not() -> None:
    from scale_data import draw_pool, make_mixture  # noqa: PLC0415  # A script's folder.

    mixture = make_mixture(0)
    pool = draw_pool(mixture, 20_000, np.random.default_rng(0))
    offsets = pool.x - (mixture.class_centres @ mixture.rotation)[pool.y]
    distances = np.linalg.norm(offsets, axis=1)
    assert np.median(distances[pool.is_good]) < np.median(distances[~pool.is_good]) - 0.5
