"""What an account's private topics tell: rows of orders, executions, positions and the wallet, from engine events.

All that one step of the venue did to an account goes into one message per topic, in the venue's order: order,
execution, position, wallet. An order that was made and filled in one step is told once, as it ended.
Source: bybit-exchange.github.io/docs/v5, "WebSocket Stream, Private", read 2026-11-22.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Final, assert_never

from patriot.sim.bybit import account_rest, lookup, position_rest, query_rest, render
from patriot.sim.bybit.context import FaceContext
from patriot.sim.bybit.text import money
from patriot.sim.engine.events import (
    AccountEvent,
    AccountUpdated,
    AlgoOrderUpdated,
    LeverageChanged,
    MarginCalled,
    OrderUpdated,
)
from patriot.sim.engine.records import Income, Order, Trade
from patriot.sim.engine.words import ZERO, AlgoStatus, IncomeType, PositionSide, Side, UpdateReason

Json = dict[str, Any]
Wanted = Callable[[str], bool]  # whether anybody listens to a topic of the account

ORDER: Final = "order"
EXECUTION: Final = "execution"
FAST_EXECUTION: Final = "execution.fast"
POSITION: Final = "position"
WALLET: Final = "wallet"
_PASSING: Final = ("New", "PartiallyFilled")  # states that are not told when the same step went on from them
_TOLD: Final = (AlgoStatus.NEW, AlgoStatus.TRIGGERED, AlgoStatus.CANCELED, AlgoStatus.EXPIRED, AlgoStatus.REJECTED)
_GREEKS: Final = ("delta", "gamma", "vega", "theta")  # pushed for options only
_NEVER_EMPTY: Final = ("positionValue", "unrealisedPnl", "takeProfit", "stopLoss", "sessionAvgPrice")
_FAST_FIELDS: Final = (
    *("category", "symbol", "execId", "execPrice", "execQty", "orderId", "isMaker", "orderLinkId", "side"),
    *("execTime", "seq"),
)


class AccountStreams:
    """Renders the private topics of every account of one venue."""

    def __init__(self, context: FaceContext) -> None:
        self._context = context
        self._venue = context.exchange.venue
        self._closed_pnl: dict[int, Decimal] = {}  # of orders that are still open, by order id

    def messages(self, uid: int, events: list[AccountEvent], wanted: Wanted) -> Iterator[tuple[str, list[Json]]]:
        """Yield topic and rows of what happened to an account, in the order in which they are told."""
        if wanted(ORDER):
            rows = self._orders(events)
            if rows:
                yield ORDER, rows
        if wanted(EXECUTION) or wanted(FAST_EXECUTION):
            executions = list(self._executions(events))
            fast = [_fast(row) for row in executions if row["execType"] == "Trade"]
            if fast:
                yield FAST_EXECUTION, fast
            if executions:
                yield EXECUTION, executions
        if wanted(POSITION):
            positions = list(self._positions(uid, _moved(events)))
            if positions:
                yield POSITION, positions
        if wanted(WALLET) and any(isinstance(event, OrderUpdated | AccountUpdated) for event in events):
            yield WALLET, [account_rest.wallet_row(self._context, uid)]

    # ------------------------------------------------------------------------------------------------ orders

    def _orders(self, events: Iterable[AccountEvent]) -> list[Json]:
        rows: list[Json] = []
        for event in events:
            match event:
                case OrderUpdated():
                    rows.append(self._order(event.order, event.trade))
                case AlgoOrderUpdated(order=order) if order.status in _TOLD:
                    row = _in_topic(render.conditional(order), closed_pnl=ZERO)
                    rows.insert(_place_of(row, rows), row)
                case _:
                    continue
        last = {row["orderId"]: place for place, row in enumerate(rows)}
        return [
            row for place, row in enumerate(rows) if last[row["orderId"]] == place or row["orderStatus"] not in _PASSING
        ]

    def _order(self, order: Order, trade: Trade | None) -> Json:
        ledger = self._context.ledger
        gained = self._closed_pnl.pop(order.order_id, ZERO)
        if trade is not None:
            gained += _closed_by(trade, ledger.closed_by(trade))
        if order.is_open and gained:
            self._closed_pnl[order.order_id] = gained
        found = lookup.of_order(self._context, order)
        return _in_topic(lookup.row(self._context, found), closed_pnl=gained)

    # ------------------------------------------------------------------------------------------------ executions

    def _executions(self, events: Sequence[AccountEvent]) -> Iterator[Json]:
        funding = self._newest_funding(events)
        for event in events:
            match event:
                case OrderUpdated(order=order, trade=trade) if trade is not None:
                    closed = self._context.ledger.closed_by(trade)
                    parent = lookup.of_order(self._context, order).condition
                    row = render.execution(trade, order, closed=closed, parent=parent, sequence=trade.trade_id)
                case AccountUpdated(reason=UpdateReason.FUNDING_FEE):
                    row = query_rest.funding_row(self._context, next(funding))
                case _:
                    continue
            row.pop("execFeeV2", None)
            yield {"category": "linear", **row, "isLeverage": "0", "marketUnit": "", "feeCurrency": "USDT"}

    def _newest_funding(self, events: Sequence[AccountEvent]) -> Iterator[Income]:
        """Return the payments behind the funding among these events, one for each, in order."""
        paid = [e for e in events if isinstance(e, AccountUpdated) and e.reason is UpdateReason.FUNDING_FEE]
        if not paid:
            return iter(())
        income = self._venue.income(paid[0].uid)
        return iter([record for record in income if record.income_type is IncomeType.FUNDING_FEE][-len(paid) :])

    # ------------------------------------------------------------------------------------------------ positions

    def _positions(self, uid: int, moved: Iterable[tuple[str, PositionSide | None]]) -> Iterator[Json]:
        """Yield the rows of positions, flat ones too; a side of None stands for all rows of the symbol."""
        for symbol, position_side in moved:
            for view in self._venue.positions(uid, symbol):
                if position_side in (None, view.position.position_side):
                    yield _position(position_rest.row(self._context, uid, view))


def _in_topic(row: Json, *, closed_pnl: Decimal) -> Json:
    return {"category": "linear", **row, "closedPnl": money(closed_pnl), "feeCurrency": ""}


def _place_of(row: Json, rows: list[Json]) -> int:
    """Return where a condition's row belongs: a met one before the rows of the order that it made."""
    if row["orderStatus"] != "Triggered":
        return len(rows)
    mine = (place for place, other in enumerate(rows) if other["orderId"] == row["orderId"])
    return next((place for place in mine if rows[place]["orderStatus"] != "Untriggered"), len(rows))


def _closed_by(trade: Trade, closed: Decimal) -> Decimal:
    """Return what a trade's closing part brought, after the fees of exit and entry, the latter at the exit's rate."""
    if not closed:
        return ZERO
    gained = trade.realized_pnl / closed
    entry = trade.price - gained if trade.side is Side.SELL else trade.price + gained
    fee = trade.commission * closed / trade.quantity
    return trade.realized_pnl - fee - fee * entry / trade.price


def _fast(row: Json) -> Json:
    """Return the short form of an execution; a maker's own id is not in it."""
    short = {name: row[name] for name in _FAST_FIELDS}
    if row["isMaker"]:
        short["orderLinkId"] = ""
    return short


def _position(row: Json) -> Json:
    """Return a row of the position topic: two REST fields under other names, no greeks, nothing left empty but zero."""
    row["entryPrice"] = row.pop("avgPrice")
    row["mmrSysUpdatedTime"] = row.pop("mmrSysUpdateTime", "")
    for name in _GREEKS:
        row.pop(name, None)
    for name in _NEVER_EMPTY:
        row[name] = row[name] or "0"
    return {"category": "linear", **row}


def _moved(events: Iterable[AccountEvent]) -> Iterable[tuple[str, PositionSide | None]]:
    """Return which positions are told: every one that an order, a fill or a setting concerned."""
    moved: dict[tuple[str, PositionSide | None], None] = {}
    for event in events:
        match event:
            case OrderUpdated(order=order) | AlgoOrderUpdated(order=order):
                moved[order.symbol, order.position_side] = None
            case AccountUpdated():
                for view in event.positions:
                    moved[view.position.symbol, view.position.position_side] = None
            case LeverageChanged():
                moved[event.symbol, None] = None
            case MarginCalled():
                continue
            case _:
                assert_never(event)
    return moved
