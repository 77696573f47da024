"""One symbol's market: its prices, its bars, its book, and who is concerned at which price."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Final

from patriot.sim.engine import filters, liquidity
from patriot.sim.engine.book import Book
from patriot.sim.engine.events import PriceMoved
from patriot.sim.engine.klines import Klines
from patriot.sim.engine.ladder import Ladder
from patriot.sim.engine.operations import MovePrice
from patriot.sim.engine.records import Instrument, Ticker
from patriot.sim.engine.watch import Watch
from patriot.sim.engine.words import Side

_MONEY_DECIMALS: Final = 8


def _decimals(number: Decimal) -> int:
    exponent = number.normalize().as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else 0


class Market:
    """Mutable; only the engine's functions change it, inside one operation."""

    __slots__ = (
        "_price_decimals",
        "_quantity_decimals",
        "_seed",
        "before",
        "book",
        "fill_parts",
        "funding_due_ms",
        "funding_rate",
        "house_ask",
        "house_bid",
        "houses",
        "instrument",
        "jumped",
        "klines",
        "moved_priority",
        "prints",
        "ticker",
        "updates",
        "watch",
    )

    def __init__(self, instrument: Instrument, seed: int) -> None:
        # the most that its grids have ever had: orders and positions outlive a change of them
        self._price_decimals = self._quantity_decimals = 0
        if not self.keeps_money_exact(instrument):
            raise ValueError(f"{instrument.symbol}: tick x step must not need more than {_MONEY_DECIMALS} decimals")
        self.instrument = instrument
        self._note_grids()
        self.klines = Klines()
        self.book = Book()
        self.watch = Watch()
        self.ticker: Ticker | None = None
        self.before: Ticker | None = None  # the ticker of the move before
        self.house_bid = self.house_ask = Decimal(0)
        self.moved_priority = 0  # orders of a lower priority were there before the last move
        # the house as it stands for everybody since the last move: by the price around which it stands, taker's side
        self.houses: dict[tuple[Decimal, Side], Ladder] = {}
        self.jumped = False
        self.prints = 0  # aggregate trade ids given so far
        self.updates = 0  # changes of the public book so far
        self.fill_parts = 1
        self.funding_due_ms = 0
        self.funding_rate = Decimal(0)
        self._seed = seed

    def move(self, operation: MovePrice, at_ms: int) -> PriceMoved:
        """Let the price move; return the print that says so."""
        instrument = self.instrument
        last = filters.written_on(instrument.tick_size, operation.last)
        mark = last if operation.mark is None else operation.mark
        if at_ms >= self.funding_due_ms:
            self._schedule_funding(at_ms)
        self.before, self.jumped = self.ticker, operation.jump
        self.prints += 1
        bits, touch = self._stand(last, at_ms)
        self.ticker = Ticker(
            instrument.symbol,
            last,
            mark,
            mark if operation.index is None else operation.index,
            at_ms,
            self.funding_rate,
            self.funding_due_ms,
            *touch,
        )
        quantity = operation.quantity
        if quantity is None:
            quantity = liquidity.printed_quantity(instrument, bits)
        quantity = filters.written_on(instrument.step_size, quantity)
        sold = last == self.house_bid if operation.buyer_is_maker is None else operation.buyer_is_maker
        self.klines.move(last, quantity, at_ms, sold=sold)
        return PriceMoved(at_ms, self.prints, quantity, sold, self.ticker)

    def keeps_money_exact(self, instrument: Instrument) -> bool:
        """Whether quantity x price, on these grids or any before, never needs more decimals than the venue keeps."""
        price = max(self._price_decimals, _decimals(instrument.tick_size))
        return price + max(self._quantity_decimals, _decimals(instrument.step_size)) <= _MONEY_DECIMALS

    def list_as(self, instrument: Instrument) -> None:
        """Change filters or status; the house stands on the new grids at once."""
        regrids = (instrument.tick_size, instrument.step_size) != (self.instrument.tick_size, self.instrument.step_size)
        self.instrument = instrument
        self._note_grids()
        if regrids and self.ticker is not None:
            _, (bid, bid_quantity, ask, ask_quantity) = self._stand(self.ticker.last, self.ticker.at_ms)
            self.ticker = replace(self.ticker, bid=bid, bid_quantity=bid_quantity, ask=ask, ask_quantity=ask_quantity)

    def _stand(self, last: Decimal, at_ms: int) -> tuple[int, tuple[Decimal, Decimal, Decimal, Decimal]]:
        """Let the house stand anew around a price; return its bits, and the quotes of its touch."""
        instrument = self.instrument
        bits = liquidity.touch_bits(self._seed, instrument.symbol, at_ms)
        self.house_bid, self.house_ask = bid, ask = liquidity.touch(instrument, last, bits)
        self.updates += 1
        if self.houses:
            self.houses = {}
        bid_quantity = liquidity.top_quantity(instrument, Side.SELL, bid, bits)
        return bits, (bid, bid_quantity, ask, liquidity.top_quantity(instrument, Side.BUY, ask, bits))

    def _note_grids(self) -> None:
        self._price_decimals = max(self._price_decimals, _decimals(self.instrument.tick_size))
        self._quantity_decimals = max(self._quantity_decimals, _decimals(self.instrument.step_size))

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
