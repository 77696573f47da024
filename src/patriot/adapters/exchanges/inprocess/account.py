"""One account on the in-process exchange: `orders/ports.py OrderVenue` and `accounts/ports.py AccountVenue`."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from patriot.adapters.exchanges.inprocess.exchange import InProcessExchange
from patriot.adapters.exchanges.inprocess.reports import (
    algo_report,
    income_record,
    order_report,
    placement,
    snapshot,
    trade_report,
)
from patriot.kernel.clock import to_epoch_ms
from patriot.kernel.errors import ExchangeRefused
from patriot.sim.engine import refusals
from patriot.sim.engine.events import VenueRefusal
from patriot.sim.engine.operations import CancelAlgoOrder, CancelOrder, SetLeverage, SetMarginType
from patriot.sim.engine.records import AlgoOrder, Order
from patriot.sim.engine.words import MarginType, Permission
from patriot.trading.reports import (
    AccountSettings,
    AccountSnapshot,
    IncomeRecord,
    KeyPermissions,
    OrderReport,
    PrivateReport,
    SymbolSettings,
    TradeReport,
    VenueOrder,
    VenueStatus,
)
from patriot.trading.terms import Urgency

T = TypeVar("T")
_OVER = (VenueStatus.FILLED, VenueStatus.CANCELED, VenueStatus.EXPIRED, VenueStatus.REJECTED)


class InProcessOrders:
    """The order side of one account."""

    def __init__(self, exchange: InProcessExchange, uid: int) -> None:
        self._exchange = exchange
        self._uid = uid

    async def place(self, order: VenueOrder, sent_at: datetime) -> OrderReport:
        """See `OrderVenue.place`."""
        return await self._exchange.request(lambda: self._place(order), sent_at=sent_at, placing=True)

    def _place(self, order: VenueOrder) -> OrderReport:
        placed = self._exchange.execute(placement(self._uid, order))
        if isinstance(placed, AlgoOrder):
            return algo_report(placed)
        assert isinstance(placed, Order)  # noqa: S101  what PlaceOrder gives
        return order_report(placed)

    async def cancel(self, symbol: str, client_order_id: str, *, conditional: bool) -> None:
        """See `OrderVenue.cancel`."""
        if conditional:
            operation: CancelAlgoOrder | CancelOrder = CancelAlgoOrder(self._uid, client_algo_id=client_order_id)
        else:
            operation = CancelOrder(self._uid, symbol, client_order_id=client_order_id)
        await self._exchange.request(lambda: self._exchange.execute(operation))

    async def find_order(
        self, symbol: str, client_order_id: str, *, conditional: bool, urgency: Urgency = Urgency.NORMAL
    ) -> OrderReport | None:
        """See `OrderVenue.find_order`."""
        find = self._find_algo if conditional else self._find
        return await self._exchange.request(lambda: find(symbol, client_order_id))

    def _find(self, symbol: str, client_order_id: str) -> OrderReport | None:
        order = _unless_absent(lambda: self._exchange.engine.order(self._uid, symbol, client_order_id=client_order_id))
        return None if order is None else order_report(order)

    def _find_algo(self, symbol: str, client_order_id: str) -> OrderReport | None:
        engine = self._exchange.engine
        algo = _unless_absent(lambda: engine.algo_order(self._uid, client_algo_id=client_order_id))
        if algo is None:
            return None
        report = algo_report(algo)
        if algo.actual_order_id is None:
            return report
        working = order_report(engine.order(self._uid, symbol, order_id=algo.actual_order_id))
        status = working.status if working.status in _OVER else VenueStatus.TRIGGERED
        return replace(
            report, status=status, executed_quantity=working.executed_quantity, at=max(report.at, working.at)
        )

    async def open_orders(self, symbol: str | None = None, *, urgency: Urgency = Urgency.NORMAL) -> list[OrderReport]:
        """See `OrderVenue.open_orders`."""
        return await self._exchange.request(lambda: self._open_orders(symbol))

    def _open_orders(self, symbol: str | None) -> list[OrderReport]:
        engine = self._exchange.engine
        plain = [order_report(order) for order in engine.open_orders(self._uid, symbol)]
        return plain + [algo_report(algo) for algo in engine.open_algo_orders(self._uid, symbol)]

    async def recent_orders(self, symbol: str, *, urgency: Urgency = Urgency.NORMAL) -> list[OrderReport]:
        """See `OrderVenue.recent_orders`."""
        return await self._exchange.request(lambda: self._recent_orders(symbol))

    def _recent_orders(self, symbol: str) -> list[OrderReport]:
        engine = self._exchange.engine
        plain = [order_report(order) for order in engine.orders(self._uid) if order.symbol == symbol]
        return plain + [algo_report(algo) for algo in engine.algo_orders(self._uid) if algo.symbol == symbol]

    async def trades(self, symbol: str, since: datetime, *, urgency: Urgency = Urgency.NORMAL) -> list[TradeReport]:
        """See `OrderVenue.trades`. Like the venue's list, it names no client order ids."""
        since_ms = to_epoch_ms(since)
        return await self._exchange.request(
            lambda: [
                trade_report(trade, "")
                for trade in self._exchange.engine.trades(self._uid, symbol)
                if trade.at_ms >= since_ms
            ]
        )


class InProcessAccount:
    """The money side of one account, and its private stream."""

    def __init__(self, exchange: InProcessExchange, uid: int) -> None:
        self._exchange = exchange
        self._uid = uid

    async def snapshot(self, *, urgency: Urgency = Urgency.NORMAL) -> AccountSnapshot:
        """See `AccountVenue.snapshot`."""
        engine, clock = self._exchange.engine, self._exchange.clock
        return await self._exchange.request(
            lambda: snapshot(engine.account(self._uid), engine.positions(self._uid), clock.now())
        )

    async def income(self, since: datetime, *, urgency: Urgency = Urgency.NORMAL) -> list[IncomeRecord]:
        """See `AccountVenue.income`."""
        since_ms = to_epoch_ms(since)
        engine = self._exchange.engine
        return await self._exchange.request(
            lambda: [income_record(record) for record in engine.income(self._uid) if record.at_ms >= since_ms]
        )

    async def permissions(self) -> KeyPermissions:
        """See `AccountVenue.permissions`."""
        rights = await self._exchange.request(lambda: self._exchange.engine.account(self._uid).permissions)
        return KeyPermissions(
            read=Permission.READ in rights,
            trade=Permission.TRADE in rights,
            withdraw=Permission.WITHDRAW in rights,
            transfer=Permission.TRANSFER in rights,
            ip_restricted=False,
        )

    async def position_mode_is_hedge(self) -> bool:
        """See `AccountVenue.position_mode_is_hedge`."""
        return await self._exchange.request(lambda: self._exchange.engine.account(self._uid).hedge_mode)

    async def account_settings(self, *, urgency: Urgency = Urgency.NORMAL) -> AccountSettings:
        """See `AccountVenue.account_settings`."""
        hedge_mode = await self._exchange.request(lambda: self._exchange.engine.account(self._uid).hedge_mode)
        return AccountSettings(hedge_mode, multi_assets=False)

    async def symbol_settings(self, symbol: str, *, urgency: Urgency = Urgency.NORMAL) -> SymbolSettings:
        """See `AccountVenue.symbol_settings`."""
        found = await self._exchange.request(lambda: self._exchange.engine.symbol_settings(self._uid, symbol))
        return SymbolSettings(found.leverage, found.margin_type is MarginType.ISOLATED)

    async def prepare_symbol(self, symbol: str, leverage: int) -> None:
        """See `AccountVenue.prepare_symbol`."""
        await self._exchange.request(lambda: self._prepare(symbol, leverage))

    def _prepare(self, symbol: str, leverage: int) -> None:
        isolated = self._exchange.apply(SetMarginType(self._uid, symbol, MarginType.ISOLATED))
        if isolated.refusal is not None and isolated.refusal.code != refusals.SAME_MARGIN_TYPE.code:
            raise ExchangeRefused(isolated.refusal.code, isolated.refusal.message)
        self._exchange.execute(SetLeverage(self._uid, symbol, leverage))

    async def reports(self) -> AsyncIterator[PrivateReport]:
        """See `AccountVenue.reports`."""
        stream = self._exchange.open_stream(self._uid)
        try:
            async for report in stream.reports():
                yield report
        finally:
            self._exchange.close_stream(stream)


def _unless_absent(find: Callable[[], T]) -> T | None:
    try:
        return find()
    except VenueRefusal as refusal:
        if refusal.code == refusals.NO_SUCH_ORDER.code:
            return None
        raise
