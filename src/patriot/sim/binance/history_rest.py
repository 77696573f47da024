"""What was: orders, trades, income, liquidations, modifications. Windows and holes as in history.py."""

from typing import Any

from patriot.sim.binance import history, refusals, render
from patriot.sim.binance.context import FaceContext
from patriot.sim.binance.endpoints import ENDPOINTS, by_symbol
from patriot.sim.binance.history import Page
from patriot.sim.binance.order_rest import optional_symbol
from patriot.sim.binance.order_wishes import order_name, symbol_of
from patriot.sim.binance.requests import Call, Security
from patriot.sim.engine.words import Closing, IncomeType

Json = dict[str, Any]
# what the venue books, of which the simulator knows a part
INCOME_TYPES = frozenset(
    {
        *(kind.value for kind in IncomeType),
        "WELCOME_BONUS",
        "REFERRAL_KICKBACK",
        "COMMISSION_REBATE",
        "API_REBATE",
        "CONTEST_REWARD",
        "CROSS_COLLATERAL_TRANSFER",
        "OPTIONS_PREMIUM_FEE",
        "OPTIONS_SETTLE_PROFIT",
        "INTERNAL_TRANSFER",
        "AUTO_EXCHANGE",
        "DELIVERED_SETTELMENT",
        "COIN_SWAP_DEPOSIT",
        "COIN_SWAP_WITHDRAW",
        "POSITION_LIMIT_INCREASE_FEE",
        "STRATEGY_UMFUTURES_TRANSFER",
        "FEE_RETURN",
        "BFUSD_REWARD",
    }
)
_CLOSINGS = {"LIQUIDATION": Closing.LIQUIDATION, "ADL": Closing.DELEVERAGING}


@ENDPOINTS.add("GET", "/fapi/v1/allOrders", Security.READ, weight=5)
def all_orders(face: FaceContext, call: Call) -> list[Json]:
    """Answer orders of a symbol, open and closed, oldest first."""
    symbol = symbol_of(call)
    face.exchange.venue.instrument(symbol)
    page = Page.of_orders(call, face.now_ms, "orderId")
    known = (o for o in face.exchange.venue.orders(call.uid, symbol) if not history.has_vanished(o, face.now_ms))
    found = page.cut(known, lambda record: record.order_id, lambda record: record.created_ms)
    return [render.order(record) for record in found]


@ENDPOINTS.add("GET", "/fapi/v1/userTrades", Security.READ, weight=5)
def user_trades(face: FaceContext, call: Call) -> list[Json]:
    """Answer the account's trades of a symbol, oldest first; the newest page unless a start is named."""
    symbol, order_id = symbol_of(call), call.integer("orderId")
    face.exchange.venue.instrument(symbol)
    page = Page.of_trades(call, face.now_ms)
    trades = (t for t in face.exchange.venue.trades(call.uid, symbol) if order_id in (None, t.order_id))
    found = page.cut(trades, lambda record: record.trade_id, lambda record: record.at_ms)
    return [render.trade(record) for record in found]


@ENDPOINTS.add("GET", "/fapi/v1/income", Security.READ, weight=30)
def income(face: FaceContext, call: Call) -> list[Json]:
    """Answer everything that changed the wallet, oldest first; the last seven days unless a span is named."""
    kind, symbol = call.text("incomeType"), call.text("symbol")
    if kind is not None and kind not in INCOME_TYPES:
        raise refusals.invalid_data("incomeType")
    now_ms = face.now_ms
    start, end = call.time_range()
    first = now_ms - history.WINDOW_MS if start is None and end is None else start or 0
    first = max(first, now_ms - history.INCOME_KEPT_MS)
    limit, page = call.limit(100, 1000), call.integer("page")
    found = [
        record
        for record in face.exchange.venue.income(call.uid)
        if kind in (None, record.income_type.value)
        and (symbol is None or record.symbol == symbol.upper())
        and record.at_ms >= first
        and (end is None or record.at_ms <= end)
    ]
    if page is not None:
        rows = found[(max(page, 1) - 1) * limit : max(page, 1) * limit]
    else:
        rows = found[:limit] if start is not None else found[-limit:]
    return [render.income(record) for record in rows]


@ENDPOINTS.add("GET", "/fapi/v1/forceOrders", Security.READ, weight=by_symbol(20, 50))
def force_orders(face: FaceContext, call: Call) -> list[Json]:
    """Answer the orders by which the venue closed the account's positions."""
    kind, symbol = call.text("autoCloseType"), optional_symbol(face, call)
    if kind is not None and kind not in _CLOSINGS:
        raise refusals.invalid_data("autoCloseType")
    wanted = set(_CLOSINGS.values()) if kind is None else {_CLOSINGS[kind]}
    start, end = history.window(call, face.now_ms, history.ORDERS_KEPT_MS)
    limit = call.limit(50, 100)
    found = [
        render.order(record)
        for record in face.exchange.venue.orders(call.uid, symbol)
        if record.closing in wanted and start <= record.created_ms and (end is None or record.created_ms <= end)
    ]
    return found[-limit:]


@ENDPOINTS.add("GET", "/fapi/v1/orderAmendment", Security.READ)
def order_amendments(face: FaceContext, call: Call) -> list[Json]:
    """Answer how an order was modified in the last three months, newest first."""
    symbol, order_id, client_order_id = order_name(call)
    venue = face.exchange.venue
    order = venue.order(call.uid, symbol, order_id=order_id, client_order_id=client_order_id)
    start, end = call.time_range()
    first_ms = max(start or 0, face.now_ms - history.AMENDMENTS_KEPT_MS)
    limit = call.limit(50, 100)
    found = [
        render.amendment(record)
        for record in venue.amendments(call.uid, symbol, order.order_id)
        if record.at_ms >= first_ms and (end is None or record.at_ms <= end)
    ]
    return found[::-1][:limit]
