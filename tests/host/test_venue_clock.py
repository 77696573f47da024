from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.host.venue_clock import VenueClock
from patriot.kernel.clock import FakeClock

pytestmark = pytest.mark.integration

VENUE_NOW = datetime(2022, 1, 29, tzinfo=UTC)


def test_venue_clock_runs_as_fast_as_the_venue() -> None:
    machine = FakeClock()
    clock = VenueClock(machine, VENUE_NOW, speed=60)
    machine.advance(timedelta(seconds=2))
    assert clock.now() == VENUE_NOW + timedelta(minutes=2)
    assert clock.monotonic() == 2.0


def test_venue_clock_goes_on_from_where_a_new_simulator_stands() -> None:
    machine = FakeClock()
    clock = VenueClock(machine, VENUE_NOW, speed=1)
    clock.set(VENUE_NOW + timedelta(hours=1))
    machine.advance(timedelta(seconds=1))
    assert clock.now() == VENUE_NOW + timedelta(hours=1, seconds=1)


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(-100, 100))))
def test_venue_clock_never_runs_backwards(steps: list[tuple[int, int]]) -> None:
    machine = FakeClock()
    clock = VenueClock(machine, VENUE_NOW, speed=60)
    read = [clock.now()]
    for passed, said in steps:
        machine.advance(timedelta(seconds=passed))
        clock.set(VENUE_NOW + timedelta(seconds=said))
        read.append(clock.now())
    assert read == sorted(read)
