"""Bars of one symbol: recorded minutes come in, longer intervals are rolled up from them."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from patriot.sim.engine.records import Bar
from patriot.sim.engine.words import MILLISECONDS_PER_MINUTE

BARS_KEPT: Final = 1_500  # per interval: the venue's largest page
MINUTES_KEPT: Final = (
    10_080  # a week: the venue keeps all, and prices of the day before a month's end are asked for late
)
INTERVAL_MINUTES: Final = {
    "1m": 1,
    "3m": 3,
    "5m": 5,
    "15m": 15,
    "30m": 30,
    "1h": 60,
    "2h": 120,
    "4h": 240,
    "6h": 360,
    "8h": 480,
    "12h": 720,
    "1d": 1_440,
    "3d": 4_320,  # counted from 1970-01-01
    "1w": 10_080,  # from Monday 00:00 UTC
    "1M": 44_640,  # the longest: a month ends with the calendar
}
_PARENTS: Final = {
    "1m": ("3m", "5m"),
    "5m": ("15m",),
    "15m": ("30m",),
    "30m": ("1h",),
    "1h": ("2h",),
    "2h": ("4h", "6h"),
    "4h": ("8h", "12h"),
    "12h": ("1d",),
    "1d": ("3d", "1w", "1M"),
}
_CHILD: Final = {parent: child for child, parents in _PARENTS.items() for parent in parents}
_WIDTH_MS: Final = {name: minutes * MILLISECONDS_PER_MINUTE for name, minutes in INTERVAL_MINUTES.items()}
_FIRST_MONDAY_MS: Final = 4 * _WIDTH_MS["1d"]  # 1970-01-05
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def interval_ms(interval: str) -> int:
    """Return the length of an interval (of a month: the longest), KeyError when the venue has none of that name."""
    return _WIDTH_MS[interval]


def span(interval: str, at_ms: int) -> tuple[int, int]:
    """Return the bounds of the bar of an interval that holds a time; the second belongs to the next bar.

    >>> span("1w", 1_641_000_000_000), span("1M", 1_641_000_000_000)
    ((1640563200000, 1641168000000), (1640995200000, 1643673600000))
    """
    if interval == "1M":
        first = (_EPOCH + at_ms * _MILLISECOND).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        after = (first + timedelta(days=31)).replace(day=1)
        return (first - _EPOCH) // _MILLISECOND, (after - _EPOCH) // _MILLISECOND
    width = _WIDTH_MS[interval]
    open_ms = at_ms - (at_ms - _FIRST_MONDAY_MS if interval == "1w" else at_ms) % width
    return open_ms, open_ms + width


def merged(earlier: Bar | None, later: Bar, open_ms: int) -> Bar:
    """Return the bar over both, opening at open_ms."""
    if earlier is None:
        return later if later.open_ms == open_ms else replace(later, open_ms=open_ms)
    return Bar(
        open_ms,
        earlier.open,
        max(earlier.high, later.high),
        min(earlier.low, later.low),
        later.close,
        earlier.volume + later.volume,
        earlier.quote_volume + later.quote_volume,
        earlier.trades + later.trades,
        earlier.taker_buy_volume + later.taker_buy_volume,
        earlier.taker_buy_quote_volume + later.taker_buy_quote_volume,
    )


class Klines:
    """Closed bars per interval, and the one in progress."""

    __slots__ = ("_closed", "_rolling", "open_minute")

    def __init__(self) -> None:
        self._closed: dict[str, deque[Bar]] = {
            name: deque(maxlen=MINUTES_KEPT if name == "1m" else BARS_KEPT) for name in INTERVAL_MINUTES
        }
        self._rolling: dict[str, Bar] = {}  # closed children of a parent that is still open
        self.open_minute: Bar | None = None  # built from price moves until its recorded bar arrives

    def move(self, price: Decimal, quantity: Decimal, at_ms: int, *, sold: bool) -> None:
        """Let the print of a price move into the minute in progress; sold: its taker sold."""
        bar = self.open_minute
        open_ms = at_ms - at_ms % MILLISECONDS_PER_MINUTE
        if bar is None or bar.open_ms != open_ms:
            bar = Bar(open_ms, price, price, price, price)
        high, low, value = bar.high, bar.low, quantity * price
        self.open_minute = Bar(
            open_ms,
            bar.open,
            price if price > high else high,
            price if price < low else low,
            price,
            bar.volume + quantity,
            bar.quote_volume + value,
            bar.trades + 1,
            bar.taker_buy_volume if sold else bar.taker_buy_volume + quantity,
            bar.taker_buy_quote_volume if sold else bar.taker_buy_quote_volume + value,
        )

    def close_minute(self, bar: Bar) -> list[tuple[str, Bar]]:
        """Take the recorded minute; return every bar that closed with it, shortest interval first."""
        if self.open_minute is not None and self.open_minute.open_ms <= bar.open_ms:
            self.open_minute = None
        closed: list[tuple[str, Bar]] = []
        minutes = self._closed["1m"]
        if minutes and bar.open_ms != minutes[-1].open_ms + MILLISECONDS_PER_MINUTE:
            self._close_before(bar.open_ms, closed)
        self._append("1m", bar, closed)
        return closed

    def _close_before(self, at_ms: int, closed: list[tuple[str, Bar]]) -> None:
        """Close bars whose last minutes were never recorded, children before parents."""
        for interval in INTERVAL_MINUTES:
            rolling = self._rolling.get(interval)
            if rolling is not None and span(interval, rolling.open_ms)[1] <= at_ms:
                self._append(interval, self._rolling.pop(interval), closed)

    def _append(self, interval: str, bar: Bar, closed: list[tuple[str, Bar]]) -> None:
        self._closed[interval].append(bar)
        closed.append((interval, bar))
        end_ms = bar.open_ms + _WIDTH_MS[interval]
        for parent in _PARENTS.get(interval, ()):
            open_ms, closes_ms = span(parent, bar.open_ms)
            whole = merged(self._rolling.pop(parent, None), bar, open_ms)
            if end_ms == closes_ms:
                self._append(parent, whole, closed)
            else:
                self._rolling[parent] = whole

    def in_progress(self, interval: str) -> Bar | None:
        """Return the bar of this interval that has not closed yet."""
        if interval == "1m":
            return self.open_minute
        own, child = self._rolling.get(interval), self.in_progress(_CHILD[interval])
        if child is None:
            return own
        open_ms, _ = span(interval, child.open_ms)
        return own if own is not None and own.open_ms != open_ms else merged(own, child, open_ms)

    def bars(self, interval: str, limit: int, start_ms: int | None, end_ms: int | None) -> tuple[Bar, ...]:
        """Return bars ascending by open time: the first `limit` from start_ms, else the last `limit` up to end_ms."""
        found = list(self._closed[interval])
        current = self.in_progress(interval)
        if current is not None and (not found or current.open_ms > found[-1].open_ms):
            found.append(current)
        if start_ms is not None:
            found = [bar for bar in found if bar.open_ms >= start_ms]
        if end_ms is not None:
            found = [bar for bar in found if bar.open_ms <= end_ms]
        if limit <= 0:
            return ()
        return tuple(found[:limit] if start_ms is not None else found[-limit:])
