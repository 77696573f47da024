"""Conditional orders: place, ask, cancel. Weights read 2026-11-22."""

from typing import Any

from patriot.sim.binance import history, refusals, render
from patriot.sim.binance.context import FaceContext
from patriot.sim.binance.endpoints import ENDPOINTS, ONE_ORDER, by_symbol
from patriot.sim.binance.history import Page
from patriot.sim.binance.order_rest import optional_symbol, wants_result
from patriot.sim.binance.order_wishes import new_algo_order, symbol_of
from patriot.sim.binance.requests import Call, Security
from patriot.sim.engine.events import VenueRefusal
from patriot.sim.engine.operations import CancelAlgoOrder, CancelAllAlgoOrders

Json = dict[str, Any]


@ENDPOINTS.add("POST", "/fapi/v1/algoOrder", Security.TRADE, weight=0, orders=ONE_ORDER)
def place_algo_order(face: FaceContext, call: Call) -> Json:
    """Place a conditional order."""
    wants_result(call)
    answer = render.algo_order(face.exchange.algo_order_from(new_algo_order(face, call)))
    answer["priceMatch"] = call.text("priceMatch") or "NONE"
    return answer


@ENDPOINTS.add("GET", "/fapi/v1/algoOrder", Security.READ)
def query_algo_order(face: FaceContext, call: Call) -> Json:
    """Answer one conditional order, open or closed, that has not vanished yet."""
    algo_id, client_algo_id = _algo_name(call)
    record = face.exchange.venue.algo_order(call.uid, algo_id=algo_id, client_algo_id=client_algo_id)
    if history.has_vanished(record, face.now_ms):
        raise VenueRefusal(*refusals.NO_SUCH_ORDER)
    return render.algo_order(record)


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
    face.exchange.apply(CancelAllAlgoOrders(uid=call.uid, symbol=symbol_of(call)))
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


@ENDPOINTS.add("GET", "/fapi/v1/openAlgoOrders", Security.READ, weight=by_symbol(1, 40))
def open_algo_orders(face: FaceContext, call: Call) -> list[Json]:
    """Answer the open conditional orders."""
    algo_id = call.integer("algoId")
    records = face.exchange.venue.open_algo_orders(call.uid, optional_symbol(face, call))
    return [render.algo_order(record) for record in records if algo_id in (None, record.algo_id)]


@ENDPOINTS.add("GET", "/fapi/v1/allAlgoOrders", Security.READ, weight=5)
def all_algo_orders(face: FaceContext, call: Call) -> list[Json]:
    """Answer conditional orders of a symbol, open and closed, oldest first."""
    symbol = symbol_of(call)
    face.exchange.venue.instrument(symbol)
    page = Page.of_orders(call, face.now_ms, "algoId")
    records = face.exchange.venue.algo_orders(call.uid, symbol)
    found = page.cut(records, lambda record: record.algo_id, lambda record: record.created_ms)
    return [render.algo_order(record) for record in found if not history.has_vanished(record, face.now_ms)]
