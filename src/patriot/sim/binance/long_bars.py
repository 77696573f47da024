"""Bars longer than a day, put together from daily ones: three days, weeks from Monday, months of the calendar."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from patriot.sim.binance.requests import DAY_MS
from patriot.sim.engine.klines import merged
from patriot.sim.engine.records import Bar

LONG_INTERVALS = ("3d", "1w", "1M")
_MONDAY = 4  # days from the beginning of the epoch, a Thursday, to the first Monday
_DAYS = {"3d": (3, 0), "1w": (7, _MONDAY)}


def span_of(interval: str, at_ms: int) -> tuple[int, int]:
    """Return when the bar over a time opens, and how long it is, in milliseconds.

    >>> span_of("1w", 1_643_673_600_000)  # Tuesday, 2022-02-01
    (1643587200000, 604800000)
    >>> span_of("1M", 1_643_673_600_000)
    (1643673600000, 2419200000)
    """
    if interval == "1M":
        day = datetime.fromtimestamp(at_ms // 1000, UTC)
        first = day.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        following = (first + timedelta(days=32)).replace(day=1)
        return int(first.timestamp()) * 1000, int((following - first).total_seconds()) * 1000
    days, offset = _DAYS[interval]
    length, origin = days * DAY_MS, offset * DAY_MS
    return at_ms - (at_ms - origin) % length, length


def long_bars(
    days: Iterable[Bar], interval: str, limit: int, start_ms: int | None, end_ms: int | None
) -> list[tuple[Bar, int]]:
    """Return bars with their lengths: the first `limit` from start_ms on, else the last `limit` up to end_ms."""
    whole: dict[int, tuple[Bar, int]] = {}
    for day in days:
        open_ms, length = span_of(interval, day.open_ms)
        known = whole.get(open_ms)
        whole[open_ms] = merged(known[0] if known is not None else None, day, open_ms), length
    found = [
        row
        for open_ms, row in whole.items()
        if (start_ms is None or open_ms >= start_ms) and (end_ms is None or open_ms <= end_ms)
    ]
    return found[:limit] if start_ms is not None else found[-limit:]
