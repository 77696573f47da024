"""Orders and executions as Bybit shows them on REST and on the private stream.

Source: bybit-exchange.github.io/docs/v5, "Get Open & Closed Orders", "Get Trade History", "Enums Definitions",
read 2026-11-22.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from patriot.sim.bybit import ids
from patriot.sim.bybit.text import (
    NO_TOLERANCE,
    POSITION_INDEXES,
    SELF_TRADES,
    SIDES,
    TIMES_IN_FORCE,
    TRIGGERS,
    given,
    money,
    number,
)
from patriot.sim.engine.records import AlgoOrder, Order, Protection, Trade
from patriot.sim.engine.words import (
    ZERO,
    AlgoOrigin,
    AlgoStatus,
    Closing,
    OrderStatus,
    OrderType,
    TimeInForce,
)

Json = dict[str, Any]

_MARKET_TYPES: Final = (
    OrderType.MARKET,
    OrderType.STOP_MARKET,
    OrderType.TAKE_PROFIT_MARKET,
    OrderType.TRAILING_STOP_MARKET,
)
_NO_ERROR: Final = "EC_NoError"
_PLAIN: Final = {OrderStatus.NEW: "New", OrderStatus.PARTIALLY_FILLED: "PartiallyFilled", OrderStatus.FILLED: "Filled"}
_CONDITIONAL: Final = {
    AlgoStatus.NEW: "Untriggered",
    AlgoStatus.TRIGGERING: "Triggered",
    AlgoStatus.TRIGGERED: "Triggered",
    AlgoStatus.FINISHED: "Triggered",
    AlgoStatus.REJECTED: "Rejected",
    AlgoStatus.CANCELED: "Deactivated",
    AlgoStatus.EXPIRED: "Deactivated",
}
_STOP_TYPES: Final = {
    AlgoOrigin.USER: "Stop",
    AlgoOrigin.TAKE_PROFIT: "TakeProfit",
    AlgoOrigin.STOP_LOSS: "StopLoss",
    AlgoOrigin.TRAILING_STOP: "TrailingStop",
}
_PARTIAL_TYPES: Final = {AlgoOrigin.TAKE_PROFIT: "PartialTakeProfit", AlgoOrigin.STOP_LOSS: "PartialStopLoss"}


def order(record: Order, *, fee: Decimal = ZERO, parent: AlgoOrder | None = None) -> Json:
    """Return an order row; parent is the conditional order that made it, fee what its executions cost so far."""
    status, cancel_type, reject_reason = _ending(record)
    row = _common(record)
    row |= {
        "orderStatus": status,
        "cancelType": cancel_type,
        "rejectReason": reject_reason,
        "avgPrice": given(record.average_fill_price),
        "leavesQty": number(record.leaves_quantity if record.is_open else ZERO),
        "leavesValue": money(record.leaves_quantity * record.price if record.is_open else ZERO),
        "cumExecQty": number(record.filled_quantity),
        "cumExecValue": money(record.filled_notional),
        "cumExecFee": money(fee),
        "cumFeeDetail": {"USDT": money(fee)} if fee else {},
        "orderType": order_type(record),
        "closeOnTrigger": record.close_position,
        "createType": create_type(record.origin, record.closing, partial=not record.close_position),
        **_condition(parent),
        **attached(record.attached),
    }
    if parent is not None:
        row["createdTime"] = str(parent.created_ms)
    return row


def conditional(record: AlgoOrder) -> Json:
    """Return a conditional order that has not made an order of its own."""
    expired = record.status is AlgoStatus.EXPIRED
    rejected = record.status is AlgoStatus.REJECTED
    canceled = "CancelByTpSlTsClear" if expired else "CancelByUser"
    row = _common(record)
    row |= {
        "orderStatus": _CONDITIONAL[record.status],
        "cancelType": canceled if expired or record.status is AlgoStatus.CANCELED else "UNKNOWN",
        "rejectReason": "EC_Others"
        if rejected
        else ("EC_PerCancelRequest" if record.status is AlgoStatus.CANCELED else _NO_ERROR),
        "avgPrice": "",
        "leavesQty": number(record.quantity if record.is_open else ZERO),
        "leavesValue": money(record.quantity * record.price if record.is_open else ZERO),
        "cumExecQty": "0",
        "cumExecValue": "0",
        "cumExecFee": "0",
        "cumFeeDetail": {},
        "orderType": order_type(record),
        "closeOnTrigger": record.close_position,
        "createType": create_type(record.origin, Closing.NOBODY, partial=not record.close_position),
        **_condition(record),
        **attached(record.attached),
    }
    if record.origin is not AlgoOrigin.USER:
        row["tpslMode"] = "Full" if record.close_position else "Partial"
    return row


def order_type(record: Order | AlgoOrder) -> str:
    """Return the type of an order; one whose price comes from a slippage tolerance is at market."""
    return "Market" if record.order_type in _MARKET_TYPES or _tolerance(record) != ("", "") else "Limit"


def _tolerance(record: Order | AlgoOrder) -> tuple[str, str]:
    """Return type and amount of the slippage tolerance of an order, empty when it has none."""
    if isinstance(record, AlgoOrder) or record.price_match == NO_TOLERANCE:
        return "", ""
    kind, _, amount = record.price_match.partition(" ")
    return kind, amount


def _common(record: Order | AlgoOrder) -> Json:
    kind, tolerance = _tolerance(record)
    return {
        "orderId": ids.order_id(record),
        "orderLinkId": ids.link_id(record),
        "blockTradeId": "",
        "symbol": record.symbol,
        "price": number(record.price),
        "qty": number(record.quantity),
        "side": SIDES[record.side],
        "isLeverage": "",
        "positionIdx": POSITION_INDEXES[record.position_side],
        "timeInForce": "IOC" if order_type(record) == "Market" else TIMES_IN_FORCE[record.time_in_force],
        "orderIv": "",
        "marketUnit": "",
        "lastPriceOnCreated": "",
        "reduceOnly": record.reduce_only,
        "placeType": "",
        "smpType": SELF_TRADES[record.self_trade_prevention],
        "smpGroup": 0,
        "smpOrderId": "",
        "ocoTriggerBy": "",
        "slippageToleranceType": kind or "UNKNOWN",
        "slippageTolerance": tolerance,
        "extraFees": "",
        "createdTime": str(record.created_ms),
        "updatedTime": str(record.updated_ms),
    }


def _ending(record: Order) -> tuple[str, str, str]:
    """Return order status, cancel type and reject reason."""
    if record.status in _PLAIN:
        return _PLAIN[record.status], "UNKNOWN", _NO_ERROR
    status = "Cancelled"  # PartiallyFilledCanceled is a status of spot orders only
    if record.status is OrderStatus.CANCELED:
        return status, "CancelByUser", "EC_PerCancelRequest"
    if record.status is OrderStatus.EXPIRED_IN_MATCH:
        return status, "CancelBySmp", "EC_BySelfMatch"
    if record.time_in_force is TimeInForce.GTX and not record.reduce_only:
        return status, "UNKNOWN", "EC_PostOnlyWillTakeLiquidity"
    if record.time_in_force is TimeInForce.FOK:
        return status, "UNKNOWN", "EC_CancelForNoFullFill"
    if record.order_type is OrderType.MARKET or record.time_in_force is TimeInForce.IOC:
        return status, "UNKNOWN", "EC_NoImmediateQtyToFill"
    return status, "CancelByReduceOnly", _NO_ERROR


def create_type(origin: AlgoOrigin, closing: Closing, *, partial: bool) -> str:
    """Return who made an order."""
    if closing is Closing.LIQUIDATION:
        return "CreateByLiq"
    if closing is Closing.DELEVERAGING:
        return "CreateByAdl_PassThrough"
    if origin is AlgoOrigin.USER:
        return "CreateByUser"
    name = _PARTIAL_TYPES.get(origin) if partial else None
    return f"CreateBy{name or _STOP_TYPES[origin]}"


def stop_type(record: AlgoOrder) -> str:
    """Return the stop order type of a conditional order."""
    partial = not record.close_position and record.origin in _PARTIAL_TYPES
    return _PARTIAL_TYPES[record.origin] if partial else _STOP_TYPES[record.origin]


def _condition(record: AlgoOrder | None) -> Json:
    if record is None:
        return {"stopOrderType": "", "triggerPrice": "", "triggerDirection": 0, "triggerBy": ""}
    trailing = record.order_type is OrderType.TRAILING_STOP_MARKET
    trigger = (record.activation_price or ZERO) if trailing and not record.trigger_price else record.trigger_price
    return {
        "stopOrderType": stop_type(record),
        "triggerPrice": given(trigger),
        "triggerDirection": 1 if record.trigger_above else 2,
        "triggerBy": TRIGGERS[record.working_type],
    }


def attached(protection: Protection | None) -> Json:
    """Return the fields of take profit and stop loss that an order brings to its position."""
    if protection is None:
        return {
            "takeProfit": "",
            "stopLoss": "",
            "tpTriggerBy": "",
            "slTriggerBy": "",
            "tpslMode": "",
            "tpLimitPrice": "",
            "slLimitPrice": "",
        }
    profit, loss = protection.take_profit or ZERO, protection.stop_loss or ZERO
    partial = protection.take_profit_size is not None or protection.stop_loss_size is not None
    return {
        "takeProfit": given(profit),
        "stopLoss": given(loss),
        "tpTriggerBy": TRIGGERS[protection.take_profit_type] if profit else "",
        "slTriggerBy": TRIGGERS[protection.stop_loss_type] if loss else "",
        "tpslMode": "Partial" if partial else "Full",
        "tpLimitPrice": given(protection.take_profit_price or ZERO),
        "slLimitPrice": given(protection.stop_loss_price or ZERO),
    }


def execution(trade: Trade, made_by: Order, *, closed: Decimal, parent: AlgoOrder | None, sequence: int) -> Json:
    """Return one execution; closed is how much of it took off the position."""
    kinds = {Closing.LIQUIDATION: "BustTrade", Closing.DELEVERAGING: "AdlTrade"}
    notional = trade.notional
    return {
        "symbol": trade.symbol,
        "orderId": ids.order_id(made_by),
        "orderLinkId": ids.link_id(made_by),
        "side": SIDES[trade.side],
        "orderPrice": number(made_by.price),
        "orderQty": number(made_by.quantity),
        "leavesQty": number(made_by.leaves_quantity if made_by.is_open else ZERO),
        "createType": create_type(made_by.origin, made_by.closing, partial=not made_by.close_position),
        "orderType": order_type(made_by),
        "stopOrderType": stop_type(parent) if parent is not None else "UNKNOWN",
        "execFee": money(trade.commission),
        "execFeeV2": "",
        "feeCurrency": "",
        "execId": ids.execution_id(trade),
        "execPrice": number(trade.price),
        "execQty": number(trade.quantity),
        "execType": kinds.get(made_by.closing, "Trade"),
        "execValue": money(notional),
        "execTime": str(trade.at_ms),
        "isMaker": trade.maker,
        "feeRate": number((trade.commission / notional).quantize(Decimal("0.000001"))) if notional else "0",
        "tradeIv": "",
        "markIv": "",
        "markPrice": number(trade.price),
        "indexPrice": "",
        "underlyingPrice": "",
        "blockTradeId": "",
        "closedSize": number(closed),
        "execPnl": money(trade.realized_pnl),
        "seq": sequence,
        "extraFees": "",
    }
