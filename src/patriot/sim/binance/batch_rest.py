"""Several orders in one request. Each is a request of its own: what one is refused stands in its place of the answer.

Source: USD-M Futures, "Place / Modify / Cancel Multiple Orders", read 2026-11-22.
"""

import json
from collections.abc import Callable
from typing import Any, TypeVar

from patriot.sim.binance import refusals, render
from patriot.sim.binance.context import FaceContext
from patriot.sim.binance.endpoints import A_BATCH, ENDPOINTS
from patriot.sim.binance.order_rest import modify_order, place_order
from patriot.sim.binance.order_wishes import symbol_of
from patriot.sim.binance.requests import Call, Security
from patriot.sim.engine.events import VenueRefusal
from patriot.sim.engine.operations import CancelOrder

Json = dict[str, Any]
MOST_PLACED = 5
MOST_CANCELED = 10
W = TypeVar("W")


@ENDPOINTS.add("POST", "/fapi/v1/batchOrders", Security.TRADE, weight=5, orders=A_BATCH)
def place_orders(face: FaceContext, call: Call) -> list[Json]:
    """Place up to five orders."""
    return [_each(place_order, face, order) for order in _batch(call)]


@ENDPOINTS.add("PUT", "/fapi/v1/batchOrders", Security.TRADE, weight=5, orders=A_BATCH)
def modify_orders(face: FaceContext, call: Call) -> list[Json]:
    """Modify up to five orders."""
    return [_each(modify_order, face, order) for order in _batch(call)]


@ENDPOINTS.add("DELETE", "/fapi/v1/batchOrders", Security.TRADE)
def cancel_orders(face: FaceContext, call: Call) -> list[Json]:
    """Cancel up to ten orders, by their ids or by the client's own."""
    symbol = symbol_of(call)
    face.exchange.venue.instrument(symbol)
    ids, client_ids = _list(call, "orderIdList"), _list(call, "origClientOrderIdList")
    if not ids and not client_ids:
        raise refusals.either_missing("origClientOrderIdList", "orderIdList")
    if len(ids) > MOST_CANCELED or len(client_ids) > MOST_CANCELED:
        raise VenueRefusal(*refusals.TOO_MANY_CANCELS)
    named = [CancelOrder(uid=call.uid, symbol=symbol, order_id=_order_id(text)) for text in ids]
    if not ids:
        named = [CancelOrder(uid=call.uid, symbol=symbol, client_order_id=text) for text in client_ids]
    return [_each(_cancel, face, wish) for wish in named]


def _cancel(face: FaceContext, wish: CancelOrder) -> Json:
    return render.canceled(face.exchange.order_from(wish))


def _each(act: Callable[[FaceContext, W], Json], face: FaceContext, wish: W) -> Json:
    try:
        return act(face, wish)
    except VenueRefusal as refusal:
        return {"code": refusal.code, "msg": refusal.message}


def _batch(call: Call) -> list[Call]:
    """Return the orders of a batch as calls of the same account."""
    orders = _decoded("batchOrders", call.required_text("batchOrders"))
    if not isinstance(orders, list) or not all(isinstance(order, dict) for order in orders):
        raise refusals.invalid_data("batchOrders")
    if not 0 < len(orders) <= MOST_PLACED:
        raise refusals.bad_batch_size(len(orders))
    return [Call({name: _word(value) for name, value in order.items()}, call.uid, call.api_key) for order in orders]


def _word(value: object) -> str:
    """Return a value as it would stand in a query."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _list(call: Call, name: str) -> list[str]:
    """Return a list that clients write with or without capitals."""
    text = call.text(name) or call.text(name.lower())
    if text is None:
        return []
    found = _decoded(name, text)
    if not isinstance(found, list) or not all(isinstance(entry, str) for entry in found):
        raise refusals.invalid_data(name)
    return found


def _order_id(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise refusals.invalid_data("orderIdList")
    return int(text)


def _decoded(name: str, text: str) -> object:
    """Return JSON with its numbers as they were written."""
    try:
        return json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        raise refusals.invalid_data(name) from None
