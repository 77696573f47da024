"""One symbol's market: its prices, its bars, and the trip wires that tell which moves concern anybody."""

from __future__ import annotations

from decimal import Decimal

from patriot.sim.engine import liquidity
from patriot.sim.engine.events import PriceMoved
from patriot.sim.engine.klines import Klines
from patriot.sim.engine.operations import MovePrice
from patriot.sim.engine.records import Instrument, Ticker


class Market:
    """Prices and bars of one symbol.

    `interested` holds the uid of every account with a position or an open order here; `wires` are the nearest prices
    below and above which one of them is concerned (None: not known, look at all of them).
    """

    __slots__ = (
        "_seed",
        "before",
        "funding_due_ms",
        "funding_rate",
        "instrument",
        "interested",
        "jumped",
        "klines",
        "moves",
        "ticker",
        "wires",
    )

    def __init__(self, instrument: Instrument, seed: int) -> None:
        self.instrument = instrument
        self.klines = Klines()
        self.ticker: Ticker | None = None
        self.before: Ticker | None = None  # the ticker of the move before
        self.jumped = False
        self.moves = 0
        self.funding_due_ms = 0
        self.funding_rate = Decimal(0)
        self.interested: set[int] = set()
        self.wires: tuple[Decimal, Decimal] | None = None
        self._seed = seed

    def move(self, operation: MovePrice, at_ms: int) -> PriceMoved:
        """Let the price move; return the print that says so."""
        instrument, last = self.instrument, operation.last
        bits = liquidity.keyed_bits(self._seed, 0, instrument.symbol, at_ms, "touch")
        bid, ask = liquidity.touch(instrument, last, bits)
        mark = last if operation.mark is None else operation.mark
        if at_ms >= self.funding_due_ms:
            self._schedule_funding(at_ms)
        self.before, self.jumped = self.ticker, operation.jump
        self.moves += 1
        self.ticker = Ticker(
            instrument.symbol,
            last,
            mark,
            mark if operation.index is None else operation.index,
            at_ms,
            self.funding_rate,
            self.funding_due_ms,
            bid,
            liquidity.printed_quantity(instrument, bits >> 2),
            ask,
            liquidity.printed_quantity(instrument, bits >> 3),
        )
        self.klines.move(last, at_ms)
        quantity = operation.quantity
        if quantity is None:
            quantity = liquidity.printed_quantity(instrument, bits)
        sold = last == bid if operation.buyer_is_maker is None else operation.buyer_is_maker
        return PriceMoved(at_ms, self.moves, quantity, sold, self.ticker)

    def _schedule_funding(self, at_ms: int) -> None:
        interval = self.instrument.funding_interval_ms
        self.funding_due_ms = at_ms - at_ms % interval + interval
        self.funding_rate = liquidity.seeded_funding_rate(self._seed, self.instrument.symbol, self.funding_due_ms)

    def concerns_anybody(self) -> bool:
        """Whether the last move reached a wire, or nobody knows where the wires are."""
        if not self.interested:
            return False
        if self.wires is None or self.ticker is None:
            return True
        low, high = self.wires
        ticker = self.ticker
        return not all(low < price < high for price in (ticker.last, ticker.mark, ticker.index))

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
