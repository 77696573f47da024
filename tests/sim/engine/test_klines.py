"""Bars: recorded minutes, and what is rolled up from them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.sim.engine.events import KlineClosed, VenueRefusal
from patriot.sim.engine.klines import INTERVAL_MINUTES, Klines, span
from patriot.sim.engine.operations import CloseBar
from patriot.sim.engine.records import Bar
from tests.sim.engine.support import START_MS, SYMBOL, D, Desk

pytestmark = pytest.mark.integration

MINUTE = 60_000


def minute(number: int, price: int) -> Bar:
    p = Decimal(price)
    return Bar(START_MS + number * MINUTE, p, p + 2, p - 2, p + 1, Decimal(3), Decimal(3) * p, 5)


def rolled(minutes: list[Bar], interval: str) -> list[Bar]:
    """The same bars, the slow and obvious way."""
    windows: dict[int, list[Bar]] = {}
    for bar in minutes:
        windows.setdefault(span(interval, bar.open_ms)[0], []).append(bar)
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


@given(st.dictionaries(st.integers(0, 700) | st.integers(0, 100_000), st.integers(100, 200), min_size=1, max_size=120))
def test_every_interval_is_the_roll_up_of_the_minutes_even_with_gaps(prices: dict[int, int]) -> None:
    klines = Klines()
    minutes = [minute(number, prices[number]) for number in sorted(prices)]

    for bar in minutes:
        klines.close_minute(bar)

    for interval in INTERVAL_MINUTES:
        assert list(klines.bars(interval, 2_000, None, None)) == rolled(minutes, interval), interval


@pytest.mark.parametrize(
    ("interval", "at", "opens", "closes"),
    [
        ("1m", "2024-02-29 12:34:56", "2024-02-29 12:34:00", "2024-02-29 12:35:00"),
        ("3d", "1970-01-05 00:00:00", "1970-01-04 00:00:00", "1970-01-07 00:00:00"),
        ("1w", "2024-02-29 12:34:56", "2024-02-26 00:00:00", "2024-03-04 00:00:00"),  # Monday to Monday
        ("1w", "2024-02-26 00:00:00", "2024-02-26 00:00:00", "2024-03-04 00:00:00"),
        ("1M", "2024-02-29 12:34:56", "2024-02-01 00:00:00", "2024-03-01 00:00:00"),
        ("1M", "2023-12-31 23:59:59", "2023-12-01 00:00:00", "2024-01-01 00:00:00"),
    ],
)
def test_bars_open_and_close_with_the_calendar(interval: str, at: str, opens: str, closes: str) -> None:
    at_ms, opens_ms, closes_ms = (
        int(datetime.fromisoformat(f"{t}+00:00").timestamp()) * 1_000 for t in (at, opens, closes)
    )

    assert span(interval, at_ms) == (opens_ms, closes_ms)


def test_month_closes_with_its_last_minute() -> None:
    klines = Klines()
    last = (31 * 1_440) - 1  # of January 2022

    told = [interval for interval, _ in klines.close_minute(minute(last, 100))]

    assert told == ["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "8h", "12h", "1d", "1M", "6h"]


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
        klines.move(Decimal(price), D(2), START_MS + offset, sold=price > 9)
    assert klines.bars("5m", 1, None, None) == (Bar(START_MS, D(10), D(14), D(8), D(9), D(8), D(82), 4, D(4), D(34)),)

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
