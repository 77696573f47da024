"""What a client asks of an order, read from its parameters: one place for REST, for batches and for the order socket.

Source: USD-M Futures, "New Order", "Modify Order", "New Algo Order", read 2026-11-22. A parameter that the endpoint
does not know is left unread, as clients of the venue rely on.
"""

from decimal import Decimal

from patriot.sim.binance import refusals
from patriot.sim.binance.context import FaceContext
from patriot.sim.binance.requests import Call
from patriot.sim.engine.events import VenueRefusal
from patriot.sim.engine.operations import AmendOrder, CancelOrder, PlaceAlgoOrder, PlaceOrder
from patriot.sim.engine.words import OrderType, PositionSide, SelfTradePrevention, Side, TimeInForce, WorkingType

SOONEST_GOOD_TILL_MS = 600_000  # behind the time of the request
LATEST_GOOD_TILL_MS = 253_402_300_799_000
_MATCHED_TYPES = (OrderType.LIMIT, OrderType.STOP, OrderType.TAKE_PROFIT)
_MATCH_LEVELS = {"": 1, "_5": 5, "_10": 10, "_20": 20}
_TRIGGER_ONLY = ("stopPrice", "activationPrice", "callbackRate")  # of orders that the algo endpoints take


def new_order(face: FaceContext, call: Call) -> PlaceOrder:
    """Read POST /fapi/v1/order."""
    order_type = call.required_choice("type", OrderType, refusals.BAD_ORDER_TYPE)
    if order_type not in (OrderType.LIMIT, OrderType.MARKET) or call.flag("closePosition"):
        raise VenueRefusal(*refusals.USE_ALGO_ENDPOINT)
    for name in _TRIGGER_ONLY:
        if call.text(name) is not None:
            raise refusals.not_required(name)
    symbol, side = symbol_of(call), call.required_choice("side", Side, refusals.BAD_SIDE)
    time_in_force = call.choice("timeInForce", TimeInForce, refusals.BAD_TIME_IN_FORCE)
    return PlaceOrder(
        uid=call.uid,
        symbol=symbol,
        side=side,
        order_type=order_type,
        quantity=call.decimal("quantity"),
        price=_price(face, call, symbol, side, order_type),
        price_match=call.text("priceMatch") or "NONE",
        time_in_force=time_in_force,
        reduce_only=call.flag("reduceOnly"),
        position_side=_position_side(call),
        client_order_id=call.text("newClientOrderId") or "",
        good_till_ms=_good_till(face, call, time_in_force),
        self_trade_prevention=_self_trade_prevention(call),
    )


def new_algo_order(face: FaceContext, call: Call) -> PlaceAlgoOrder:
    """Read POST /fapi/v1/algoOrder."""
    if call.required_text("algoType") != "CONDITIONAL":
        raise refusals.invalid_data("algoType")
    symbol, side = symbol_of(call), call.required_choice("side", Side, refusals.BAD_SIDE)
    order_type = call.required_choice("type", OrderType, refusals.BAD_ORDER_TYPE)
    time_in_force = call.choice("timeInForce", TimeInForce, refusals.BAD_TIME_IN_FORCE)
    close_position = call.flag("closePosition")
    quantity = call.decimal("quantity")
    if close_position and quantity:
        raise VenueRefusal(*refusals.QUANTITY_WITH_CLOSE)
    return PlaceAlgoOrder(
        uid=call.uid,
        symbol=symbol,
        side=side,
        order_type=order_type,
        trigger_price=call.decimal("triggerPrice"),
        quantity=quantity,
        price=_price(face, call, symbol, side, order_type),
        time_in_force=time_in_force,
        working_type=_working_type(call),
        reduce_only=call.flag("reduceOnly"),
        close_position=close_position,
        price_protect=call.flag("priceProtect"),
        position_side=_position_side(call),
        client_algo_id=call.text("clientAlgoId") or "",
        callback_rate=call.decimal("callbackRate"),
        activation_price=call.decimal("activatePrice") or call.decimal("activationPrice"),
        good_till_ms=_good_till(face, call, time_in_force),
        self_trade_prevention=_self_trade_prevention(call),
    )


def amendment(face: FaceContext, call: Call) -> AmendOrder:
    """Read PUT /fapi/v1/order. The order itself is looked at by who applies it."""
    symbol, order_id, client_order_id = order_name(call)
    side = call.required_choice("side", Side, refusals.BAD_SIDE)
    quantity = call.decimal("quantity")
    if quantity is None:
        raise refusals.missing("quantity")
    price = _price(face, call, symbol, side, OrderType.LIMIT)
    if price is None:
        raise refusals.missing("price")
    return AmendOrder(
        uid=call.uid,
        symbol=symbol,
        order_id=order_id,
        client_order_id=client_order_id if order_id is None else None,
        quantity=quantity,
        price=price,
    )


def cancellation(call: Call) -> CancelOrder:
    """Read DELETE /fapi/v1/order."""
    symbol, order_id, client_order_id = order_name(call)
    return CancelOrder(uid=call.uid, symbol=symbol, order_id=order_id, client_order_id=client_order_id)


def order_name(call: Call) -> tuple[str, int | None, str | None]:
    """Return the symbol and the two ids, of which one must be there."""
    symbol = symbol_of(call)
    order_id, client_order_id = call.integer("orderId"), call.text("origClientOrderId")
    if order_id is None and client_order_id is None:
        raise refusals.either_missing("origClientOrderId", "orderId")
    return symbol, order_id, client_order_id


def symbol_of(call: Call) -> str:
    """Return the symbol, which must be there."""
    return call.required_text("symbol").upper()


def _position_side(call: Call) -> PositionSide:
    return call.choice("positionSide", PositionSide, refusals.BAD_POSITION_SIDE) or PositionSide.BOTH


def _self_trade_prevention(call: Call) -> SelfTradePrevention:
    mode = call.choice("selfTradePreventionMode", SelfTradePrevention, refusals.BAD_SELF_TRADE_PREVENTION)
    if mode is SelfTradePrevention.NONE:  # since 2024-12-10 every order of the venue names a way
        raise VenueRefusal(*refusals.SELF_TRADES_NOT_OFFERED)
    return mode or SelfTradePrevention.EXPIRE_MAKER


def _working_type(call: Call) -> WorkingType:
    working_type = call.choice("workingType", WorkingType, refusals.BAD_WORKING_TYPE)
    if working_type is WorkingType.INDEX_PRICE:
        raise VenueRefusal(*refusals.BAD_WORKING_TYPE)
    return working_type or WorkingType.CONTRACT_PRICE


def _good_till(face: FaceContext, call: Call, time_in_force: TimeInForce | None) -> int:
    """Return goodTillDate in whole seconds, as the venue keeps it; 0 where no time was asked for."""
    asked = call.integer("goodTillDate")
    if time_in_force is not TimeInForce.GTD:
        if asked:
            raise refusals.not_required("goodTillDate")
        return 0
    if asked is None:
        raise refusals.missing("goodTillDate")
    if not face.now_ms + SOONEST_GOOD_TILL_MS < asked < LATEST_GOOD_TILL_MS:
        raise VenueRefusal(*refusals.BAD_GOOD_TILL_DATE)
    return asked - asked % 1000


def _price(face: FaceContext, call: Call, symbol: str, side: Side, order_type: OrderType) -> Decimal | None:
    """Return the price that was sent, or the one of the book that priceMatch names."""
    price, match = call.decimal("price"), call.text("priceMatch")
    if match is None or match == "NONE":
        return price
    where, _, depth = match.partition("_")
    levels = _MATCH_LEVELS.get(f"_{depth}" if depth else "")
    if where not in ("OPPONENT", "QUEUE") or levels is None or match.endswith("_"):
        raise VenueRefusal(*refusals.BAD_PRICE_MATCH)
    if order_type not in _MATCHED_TYPES:
        raise VenueRefusal(*refusals.PRICE_MATCH_TYPE)
    if price is not None:
        raise refusals.not_required("price")
    book = face.exchange.venue.depth(symbol, levels)
    rows = book.asks if (where == "OPPONENT") == (side is Side.BUY) else book.bids
    if len(rows) < levels:
        raise VenueRefusal(*refusals.NO_PRICE_TO_MATCH)
    return rows[levels - 1][0]
