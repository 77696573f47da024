"""Orders: create, amend, cancel, one by one, all, or in batches.

An acknowledgement says that a request was taken, not that the order rests: what the matching stage does with it is
told on the order stream and shown by the queries.
Source: bybit-exchange.github.io/docs/v5/order, read 2026-11-22.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from patriot.sim.bybit import lookup, refusals
from patriot.sim.bybit.context import FaceContext
from patriot.sim.bybit.endpoints import ENDPOINTS, Reply, require_linear
from patriot.sim.bybit.lookup import PublicOrder
from patriot.sim.bybit.parameters import amended_protection, orders_asked_for, symbol_of
from patriot.sim.bybit.placing import place
from patriot.sim.bybit.refusals import Refused
from patriot.sim.bybit.requests import Call, Security
from patriot.sim.engine.events import VenueRefusal
from patriot.sim.engine.operations import AmendAlgoOrder, AmendOrder, CancelAlgoOrder, CancelOrder
from patriot.sim.engine.words import ZERO

Json = dict[str, Any]

ORDERS_PER_SECOND: Final = 10
MAX_BATCH: Final = 20


# -------------------------------------------------------------------------------------------------- create


@ENDPOINTS.add("POST", "/v5/order/create", Security.TRADE, per_second=ORDERS_PER_SECOND)
def create(face: FaceContext, call: Call) -> Json:
    """Place an order; with a trigger price, a conditional one."""
    require_linear(call)
    return _named(place(face, call))


def _named(found: PublicOrder) -> Json:
    return {"orderId": found.order_id, "orderLinkId": found.link_id}


# -------------------------------------------------------------------------------------------------- amend


@ENDPOINTS.add("POST", "/v5/order/amend", Security.TRADE, per_second=ORDERS_PER_SECOND)
def amend(face: FaceContext, call: Call) -> Json:
    """Change an open order."""
    require_linear(call)
    return _named(_amend(face, call))


def _found(face: FaceContext, call: Call, refusal: tuple[int, str]) -> PublicOrder:
    symbol = symbol_of(face, call)
    if call.text("orderId") is None and call.text("orderLinkId") is None:
        raise Refused(10001, "params error: orderId or orderLinkId is required")
    found = lookup.named(face, call)
    if found is None or not found.is_open or found.record.symbol != symbol:
        raise Refused(*refusal)
    return found


def _amend(face: FaceContext, call: Call) -> PublicOrder:
    found = _found(face, call, refusals.NO_ORDER_TO_AMEND)
    quantity, price = call.decimal("qty") or None, call.decimal("price") or None
    trigger = call.decimal("triggerPrice") or None
    order = found.order
    if order is None:
        condition = found.condition
        assert condition is not None  # noqa: S101 - one of the two is there
        unchanged = (
            quantity in (None, condition.quantity)
            and price in (None, condition.price)
            and trigger in (None, condition.trigger_price)
        )
        if unchanged:
            raise Refused(*refusals.UNCHANGED)
        changed = AmendAlgoOrder(
            uid=call.uid, algo_id=condition.algo_id, quantity=quantity, price=price, trigger_price=trigger
        )
        return PublicOrder(None, face.exchange.algo_order_from(changed))
    protection = amended_protection(call, order, quantity or order.quantity)
    unchanged = (
        quantity in (None, order.quantity) and price in (None, order.price) and protection in (None, order.attached)
    )
    if unchanged:
        raise Refused(*refusals.UNCHANGED)
    if quantity is not None and quantity <= order.filled_quantity:
        raise Refused(*refusals.BELOW_FILLED)
    operation = AmendOrder(
        uid=call.uid,
        symbol=order.symbol,
        order_id=order.order_id,
        quantity=quantity,
        price=price,
        attached=protection,
    )
    return lookup.of_order(face, face.exchange.order_from(operation))


# -------------------------------------------------------------------------------------------------- cancel


@ENDPOINTS.add("POST", "/v5/order/cancel", Security.TRADE, per_second=ORDERS_PER_SECOND)
def cancel(face: FaceContext, call: Call) -> Json:
    """Cancel an open order."""
    require_linear(call)
    return _named(_cancel(face, call))


def _cancel(face: FaceContext, call: Call) -> PublicOrder:
    return end(face, call.uid, _found(face, call, refusals.NO_ORDER))


def end(face: FaceContext, uid: int, found: PublicOrder) -> PublicOrder:
    """Cancel one open order."""
    if found.order is not None:
        operation = CancelOrder(uid=uid, symbol=found.order.symbol, order_id=found.order.order_id)
        return PublicOrder(face.exchange.order_from(operation), found.condition)
    condition = found.condition
    assert condition is not None  # noqa: S101 - one of the two is there
    return PublicOrder(None, face.exchange.algo_order_from(CancelAlgoOrder(uid=uid, algo_id=condition.algo_id)))


@ENDPOINTS.add("POST", "/v5/order/cancel-all", Security.TRADE, per_second=ORDERS_PER_SECOND)
def cancel_all(face: FaceContext, call: Call) -> Json:
    """Cancel every open order of a symbol or coin; conditional ones and protections too, unless a filter says less."""
    require_linear(call)
    keep = orders_asked_for(face, call)
    wanted = call.choice("orderFilter", {"Order": "Order", "StopOrder": "StopOrder", "OpenOrder": "OpenOrder"})
    only_users = call.text("stopOrderType") == "Stop"
    ended: list[PublicOrder] = []
    for found in lookup.open_records(face, call.uid):
        conditional = found.order is None
        if not keep(found.record.symbol) or (wanted in ("Order", "OpenOrder") and conditional):
            continue
        if (wanted == "StopOrder" and not conditional) or (only_users and found.record.origin != "USER"):
            continue
        try:
            ended.append(end(face, call.uid, found))
        except VenueRefusal:
            continue  # the end of another has ended it
    return {"list": [_named(found) for found in ended], "success": "1"}


# -------------------------------------------------------------------------------------------------- batches


@ENDPOINTS.add(
    "POST", "/v5/order/create-batch", Security.TRADE, per_second=ORDERS_PER_SECOND * MAX_BATCH, counts_items=True
)
def create_batch(face: FaceContext, call: Call) -> Reply:
    """Place up to 20 orders."""
    return _batch(face, call, place, created=True)


@ENDPOINTS.add(
    "POST", "/v5/order/amend-batch", Security.TRADE, per_second=ORDERS_PER_SECOND * MAX_BATCH, counts_items=True
)
def amend_batch(face: FaceContext, call: Call) -> Reply:
    """Change up to 20 orders."""
    return _batch(face, call, _amend)


@ENDPOINTS.add(
    "POST", "/v5/order/cancel-batch", Security.TRADE, per_second=ORDERS_PER_SECOND * MAX_BATCH, counts_items=True
)
def cancel_batch(face: FaceContext, call: Call) -> Reply:
    """Cancel up to 20 orders."""
    return _batch(face, call, _cancel)


def _batch(
    face: FaceContext, call: Call, act: Callable[[FaceContext, Call], PublicOrder], *, created: bool = False
) -> Reply:
    """Carry out each request by itself: two lists of the same order, one of orders and one of codes."""
    require_linear(call)
    requests = call.objects("request")
    if len(requests) > MAX_BATCH:
        raise Refused(10001, f"params error: request exceeds the maximum of {MAX_BATCH}")
    rows: list[Json] = []
    codes: list[Json] = []
    for request in requests:
        one = call.within(request)
        row: Json = {"category": "linear", "symbol": str(request.get("symbol") or "")}
        try:
            found = act(face, one)
        except (Refused, VenueRefusal) as error:
            refusal = error if isinstance(error, Refused) else refusals.of_engine(error)
            row |= {"orderId": "", "orderLinkId": str(request.get("orderLinkId") or "")}
            rows.append(row | ({"createAt": ""} if created else {}))
            codes.append({"code": refusal.code, "msg": refusal.message})
            continue
        rows.append(row | _named(found) | ({"createAt": str(found.created_ms)} if created else {}))
        codes.append({"code": 0, "msg": "OK"})
    return Reply({"list": rows}, {"list": codes})


# -------------------------------------------------------------------------------------------------- around orders


@ENDPOINTS.add("POST", "/v5/order/pre-check", Security.TRADE, per_second=ORDERS_PER_SECOND)
def pre_check(face: FaceContext, call: Call) -> Json:
    """Answer the margin rates before and after an order that is not placed, in hundredths of a percent."""
    require_linear(call)
    symbol = symbol_of(face, call)
    venue = face.exchange.venue
    view, settings = venue.account(call.uid), venue.symbol_settings(call.uid, symbol)
    quantity = call.required_decimal("qty")
    notional = quantity * (call.decimal("price") or settings.mark_price)
    bracket = venue.instrument(symbol).brackets[0]

    def rate(part: Decimal) -> int:
        return int(part / view.equity * 10_000) if view.equity > ZERO else 0

    return {
        "orderId": "",
        "orderLinkId": call.text("orderLinkId") or "",
        "preImrE4": rate(view.initial_margin),
        "preMmrE4": rate(view.maintenance_margin),
        "postImrE4": rate(view.initial_margin + notional / settings.leverage),
        "postMmrE4": rate(view.maintenance_margin + notional * bracket.maintenance_ratio),
    }


@ENDPOINTS.add("POST", "/v5/order/disconnected-cancel-all", Security.TRADE, per_second=5)
def set_disconnect_window(face: FaceContext, call: Call) -> Json:
    """Set after how many seconds without a private connection the orders of an account are cancelled."""
    seconds = call.integer("timeWindow")
    if seconds is None or not 3 <= seconds <= 300:
        raise refusals.bad("timeWindow")
    face.exchange.set_disconnect_window(call.uid, seconds)
    return {}


@ENDPOINTS.add("GET", "/v5/order/spot-borrow-check", Security.READ)
def spot_borrow_check(_face: FaceContext, call: Call) -> Json:
    """Refuse: no spot instrument is listed."""
    call.required_text("category")
    raise Refused(*refusals.NO_SYMBOL)
