"""The simulator's second clock: it tells apart what the venue's own time, standing still, cannot."""

from collections.abc import Sequence

import pytest

from patriot.sim.engine.events import VenueEvent
from patriot.sim.engine.words import Side
from patriot.sim.wire_times import WireTimes
from tests.sim.engine.support import Desk

pytestmark = pytest.mark.integration


class Stopwatch:
    """Seconds as a test sets them."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def times(wire: WireTimes) -> dict[str, dict[str, int]]:
    accounts = wire.state()["accounts"]
    assert isinstance(accounts, dict)
    return accounts


def test_execution_and_life_of_a_stop_are_told_apart_though_the_venues_time_stands_still() -> None:
    watch, desk = Stopwatch(), Desk()
    wire = WireTimes(watch)
    told: list[Sequence[VenueEvent]] = []

    desk.market(Side.BUY, "0.5")
    told.append(desk.emitted)
    stop = desk.stop(Side.SELL, "39000", "0.5", reduce_only=True)
    told.append(desk.emitted)
    desk.move("38990")
    told.append(desk.emitted)
    for second, emitted in enumerate(told, 1):
        watch.seconds = second
        wire.note(emitted)

    noted = times(wire)[str(desk.uid)]
    assert {at for what, at in noted.items() if what.startswith("trade:")} == {1_000, 3_000}
    assert (noted[f"placed:{stop.algo_id}"], noted[f"ended:{stop.algo_id}"]) == (2_000, 3_000)


def test_what_was_noted_keeps_its_first_time() -> None:
    watch, desk = Stopwatch(), Desk()
    wire = WireTimes(watch)
    desk.market(Side.BUY, "0.5")
    wire.note(desk.emitted)
    before = times(wire)
    watch.seconds = 5
    wire.note(desk.emitted)

    assert times(wire) == before != {}
    assert wire.state()["now"] == 5_000


def test_oldest_times_are_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("patriot.sim.wire_times.KEPT", 2)
    desk, wire = Desk(), WireTimes(Stopwatch())
    for _ in range(3):
        desk.market(Side.BUY, "0.5")
        wire.note(desk.emitted)

    trades = [trade.trade_id for trade in desk.venue.trades(desk.uid)]
    assert list(times(wire)[str(desk.uid)]) == [f"trade:{trade_id}" for trade_id in trades[-2:]]
