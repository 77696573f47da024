"""What an endpoint and a socket may see: the exchange, what its trades come to, the public tape, who listens."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from patriot.kernel.clock import Clock, to_epoch_ms
from patriot.sim.bybit import render_market
from patriot.sim.bybit.index import OrderIndex
from patriot.sim.bybit.ledger import TradeLedger
from patriot.sim.bybit.limits import RateLimiter
from patriot.sim.engine.events import AccountUpdated, PriceMoved, Printed, VenueEvent
from patriot.sim.engine.records import Bar
from patriot.sim.engine.words import ZERO, PositionSide
from patriot.sim.exchange import Exchange
from patriot.sim.faults.rules import Faults
from patriot.sim.sockets import Sessions

TAPE_LENGTH = 1_000  # trades per symbol: the venue's largest page
BARS_PER_DAY = 96  # of 15 minutes

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PublicTrade:
    """One row of the public tape."""

    symbol: str
    trade_id: int  # per symbol
    at_ms: int
    price: Decimal
    quantity: Decimal
    buyer_is_maker: bool


def public_trade(event: PriceMoved | Printed) -> PublicTrade:
    """Return the tape's row of an event."""
    if isinstance(event, Printed):
        return PublicTrade(event.symbol, event.trade_id, event.at_ms, event.price, event.quantity, event.buyer_is_maker)
    ticker = event.ticker
    return PublicTrade(ticker.symbol, event.trade_id, event.at_ms, ticker.last, event.quantity, event.buyer_is_maker)


@dataclass(slots=True)
class Tape:
    """The newest public trades of each symbol."""

    _trades: dict[str, deque[PublicTrade]] = field(default_factory=dict)

    def note(self, events: Sequence[VenueEvent]) -> None:
        """Keep up with what just happened."""
        for event in events:
            if isinstance(event, PriceMoved | Printed):
                trade = public_trade(event)
                known = self._trades.get(trade.symbol)
                if known is None:
                    known = self._trades[trade.symbol] = deque(maxlen=TAPE_LENGTH)
                known.append(trade)

    def of(self, symbol: str, limit: int) -> list[PublicTrade]:
        """Return the newest trades of a symbol, newest first."""
        return list(self._trades.get(symbol, ()))[: -limit - 1 : -1]


class Market:
    """What the venue tells of a symbol beside its prices: the day behind it, and how much of it is held."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._held: dict[tuple[int, str, PositionSide], Decimal] = {}
        self._longs: dict[str, Decimal] = {}
        self._shorts: dict[str, Decimal] = {}
        self._known = False

    def note(self, events: Sequence[VenueEvent]) -> None:
        """Keep up with what just happened."""
        if not self._known:
            return
        for event in events:
            if isinstance(event, AccountUpdated):
                for view in event.positions:
                    held = view.position
                    self._set(event.uid, held.symbol, held.position_side, held.quantity)

    def row(self, symbol: str) -> Json | None:
        """Return the ticker row of a symbol, None before its first price."""
        venue = self._exchange.venue
        prices = venue.ticker(symbol)
        if prices is None:
            return None
        return render_market.ticker(prices, venue.instrument(symbol), self.day(symbol), self.open_interest(symbol))

    def day(self, symbol: str) -> tuple[Bar, ...]:
        """Return the 15-minute bars of the last 24 hours, oldest first."""
        return self._exchange.venue.klines(symbol, "15m", limit=BARS_PER_DAY)

    def open_interest(self, symbol: str) -> Decimal:
        """Return how much of a symbol is held, base asset; what one side of the accounts lacks, the book holds."""
        self._read_once()
        return max(self._longs.get(symbol, ZERO), self._shorts.get(symbol, ZERO))

    def holders(self, symbol: str) -> tuple[int, int]:
        """Return how many hold a symbol long, and how many short; the book is one of them where it stands against."""
        self._read_once()
        held = [quantity for (_, name, _), quantity in self._held.items() if name == symbol]
        held.append(-sum(held, ZERO))
        return sum(quantity > ZERO for quantity in held), sum(quantity < ZERO for quantity in held)

    def _read_once(self) -> None:
        if self._known:
            return
        self._known = True
        for uid in self._exchange.venue.uids:
            for view in self._exchange.venue.positions(uid):
                held = view.position
                self._set(uid, held.symbol, held.position_side, held.quantity)

    def _set(self, uid: int, symbol: str, position_side: PositionSide, quantity: Decimal) -> None:
        key = (uid, symbol, position_side)
        before = self._held.get(key, ZERO)
        self._held[key] = quantity
        change = max(quantity, ZERO) - max(before, ZERO)
        self._longs[symbol] = self._longs.get(symbol, ZERO) + change
        change = max(-quantity, ZERO) - max(-before, ZERO)
        self._shorts[symbol] = self._shorts.get(symbol, ZERO) + change


@dataclass(frozen=True, slots=True)
class FaceContext:
    """Everything behind the endpoints and sockets of one face."""

    exchange: Exchange
    faults: Faults
    clock: Clock
    sessions: Sessions
    limiter: RateLimiter
    ledger: TradeLedger
    index: OrderIndex
    tape: Tape
    market: Market
    live: bool  # the clock runs by itself; in a stepped replay only closed bars are sent

    def clocks_ms(self) -> tuple[int, ...]:
        """Return the times a client's timestamp may be measured against: the venue's and the machine's, both skewed.

        So an unmodified client trades on a venue whose recorded clock stands in another year.
        """
        return self.exchange.wire_now_ms, to_epoch_ms(self.clock.now()) + self.exchange.skew_ms
