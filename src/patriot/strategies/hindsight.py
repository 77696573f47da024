"""Knows the future; for demonstrating fees only.

It reads the recording that is being replayed and enters only where the target is reached before the stop. It shows
what a performance fee looks like on profit; on prices that are not recorded it wishes for nothing.
"""

import csv
import gzip
from bisect import bisect_left
from pathlib import Path

from patriot.kernel.clock import to_epoch_ms
from patriot.kernel.errors import InvalidInput
from patriot.market.events import Bar
from patriot.strategies.parameters import Values
from patriot.trading.terms import Side

MINUTE_MS = 60_000
Minute = tuple[int, float, float]  # open time in Unix milliseconds, high, low


class Hindsight:
    """Enter on the side whose target comes first within the horizon, if any does; leave by target or stop."""

    warm_up_bars = 0

    def __init__(self, values: Values, future: list[Minute]) -> None:
        self._future = future
        self._open_times = [minute[0] for minute in future]
        self._target_fraction = values.number("target_fraction")
        self._stop_fraction = values.number("stop_fraction")
        self._horizon = values.whole("horizon_minutes")
        self._closed_at_ms = 0
        self._close = 0.0

    def update(self, bar: Bar) -> None:
        self._closed_at_ms = to_epoch_ms(bar.closed_at)
        self._close = float(bar.close)

    def entry(self) -> Side | None:
        start = bisect_left(self._open_times, self._closed_at_ms)
        minutes = self._future[start : start + self._horizon]
        return next((side for side in Side if self._wins(side, minutes)), None)

    def _wins(self, side: Side, minutes: list[Minute]) -> bool:
        target = self._close * (1 + side.sign * self._target_fraction)
        stop = self._close * (1 - side.sign * self._stop_fraction)
        for _, high, low in minutes:
            if low <= stop if side is Side.BUY else high >= stop:
                return False
            if high >= target if side is Side.BUY else low <= target:
                return True
        return False

    def leaves(self, side: Side) -> bool:
        return False

    def stop_distance(self) -> float:
        return self._close * self._stop_fraction

    def target_distance(self) -> float:
        return self._close * self._target_fraction

    def confidence(self) -> float:
        return 1.0

    def readings(self) -> dict[str, float]:
        return {"knows_the_future": 1.0}


def read_future(path: Path) -> list[Minute]:
    """Return the minutes of a recorded kline dump (CSV, plain or gzipped), ascending by open time.

    Errors: InvalidInput naming the file, and the line where there is one.
    """
    try:
        with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="") as file:
            rows = list(csv.reader(file))
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InvalidInput("data_file", f"expected a readable kline CSV, found: {error}") from error
    return [_minute(path, number, row) for number, row in enumerate(rows, 1) if row and row[0] != "open_time"]


def _minute(path: Path, number: int, row: list[str]) -> Minute:
    try:
        return int(row[0]), float(row[2]), float(row[3])
    except (ValueError, IndexError) as error:
        raise InvalidInput(f"{path.name} line {number}", f"expected a one-minute bar: {error}") from error
