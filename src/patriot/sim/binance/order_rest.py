"""Orders: place, ask, cancel; plain orders on one path, conditional ones on the algo path. Weights read 2026-11-22."""

from typing import Any

from patriot.sim.binance import refusals, render
from patriot.sim.binance.context import FaceContext
from patriot.sim.binance.endpoints import ENDPOINTS, ONE_ORDER, by_symbol
from patriot.sim.binance.requests import MAX_TIME_RANGE_MS, Call, Security
from patriot.sim.engine.events import VenueRefusal
from patriot.sim.engine.operations import (
    CancelAlgoOrder,
    CancelAllAlgoOrders,
    CancelAllOrders,
    CancelOrder,
    PlaceAlgoOrder,
    PlaceOrder,
)
from patriot.sim.engine.records import AlgoOrder, Order
from patriot.sim.engine.words import OrderType, PositionSide, Side, TimeInForce, WorkingType

Json = dict[str, Any]

_BAD_SIDE = (-1117, "Invalid side.")
_BAD_TYPE = (-1116, "Invalid orderType.")
_BAD_TIME_IN_FORCE = (-1115, "Invalid timeInForce.")
_BAD_POSITION_SIDE = (-4060, "Invalid position side.")
_BAD_RESPONSE_TYPE = (-1136, "Invalid newOrderRespType.")


@ENDPOINTS.add("POST", "/fapi/v1/order", Security.TRADE, weight=0, orders=ONE_ORDER)
def place_order(face: FaceContext, call: Call) -> Json:
    """Place a plain order."""
    response_type = call.text("newOrderRespType") or "ACK"
    if response_type not in ("ACK", "RESULT"):
        raise VenueRefusal(*_BAD_RESPONSE_TYPE)
    return render.placed(face.exchange.order_from(_place_operation(call)), full=response_type == "RESULT")


def _place_operation(call: Call) -> PlaceOrder:
    if call.flag("closePosition"):
        raise VenueRefusal(
            -4120, "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead."
        )
    return PlaceOrder(
        uid=call.uid,
        symbol=call.required_text("symbol").upper(),
        side=call.required_choice("side", Side, _BAD_SIDE),
        order_type=call.required_choice("type", OrderType, _BAD_TYPE),
        quantity=call.decimal("quantity"),
        price=call.decimal("price"),
        time_in_force=call.choice("timeInForce", TimeInForce, _BAD_TIME_IN_FORCE),
        reduce_only=call.flag("reduceOnly"),
        position_side=call.choice("positionSide", PositionSide, _BAD_POSITION_SIDE) or PositionSide.BOTH,
        client_order_id=call.text("newClientOrderId") or "",
    )


@ENDPOINTS.add("GET", "/fapi/v1/order", Security.READ)
def query_order(face: FaceContext, call: Call) -> Json:
    """Answer one order, open or closed."""
    return render.order(_named_order(face, call))


@ENDPOINTS.add("GET", "/fapi/v1/openOrder", Security.READ)
def query_open_order(face: FaceContext, call: Call) -> Json:
    """Answer one order if it is open."""
    record = _named_order(face, call)
    if not record.is_open:
        raise VenueRefusal(-2013, "Order does not exist.")
    return render.order(record)


def _named_order(face: FaceContext, call: Call) -> Order:
    symbol, order_id, client_order_id = _order_name(call)
    return face.exchange.venue.order(call.uid, symbol, order_id=order_id, client_order_id=client_order_id)


def _order_name(call: Call) -> tuple[str, int | None, str | None]:
    symbol = call.required_text("symbol").upper()
    order_id, client_order_id = call.integer("orderId"), call.text("origClientOrderId")
    if order_id is None and client_order_id is None:
        raise refusals.either_missing("origClientOrderId", "orderId")
    return symbol, order_id, client_order_id


@ENDPOINTS.add("DELETE", "/fapi/v1/order", Security.TRADE)
def cancel_order(face: FaceContext, call: Call) -> Json:
    """Cancel one order."""
    symbol, order_id, client_order_id = _order_name(call)
    operation = CancelOrder(uid=call.uid, symbol=symbol, order_id=order_id, client_order_id=client_order_id)
    answer = render.order(face.exchange.order_from(operation))
    answer["cumQty"] = answer["executedQty"]
    return answer


@ENDPOINTS.add("DELETE", "/fapi/v1/allOpenOrders", Security.TRADE)
def cancel_all_orders(face: FaceContext, call: Call) -> Json:
    """Cancel the plain orders of a symbol; conditional ones stay."""
    face.exchange.apply(CancelAllOrders(uid=call.uid, symbol=call.required_text("symbol").upper()))
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


@ENDPOINTS.add("GET", "/fapi/v1/openOrders", Security.READ, weight=by_symbol(1, 40))
def open_orders(face: FaceContext, call: Call) -> list[Json]:
    """Answer the open plain orders."""
    return [render.order(record) for record in face.exchange.venue.open_orders(call.uid, _optional_symbol(face, call))]


@ENDPOINTS.add("GET", "/fapi/v1/allOrders", Security.READ, weight=5)
def all_orders(face: FaceContext, call: Call) -> list[Json]:
    """Answer orders of a symbol, open and closed, oldest first."""
    symbol = call.required_text("symbol").upper()
    start, end = call.time_range(MAX_TIME_RANGE_MS)
    if start is not None and end is None:
        end = start + MAX_TIME_RANGE_MS
    from_id = call.integer("orderId")
    limit = call.limit(500, 1000)
    found = [
        record
        for record in face.exchange.venue.orders(call.uid, symbol)
        if (from_id is None or record.order_id >= from_id)
        and (start is None or record.created_ms >= start)
        and (end is None or record.created_ms <= end)
    ]
    first = from_id is not None or start is not None
    return [render.order(record) for record in (found[:limit] if first else found[-limit:])]


@ENDPOINTS.add("POST", "/fapi/v1/algoOrder", Security.TRADE, weight=0, orders=ONE_ORDER)
def place_algo_order(face: FaceContext, call: Call) -> Json:
    """Place a conditional order."""
    if call.required_text("algoType") != "CONDITIONAL":
        raise refusals.invalid_data("algoType")
    working_type = call.choice("workingType", WorkingType) or WorkingType.CONTRACT_PRICE
    operation = PlaceAlgoOrder(
        uid=call.uid,
        symbol=call.required_text("symbol").upper(),
        side=call.required_choice("side", Side, _BAD_SIDE),
        order_type=call.required_choice("type", OrderType, _BAD_TYPE),
        trigger_price=call.decimal("triggerPrice"),
        quantity=call.decimal("quantity"),
        price=call.decimal("price"),
        time_in_force=call.choice("timeInForce", TimeInForce, _BAD_TIME_IN_FORCE),
        working_type=working_type,
        reduce_only=call.flag("reduceOnly"),
        close_position=call.flag("closePosition"),
        price_protect=call.flag("priceProtect"),
        position_side=call.choice("positionSide", PositionSide, _BAD_POSITION_SIDE) or PositionSide.BOTH,
        client_algo_id=call.text("clientAlgoId") or "",
    )
    return render.algo_order(face.exchange.algo_order_from(operation))


@ENDPOINTS.add("GET", "/fapi/v1/algoOrder", Security.READ)
def query_algo_order(face: FaceContext, call: Call) -> Json:
    """Answer one conditional order, open or closed."""
    algo_id, client_algo_id = _algo_name(call)
    venue = face.exchange.venue
    return render.algo_order(venue.algo_order(call.uid, algo_id=algo_id, client_algo_id=client_algo_id))


def _algo_name(call: Call) -> tuple[int | None, str | None]:
    algo_id, client_algo_id = call.integer("algoId"), call.text("clientAlgoId")
    if algo_id is None and client_algo_id is None:
        raise refusals.either_missing("algoId", "clientAlgoId")
    return algo_id, client_algo_id


@ENDPOINTS.add("DELETE", "/fapi/v1/algoOrder", Security.TRADE)
def cancel_algo_order(face: FaceContext, call: Call) -> Json:
    """Cancel one conditional order."""
    algo_id, client_algo_id = _algo_name(call)
    operation = CancelAlgoOrder(uid=call.uid, algo_id=algo_id, client_algo_id=client_algo_id)
    record = face.exchange.algo_order_from(operation)
    return {"algoId": record.algo_id, "clientAlgoId": record.client_algo_id, "code": "200", "msg": "success"}


@ENDPOINTS.add("DELETE", "/fapi/v1/algoOpenOrders", Security.TRADE)
def cancel_all_algo_orders(face: FaceContext, call: Call) -> Json:
    """Cancel the conditional orders of a symbol."""
    face.exchange.apply(CancelAllAlgoOrders(uid=call.uid, symbol=call.required_text("symbol").upper()))
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


@ENDPOINTS.add("GET", "/fapi/v1/openAlgoOrders", Security.READ, weight=by_symbol(1, 40))
def open_algo_orders(face: FaceContext, call: Call) -> list[Json]:
    """Answer the open conditional orders."""
    algo_id = call.integer("algoId")
    records = face.exchange.venue.open_algo_orders(call.uid, _optional_symbol(face, call))
    return [render.algo_order(record) for record in records if algo_id in (None, record.algo_id)]


@ENDPOINTS.add("GET", "/fapi/v1/allAlgoOrders", Security.READ, weight=5)
def all_algo_orders(face: FaceContext, call: Call) -> list[Json]:
    """Answer conditional orders of a symbol, open and closed, oldest first."""
    symbol = call.required_text("symbol").upper()
    start, end = call.time_range(MAX_TIME_RANGE_MS)
    from_id = call.integer("algoId")
    limit = call.limit(500, 1000)
    found = [
        record for record in face.exchange.venue.algo_orders(call.uid, symbol) if _in_page(record, from_id, start, end)
    ]
    first = from_id is not None or start is not None
    return [render.algo_order(record) for record in (found[:limit] if first else found[-limit:])]


def _in_page(record: AlgoOrder, from_id: int | None, start: int | None, end: int | None) -> bool:
    return (
        (from_id is None or record.algo_id >= from_id)
        and (start is None or record.created_ms >= start)
        and (end is None or record.created_ms <= end)
    )


def _optional_symbol(face: FaceContext, call: Call) -> str | None:
    symbol = call.text("symbol")
    if symbol is not None:
        face.exchange.venue.instrument(symbol.upper())
        return symbol.upper()
    return None
