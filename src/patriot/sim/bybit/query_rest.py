"""What became of orders: open ones in real time, history, executions.

Source: bybit-exchange.github.io/docs/v5/order/open-order, order-list and execution, read 2026-11-22.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from patriot.sim.bybit import ids, lookup, refusals, render
from patriot.sim.bybit.context import FaceContext
from patriot.sim.bybit.endpoints import ENDPOINTS, category, is_linear
from patriot.sim.bybit.ids import Kind
from patriot.sim.bybit.lookup import PublicOrder
from patriot.sim.bybit.parameters import orders_asked_for
from patriot.sim.bybit.refusals import Refused
from patriot.sim.bybit.requests import DAY_MS, Call, Security
from patriot.sim.bybit.text import SIDES, money, number
from patriot.sim.engine.records import Income, Order
from patriot.sim.engine.words import ZERO, IncomeType, OrderStatus, Side

Json = dict[str, Any]

RECENT_CLOSED: Final = 500  # how many closed orders realtime remembers
WEEK_MS: Final = 7 * DAY_MS
_FILTERS: Final = {"Order": False, "StopOrder": True, "tpslOrder": True}
_STATUSES: Final = {
    name: name
    for name in (
        *("New", "PartiallyFilled", "Untriggered", "Rejected", "PartiallyFilledCanceled"),
        *("Filled", "Cancelled", "Triggered", "Deactivated"),
    )
}


def listing(call: Call, rows: list[Json], cursor: str = "") -> Json:
    """Return rows the way every paged answer holds them."""
    return {"category": category(call), "list": rows, "nextPageCursor": cursor}


def any_symbol(face: FaceContext, call: Call) -> Callable[[str], bool]:
    """Return which symbols a query is about; all of them when it names none."""
    if call.text("symbol") or call.text("baseCoin") or call.text("settleCoin"):
        return orders_asked_for(face, call)
    return lambda _: True


@ENDPOINTS.add("GET", "/v5/order/realtime", Security.READ)
def realtime(face: FaceContext, call: Call) -> Json:
    """Answer open orders, or the newest closed ones."""
    if not is_linear(call):
        return listing(call, [])
    if call.text("orderId") or call.text("orderLinkId"):
        found = lookup.named(face, call)
        rows = [] if found is None or _forgotten(face, call.uid, found) else [lookup.row(face, found)]
        return listing(call, rows)
    keep = orders_asked_for(face, call)
    closed = call.choice("openOnly", {"0": False, "1": True, "2": True}) or False
    records = lookup.newest_first(
        _recent_closed(face, call.uid) if closed else lookup.open_records(face, call.uid, call.text("symbol"))
    )
    return _paged(face, call, [one for one in records if keep(one.record.symbol)])


def _recent_closed(face: FaceContext, uid: int) -> list[PublicOrder]:
    closed = [one for one in lookup.all_records(face, uid) if not one.is_open]
    return sorted(closed, key=lambda one: one.record.updated_ms)[-RECENT_CLOSED:]


def _forgotten(face: FaceContext, uid: int, found: PublicOrder) -> bool:
    if found.is_open or face.index.count(uid) <= RECENT_CLOSED:
        return False
    newest = _recent_closed(face, uid)
    return len(newest) >= RECENT_CLOSED and found.record.updated_ms < newest[0].record.updated_ms


def _paged(face: FaceContext, call: Call, records: list[PublicOrder]) -> Json:
    conditional = call.choice("orderFilter", _FILTERS)
    if conditional is not None:
        records = [one for one in records if (one.condition is not None) is conditional]
    chosen, cursor = lookup.page(records, lambda one: one.order_id, call.limit(20, 50), call.text("cursor"))
    return listing(call, [lookup.row(face, one) for one in chosen], cursor)


@ENDPOINTS.add("GET", "/v5/order/history", Security.READ)
def history(face: FaceContext, call: Call) -> Json:
    """Answer closed orders; ones that ended without a fill are kept for a day."""
    if not is_linear(call):
        return listing(call, [])
    now_ms = face.exchange.now_ms
    start, end = call.time_range(WEEK_MS, now_ms)
    status = call.choice("orderStatus", _STATUSES)
    keep = any_symbol(face, call)
    if call.text("orderId") or call.text("orderLinkId"):
        named = lookup.named(face, call)
        records = [named] if named is not None else []
    else:
        records = lookup.newest_first(lookup.all_records(face, call.uid, call.text("symbol")))
        records = [one for one in records if keep(one.record.symbol) and start <= one.created_ms <= end]
    records = [one for one in records if not one.is_open and not _vanished(one, now_ms)]
    if status is not None:
        records = [one for one in records if lookup.row(face, one)["orderStatus"] == status]
    return _paged(face, call, records)


def _vanished(found: PublicOrder, now_ms: int) -> bool:
    """Whether an order ended without a fill more than a day ago."""
    filled = found.order is not None and (found.order.filled_quantity or found.order.status is OrderStatus.FILLED)
    return not filled and found.record.updated_ms < now_ms - DAY_MS


# -------------------------------------------------------------------------------------------------- executions


@ENDPOINTS.add("GET", "/v5/execution/list", Security.READ)
def executions(face: FaceContext, call: Call) -> Json:
    """Answer trades and funding payments, newest first."""
    if not is_linear(call):
        return listing(call, [])
    start, end = call.time_range(WEEK_MS, face.exchange.now_ms)
    keep = any_symbol(face, call)
    kind = call.text("execType")
    rows = [row for row in _trade_rows(face, call.uid, start, end) if keep(row["symbol"])]
    if call.text("orderId") or call.text("orderLinkId"):
        found = lookup.named(face, call)
        rows = [row for row in rows if found is not None and row["orderId"] == found.order_id]
    else:
        rows += [row for row in _funding_rows(face, call.uid, start, end) if keep(row["symbol"])]
        rows.sort(key=lambda row: int(row["execTime"]), reverse=True)
    if kind is not None:
        rows = [row for row in rows if row["execType"] == kind]
    chosen, cursor = lookup.page(rows, lambda row: str(row["execId"]), call.limit(50, 100), call.text("cursor"))
    return listing(call, chosen, cursor)


def _trade_rows(face: FaceContext, uid: int, start: int, end: int) -> list[Json]:
    orders = {order.order_id: order for order in face.exchange.venue.orders(uid)}
    rows: list[Json] = []
    for execution in reversed(face.ledger.executions(uid)):
        trade = execution.trade
        if start <= trade.at_ms <= end:
            made_by: Order = orders[trade.order_id]
            parent = lookup.of_order(face, made_by).condition
            rows.append(
                render.execution(trade, made_by, closed=execution.closed, parent=parent, sequence=trade.trade_id)
            )
    return rows


def _funding_rows(face: FaceContext, uid: int, start: int, end: int) -> list[Json]:
    records = [
        record
        for record in face.exchange.venue.income(uid)
        if record.income_type is IncomeType.FUNDING_FEE and start <= record.at_ms <= end
    ]
    return [funding_row(face, record) for record in records]


def funding_row(face: FaceContext, record: Income) -> Json:
    """Return a funding payment as an execution; a fee above zero was paid."""
    settled = next(
        (one for one in face.exchange.settlements if (one.symbol, one.at_ms) == (record.symbol, record.at_ms)), None
    )
    rate, mark = (settled.rate, settled.mark_price) if settled is not None else (ZERO, ZERO)
    value = abs(record.amount / rate) if rate else ZERO
    long = (record.amount < ZERO) == (rate > ZERO)
    return {
        "symbol": record.symbol,
        "orderId": ids.encode(Kind.TRANSACTION, record.tran_id),
        "orderLinkId": "",
        "side": SIDES[Side.BUY if long else Side.SELL],
        "orderPrice": "0",
        "orderQty": "0",
        "leavesQty": "0",
        "createType": "",
        "orderType": "UNKNOWN",
        "stopOrderType": "UNKNOWN",
        "execFee": money(-record.amount),
        "execFeeV2": "",
        "feeCurrency": "",
        "execId": ids.encode(Kind.TRANSACTION, record.tran_id),
        "execPrice": number(mark),
        "execQty": money(value / mark) if mark else "0",
        "execType": "Funding",
        "execValue": money(value),
        "execTime": str(record.at_ms),
        "isMaker": False,
        "feeRate": number(rate),
        "tradeIv": "",
        "markIv": "",
        "markPrice": number(mark),
        "indexPrice": "",
        "underlyingPrice": "",
        "blockTradeId": "",
        "closedSize": "0",
        "execPnl": "0",
        "seq": record.tran_id,
        "extraFees": "",
    }


@ENDPOINTS.add("GET", "/v5/account/query-dcp-info", Security.READ)
def disconnect_window(face: FaceContext, call: Call) -> Json:
    """Answer what disconnected-cancel-all has set."""
    seconds = face.exchange.disconnect_windows.get(call.uid)
    if seconds is None:
        return {"dcpInfos": []}
    return {"dcpInfos": [{"product": "DERIVATIVES", "dcpStatus": "ON", "timeWindow": str(seconds)}]}


def require_unified(call: Call) -> None:
    """Refuse an account type that this venue does not have."""
    if (call.text("accountType") or "UNIFIED") != "UNIFIED":
        raise Refused(*refusals.ONLY_UNIFIED)
