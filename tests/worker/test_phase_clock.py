"""Seconds are booked on the phase that reports them, and the rest is guessed from the pace."""

from worker.phase_clock import PhaseClock


class SteppedClock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_time_up_to_a_report_belongs_to_its_phase() -> None:
    time = SteppedClock()
    clock = PhaseClock(time)
    for seconds, phase in ((2.0, "load"), (3.0, "train"), (4.0, "train")):
        time.now += seconds
        clock.spend(phase)

    assert clock.seconds_by_phase() == {"load": 2.0, "train": 7.0}


def test_seconds_of_earlier_attempts_are_added() -> None:
    clock = PhaseClock(SteppedClock())
    clock.add_earlier({"encode": 5.0})
    clock.spend("encode")

    assert clock.seconds_by_phase() == {"encode": 5.0}
    assert clock.attempt_seconds() == {"encode": 0.0}


def test_eta_follows_the_pace_since_the_first_report() -> None:
    time = SteppedClock()
    clock = PhaseClock(time)
    assert clock.eta_seconds(0.5) is None

    time.now += 10.0

    # A tenth in ten seconds, from a resumed half: four tenths are left.
    assert clock.eta_seconds(0.6) is not None
    assert abs((clock.eta_seconds(0.6) or 0.0) - 40.0) < 1e-9


def test_eta_is_unknown_while_nothing_is_gained() -> None:
    time = SteppedClock()
    clock = PhaseClock(time)
    clock.eta_seconds(0.0)
    time.now += 10.0

    assert clock.eta_seconds(0.001) is None
