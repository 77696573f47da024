"""What an account's private topics tell: rows of orders, executions, positions and the wallet, from engine events.

All that one step of the venue did to an account goes into one message per topic, in the venue's order: order,
execution, position, wallet. An order that was made and filled in one step is told once, as it ended.
Source: bybit-exchange.github.io/docs/v5, "WebSocket Stream, Private", read 2026-11-22.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any, Final, assert_never

from patriot.sim.bybit import render, render_account
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
from patriot.sim.engine.records import AlgoOrder, Order, Trade
from patriot.sim.engine.words import ZERO, AlgoStatus, PositionSide, Side

Json = dict[str, Any]
Wanted = Callable[[str], bool]  # whether anybody listens to a topic of the account

ORDER: Final = "order"
EXECUTION: Final = "execution"
FAST_EXECUTION: Final = "execution.fast"
POSITION: Final = "position"
WALLET: Final = "wallet"
_PASSING: Final = ("New", "PartiallyFilled")  # states that are not told when the same step went on from them
_TOLD: Final = (AlgoStatus.NEW, AlgoStatus.TRIGGERED, AlgoStatus.CANCELED, AlgoStatus.EXPIRED, AlgoStatus.REJECTED)
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
            yield (
                WALLET,
                [render_account.wallet(self._venue.account(uid), isolated=False, realized=self._realized(uid))],
            )

    def _realized(self, uid: int) -> Decimal:
        return sum((view.position.realized_pnl for view in self._venue.positions(uid)), ZERO)

    # ------------------------------------------------------------------------------------------------ orders

    def _orders(self, events: Iterable[AccountEvent]) -> list[Json]:
        rows: list[Json] = []
        for event in events:
            match event:
                case OrderUpdated():
                    rows.append(self._order(event.order, event.trade))
                case AlgoOrderUpdated(order=order) if order.status in _TOLD:
                    rows.append(_in_topic(render.conditional(order), closed_pnl=ZERO))
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
        fee = ledger.fee_of(order.uid, order.order_id) if order.filled_quantity else ZERO
        return _in_topic(render.order(order, fee=fee, parent=self._parent(order)), closed_pnl=gained)

    def _parent(self, order: Order) -> AlgoOrder | None:
        if order.algo_id is None:
            return None
        return self._venue.algo_order(order.uid, algo_id=order.algo_id)

    # ------------------------------------------------------------------------------------------------ executions

    def _executions(self, events: Iterable[AccountEvent]) -> Iterator[Json]:
        for event in events:
            if not isinstance(event, OrderUpdated) or event.trade is None:
                continue
            order, trade = event.order, event.trade
            closed = self._context.ledger.closed_by(trade)
            row = render.execution(trade, order, closed=closed, parent=self._parent(order), sequence=trade.trade_id)
            yield {"category": "linear", **row, "isLeverage": "0", "marketUnit": "", "feeCurrency": "USDT"}

    # ------------------------------------------------------------------------------------------------ positions

    def _positions(self, uid: int, moved: Iterable[tuple[str, PositionSide | None]]) -> Iterator[Json]:
        """Yield the rows of positions, flat ones too; a side of None stands for all rows of the symbol."""
        for symbol, position_side in moved:
            instrument = self._venue.instrument(symbol)
            guards = self._venue.open_algo_orders(uid, symbol)
            for view in self._venue.positions(uid, symbol):
                if position_side in (None, view.position.position_side):
                    yield _position(render_account.position(view, instrument, guards))


def _in_topic(row: Json, *, closed_pnl: Decimal) -> Json:
    return {"category": "linear", **row, "closedPnl": money(closed_pnl), "feeCurrency": ""}


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
    """Return a row of the position topic: the REST row with two fields under other names."""
    row["entryPrice"] = row.pop("avgPrice")
    row["mmrSysUpdatedTime"] = row.pop("mmrSysUpdateTime", "")
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
