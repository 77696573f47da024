"""One account's orders: place, cancel, find, list. Implements `orders/ports.py OrderVenue`.

Conditional orders live on paths of their own since 2025-12-09 (`/fapi/v1/algoOrder`); the plain path answers -4120.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from patriot.adapters.exchanges.binance.answers import NO_SUCH_ORDER
from patriot.adapters.exchanges.binance.order_wire import OrderReader, canceled, only_of
from patriot.adapters.exchanges.binance.session import BinanceSession, Parameters, Request
from patriot.adapters.exchanges.binance.wire import Unknowns
from patriot.adapters.exchanges.binance.working_orders import WorkingOrders
from patriot.kernel.clock import to_epoch_ms
from patriot.kernel.errors import ExchangeRefused
from patriot.kernel.money import plain
from patriot.trading.reports import OrderReport, OrderSender, TradeReport, VenueOrder, VenueStatus
from patriot.trading.terms import OrderType, TimeInForce, Urgency

T = TypeVar("T")
ORDER_PATH = "/fapi/v1/order"
ALGO_PATH = "/fapi/v1/algoOrder"
PAGE = 1_000
TRADE_WINDOW_MS = 7 * 86_400_000  # the venue's longest range of userTrades, read 2026-11-22
ALL_SYMBOLS_WEIGHT = 40
SENT_BY_EXCHANGE = ("autoclose-", "adl_autoclose", "settlement_autoclose-")  # client ids of the venue's own orders
PAGE_WEIGHT = 5  # userTrades, allOrders, allAlgoOrders

_TYPES = {
    OrderType.MARKET: "MARKET",
    OrderType.LIMIT: "LIMIT",
    OrderType.STOP_MARKET: "STOP_MARKET",
    OrderType.STOP_LIMIT: "STOP",
    OrderType.TAKE_PROFIT: "TAKE_PROFIT_MARKET",
    OrderType.TAKE_PROFIT_LIMIT: "TAKE_PROFIT",
}
_OVER = (VenueStatus.FILLED, VenueStatus.CANCELED, VenueStatus.EXPIRED, VenueStatus.REJECTED)


class BinanceOrders:
    """The order side of one account."""

    def __init__(self, session: BinanceSession, working: WorkingOrders, unknown_seen: Unknowns) -> None:
        self.unknown_seen = unknown_seen
        self._session = session
        self._working = working
        self._reader = OrderReader(unknown_seen)

    async def place(self, order: VenueOrder, sent_at: datetime) -> OrderReport:
        """Place an order, plain or conditional; the request carries `sent_at` and expires with its receive window."""
        parameters, path = _placement(order), ALGO_PATH if order.conditional else ORDER_PATH
        urgency = Urgency.PROTECTION if order.reduce_only else Urgency.NORMAL
        request = Request("POST", path, parameters, weight=0, urgency=urgency, is_order=True, sent_at=sent_at)
        read = self._reader.algo if order.conditional else self._reader.order
        report = await self._session.call(request, only_of(read, order.symbol, client_order_id=order.client_order_id))
        if order.conditional:
            self._working.learn(report)
        return report

    async def cancel(self, symbol: str, client_order_id: str, *, conditional: bool) -> None:
        """Cancel a resting order. ExchangeRefused (-2011) means that it is not resting (any more)."""
        path, parameters = _named(symbol, client_order_id, conditional=conditional)
        request = Request("DELETE", path, parameters, urgency=Urgency.PROTECTION)
        await self._session.call(request, canceled(client_order_id))

    async def find_order(
        self, symbol: str, client_order_id: str, *, conditional: bool, urgency: Urgency = Urgency.NORMAL
    ) -> OrderReport | None:
        """Return the newest order with this client id, or None if the exchange proves that it has none."""
        path, parameters = _named(symbol, client_order_id, conditional=conditional)
        reader = self._reader.algo if conditional else self._reader.order
        read = only_of(reader, symbol, client_order_id=client_order_id)
        if not conditional:
            found = await self._ask(path, parameters, read, urgency)
            return None if found is None else self._working.own_order(found)
        algo = await self._ask(path, parameters, read, urgency)
        if algo is None:
            algo = await self._find_in_history(symbol, client_order_id, urgency)
        return None if algo is None else await self._with_working_order(algo, urgency)

    async def open_orders(self, symbol: str | None = None, *, urgency: Urgency = Urgency.NORMAL) -> list[OrderReport]:
        """Return every resting order, plain and conditional, ours or not."""
        parameters = {"symbol": symbol} if symbol else {}
        weight = 1 if symbol else ALL_SYMBOLS_WEIGHT
        plain_list = Request("GET", "/fapi/v1/openOrders", parameters, weight=weight, urgency=urgency)
        algo_list = Request("GET", "/fapi/v1/openAlgoOrders", parameters, weight=weight, urgency=urgency)
        plain_orders = await self._session.call(plain_list, self._reader.orders)
        conditional = await self._session.call(algo_list, self._reader.algos)
        for report in conditional:
            self._working.learn(report)
        return [self._working.own_order(report) for report in plain_orders] + conditional

    async def recent_orders(self, symbol: str, *, urgency: Urgency = Urgency.NORMAL) -> list[OrderReport]:
        """Return the newest orders of a symbol, resting or over, plain and conditional, ours or not."""
        parameters: Parameters = {"symbol": symbol, "limit": PAGE}
        request = Request("GET", "/fapi/v1/allOrders", parameters, weight=PAGE_WEIGHT, urgency=urgency)
        conditional = await self._conditional_history(symbol, urgency)
        plain_orders = await self._session.call(request, self._reader.orders)
        return [self._working.own_order(report) for report in plain_orders] + conditional

    async def trades(self, symbol: str, since: datetime, *, urgency: Urgency = Urgency.NORMAL) -> list[TradeReport]:
        """Return executions from a time on, ascending, all pages."""
        now, start = to_epoch_ms(self._session.time.now()), self._session.time.reading_from(since)
        while True:  # windows until the first execution; from there on the ids lead, without gap or repeat
            end = start + TRADE_WINDOW_MS
            span = {"startTime": start, "endTime": end}
            page = await self._trade_page(symbol, span, urgency)
            start = end
            if page or start > now:
                break
        found, complete = list(page), len(page) < PAGE and start > now
        while page and not complete:
            page = await self._trade_page(symbol, {"fromId": int(found[-1].trade_id) + 1}, urgency)
            found += page
            complete = len(page) < PAGE
        return [self._working.own_trade(trade) for trade in found]

    async def sender_of(
        self, symbol: str, venue_order_id: str, *, urgency: Urgency = Urgency.NORMAL
    ) -> OrderSender | None:
        """Return who sent a plain order, None if the exchange does not know it (any more)."""
        parameters = {"symbol": symbol, "orderId": venue_order_id}
        found = await self._ask("/fapi/v1/order", parameters, self._reader.order, urgency)
        if found is None:
            return None
        client_id = self._working.own_order(found).client_order_id
        return OrderSender(client_id, client_id.startswith(SENT_BY_EXCHANGE))

    async def fired_orders(self, symbol: str, *, urgency: Urgency = Urgency.NORMAL) -> dict[str, str]:
        """Return the client ids of conditional orders that fired, by the venue's id of the orders that they became."""
        listed = await self._conditional_history(symbol, urgency)
        return {one.triggered_order_id: one.client_order_id for one in listed if one.triggered_order_id is not None}

    async def _trade_page(self, symbol: str, place: dict[str, int], urgency: Urgency) -> list[TradeReport]:
        parameters: Parameters = {"symbol": symbol, "limit": PAGE, **place}
        request = Request("GET", "/fapi/v1/userTrades", parameters, weight=PAGE_WEIGHT, urgency=urgency)
        page = await self._session.call(request, self._reader.trades)
        return sorted(page, key=lambda trade: int(trade.trade_id))

    async def _ask(
        self, path: str, parameters: dict[str, str], read: Callable[[bytes], T], urgency: Urgency
    ) -> T | None:
        try:
            return await self._session.call(Request("GET", path, parameters, urgency=urgency), read)
        except ExchangeRefused as refusal:
            if refusal.code == NO_SUCH_ORDER:
                return None
            raise

    async def _find_in_history(self, symbol: str, client_order_id: str, urgency: Urgency) -> OrderReport | None:
        # a finished conditional order leaves the query by client id before it leaves the list (nautilus_trader PR 4449)
        listed = await self._conditional_history(symbol, urgency)
        same = [report for report in listed if report.client_order_id == client_order_id]
        return max(same, key=lambda report: report.at, default=None)

    async def _conditional_history(self, symbol: str, urgency: Urgency) -> list[OrderReport]:
        parameters: Parameters = {"symbol": symbol, "limit": PAGE}
        request = Request("GET", "/fapi/v1/allAlgoOrders", parameters, weight=PAGE_WEIGHT, urgency=urgency)
        listed = await self._session.call(request, self._reader.algos)
        for report in listed:
            self._working.learn(report)
        return listed

    async def _with_working_order(self, algo: OrderReport, urgency: Urgency) -> OrderReport:
        """Return a fired order with what became of its working order: only that one's record is complete."""
        self._working.learn(algo)
        if algo.triggered_order_id is None:
            return algo
        parameters = {"symbol": algo.symbol, "orderId": algo.triggered_order_id}
        read = only_of(self._reader.order, algo.symbol, order_id=algo.triggered_order_id)
        working = await self._ask(ORDER_PATH, parameters, read, urgency)
        if working is None:
            return algo
        status = working.status if working.status in _OVER else VenueStatus.TRIGGERED
        return replace(algo, status=status, executed_quantity=working.executed_quantity, at=max(algo.at, working.at))


def _named(symbol: str, client_order_id: str, *, conditional: bool) -> tuple[str, dict[str, str]]:
    if conditional:
        return ALGO_PATH, {"clientAlgoId": client_order_id}
    return ORDER_PATH, {"symbol": symbol, "origClientOrderId": client_order_id}


def _placement(order: VenueOrder) -> Parameters:
    parameters: Parameters = {
        "symbol": order.symbol,
        "side": order.side.value,
        "type": _TYPES[order.order_type],
        "quantity": plain(order.quantity),
        "newOrderRespType": "RESULT",
    }
    if order.reduce_only:
        parameters["reduceOnly"] = "true"
    if order.price is not None:  # a MARKET order carries neither price nor timeInForce
        parameters |= {"price": plain(order.price), "timeInForce": (order.time_in_force or TimeInForce.GTC).value}
    if not order.conditional:
        return parameters | {"newClientOrderId": order.client_order_id}
    if order.trigger_price is not None:
        parameters["triggerPrice"] = plain(order.trigger_price)
    return parameters | {
        "algoType": "CONDITIONAL",
        "workingType": "MARK_PRICE",
        "clientAlgoId": order.client_order_id,
    }
