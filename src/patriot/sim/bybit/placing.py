"""Placing an order: what the wire says, in the engine's words; plain, or conditional when there is a trigger price."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from patriot.sim.bybit import lookup, refusals
from patriot.sim.bybit.context import FaceContext
from patriot.sim.bybit.lookup import PublicOrder
from patriot.sim.bybit.parameters import attached, position_side_of, side_of, symbol_of, working_type_of
from patriot.sim.bybit.refusals import Refused
from patriot.sim.bybit.requests import Call
from patriot.sim.bybit.text import NO_TOLERANCE, SELF_TRADES, TIMES_IN_FORCE, TRIGGERS, number
from patriot.sim.engine.operations import PlaceAlgoOrder, PlaceOrder
from patriot.sim.engine.records import Protection
from patriot.sim.engine.words import (
    ZERO,
    OrderType,
    PositionSide,
    SelfTradePrevention,
    Side,
    TimeInForce,
    WorkingType,
)

_TYPES: Final = {"Market": OrderType.MARKET, "Limit": OrderType.LIMIT}
_TIME_IN_FORCE: Final = {word: tif for tif, word in TIMES_IN_FORCE.items() if tif is not TimeInForce.GTD}
_SMP: Final = {word: kind for kind, word in SELF_TRADES.items()}
_LINK_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,36}")
_TICKS: Final = "TickSize"
_TOLERANCES: Final = {  # least, most and grid of slippageTolerance
    _TICKS: (Decimal(5), Decimal(2_000), Decimal(1)),
    "Percent": (Decimal("0.05"), Decimal(1), Decimal("0.01")),
}


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
    tolerance: str = NO_TOLERANCE  # of a market order: how far it may walk, in the client's words


def place(face: FaceContext, call: Call) -> PublicOrder:
    """Place an order and return it as it is afterwards. Errors: Refused, VenueRefusal."""
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
        side_of(call),
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
    tolerance = call.text("slippageToleranceType")
    if tolerance is not None:
        if not at_market or trigger_price:
            raise refusals.bad("slippageToleranceType")
        wish = _capped(face, call, wish)
    if trigger_price:
        return _create_conditional(face, call, wish, trigger_price)
    return _create_plain(face, call, wish)


def _capped(face: FaceContext, call: Call, wish: _Wish) -> _Wish:
    """Return a market order with the worst price that its slippage tolerance lets it pay: an IOC order at a limit."""
    least, most, grid = call.required_choice("slippageToleranceType", _TOLERANCES)
    value = call.required_decimal("slippageTolerance")
    if not least <= value <= most or value % grid:
        raise refusals.bad("slippageTolerance")
    ticker, instrument = face.exchange.venue.ticker(wish.symbol), face.exchange.venue.instrument(wish.symbol)
    if ticker is None:
        raise Refused(*refusals.HALTED)
    tick, kind = instrument.tick_size, call.required_text("slippageToleranceType")
    buys = wish.side is Side.BUY
    best = ticker.ask if buys else ticker.bid
    room = value * tick if kind == _TICKS else best * value / 100
    worst = (best + room) // tick * tick if buys else -(-(best - room) // tick) * tick
    if call.required_decimal("qty") > instrument.market_max_quantity:
        raise Refused(*refusals.TOO_MUCH)
    return replace(
        wish,
        price=worst,
        order_type=OrderType.LIMIT,
        time_in_force=TimeInForce.IOC,
        tolerance=f"{kind} {number(value)}",
    )


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
    buys = side_of(call) is Side.BUY
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
            at_market = wish.order_type is OrderType.MARKET or wish.tolerance != NO_TOLERANCE
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
        price_match=wish.tolerance,
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
