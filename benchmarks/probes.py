"""Derives small problems from a benchmark set: few samples, few references, much that is bad."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from judge_views import RawView, RawViews
from numpy.typing import NDArray
from quality_sets import Quality, QualitySet

from mts_core.seeds import derive_seed

DONOR_SHARE: Final = 0.5
"""How much of the test part is set aside for more references and for real pool samples."""
IMBALANCE: Final = 10.0
"""Samples of the largest class for each one of the smallest, where classes are imbalanced."""
BAD_SHARES: Final = (0.0, 0.1, 0.4, 0.7, 0.9)
REFERENCES: Final = (10, 2, 5, 20)
"""References a class; the first serves where their number is not varied."""
REAL_SHARE: Final = 0.1
"""Real samples in the pool, as a share of the synthetic ones, where there are any."""


@dataclass(frozen=True)
class Probe:
    """A kind of small problem.

    Attributes:
        pool_size: Synthetic samples, or fewer where the set has not enough good or bad ones.
        references: Reference samples a class.
        bad_share: Share of the synthetic samples that is bad, in [0, 1).
        is_imbalanced: Whether classes differ in size.
        has_real: Whether real samples stand in the pool too.
    """

    pool_size: int
    references: int
    bad_share: float
    is_imbalanced: bool = False
    has_real: bool = False

    @property
    def name(self) -> str:
        """The probe in words."""
        words = [f"{self.pool_size} samples", f"{self.references} references"]
        words.append(f"{100 * self.bad_share:.0f} % bad")
        words += ["imbalanced"] if self.is_imbalanced else []
        words += ["real in pool"] if self.has_real else []
        return ", ".join(words)


def probes(sizes: Sequence[int], references: Sequence[int] = REFERENCES) -> Iterator[Probe]:
    """Yield every probe: badness against size, badness against references, and special pools.

    Args:
        sizes: Pool sizes; the second one serves where the size is not varied.
        references: References a class, to be held against badness besides the usual number.
    """
    middle = sizes[min(1, len(sizes) - 1)]
    usual = REFERENCES[0]
    for size in sizes:
        for bad in BAD_SHARES:
            yield Probe(size, usual, bad)
    for count in references:
        if count == usual:
            continue
        for bad in BAD_SHARES:
            yield Probe(middle, count, bad)
    for bad in (0.4, 0.7):
        yield Probe(middle, usual, bad, is_imbalanced=True)
        yield Probe(middle, usual, bad, has_real=True)


def derive_problem(
    problem: QualitySet, views: RawViews, probe: Probe, *, seed: int
) -> tuple[QualitySet, RawViews]:
    """Return a probe's problem, and the same samples as judges see them.

    Half of the test part is set aside: it gives the references that the set lacks and the real
    samples of the pool. The other half is the test part of every probe of the seed.

    Args:
        problem: The set.
        views: Its samples in each view.
        probe: What to derive.
        seed: Seed of the draws.
    """
    data = problem.data
    # The reference set and the test part are one table of real samples from here on.
    labels = np.concatenate([data.reference_labels, data.test_labels])
    inputs = np.concatenate([data.reference_inputs, data.test_inputs])
    generator = np.random.default_rng(derive_seed(seed, "probe"))
    donors, test = _split_test(labels, len(data.reference_labels), generator)
    pool = _draw_pool(problem, probe, generator)
    spare = np.concatenate([np.arange(len(data.reference_labels)), donors])
    reference = _first_of_each_class(spare, labels, probe.references)
    moved = np.empty(0, dtype=np.int64)
    if probe.has_real:
        left = generator.permutation(np.setdiff1d(donors, reference))
        moved = left[: round(REAL_SHARE * len(pool))]
    derived = dataclasses.replace(
        data,
        pool_inputs=np.concatenate([data.pool_inputs[pool], inputs[moved]]),
        pool_labels=np.concatenate([data.pool_labels[pool], labels[moved]]),
        pool_is_real=np.arange(len(pool) + len(moved)) >= len(pool),
        reference_inputs=inputs[reference],
        reference_labels=labels[reference],
        test_inputs=inputs[test],
        test_labels=labels[test],
    )
    quality = np.concatenate([problem.quality[pool], np.repeat(str(Quality.GOOD), len(moved))])
    seen = {name: _take(view, pool, moved, reference, test) for name, view in views.items()}
    return dataclasses.replace(problem, data=derived, quality=quality), seen


def _take(
    view: RawView,
    pool: NDArray[np.int64],
    moved: NDArray[np.int64],
    reference: NDArray[np.int64],
    test: NDArray[np.int64],
) -> RawView:
    real = np.concatenate([view.reference, view.test])
    return RawView(
        pool=np.concatenate([view.pool[pool], real[moved]]),
        reference=real[reference],
        test=real[test],
    )


def _split_test(
    labels: NDArray[np.int64], first: int, generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return positions of donors and of what stays test, from position `first` on."""
    order = first + generator.permutation(len(labels) - first)
    count = round(DONOR_SHARE * len(order))
    return order[:count], np.sort(order[count:])


def _draw_pool(
    problem: QualitySet, probe: Probe, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Return positions of good and bad pool samples in the probe's shares, class by class."""
    class_count = problem.data.class_count
    shares = np.ones(class_count)
    if probe.is_imbalanced:
        shares = IMBALANCE ** -np.linspace(0.0, 1.0, class_count)
        generator.shuffle(shares)
    parts = []
    for label, size in enumerate(probe.pool_size * shares / shares.sum()):
        members = generator.permutation(np.flatnonzero(problem.data.pool_labels == label))
        is_good = problem.is_good[members]
        good, bad = members[is_good], members[~is_good]
        # What one kind lacks shrinks the class, so that the shares stay as asked.
        allowed = min(size, len(good) / (1 - probe.bad_share))
        if probe.bad_share:
            allowed = min(allowed, len(bad) / probe.bad_share)
        bad_count = round(probe.bad_share * allowed)
        parts += [good[: round(allowed) - bad_count], bad[:bad_count]]
    return generator.permutation(np.concatenate(parts))


def _first_of_each_class(
    positions: NDArray[np.int64], labels: NDArray[np.int64], count: int
) -> NDArray[np.int64]:
    found = [positions[labels[positions] == label][:count] for label in np.unique(labels)]
    return np.concatenate(found)
