"""Records of the venue engine as the reports and requests that PATRIOT's ports speak. No text lies in between."""

from collections.abc import Iterable
from datetime import datetime

from patriot.kernel.clock import from_epoch_ms
from patriot.sim.engine import events as sim_events
from patriot.sim.engine import operations as sim_operations
from patriot.sim.engine import records as sim_records
from patriot.sim.engine import words as sim_words
from patriot.sim.engine.words import AlgoStatus, OrderStatus
from patriot.trading.reports import (
    AccountSnapshot,
    IncomeRecord,
    IncomeType,
    MoneyMoved,
    OrderReport,
    PositionReport,
    PrivateReport,
    TradeReport,
    VenueOrder,
    VenueStatus,
)
from patriot.trading.terms import OrderType, Side

ALGO_PREFIX = "algo:"
_TYPES = {
    OrderType.MARKET: sim_words.OrderType.MARKET,
    OrderType.LIMIT: sim_words.OrderType.LIMIT,
    OrderType.STOP_MARKET: sim_words.OrderType.STOP_MARKET,
    OrderType.STOP_LIMIT: sim_words.OrderType.STOP,
    OrderType.TAKE_PROFIT: sim_words.OrderType.TAKE_PROFIT_MARKET,
    OrderType.TAKE_PROFIT_LIMIT: sim_words.OrderType.TAKE_PROFIT,
}
_STATUSES = {
    OrderStatus.NEW: VenueStatus.NEW,
    OrderStatus.PARTIALLY_FILLED: VenueStatus.PARTIALLY_FILLED,
    OrderStatus.FILLED: VenueStatus.FILLED,
    OrderStatus.CANCELED: VenueStatus.CANCELED,
    OrderStatus.EXPIRED: VenueStatus.EXPIRED,
    OrderStatus.EXPIRED_IN_MATCH: VenueStatus.EXPIRED,
}
_ALGO_STATUSES = {
    AlgoStatus.NEW: VenueStatus.NEW,
    AlgoStatus.TRIGGERING: VenueStatus.NEW,
    AlgoStatus.TRIGGERED: VenueStatus.TRIGGERED,
    AlgoStatus.CANCELED: VenueStatus.CANCELED,
    AlgoStatus.REJECTED: VenueStatus.REJECTED,
    AlgoStatus.EXPIRED: VenueStatus.EXPIRED,
}


def placement(uid: int, order: VenueOrder) -> sim_operations.PlaceOrder | sim_operations.PlaceAlgoOrder:
    """Return the engine's operation for an order request."""
    side, order_type = sim_words.Side(order.side), _TYPES[order.order_type]
    time_in_force = sim_words.TimeInForce(order.time_in_force) if order.time_in_force else None
    if not order.conditional:
        if order_type is sim_words.OrderType.LIMIT and time_in_force is None:
            time_in_force = sim_words.TimeInForce.GTC
        return sim_operations.PlaceOrder(
            uid=uid,
            symbol=order.symbol,
            side=side,
            order_type=order_type,
            quantity=order.quantity,
            price=order.price,
            time_in_force=time_in_force,
            reduce_only=order.reduce_only,
            client_order_id=order.client_order_id,
        )
    return sim_operations.PlaceAlgoOrder(
        uid=uid,
        symbol=order.symbol,
        side=side,
        order_type=order_type,
        trigger_price=order.trigger_price,
        quantity=order.quantity,
        price=order.price,
        time_in_force=time_in_force,
        working_type=sim_words.WorkingType.MARK_PRICE,
        reduce_only=order.reduce_only,
        client_algo_id=order.client_order_id,
    )


def order_report(order: sim_records.Order) -> OrderReport:
    """Return a plain order's state."""
    return OrderReport(
        client_order_id=order.client_order_id,
        venue_order_id=str(order.order_id),
        symbol=order.symbol,
        side=Side(order.side),
        status=_STATUSES[order.status],
        quantity=order.quantity,
        executed_quantity=order.filled_quantity,
        at=from_epoch_ms(order.updated_ms),
    )


def algo_report(algo: sim_records.AlgoOrder) -> OrderReport:
    """Return a conditional order's state; finished means that its working order is filled or gone."""
    executed = algo.actual_quantity
    if algo.status is AlgoStatus.FINISHED:
        status = VenueStatus.FILLED if executed and executed >= algo.quantity else VenueStatus.CANCELED
    else:
        status = _ALGO_STATUSES[algo.status]
    return OrderReport(
        client_order_id=algo.client_algo_id,
        venue_order_id=f"{ALGO_PREFIX}{algo.algo_id}",
        symbol=algo.symbol,
        side=Side(algo.side),
        status=status,
        quantity=algo.quantity,
        executed_quantity=executed,
        at=from_epoch_ms(algo.updated_ms),
        conditional=True,
        triggered_order_id=str(algo.actual_order_id) if algo.actual_order_id is not None else None,
    )


def trade_report(trade: sim_records.Trade, client_order_id: str) -> TradeReport:
    """Return one execution under the client id that its list shows, which may be none."""
    return TradeReport(
        trade_id=str(trade.trade_id),
        venue_order_id=str(trade.order_id),
        client_order_id=client_order_id,
        symbol=trade.symbol,
        side=Side(trade.side),
        quantity=trade.quantity,
        price=trade.price,
        commission=trade.commission,
        commission_asset=sim_words.QUOTE_ASSET,
        realized_pnl=trade.realized_pnl,
        is_maker=trade.maker,
        at=from_epoch_ms(trade.at_ms),
    )


def private_reports(event: sim_events.VenueEvent) -> list[PrivateReport]:
    """Return what the private stream says of one step of the engine."""
    match event:
        case sim_events.OrderUpdated():
            report = order_report(event.order)
            if event.trade is None:
                return [report]
            return [trade_report(event.trade, event.trade.client_order_id), report]
        case sim_events.AlgoOrderUpdated():
            return [algo_report(event.order)]
        case sim_events.AccountUpdated() if event.reason is not sim_words.UpdateReason.ORDER:
            return [MoneyMoved(event.reason, from_epoch_ms(event.at_ms))]
        case _:
            return []


def snapshot(
    account: sim_records.AccountView, positions: Iterable[sim_records.PositionView], at: datetime
) -> AccountSnapshot:
    """Return balances and open positions of one moment."""
    return AccountSnapshot(
        asset=sim_words.QUOTE_ASSET,
        wallet_balance=account.wallet,
        available_balance=account.available,
        unrealized_pnl=account.unrealized_pnl,
        positions=tuple(_position(view) for view in positions),
        at=at,
    )


def _position(view: sim_records.PositionView) -> PositionReport:
    return PositionReport(
        symbol=view.position.symbol,
        quantity=view.position.quantity,
        entry_price=view.position.entry_price,
        mark_price=view.mark_price,
        unrealized_pnl=view.unrealized_pnl,
        leverage=view.leverage,
        isolated=view.margin_type is sim_words.MarginType.ISOLATED,
    )


def income_record(income: sim_records.Income) -> IncomeRecord:
    """Return one change of the wallet."""
    raw = income.income_type.value
    return IncomeRecord(
        record_id=str(income.tran_id),
        income_type=IncomeType(raw) if raw in IncomeType.__members__ else IncomeType.OTHER,
        raw_type=raw,
        symbol=income.symbol,
        asset=sim_words.QUOTE_ASSET,
        amount=income.amount,
        at=from_epoch_ms(income.at_ms),
    )
