"""Bars of the recorded month, and made-up ones, for the tests of strategies."""

import csv
import gzip
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from patriot.kernel.clock import from_epoch_ms
from patriot.market.events import Bar
from patriot.trading.terms import Exchange

RECORDING = Path(__file__).parents[2] / "examples" / "data" / "BTCUSDT-1m-3d.csv.gz"
START = datetime(2030, 1, 2, tzinfo=UTC)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
QUARTER = timedelta(minutes=15)


def minutes_of(path: Path) -> list[Bar]:
    """Return the one-minute bars of a recorded dump."""
    with gzip.open(path, "rt", newline="") as file:
        rows = [row for row in csv.reader(file) if row[0] != "open_time"]
    return [
        Bar(
            Exchange.BINANCE,
            "BTCUSDT",
            "1m",
            from_epoch_ms(int(row[0])),
            from_epoch_ms(int(row[0])) + timedelta(minutes=1),
            *(Decimal(text) for text in row[1:6]),
        )
        for row in rows
    ]


def quarters_of(minutes: Iterable[Bar]) -> list[Bar]:
    """Return the complete 15-minute bars, on the quarters of the hour."""
    groups: dict[datetime, list[Bar]] = {}
    for minute in minutes:
        opened_at = minute.opened_at - timedelta(minutes=minute.opened_at.minute % 15)
        groups.setdefault(opened_at, []).append(minute)
    return [
        Bar(
            group[0].exchange,
            group[0].symbol,
            "15m",
            opened_at,
            opened_at + QUARTER,
            group[0].open,
            max(bar.high for bar in group),
            min(bar.low for bar in group),
            group[-1].close,
            sum((bar.volume for bar in group), Decimal(0)),
        )
        for opened_at, group in groups.items()
        if len(group) == 15
    ]


def bar(
    index: int, close: float, *, high: float | None = None, low: float | None = None, symbol: str = "BTCUSDT"
) -> Bar:
    """Return the 15-minute bar of a place in a made-up day."""
    price = Decimal(str(close))
    return Bar(
        Exchange.BINANCE,
        symbol,
        "15m",
        START + index * QUARTER,
        START + (index + 1) * QUARTER,
        price,
        Decimal(str(close if high is None else high)),
        Decimal(str(close if low is None else low)),
        price,
        Decimal(1),
    )
