"""Bars: recorded minutes, and what is rolled up from them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.sim.engine.events import KlineClosed, VenueRefusal
from patriot.sim.engine.klines import INTERVAL_MINUTES, Klines
from patriot.sim.engine.operations import CloseBar
from patriot.sim.engine.records import Bar
from tests.sim.engine.support import START_MS, SYMBOL, D, Desk

MINUTE = 60_000


def minute(number: int, price: int) -> Bar:
    p = Decimal(price)
    return Bar(START_MS + number * MINUTE, p, p + 2, p - 2, p + 1, Decimal(3), Decimal(3) * p, 5)


def rolled(minutes: list[Bar], width_ms: int) -> list[Bar]:
    """The same bars, the slow and obvious way."""
    windows: dict[int, list[Bar]] = {}
    for bar in minutes:
        windows.setdefault(bar.open_ms - bar.open_ms % width_ms, []).append(bar)
    return [
        Bar(
            open_ms,
            bars[0].open,
            max(b.high for b in bars),
            min(b.low for b in bars),
            bars[-1].close,
            sum((b.volume for b in bars), Decimal(0)),
            sum((b.quote_volume for b in bars), Decimal(0)),
            sum(b.trades for b in bars),
        )
        for open_ms, bars in windows.items()
    ]


@given(st.dictionaries(st.integers(0, 700), st.integers(100, 200), min_size=1, max_size=120))
def test_every_interval_is_the_roll_up_of_the_minutes_even_with_gaps(prices: dict[int, int]) -> None:
    klines = Klines()
    minutes = [minute(number, prices[number]) for number in sorted(prices)]

    for bar in minutes:
        klines.close_minute(bar)

    for interval, width in INTERVAL_MINUTES.items():
        assert list(klines.bars(interval, 2_000, None, None)) == rolled(minutes, width * MINUTE), interval


def test_closing_a_quarter_of_an_hour_tells_every_bar_that_closed() -> None:
    desk = Desk()
    told: list[str] = []
    for number in range(15):
        desk.do(CloseBar(SYMBOL, minute(number, 40_000)))
        told = [event.interval for event in desk.emitted if isinstance(event, KlineClosed)]

    assert told == ["1m", "3m", "5m", "15m"]
    assert desk.venue.klines(SYMBOL, "15m")[0].volume == D(45)


def test_minute_in_progress_follows_the_moves_until_its_recorded_bar_arrives() -> None:
    klines = Klines()
    for offset, price in ((1_000, 10), (20_000, 14), (40_000, 8), (59_000, 9)):
        klines.move(Decimal(price), START_MS + offset)
    assert klines.bars("5m", 1, None, None) == (Bar(START_MS, D(10), D(14), D(8), D(9)),)

    klines.close_minute(minute(0, 11))

    assert klines.bars("1m", 5, None, None) == (minute(0, 11),)


def test_pages_by_time() -> None:
    klines = Klines()
    for number in range(10):
        klines.close_minute(minute(number, 100))

    def numbers(limit: int, start: int | None, end: int | None) -> list[int]:
        at = [None if n is None else START_MS + n * MINUTE for n in (start, end)]
        return [(bar.open_ms - START_MS) // MINUTE for bar in klines.bars("1m", limit, *at)]

    assert numbers(3, None, None) == [7, 8, 9]
    assert numbers(3, 2, None) == [2, 3, 4]
    assert numbers(3, None, 5) == [3, 4, 5]
    assert numbers(9, 2, 4) == [2, 3, 4]
    assert numbers(0, None, None) == []


def test_unknown_interval_is_refused() -> None:
    with pytest.raises(VenueRefusal, match="-1120"):
        Desk().venue.klines(SYMBOL, "7m")
