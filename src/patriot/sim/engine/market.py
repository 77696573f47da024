"""One symbol's market: its prices, its bars, its book, and who is concerned at which price."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from patriot.sim.engine import liquidity
from patriot.sim.engine.book import Book
from patriot.sim.engine.events import PriceMoved
from patriot.sim.engine.klines import Klines
from patriot.sim.engine.operations import MovePrice
from patriot.sim.engine.records import Instrument, Ticker
from patriot.sim.engine.watch import Watch
from patriot.sim.engine.words import Side


class Market:
    """Mutable; only the engine's functions change it, inside one operation."""

    __slots__ = (
        "_seed",
        "before",
        "book",
        "fill_parts",
        "funding_due_ms",
        "funding_rate",
        "house_ask",
        "house_bid",
        "instrument",
        "jumped",
        "klines",
        "levels",
        "moved_priority",
        "prints",
        "taken",
        "ticker",
        "updates",
        "watch",
    )

    def __init__(self, instrument: Instrument, seed: int) -> None:
        self.instrument = instrument
        self.klines = Klines()
        self.book = Book()
        self.watch = Watch()
        self.ticker: Ticker | None = None
        self.before: Ticker | None = None  # the ticker of the move before
        self.house_bid = self.house_ask = Decimal(0)
        self.moved_priority = 0  # orders of a lower priority were there before the last move
        # what everybody has taken from the house since the last move: by the price it stands around, side and price
        self.taken: dict[Decimal, dict[tuple[Side, Decimal], Decimal]] = {}
        # the public levels of the house since the last move, so far as anybody has looked, and those still unseen
        self.levels: dict[Side, tuple[list[tuple[Decimal, Decimal]], Iterator[tuple[Decimal, Decimal]]]] = {}
        self.jumped = False
        self.prints = 0  # aggregate trade ids given so far
        self.updates = 0  # changes of the public book so far
        self.fill_parts = 1
        self.funding_due_ms = 0
        self.funding_rate = Decimal(0)
        self._seed = seed

    def move(self, operation: MovePrice, at_ms: int) -> PriceMoved:
        """Let the price move; return the print that says so."""
        instrument, last = self.instrument, operation.last
        bits = liquidity.touch_bits(self._seed, instrument.symbol, at_ms)
        bid, ask = liquidity.touch(instrument, last, bits)
        mark = last if operation.mark is None else operation.mark
        if at_ms >= self.funding_due_ms:
            self._schedule_funding(at_ms)
        self.before, self.jumped = self.ticker, operation.jump
        self.house_bid, self.house_ask = bid, ask
        self.prints += 1
        self.updates += 1
        if self.taken:
            self.taken = {}
        if self.levels:
            self.levels = {}
        self.ticker = Ticker(
            instrument.symbol,
            last,
            mark,
            mark if operation.index is None else operation.index,
            at_ms,
            self.funding_rate,
            self.funding_due_ms,
            bid,
            liquidity.top_quantity(instrument, Side.SELL, bid, bits),
            ask,
            liquidity.top_quantity(instrument, Side.BUY, ask, bits),
        )
        self.klines.move(last, at_ms)
        quantity = operation.quantity
        if quantity is None:
            quantity = liquidity.printed_quantity(instrument, bits)
        sold = last == bid if operation.buyer_is_maker is None else operation.buyer_is_maker
        return PriceMoved(at_ms, self.prints, quantity, sold, self.ticker)

    def _schedule_funding(self, at_ms: int) -> None:
        interval = self.instrument.funding_interval_ms
        self.funding_due_ms = at_ms - at_ms % interval + interval
        self.funding_rate = liquidity.seeded_funding_rate(self._seed, self.instrument.symbol, self.funding_due_ms)

    def met_on_the_way(self, level: Decimal) -> Decimal:
        """Return the price at which something at this level met the last move: the level, or beyond a jump the last."""
        ticker, before = self.ticker, self.before
        if ticker is None or before is None or self.jumped:
            return ticker.last if ticker is not None else level
        if min(before.last, ticker.last) <= level <= max(before.last, ticker.last):
            return level
        return ticker.last

    @property
    def rising(self) -> bool:
        """Whether the last move went up."""
        return self.ticker is not None and self.before is not None and self.ticker.last > self.before.last
