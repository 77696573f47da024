"""The look for what predecessors sent late: once, unless the exchange refused to tell it of a symbol."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

import pytest

from patriot.execution.late_legs import AGAIN_SECONDS, DEPOSED_SECONDS, LateLegs
from patriot.kernel.clock import FakeClock
from patriot.simulation.loop import START
from patriot.trading.terms import Urgency

pytestmark = pytest.mark.unit


class Told:
    """What the exchange tells of past orders: not of the symbols that it refuses."""

    def __init__(self) -> None:
        self.refused: set[str] = set()
        self.searched: list[str] = []
        self.heirs = 1

    def inherit_no_more(self) -> None:
        self.heirs -= 1

    async def search(self, symbol: str, urgency: Urgency, *, strays: bool) -> bool:
        self.searched.append(symbol)
        return symbol not in self.refused


async def two_symbols(_since: datetime) -> list[str]:
    return ["BTCUSDT", "ETHUSDT"]


async def test_look_that_was_refused_for_one_symbol_is_due_again_later_and_then_no_more() -> None:
    clock, told, done = FakeClock(START), Told(), list[bool]()
    late_legs = LateLegs(cast("Any", told), two_symbols, clock)
    told.refused = {"BTCUSDT"}
    begun = clock.monotonic()
    assert not late_legs.is_due(begun)
    assert late_legs.is_due(begun + DEPOSED_SECONDS)
    await late_legs.look()
    assert told.searched == ["BTCUSDT", "ETHUSDT"]
    done.append(late_legs.done)
    assert told.heirs == 1

    told.refused.clear()
    assert not late_legs.is_due(begun + AGAIN_SECONDS - 1)
    assert late_legs.is_due(begun + AGAIN_SECONDS)
    await late_legs.look()
    done.append(late_legs.done)
    assert done == [False, True]
    assert told.heirs == 0
    assert not late_legs.is_due(begun + 10 * AGAIN_SECONDS)
