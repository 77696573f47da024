"""Orders: create, amend, cancel, one by one, all, or in batches.

An acknowledgement says that a request was taken, not that the order rests: what the matching stage does with it is
told on the order stream and shown by the queries.
Source: bybit-exchange.github.io/docs/v5/order, read 2026-11-22.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from patriot.sim.bybit import lookup, refusals
from patriot.sim.bybit.context import FaceContext
from patriot.sim.bybit.endpoints import ENDPOINTS, Reply, require_linear
from patriot.sim.bybit.lookup import PublicOrder
from patriot.sim.bybit.refusals import Refused
from patriot.sim.bybit.requests import Call, Security
from patriot.sim.bybit.text import POSITION_INDEXES, SELF_TRADES, SIDES, TIMES_IN_FORCE, TRIGGERS
from patriot.sim.engine.events import VenueRefusal
from patriot.sim.engine.operations import (
    AmendAlgoOrder,
    AmendOrder,
    CancelAlgoOrder,
    CancelOrder,
    PlaceAlgoOrder,
    PlaceOrder,
)
from patriot.sim.engine.records import Order, Protection
from patriot.sim.engine.words import (
    ZERO,
    OrderType,
    PositionSide,
    SelfTradePrevention,
    Side,
    TimeInForce,
    WorkingType,
)

Json = dict[str, Any]

ORDERS_PER_SECOND: Final = 10
MAX_BATCH: Final = 20
_SIDE: Final = {word: side for side, word in SIDES.items()}
_TYPES: Final = {"Market": OrderType.MARKET, "Limit": OrderType.LIMIT}
_TIME_IN_FORCE: Final = {word: tif for tif, word in TIMES_IN_FORCE.items() if tif is not TimeInForce.GTD}
_TRIGGER_BY: Final = {word: working for working, word in TRIGGERS.items()}
_POSITION_SIDE: Final = {str(index): side for side, index in POSITION_INDEXES.items()}
_SMP: Final = {word: kind for kind, word in SELF_TRADES.items()}
_LINK_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,36}")
_MODES: Final = {"Full": False, "Partial": True}
_AT_LIMIT: Final = {"Market": False, "Limit": True}


def symbol_of(face: FaceContext, call: Call) -> str:
    """Return the listed symbol that a call names. Errors: Refused or VenueRefusal for another."""
    symbol = call.required_text("symbol")
    face.exchange.venue.instrument(symbol)
    return symbol


def position_side_of(call: Call) -> PositionSide:
    """Return the holding that positionIdx names."""
    return call.choice("positionIdx", _POSITION_SIDE) or PositionSide.BOTH


def working_type_of(call: Call, name: str) -> WorkingType:
    """Return the price that a trigger watches, the last price when nothing is said."""
    return call.choice(name, _TRIGGER_BY) or WorkingType.CONTRACT_PRICE


# -------------------------------------------------------------------------------------------------- create


@ENDPOINTS.add("POST", "/v5/order/create", Security.TRADE, per_second=ORDERS_PER_SECOND)
def create(face: FaceContext, call: Call) -> Json:
    """Place an order; with a trigger price, a conditional one."""
    require_linear(call)
    return _named(_create(face, call))


def _named(found: PublicOrder) -> Json:
    return {"orderId": found.order_id, "orderLinkId": found.link_id}


@dataclass(frozen=True, slots=True)
class _Wish:
    """What plain and conditional orders have in common."""

    symbol: str
    side: Side
    order_type: OrderType
    position_side: PositionSide
    link_id: str
    price: Decimal | None
    time_in_force: TimeInForce | None
    reduces: bool
    smp: SelfTradePrevention


def _create(face: FaceContext, call: Call) -> PublicOrder:
    symbol = symbol_of(face, call)
    order_type = call.required_choice("orderType", _TYPES, (10001, "OrderType invalid"))
    at_market = order_type is OrderType.MARKET
    time_in_force = call.choice("timeInForce", _TIME_IN_FORCE) or TimeInForce.GTC
    link_id = call.text("orderLinkId") or ""
    if link_id and not _LINK_ID.fullmatch(link_id):
        raise refusals.bad("orderLinkId")
    if link_id and lookup.by_link(face, call.uid, link_id) is not None:
        raise Refused(*refusals.DUPLICATE_LINK)
    wish = _Wish(
        symbol,
        call.required_choice("side", _SIDE, (10001, "Side invalid")),
        order_type,
        position_side_of(call),
        link_id,
        None if at_market else _price(face, call, symbol),
        None if at_market else time_in_force,
        call.flag("reduceOnly") or call.flag("closeOnTrigger"),
        call.choice("smpType", _SMP) or SelfTradePrevention.NONE,
    )
    _check_position_index(face, call.uid, wish)
    trigger_price = call.decimal("triggerPrice")
    if trigger_price:
        return _create_conditional(face, call, wish, trigger_price)
    return _create_plain(face, call, wish)


def _check_position_index(face: FaceContext, uid: int, wish: _Wish) -> None:
    if (wish.position_side is not PositionSide.BOTH) != face.exchange.venue.hedges(uid, wish.symbol):
        raise Refused(*refusals.MODE_MISMATCH)


def _price(face: FaceContext, call: Call, symbol: str) -> Decimal:
    """Return the limit price, or the level of the book that bboSideType names."""
    side = call.choice("bboSideType", {"Queue": False, "Counterparty": True})
    if side is None:
        return call.required_decimal("price")
    level = call.required_choice("bboLevel", {str(n): n for n in range(1, 6)})
    book = face.exchange.venue.depth(symbol, level)
    buys = call.required_choice("side", _SIDE, (10001, "Side invalid")) is Side.BUY
    rows = book.asks if buys == side else book.bids
    if len(rows) < level:
        raise refusals.bad("bboLevel")
    return rows[level - 1][0]


def _create_plain(face: FaceContext, call: Call, wish: _Wish) -> PublicOrder:
    quantity = call.required_decimal("qty")
    if wish.reduces:
        held = _reducible(face, call.uid, wish)
        closes_all = not quantity and call.flag("reduceOnly") and call.flag("closeOnTrigger")
        quantity = held if closes_all else min(quantity, held)
        if closes_all:
            instrument = face.exchange.venue.instrument(wish.symbol)
            at_market = wish.order_type is OrderType.MARKET
            quantity = min(quantity, instrument.market_max_quantity if at_market else instrument.max_quantity)
    protection = attached(call, quantity)
    if protection is not None:
        if wish.reduces:
            raise Refused(10001, "Reduce-only orders cannot set take profit or stop loss")
        _check_sides(face, wish, protection, wish.price)
    operation = PlaceOrder(
        uid=call.uid,
        symbol=wish.symbol,
        side=wish.side,
        order_type=wish.order_type,
        quantity=quantity,
        price=wish.price,
        time_in_force=wish.time_in_force,
        reduce_only=wish.reduces and wish.position_side is PositionSide.BOTH,
        position_side=wish.position_side,
        client_order_id=wish.link_id,
        self_trade_prevention=wish.smp,
        attached=protection,
        refuse_late=True,
    )
    return PublicOrder(face.exchange.order_from(operation))


def _reducible(face: FaceContext, uid: int, wish: _Wish) -> Decimal:
    """Return how much of the position an order of this side can take off; refuse when it is nothing."""
    views = face.exchange.venue.positions(uid, wish.symbol)
    held = next((v.position.quantity for v in views if v.position.position_side is wish.position_side), ZERO)
    if not held:
        raise Refused(*refusals.REDUCE_ONLY)
    if (held > ZERO) == (wish.side is Side.BUY):
        raise Refused(*refusals.REDUCE_ONLY_SIDE)
    return abs(held)


def _create_conditional(face: FaceContext, call: Call, wish: _Wish, trigger_price: Decimal) -> PublicOrder:
    rises = call.required_choice("triggerDirection", {"1": True, "2": False}, (10001, "TriggerDirection invalid"))
    working = working_type_of(call, "triggerBy")
    _check_direction(face, wish.symbol, trigger_price, working, rises=rises)
    quantity = call.required_decimal("qty")
    closes_all = not quantity and call.flag("reduceOnly") and call.flag("closeOnTrigger")
    at_market = wish.order_type is OrderType.MARKET
    protection = attached(call, quantity)
    if protection is not None:
        if wish.reduces:
            raise Refused(10001, "Reduce-only orders cannot set take profit or stop loss")
        _check_sides(face, wish, protection, wish.price or trigger_price)
    operation = PlaceAlgoOrder(
        uid=call.uid,
        symbol=wish.symbol,
        side=wish.side,
        order_type=OrderType.STOP_MARKET if at_market else OrderType.STOP,
        trigger_price=trigger_price,
        quantity=None if closes_all else quantity,
        price=wish.price,
        time_in_force=wish.time_in_force,
        working_type=working,
        reduce_only=wish.reduces and not closes_all and wish.position_side is PositionSide.BOTH,
        close_position=closes_all,
        position_side=wish.position_side,
        client_algo_id=wish.link_id,
        trigger_above=rises,
        self_trade_prevention=wish.smp,
        attached=protection,
    )
    return PublicOrder(None, face.exchange.algo_order_from(operation))


def _check_direction(
    face: FaceContext, symbol: str, trigger_price: Decimal, working: WorkingType, *, rises: bool
) -> None:
    """Refuse a trigger price that the watched price has passed already."""
    ticker = face.exchange.venue.ticker(symbol)
    if ticker is None:
        raise Refused(*refusals.HALTED)
    prices = {
        WorkingType.CONTRACT_PRICE: ticker.last,
        WorkingType.MARK_PRICE: ticker.mark,
        WorkingType.INDEX_PRICE: ticker.index,
    }
    current = prices[working]
    if (trigger_price <= current) if rises else (trigger_price >= current):
        raise refusals.wrong_direction(trigger_price, current, TRIGGERS[working], rises=rises)


# -------------------------------------------------------------------------------------------------- protection


def attached(call: Call, quantity: Decimal) -> Protection | None:
    """Return the take profit and stop loss that a call names, None when it names none.

    quantity: what partial mode covers.
    """
    profit, loss = call.decimal("takeProfit") or None, call.decimal("stopLoss") or None
    if profit is None and loss is None:
        return None
    partial = call.choice("tpslMode", _MODES) or False
    limits = {name: call.choice(f"{name}OrderType", _AT_LIMIT) or False for name in ("tp", "sl")}
    if any(limits.values()) and not partial:
        raise refusals.bad("tpslMode")
    size = quantity if partial else None
    return Protection(
        take_profit=profit,
        stop_loss=loss,
        take_profit_type=working_type_of(call, "tpTriggerBy"),
        stop_loss_type=working_type_of(call, "slTriggerBy"),
        take_profit_size=size if profit else None,
        stop_loss_size=size if loss else None,
        take_profit_price=call.required_decimal("tpLimitPrice") if limits["tp"] and profit else None,
        stop_loss_price=call.required_decimal("slLimitPrice") if limits["sl"] and loss else None,
    )


def _check_sides(face: FaceContext, wish: _Wish, protection: Protection, reference: Decimal | None) -> None:
    """Refuse a take profit or stop loss on the wrong side of the order's price."""
    ticker = face.exchange.venue.ticker(wish.symbol)
    base = reference or (ticker.last if ticker is not None else ZERO)
    buys = wish.side is Side.BUY
    profit, loss = protection.take_profit, protection.stop_loss
    if profit is not None and (profit <= base if buys else profit >= base):
        raise refusals.wrong_side("TakeProfit", profit, base, long=buys)
    if loss is not None and (loss >= base if buys else loss <= base):
        raise refusals.wrong_side("StopLoss", loss, base, long=buys)


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
    protection = _amended_protection(call, order, quantity or order.quantity)
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


def _amended_protection(call: Call, order: Order, quantity: Decimal) -> Protection | None:
    """Return what an order is to carry from now on, None when the call says nothing of it; 0 takes a part away."""
    if call.text("takeProfit") is None and call.text("stopLoss") is None:
        return None
    if order.filled_quantity:
        raise Refused(*refusals.PARTLY_FILLED)
    known = order.attached or Protection()
    asked = attached(call, quantity) or Protection()
    keeps_profit, keeps_loss = call.text("takeProfit") is None, call.text("stopLoss") is None
    return Protection(
        take_profit=known.take_profit if keeps_profit else asked.take_profit,
        stop_loss=known.stop_loss if keeps_loss else asked.stop_loss,
        take_profit_type=known.take_profit_type if keeps_profit else asked.take_profit_type,
        stop_loss_type=known.stop_loss_type if keeps_loss else asked.stop_loss_type,
        take_profit_size=known.take_profit_size if keeps_profit else asked.take_profit_size,
        stop_loss_size=known.stop_loss_size if keeps_loss else asked.stop_loss_size,
        take_profit_price=known.take_profit_price if keeps_profit else asked.take_profit_price,
        stop_loss_price=known.stop_loss_price if keeps_loss else asked.stop_loss_price,
    )


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


def orders_asked_for(face: FaceContext, call: Call) -> Callable[[str], bool]:
    """Return which symbols a call is about: symbol, else baseCoin, else settleCoin, one of which must be there."""
    symbol, base, settle = call.text("symbol"), call.text("baseCoin"), call.text("settleCoin")
    venue = face.exchange.venue
    if symbol is not None:
        venue.instrument(symbol)
        return lambda name: name == symbol
    if base is not None:
        return lambda name: venue.instrument(name).base_asset == base
    if settle is not None:
        return lambda name: venue.instrument(name).quote_asset == settle
    raise Refused(*refusals.NO_SELECTION)


# -------------------------------------------------------------------------------------------------- batches


@ENDPOINTS.add(
    "POST", "/v5/order/create-batch", Security.TRADE, per_second=ORDERS_PER_SECOND * MAX_BATCH, counts_items=True
)
def create_batch(face: FaceContext, call: Call) -> Reply:
    """Place up to 20 orders."""
    return _batch(face, call, _create, created=True)


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
    face.disconnect_windows[call.uid] = seconds
    return {}


@ENDPOINTS.add("GET", "/v5/order/spot-borrow-check", Security.READ)
def spot_borrow_check(_face: FaceContext, call: Call) -> Json:
    """Refuse: no spot instrument is listed."""
    call.required_text("category")
    raise Refused(*refusals.NO_SYMBOL)
