"""A desk with one entry on its hands, and an exchange that says what it was told to say."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal

from patriot.kernel.errors import ExchangeRefused
from patriot.kernel.eventstore import Actor, ActorType
from patriot.orders.client_ids import client_order_id, leg_order_id
from patriot.orders.decider import ORDER, Status
from patriot.orders.desk import OrderDesk
from patriot.orders.events import OrderApproved, OrderCreated, OrderEvent
from patriot.orders.journal import Journal
from patriot.simulation.loop import START, VirtualClock
from patriot.trading.reports import (
    AccountSnapshot,
    OrderReport,
    PositionReport,
    TradeReport,
    VenueOrder,
    VenueStatus,
)
from patriot.trading.terms import Leg, OrderId, Side, Urgency
from tests.orders import kit
from tests.orders.kit import ORDER_ID, PREFIX, D

ENTRY = kit.created(valid_until=START + timedelta(seconds=60), created_at=START)
STOP = client_order_id(PREFIX, Leg.STOP, 1)


class Venue:
    """An exchange that says what it was told to say, and keeps what it was asked."""

    def __init__(self) -> None:
        self.orders: dict[str, OrderReport] = {}
        self.placing: list[Exception | None] = []
        self.canceling: list[Exception | None] = []
        self.asked: list[str] = []
        self.slow_finds = 0.0  # seconds until the answer to a query
        self.slow_places = 0.0  # the same for an order
        self.slow_snapshots = 0.0
        self.traded: list[TradeReport] = []
        self.lists_only: set[str] = set()  # known to lists, and not yet to queries
        self.positions: tuple[PositionReport, ...] = ()
        self.urgencies: dict[str, set[Urgency]] = {}  # of the requests of each kind
        self.refused: set[str] = set()  # requests that are refused with a code, as they stand in `asked`
        self._clock = VirtualClock()
        self._moments: list[tuple[float, str]] = []  # of all that was asked

    def _ask(self, request: str, urgency: Urgency = Urgency.PROTECTION) -> None:
        self.asked.append(request)
        self.urgencies.setdefault(request.split()[0], set()).add(urgency)
        self._moments.append((self._clock.monotonic(), request))
        if request in self.refused:
            raise ExchangeRefused(-1121, "Invalid symbol.")

    def times(self, request: str) -> list[float]:
        """Return when something was asked for."""
        return [at for at, asked in self._moments if asked == request]

    def has(self, client_id: str, status: VenueStatus, quantity: str = "1", executed: str = "0") -> OrderReport:
        conditional = client_id[27] in "st"
        venue_id = f"algo:{client_id}" if conditional else client_id
        report = OrderReport(
            client_id, venue_id, "BTCUSDT", Side.SELL, status, D(quantity), D(executed), self._clock.now(), conditional
        )
        self.orders[client_id] = report
        return report

    async def place(self, order: VenueOrder, sent_at: object) -> OrderReport:
        self._ask(f"place {order.client_order_id[27:]}")
        await asyncio.sleep(self.slow_places)
        trouble = self.placing.pop(0) if self.placing else None
        if trouble is not None:
            raise trouble
        return self.has(order.client_order_id, VenueStatus.NEW, str(order.quantity))

    async def cancel(self, symbol: str, client_order_id: str, *, conditional: bool) -> None:
        self._ask(f"cancel {client_order_id[27:]}")
        trouble = self.canceling.pop(0) if self.canceling else None
        if trouble is not None:
            raise trouble
        self.has(client_order_id, VenueStatus.CANCELED)

    async def find_order(
        self, symbol: str, client_order_id: str, *, conditional: bool, urgency: Urgency = Urgency.NORMAL
    ) -> OrderReport | None:
        self._ask(f"find {client_order_id[27:]}", urgency)
        await asyncio.sleep(self.slow_finds)
        return None if client_order_id in self.lists_only else self.orders.get(client_order_id)

    async def open_orders(self, symbol: str | None = None, *, urgency: Urgency = Urgency.NORMAL) -> list[OrderReport]:
        self._ask(f"list {symbol}", urgency)
        return [report for report in self.orders.values() if report.status is VenueStatus.NEW]

    async def recent_orders(self, symbol: str, *, urgency: Urgency = Urgency.NORMAL) -> list[OrderReport]:
        self._ask(f"history {symbol}", urgency)
        return list(self.orders.values())

    async def snapshot(self, *, urgency: Urgency = Urgency.NORMAL) -> AccountSnapshot:
        self._ask("snapshot", urgency)
        await asyncio.sleep(self.slow_snapshots)
        return AccountSnapshot("USDT", D(0), D(0), D(0), self.positions, START)

    async def trades(self, symbol: str, since: datetime, *, urgency: Urgency = Urgency.NORMAL) -> list[TradeReport]:
        self._ask(f"trades {symbol}", urgency)
        return [trade for trade in self.traded if trade.at >= since]


class Bench:
    """A desk with one entry on its hands."""

    def __init__(self, *past: OrderEvent) -> None:
        self.venue, self.clock = Venue(), VirtualClock()
        self.events: list[OrderEvent] = []
        self.executed: list[tuple[OrderId, Decimal, bool]] = []
        self.untold: list[OrderId] = []
        self.written: list[tuple[str, ActorType]] = []
        self.write_seconds = 0.001  # until the store has taken an event
        self.journal = Journal(self._write)
        self.desk = OrderDesk(self.venue, self.venue, self.journal, self.clock, self)
        self.writing = asyncio.create_task(self.journal.run())
        self.desk.adopt((ENTRY, OrderApproved(ORDER_ID), *past))

    def observe(self, event: OrderEvent) -> None:
        self.events.append(event)

    def observe_executed(self, order_id: OrderId, quantity: Decimal, *, over: bool) -> None:
        self.executed.append((order_id, quantity, over))

    def observe_untold(self, order_id: OrderId) -> None:
        self.untold.append(order_id)

    async def _write(self, command: object, actor: Actor) -> None:
        await asyncio.sleep(self.write_seconds)
        self.written.append((type(command).__name__, actor.type))

    def status(self, leg: Leg, sequence: int = 1) -> Status:
        order_id = leg_order_id(ORDER_ID, leg, sequence)
        return ORDER.fold(event for event in self.events if event.order_id == order_id).status

    def created(self, leg: Leg, sequence: int = 1) -> OrderCreated:
        order_id = leg_order_id(ORDER_ID, leg, sequence)
        return next(e for e in self.events if isinstance(e, OrderCreated) and e.order_id == order_id)
