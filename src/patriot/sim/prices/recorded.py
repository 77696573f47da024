"""Feeds of recorded files: klines walked in four ticks, aggregate trades played one by one.

Mark and index price equal the last price: no dump records either, and nothing is invented.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Final

from patriot.kernel.clock import from_epoch_ms
from patriot.kernel.errors import InvalidInput
from patriot.sim.engine.operations import MovePrice
from patriot.sim.engine.records import Bar
from patriot.sim.prices.dumps import Dump, Kind, Rows, dump_files, read_dump
from patriot.sim.prices.feed import (
    MINUTE_MS,
    TICK_OFFSETS_MS,
    Feed,
    Minute,
    Source,
    flat_bar,
    seeded_digest,
    walk,
)

ZERO: Final = Decimal(0)


def load_recorded(*paths: Path, seed: int = 0, loop: bool = False) -> Feed:
    """Read dumps of one or more symbols, and play the minutes that all of them have.

    A folder stands for all dumps in it. Several files of one symbol are joined in the order of their times. The seed
    says which way each bar is walked; loop plays the recording again and again.
    Errors: InvalidInput naming the file, the line, or the spans that do not meet.
    """
    dumps: dict[str, list[Dump]] = {}
    for path in dump_files(paths):
        dump = read_dump(path)
        dumps.setdefault(dump.symbol, []).append(dump)
    joined = [sorted(dumps[symbol], key=lambda dump: dump.start_ms) for symbol in sorted(dumps)]
    for same in joined:
        _check_joints(same)
    start_ms = max(same[0].start_ms for same in joined)
    end_ms = min(same[-1].end_ms for same in joined)
    if start_ms >= end_ms:
        spans = "; ".join(f"{same[0].symbol} has {_span(same)}" for same in joined)
        raise InvalidInput("--data", f"expected recordings with a common time, found none: {spans}")
    sources: list[Source] = [
        KlineSource(same, start_ms, seed) if same[0].kind is Kind.KLINES else TradeSource(same, start_ms)
        for same in joined
    ]
    hashes = sorted(dump.sha256 for same in joined for dump in same)
    one = hashes[0] if len(hashes) == 1 else seeded_digest(*hashes).hex()
    return Feed(sources, start_ms, (end_ms - start_ms) // MINUTE_MS, f"file:{one}", loop=loop)


def _check_joints(dumps: list[Dump]) -> None:
    """Refuse files of one symbol that are of two kinds, overlap, or leave bars out."""
    for earlier, later in pairwise(dumps):
        if earlier.kind is not later.kind:
            raise InvalidInput(later.name, f"expected {earlier.kind} as in {earlier.name}, found {later.kind}")
        if later.kind is Kind.KLINES:
            wrong = later.start_ms != earlier.end_ms
        else:
            wrong = int(later.rows[0][5]) < int(earlier.rows[len(earlier.rows) - 1][5])
        if wrong:
            raise InvalidInput(
                later.name,
                f"expected it to begin where {earlier.name} ends, at {_time(earlier.end_ms)}, "
                f"found {_time(later.start_ms)}",
            )


def _span(dumps: list[Dump]) -> str:
    return f"{_time(dumps[0].start_ms)} to {_time(dumps[-1].end_ms)}"


def _time(at_ms: int) -> str:
    return f"{from_epoch_ms(at_ms):%Y-%m-%d %H:%M}"


class KlineSource:
    """One symbol's bars of one minute. A new bar begins with a jump: what lies between two bars is not recorded."""

    def __init__(self, dumps: list[Dump], start_ms: int, seed: int) -> None:
        self.symbol = dumps[0].symbol
        self._rows = _Joined(dumps)
        self._skipped = (start_ms - dumps[0].start_ms) // MINUTE_MS
        self._seed = seed

    def minute(self, index: int) -> Minute:
        bar = _bar(self._rows[self._skipped + index])
        prices = walk(bar, self.symbol, self._seed)
        ticks = tuple(
            (offset_ms, MovePrice(symbol=self.symbol, last=price, jump=offset_ms == TICK_OFFSETS_MS[0]))
            for offset_ms, price in zip(TICK_OFFSETS_MS, prices, strict=True)
        )
        return Minute(bar, ticks)


def _bar(fields: list[str]) -> Bar:
    open_, high, low, close, volume = (Decimal(text) for text in fields[1:6])
    quote, taker, taker_quote = (Decimal(fields[column]) for column in (7, 9, 10))
    return Bar(int(fields[0]), open_, high, low, close, volume, quote, int(fields[8]), taker, taker_quote)


class TradeSource:
    """One symbol's aggregate trades, each with its own quantity and side; bars are built from them.

    The first trade after a minute or more without one is a jump.
    """

    def __init__(self, dumps: list[Dump], start_ms: int) -> None:
        self.symbol = dumps[0].symbol
        self._rows = _Joined(dumps)
        self._start_ms = start_ms
        self._times = array("q", (int(self._rows[number][5]) for number in range(len(self._rows))))

    def minute(self, index: int) -> Minute:
        open_ms = self._start_ms + index * MINUTE_MS
        first = bisect_left(self._times, open_ms)
        end = bisect_left(self._times, open_ms + MINUTE_MS, first)
        if first == end:  # the recording begins with a trade, so there is one before
            return Minute(flat_bar(open_ms, Decimal(self._rows[first - 1][1])), ())
        rows = [self._rows[number] for number in range(first, end)]
        ticks = tuple(
            (self._times[first + number] - open_ms, self._move(row, first + number)) for number, row in enumerate(rows)
        )
        return Minute(_bar_of(open_ms, rows), ticks)

    def _move(self, row: list[str], number: int) -> MovePrice:
        silent = number == 0 or self._times[number] - self._times[number - 1] >= MINUTE_MS
        return MovePrice(
            symbol=self.symbol,
            last=Decimal(row[1]),
            jump=silent,
            quantity=Decimal(row[2]),
            buyer_is_maker=row[6].lower() == "true",
        )


def _bar_of(open_ms: int, rows: list[list[str]]) -> Bar:
    """Return the bar of a minute's trades."""
    prices = [Decimal(row[1]) for row in rows]
    volume = quote = taker = taker_quote = ZERO
    trades = 0
    for price, row in zip(prices, rows, strict=True):
        quantity = Decimal(row[2])
        volume += quantity
        quote += price * quantity
        trades += int(row[4]) - int(row[3]) + 1
        if row[6].lower() == "false":
            taker += quantity
            taker_quote += price * quantity
    return Bar(open_ms, prices[0], max(prices), min(prices), prices[-1], volume, quote, trades, taker, taker_quote)


class _Joined:
    """The rows of several files, one after the other."""

    def __init__(self, dumps: list[Dump]) -> None:
        self._parts: list[Rows] = [dump.rows for dump in dumps]
        self._ends: list[int] = []
        total = 0
        for part in self._parts:
            total += len(part)
            self._ends.append(total)

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> list[str]:
        part = bisect_left(self._ends, index + 1)
        if part == len(self._ends):
            raise IndexError(index)
        before = self._ends[part - 1] if part else 0
        return self._parts[part][index - before]
