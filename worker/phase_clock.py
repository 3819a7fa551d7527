"""Measures how long each phase of a run takes, and guesses how long the rest will."""

from collections.abc import Callable, Mapping
from typing import final

# Below this share of the run the guess would be noise.
_MIN_FRACTION = 0.02


@final
class PhaseClock:
    """Adds up the seconds of each phase, of this attempt and over all attempts of a job.

    The time between two calls of `spend` belongs to the later one's phase: a run reports what it
    has done, not what it is about to do.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        """Start counting.

        Args:
            clock: Seconds that never run backwards.
        """
        self._clock = clock
        self._earlier: dict[str, float] = {}
        self._spent: dict[str, float] = {}
        self._marked_at = clock()
        self._first: tuple[float, float] | None = None

    def spend(self, phase: str) -> None:
        """Add the time since the last call to a phase."""
        now = self._clock()
        self._spent[phase] = self._spent.get(phase, 0.0) + now - self._marked_at
        self._marked_at = now

    def add_earlier(self, spent: Mapping[str, float]) -> None:
        """Add the seconds that earlier attempts spent up to the checkpoint."""
        for phase, seconds in spent.items():
            self._earlier[phase] = self._earlier.get(phase, 0.0) + seconds

    def seconds_by_phase(self) -> dict[str, float]:
        """Return the seconds of each phase over all attempts so far, in order of appearance."""
        phases = {**self._earlier, **self._spent}
        return {
            phase: self._earlier.get(phase, 0.0) + self._spent.get(phase, 0.0) for phase in phases
        }

    def attempt_seconds(self) -> dict[str, float]:
        """Return the seconds of each phase that this attempt has spent, in order of appearance."""
        return dict(self._spent)

    def eta_seconds(self, fraction: float) -> float | None:
        """Return the seconds that the rest should take at the pace since the first call.

        Args:
            fraction: Done share of the whole run, in [0, 1].
        """
        now = self._clock()
        if self._first is None:
            self._first = (now, fraction)
        started_at, started_fraction = self._first
        gained = fraction - started_fraction
        if gained < _MIN_FRACTION:
            return None
        return (now - started_at) * (1.0 - fraction) / gained
