"""Plain orders: place, test, ask, modify, cancel. Weights read 2026-11-22."""

from typing import Any

from patriot.sim.binance import history, refusals, render
from patriot.sim.binance.context import FaceContext
from patriot.sim.binance.endpoints import ENDPOINTS, ONE_ORDER, by_symbol
from patriot.sim.binance.order_wishes import amendment, cancellation, new_order, order_name, symbol_of
from patriot.sim.binance.requests import Call, Security
from patriot.sim.engine.events import VenueRefusal
from patriot.sim.engine.operations import CancelAllOrders, SetCountdown
from patriot.sim.engine.records import Order
from patriot.sim.engine.words import ZERO, OrderType, TimeInForce

Json = dict[str, Any]
RESPONSE_TYPES = ("ACK", "RESULT")


@ENDPOINTS.add("POST", "/fapi/v1/order", Security.TRADE, weight=0, orders=ONE_ORDER)
def place_order(face: FaceContext, call: Call) -> Json:
    """Place a plain order."""
    full = wants_result(call)
    return render.placed(face.exchange.order_from(new_order(face, call)), full=full)


@ENDPOINTS.add("POST", "/fapi/v1/order/test", Security.TRADE)
def test_order(face: FaceContext, call: Call) -> Json:
    """Check a plain order without placing it; the answer is one of an order that was taken, without a number."""
    wants_result(call)
    wish, now_ms = new_order(face, call), face.exchange.now_ms
    face.exchange.venue.check(wish, now_ms)
    record = Order(
        call.uid,
        0,
        wish.client_order_id,
        wish.symbol,
        wish.side,
        wish.order_type,
        wish.quantity or ZERO,
        now_ms,
        now_ms,
        position_side=wish.position_side,
        time_in_force=wish.time_in_force or TimeInForce.GTC,
        price=wish.price or ZERO,
        reduce_only=wish.reduce_only,
        original_type=wish.order_type,
        good_till_ms=wish.good_till_ms,
        self_trade_prevention=wish.self_trade_prevention,
        price_match=wish.price_match,
    )
    return render.placed(record, full=False)


def wants_result(call: Call) -> bool:
    """Whether the answer shall show the fills."""
    response_type = call.text("newOrderRespType") or "ACK"
    if response_type not in RESPONSE_TYPES:
        raise VenueRefusal(*refusals.BAD_RESPONSE_TYPE)
    return response_type == "RESULT"


@ENDPOINTS.add("PUT", "/fapi/v1/order", Security.TRADE, weight=0, orders=ONE_ORDER)
def modify_order(face: FaceContext, call: Call) -> Json:
    """Change price and quantity of an open limit order."""
    wish = amendment(face, call)
    venue = face.exchange.venue
    before = venue.order(call.uid, wish.symbol, order_id=wish.order_id, client_order_id=wish.client_order_id)
    if before.order_type is not OrderType.LIMIT:
        raise VenueRefusal(*refusals.LIMIT_ORDERS_ONLY)
    if before.side.value != (call.text("side") or "").upper():
        raise refusals.invalid_data("side")
    if call.flag("reduceOnly") and not before.reduce_only:
        raise VenueRefusal(*refusals.NOT_REDUCE_ONLY)
    modify_id = call.integer("modifyId")
    answer = render.modified(face.exchange.order_from(wish), modify_id)
    answer["priceMatch"] = call.text("priceMatch") or "NONE"
    return answer


@ENDPOINTS.add("GET", "/fapi/v1/order", Security.READ)
def query_order(face: FaceContext, call: Call) -> Json:
    """Answer one order, open or closed, that has not vanished yet."""
    return render.order(_named_order(face, call))


@ENDPOINTS.add("GET", "/fapi/v1/openOrder", Security.READ)
def query_open_order(face: FaceContext, call: Call) -> Json:
    """Answer one order if it is open."""
    record = _named_order(face, call)
    if not record.is_open:
        raise VenueRefusal(*refusals.NO_SUCH_ORDER)
    return render.order(record)


def _named_order(face: FaceContext, call: Call) -> Order:
    symbol, order_id, client_order_id = order_name(call)
    record = face.exchange.venue.order(call.uid, symbol, order_id=order_id, client_order_id=client_order_id)
    if history.has_vanished(record, face.now_ms):
        raise VenueRefusal(*refusals.NO_SUCH_ORDER)
    return record


@ENDPOINTS.add("DELETE", "/fapi/v1/order", Security.TRADE)
def cancel_order(face: FaceContext, call: Call) -> Json:
    """Cancel one order."""
    return render.canceled(face.exchange.order_from(cancellation(call)))


@ENDPOINTS.add("DELETE", "/fapi/v1/allOpenOrders", Security.TRADE)
def cancel_all_orders(face: FaceContext, call: Call) -> Json:
    """Cancel the plain orders of a symbol; conditional ones stay."""
    face.exchange.apply(CancelAllOrders(uid=call.uid, symbol=symbol_of(call)))
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


@ENDPOINTS.add("POST", "/fapi/v1/countdownCancelAll", Security.TRADE, weight=10)
def cancel_all_after(face: FaceContext, call: Call) -> Json:
    """Cancel the plain orders of a symbol at the end of a countdown, unless another is set before; 0 stops it."""
    symbol, countdown_ms = symbol_of(call), call.required_integer("countdownTime")
    due_ms = face.exchange.now_ms + countdown_ms if countdown_ms else 0
    face.exchange.apply(SetCountdown(uid=call.uid, symbol=symbol, due_ms=due_ms))
    return {"symbol": symbol, "countdownTime": str(countdown_ms)}


@ENDPOINTS.add("GET", "/fapi/v1/openOrders", Security.READ, weight=by_symbol(1, 40))
def open_orders(face: FaceContext, call: Call) -> list[Json]:
    """Answer the open plain orders."""
    return [render.order(record) for record in face.exchange.venue.open_orders(call.uid, optional_symbol(face, call))]


def optional_symbol(face: FaceContext, call: Call) -> str | None:
    """Return the symbol, listed, where one was sent."""
    symbol = call.text("symbol")
    if symbol is None:
        return None
    return face.exchange.venue.instrument(symbol.upper()).symbol
