"""Prices of several symbols, minute by minute, merged by time. No sockets, no clock, no files.

A minute of a symbol is a bar and the ticks it is walked through. What happens in the last millisecond of a minute is
played together with the minute's close.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, Protocol

from patriot.sim.engine.operations import MovePrice
from patriot.sim.engine.records import Bar

MINUTE_MS: Final = 60_000
TICK_OFFSETS_MS: Final = (1_000, 20_000, 40_000, 59_999)  # between full minutes, so that a driver may stop on one
LAST_MS: Final = MINUTE_MS - 1

Ticks = tuple[tuple[int, MovePrice], ...]  # milliseconds after the minute's opening, ascending


@dataclass(frozen=True, slots=True)
class Minute:
    """One minute of one symbol; without a trade it has no ticks and a flat bar without volume."""

    bar: Bar
    ticks: Ticks


class Source(Protocol):
    """The prices of one symbol; the same source gives the same minutes every time."""

    @property
    def symbol(self) -> str: ...

    def minute(self, index: int) -> Minute:
        """Return a minute by its place, 0 being the first; cheapest when asked for in ascending order."""
        ...


@dataclass(frozen=True, slots=True)
class Step:
    """What happens at one moment: moves, and with the end of a minute its bars."""

    due_ms: int  # when to play it: at_ms, or the close of the minute
    at_ms: int
    moves: tuple[MovePrice, ...]
    bars: tuple[tuple[str, Bar], ...] = ()  # not empty: the minute closes at due_ms


class Feed:
    """Prices of some symbols from a first minute on; the same feed gives the same steps every time."""

    def __init__(
        self, sources: Sequence[Source], start_ms: int, minutes: int | None, identity: str, *, loop: bool = False
    ) -> None:
        self._sources = {source.symbol: source for source in sources}
        self._minutes = minutes
        self.symbols = tuple(self._sources)
        self.start_ms = start_ms
        self.length = None if loop else minutes  # in bars; None: the feed never ends
        self.identity = f"{identity} looped" if loop else identity  # what the prices depend on

    def bar(self, symbol: str, index: int) -> Bar:
        """Return a bar by its place, 0 being the first minute; a looped feed moves it forward by whole lengths."""
        return self._minute(self._sources[symbol], index).bar

    def steps(self, index: int) -> tuple[Step, ...]:
        """Return what happens in a minute, ascending by time; the last step closes it."""
        open_ms = self.start_ms + index * MINUTE_MS
        minutes = [(symbol, self._minute(source, index)) for symbol, source in self._sources.items()]
        moves: dict[int, list[MovePrice]] = {}
        for _, minute in minutes:
            for offset_ms, move in minute.ticks:
                moves.setdefault(offset_ms, []).append(move)
        last = tuple(moves.pop(LAST_MS, ()))
        steps = [
            Step(open_ms + offset_ms, open_ms + offset_ms, tuple(together))
            for offset_ms, together in sorted(moves.items())
        ]
        bars = tuple((symbol, minute.bar) for symbol, minute in minutes)
        return (*steps, Step(open_ms + MINUTE_MS, open_ms + LAST_MS, last, bars))

    def _minute(self, source: Source, index: int) -> Minute:
        if self._minutes is None or index < self._minutes:
            return source.minute(index)
        rounds, inner = divmod(index, self._minutes)
        minute = source.minute(inner)
        shift_ms = rounds * self._minutes * MINUTE_MS
        ticks = minute.ticks
        if inner == 0 and ticks:  # from the recording's last price to its first one there is no way
            ticks = ((ticks[0][0], _jumping(ticks[0][1])), *ticks[1:])
        return Minute(replace(minute.bar, open_ms=minute.bar.open_ms + shift_ms), ticks)


def _jumping(move: MovePrice) -> MovePrice:
    return MovePrice(
        symbol=move.symbol, last=move.last, jump=True, quantity=move.quantity, buyer_is_maker=move.buyer_is_maker
    )


def walk(bar: Bar, symbol: str, seed: int) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    """Return the four prices a bar is walked through: open-low-high-close or open-high-low-close."""
    low_first = seeded_digest(seed, "walk", symbol, bar.open_ms)[0] & 1
    return (bar.open, bar.low, bar.high, bar.close) if low_first else (bar.open, bar.high, bar.low, bar.close)


def flat_bar(open_ms: int, price: Decimal) -> Bar:
    """Return the bar of a minute in which nothing was traded."""
    return Bar(open_ms, price, price, price, price)


def seeded_digest(*parts: object) -> bytes:
    """Return 32 bytes that depend on nothing but the parts."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
