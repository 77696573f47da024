"""Shocks: prices of a feed multiplied for some minutes, and the bars that come of it."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

import msgspec

from patriot.kernel.money import round_to_tick
from patriot.sim.engine.operations import MovePrice
from patriot.sim.engine.records import Bar
from patriot.sim.engine.venue import Venue
from patriot.sim.prices.feed import flat_bar


class Shocked(msgspec.Struct, frozen=True, tag=True):
    """From now on the feed's prices of a symbol are multiplied, until a time."""

    at_ms: int
    symbol: str
    factor: Decimal
    until_ms: int


class Shocks:
    """The shocks in force; of two of one symbol the newer one holds."""

    def __init__(self, venues: Iterable[Venue]) -> None:
        self._venues = tuple(venues)
        self._lasting: dict[str, Shocked] = {}
        self._shaken: set[str] = set()  # whose prices were not the feed's at some time of this minute

    def __bool__(self) -> bool:
        """Whether anything is told otherwise than the feed has it."""
        return bool(self._lasting or self._shaken)

    def begin(self, shock: Shocked, move: MovePrice) -> MovePrice:
        """Put a shock in force; return the feed's newest move of its symbol as it is told now: as a jump."""
        self._lasting[shock.symbol] = shock
        self._shaken.add(shock.symbol)
        return self._scaled(move, shock.factor, jump=True)

    def told(self, move: MovePrice, at_ms: int) -> MovePrice:
        """Return a move of the feed as it is told: scaled while a shock lasts, and a jump when it is over."""
        shock = self._lasting.get(move.symbol)
        if shock is None:
            return move
        self._shaken.add(move.symbol)
        if at_ms < shock.until_ms:
            return self._scaled(move, shock.factor, jump=move.jump)
        del self._lasting[move.symbol]
        return self._scaled(move, Decimal(1), jump=True)

    def told_bar(self, symbol: str, bar: Bar) -> Bar:
        """Return a bar of the feed with the prices that were really told in its minute."""
        if symbol not in self._shaken and symbol not in self._lasting:
            return bar
        told = self._venues[0].klines(symbol, "1m", limit=1)[-1]
        if told.open_ms != bar.open_ms:  # nothing was traded in this minute
            return flat_bar(bar.open_ms, told.close)
        return replace(bar, open=told.open, high=told.high, low=told.low, close=told.close)

    def end_minute(self) -> None:
        """Begin a new minute."""
        self._shaken.clear()

    def _scaled(self, move: MovePrice, factor: Decimal, *, jump: bool) -> MovePrice:
        tick = max(venue.instrument(move.symbol).tick_size for venue in self._venues)

        def scaled(price: Decimal | None) -> Decimal | None:
            return None if price is None or factor == 1 else max(round_to_tick(price * factor, tick), tick)

        return msgspec.structs.replace(
            move,
            last=scaled(move.last) or move.last,
            mark=scaled(move.mark) or move.mark,
            index=scaled(move.index) or move.index,
            jump=jump,
        )
