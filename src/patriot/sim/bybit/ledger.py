"""What each account's trades come to: fees by order, how much each trade closed and at which entry price.

The engine's trades say what happened; this reads them once, in order, and keeps up as new ones are told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from patriot.sim.engine.events import OrderUpdated, VenueEvent
from patriot.sim.engine.records import Trade
from patriot.sim.engine.words import ZERO, PositionSide, Side
from patriot.sim.exchange import Exchange


@dataclass(frozen=True, slots=True)
class Execution:
    """A trade, and how much of it took off the position."""

    trade: Trade
    closed: Decimal  # base asset
    held: Decimal  # signed, behind it

    @property
    def entry_price(self) -> Decimal:
        """The average entry price of what was closed, from the profit that it brought."""
        if not self.closed:
            return ZERO
        gained = self.trade.realized_pnl / self.closed
        return self.trade.price - gained if self.trade.side is Side.SELL else self.trade.price + gained


@dataclass(slots=True)
class _Book:
    executions: list[Execution] = field(default_factory=list)
    fees: defaultdict[int, Decimal] = field(default_factory=lambda: defaultdict(lambda: ZERO))
    held: defaultdict[tuple[str, PositionSide], Decimal] = field(default_factory=lambda: defaultdict(lambda: ZERO))
    by_trade: dict[int, Execution] = field(default_factory=dict)
    realized: Decimal = ZERO
    net: defaultdict[tuple[str, PositionSide], Decimal] = field(default_factory=lambda: defaultdict(lambda: ZERO))
    net_of_holding: defaultdict[tuple[str, PositionSide], Decimal] = field(
        default_factory=lambda: defaultdict(lambda: ZERO)
    )
    first_ms: dict[tuple[str, PositionSide], int] = field(default_factory=dict)

    def add(self, trade: Trade) -> None:
        key = (trade.symbol, trade.position_side)
        before = self.held[key]
        signed = trade.quantity if trade.side is Side.BUY else -trade.quantity
        self.held[key] = after = before + signed
        closed = min(abs(before), trade.quantity) if before * signed < ZERO else ZERO
        self.fees[trade.order_id] += trade.commission
        self.realized += trade.realized_pnl
        self.net[key] += trade.realized_pnl - trade.commission
        if before * after > ZERO:
            self.net_of_holding[key] += trade.realized_pnl - trade.commission
        else:  # what it opened anew begins with its part of the fee; nothing is held behind a close
            self.net_of_holding[key] = -trade.commission * abs(after) / trade.quantity
        execution = self.by_trade[trade.trade_id] = Execution(trade, closed, after)
        self.first_ms.setdefault(key, trade.at_ms)
        self.executions.append(execution)


class TradeLedger:
    """Executions of every account of one exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._books: dict[int, _Book] = {}

    def note(self, events: Sequence[VenueEvent]) -> None:
        """Keep up with what just happened."""
        for event in events:
            if isinstance(event, OrderUpdated) and event.trade is not None:
                book = self._books.get(event.uid)
                if book is not None:
                    book.add(event.trade)

    def executions(self, uid: int) -> list[Execution]:
        """Return every execution of an account, oldest first."""
        return self._book(uid).executions

    def fee_of(self, uid: int, order_id: int) -> Decimal:
        """Return what an order's executions have cost so far."""
        return self._book(uid).fees.get(order_id, ZERO)

    def execution(self, trade: Trade) -> Execution:
        """Return what a trade did to its position."""
        return self._book(trade.uid).by_trade[trade.trade_id]

    def by_trade_id(self, uid: int, trade_id: int) -> Execution | None:
        """Return the execution of a trade id."""
        return self._book(uid).by_trade.get(trade_id)

    def closed_by(self, trade: Trade) -> Decimal:
        """Return how much of the position a trade took off."""
        return self.execution(trade).closed

    def realized(self, uid: int) -> Decimal:
        """Return the profit of all of an account's executions, before fees."""
        return self._book(uid).realized

    def net(self, uid: int, symbol: str, position_side: PositionSide) -> tuple[Decimal, Decimal]:
        """Return what a holding has brought after fees and before funding: since it was opened, and ever."""
        book, key = self._book(uid), (symbol, position_side)
        return book.net_of_holding.get(key, ZERO), book.net.get(key, ZERO)

    def opened_ms(self, uid: int, symbol: str, position_side: PositionSide) -> int:
        """Return when an account first held a symbol, 0 when it never did."""
        return self._book(uid).first_ms.get((symbol, position_side), 0)

    def _book(self, uid: int) -> _Book:
        book = self._books.get(uid)
        if book is None:
            book = self._books[uid] = _Book()
            for trade in self._exchange.venue.trades(uid):
                book.add(trade)
        return book
