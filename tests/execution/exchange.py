"""One account's exchange in memory, on the loop's time: it executes at once, and tells late, falsely or not at all.

Positions, orders and trades are its truth; what it answers, lists and streams is as slow or forgetful as a test wants.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from patriot.kernel.errors import ExchangeError, ExchangeRefused, ExchangeUnavailable, OutcomeUnknown
from patriot.simulation.loop import VirtualClock
from patriot.trading.reports import (
    AccountSettings,
    AccountSnapshot,
    IncomeRecord,
    KeyPermissions,
    OrderReport,
    OrderSender,
    PositionReport,
    PrivateReport,
    StreamResumed,
    SymbolSettings,
    TradeReport,
    VenueOrder,
    VenueStatus,
)
from patriot.trading.terms import OrderType, Side, Urgency
from tests.orders.kit import PREFIX

D = Decimal
PRICE = D(40_000)


@dataclass
class Exchange:
    """`OrderVenue` and `Session` of one account."""

    answers: dict[str, list[ExchangeError]] = field(default_factory=dict)  # by leg, after execution: e1, s1 ...
    refusals: dict[str, list[ExchangeError]] = field(default_factory=dict)  # by leg, before execution
    failing: dict[str, int] = field(default_factory=dict)  # how many of the next requests of a kind are turned away
    silent: set[str] = field(default_factory=set)  # legs whose request does not arrive, nor any answer
    query_lag: float = 0.0  # seconds until a query by client id knows an order
    list_lag: float = 0.0  # the same for lists of orders
    trades_lag: float = 0.0
    slow_trades: float = 0.0  # seconds until the answer
    slow_snapshots: float = 0.0
    stream_lag: float = 0.0
    deaf: bool = False  # the stream stands and says nothing
    heals: bool = False  # a stream that is opened again speaks again
    fills_streamed: bool = True
    states_streamed: frozenset[VenueStatus] = frozenset(VenueStatus)
    isolated: bool = True
    hedge_mode: bool = False
    leverage: int = 5
    orders: dict[str, OrderReport] = field(default_factory=dict)
    placed_at: dict[str, float] = field(default_factory=dict)
    executions: list[tuple[float, TradeReport]] = field(default_factory=list)
    positions: dict[str, Decimal] = field(default_factory=dict)
    asked: list[tuple[float, str]] = field(default_factory=list)
    urgencies: dict[str, Urgency] = field(default_factory=dict)  # of the newest request of each kind
    prepared: list[tuple[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = VirtualClock()
        self._delayed: dict[str, VenueOrder] = {}
        self._reducing: set[str] = set()
        self._stream: asyncio.Queue[PrivateReport] = asyncio.Queue()

    # The truth

    def resting(self) -> dict[str, Decimal]:
        """Return quantity by leg of every order of ours that rests."""
        live = (VenueStatus.NEW, VenueStatus.PARTIALLY_FILLED)
        return {key[27:]: o.quantity for key, o in self.orders.items() if o.status in live}

    def count(self, request: str) -> int:
        """Return how often something was asked for."""
        return sum(1 for _, asked in self.asked if asked == request)

    def times(self, request: str) -> list[float]:
        """Return when something was asked for."""
        return [at for at, asked in self.asked if asked == request]

    def first(self, request: str) -> float:
        """Return when something was asked for first."""
        return self.times(request)[0]

    def execute(self, client_id: str, quantity: Decimal | None = None) -> None:
        """Fill a resting or new order, whole or in part; one that reduces takes what there is, and expires."""
        report = self.orders[client_id]
        wanted = quantity or report.quantity - report.executed_quantity
        done = min(wanted, self._held_against(report)) if client_id in self._reducing else wanted
        executed = report.executed_quantity + done
        status = VenueStatus.FILLED if executed == report.quantity else VenueStatus.PARTIALLY_FILLED
        status = status if done == wanted else VenueStatus.EXPIRED
        working = f"w-{client_id}" if report.conditional else None
        self._change(replace(report, status=status, executed_quantity=executed, triggered_order_id=working))
        self.trade(report.symbol, report.side, done, working or report.venue_order_id, client_id)

    def trade(self, symbol: str, side: Side, quantity: Decimal, venue_id: str = "theirs", client_id: str = "") -> None:
        """Let an execution happen: of one of our orders, or of somebody else's."""
        self.positions[symbol] = self.positions.get(symbol, D(0)) + quantity * side.sign
        trade = TradeReport(
            f"t{len(self.executions) + 1}", venue_id, client_id, symbol, side, quantity, PRICE, D("0.1"), "USDT", D(0),
            False, self.clock.now(),
        )  # fmt: skip
        self.executions.append((self.clock.monotonic(), trade))
        if self.fills_streamed and client_id:
            self.tell(trade)

    def cancel_silently(self, client_id: str) -> None:
        """Cancel an order by another hand, and do not stream it."""
        self.orders[client_id] = replace(self.orders[client_id], status=VenueStatus.CANCELED)

    def _change(self, report: OrderReport) -> None:
        self.orders[report.client_order_id] = replace(report, at=self.clock.now())
        if report.status in self.states_streamed:
            self.tell(self.orders[report.client_order_id])

    def tell(self, report: PrivateReport) -> None:
        """Have the stream say something, unless it is deaf."""
        if not self.deaf:
            asyncio.get_running_loop().call_later(self.stream_lag, self._stream.put_nowait, report)

    def resume(self) -> None:
        """Let the stream have been away for a moment."""
        self._stream.put_nowait(StreamResumed(self.clock.now()))

    # What it answers

    async def _request(self, name: str, urgency: Urgency = Urgency.PROTECTION) -> None:
        self.asked.append((self.clock.monotonic(), name))
        self.urgencies[name.split()[0]] = urgency
        await asyncio.sleep(0.01)
        if self.failing.get(name.split()[0]):
            self.failing[name.split()[0]] -= 1
            raise ExchangeUnavailable("busy")

    async def place(self, order: VenueOrder, sent_at: datetime) -> OrderReport:
        leg = order.client_order_id[27:]
        await self._request(f"place {leg}")
        if leg in self.silent:
            self._delayed[leg] = order
            await asyncio.sleep(3600)
        if self.refusals.get(leg):
            raise self.refusals[leg].pop(0)
        if order.reduce_only and not self._reduces(order):
            raise ExchangeRefused(-2022, "ReduceOnly Order is rejected.", nothing_to_reduce=True)
        self._accept(order)
        if self.answers.get(leg):
            answer = self.answers[leg].pop(0)
            await asyncio.sleep(0.05)
            raise answer
        return self.orders[order.client_order_id]

    def _accept(self, order: VenueOrder) -> None:
        client_id = order.client_order_id
        venue_id = f"algo:{client_id}" if order.conditional else f"v-{client_id}"
        if client_id in self.orders:
            venue_id += " again"
        self.placed_at[client_id] = self.clock.monotonic()
        self._change(
            OrderReport(
                client_id, venue_id, order.symbol, order.side, VenueStatus.NEW, order.quantity, D(0), self.clock.now(),
                order.conditional,
            )
        )  # fmt: skip
        if order.reduce_only:
            self._reducing.add(client_id)
        if not order.conditional:
            self.execute(client_id)

    def arrive(self, leg: str) -> None:
        """Let a request arrive that was held up on its way."""
        self._accept(self._delayed.pop(leg))

    def place_as_predecessor(self, leg: str, quantity: Decimal) -> None:
        """Let another process have sent a leg, and not have written it down."""
        stop = leg.startswith("s")
        order_type, trigger = (OrderType.STOP_MARKET, D(39_000)) if stop else (OrderType.MARKET, None)
        client_id = PREFIX + leg
        order = VenueOrder(client_id, "BTCUSDT", Side.SELL, order_type, quantity, reduce_only=True)
        self._accept(replace(order, trigger_price=trigger))

    def _reduces(self, order: VenueOrder) -> bool:
        return self._held_against(order) > 0

    def _held_against(self, order: VenueOrder | OrderReport) -> Decimal:
        """Return how much an order of this side can reduce."""
        return max(-self.positions.get(order.symbol, D(0)) * order.side.sign, D(0))

    async def cancel(self, symbol: str, client_order_id: str, *, conditional: bool) -> None:
        await self._request(f"cancel {client_order_id[27:]}")
        report = self.orders.get(client_order_id)
        if report is None or report.status is not VenueStatus.NEW:
            raise ExchangeRefused(-2011, "Unknown order sent.")
        self._change(replace(report, status=VenueStatus.CANCELED))

    def _visible(self, client_id: str, lag: float) -> bool:
        return self.clock.monotonic() >= self.placed_at.get(client_id, 0.0) + lag

    async def find_order(
        self, symbol: str, client_order_id: str, *, conditional: bool, urgency: Urgency = Urgency.NORMAL
    ) -> OrderReport | None:
        await self._request(f"find {client_order_id[27:]}", urgency)
        return self.orders.get(client_order_id) if self._visible(client_order_id, self.query_lag) else None

    async def open_orders(self, symbol: str | None = None, *, urgency: Urgency = Urgency.NORMAL) -> list[OrderReport]:
        await self._request(f"list {symbol}", urgency)
        live = (VenueStatus.NEW, VenueStatus.PARTIALLY_FILLED)
        return [o for o in self._listed(symbol) if o.status in live]

    async def recent_orders(self, symbol: str, *, urgency: Urgency = Urgency.NORMAL) -> list[OrderReport]:
        await self._request(f"history {symbol}", urgency)
        return self._listed(symbol)

    def _listed(self, symbol: str | None) -> list[OrderReport]:
        return [o for key, o in self.orders.items() if symbol in (None, o.symbol) and self._visible(key, self.list_lag)]

    async def trades(self, symbol: str, since: datetime, *, urgency: Urgency = Urgency.NORMAL) -> list[TradeReport]:
        await self._request(f"trades {symbol}", urgency)
        await asyncio.sleep(self.slow_trades)
        now = self.clock.monotonic()
        return [
            replace(trade, client_order_id="")
            for at, trade in self.executions
            if trade.symbol == symbol and trade.at >= since and now >= at + self.trades_lag
        ]

    async def sender_of(
        self, symbol: str, venue_order_id: str, *, urgency: Urgency = Urgency.NORMAL
    ) -> OrderSender | None:
        await self._request(f"sender {symbol}", urgency)
        sent = (trade for _, trade in self.executions if trade.venue_order_id == venue_order_id)
        return next((OrderSender(trade.client_order_id, is_exchange=False) for trade in sent), None)

    async def fired_orders(self, symbol: str, *, urgency: Urgency = Urgency.NORMAL) -> dict[str, str]:
        await self._request(f"fired {symbol}", urgency)
        return {}  # they keep their ids here

    async def snapshot(self, *, urgency: Urgency = Urgency.NORMAL) -> AccountSnapshot:
        await self._request("snapshot", urgency)
        await asyncio.sleep(self.slow_snapshots)
        positions = tuple(
            PositionReport(symbol, quantity, PRICE, PRICE, D(0), self.leverage, self.isolated)
            for symbol, quantity in self.positions.items()
            if quantity
        )
        return AccountSnapshot("USDT", D(10_000), D(10_000), D(0), positions, self.clock.now())

    async def income(self, since: datetime, *, urgency: Urgency = Urgency.NORMAL) -> list[IncomeRecord]:
        await self._request("income", urgency)
        return []

    async def permissions(self) -> KeyPermissions:
        return KeyPermissions(read=True, trade=True, withdraw=False, transfer=False, ip_restricted=True)

    async def identity(self) -> str:
        await self._request("identity", Urgency.NORMAL)
        return "one"

    async def account_settings(self, *, urgency: Urgency = Urgency.NORMAL) -> AccountSettings:
        await self._request("settings", urgency)
        return AccountSettings(hedge_mode=self.hedge_mode, multi_assets=False)

    async def symbol_settings(self, symbol: str, *, urgency: Urgency = Urgency.NORMAL) -> SymbolSettings:
        await self._request(f"settings {symbol}", urgency)
        return SymbolSettings(self.leverage, self.isolated)

    def reopen_stream(self, reason: str) -> None:
        self.asked.append((self.clock.monotonic(), "reopen"))
        self.deaf = self.deaf and not self.heals
        self.resume()

    def silent_seconds(self) -> float:
        return 0.0

    async def prepare_symbol(self, symbol: str, leverage: int) -> None:
        await self._request(f"prepare {symbol}")
        self.isolated, self.leverage = True, leverage
        self.prepared.append((symbol, leverage))

    async def reports(self) -> AsyncIterator[PrivateReport]:
        yield StreamResumed(self.clock.now())
        while True:
            yield await self._stream.get()


def lost() -> ExchangeError:
    """Return what a lost answer is."""
    return OutcomeUnknown("no answer came")
