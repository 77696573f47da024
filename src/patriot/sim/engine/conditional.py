"""Algo (conditional) orders: placing, cancelling, triggering into an order of their own.

Sources: developers.binance.com, USD-M futures, "New Algo Order" and "Event: Algo Order Update", read 2026-11. Margin is
not looked at before the trigger. The order that a trigger makes carries the client algo id as its client order id; its
own updates come before TRIGGERED, as clients of the venue report (nautilus_trader issue 3664).
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Final

from patriot.sim.engine import filters, refusals, trailing
from patriot.sim.engine.account import Account
from patriot.sim.engine.counterparties import reducible
from patriot.sim.engine.events import VenueRefusal
from patriot.sim.engine.floor import Floor
from patriot.sim.engine.matching import check_money, check_position_side, enter
from patriot.sim.engine.operations import AmendAlgoOrder, CancelAlgoOrder, CancelAllAlgoOrders, PlaceAlgoOrder
from patriot.sim.engine.records import AlgoOrder, Order, Ticker
from patriot.sim.engine.words import (
    ZERO,
    AlgoOrigin,
    AlgoStatus,
    OrderType,
    PositionSide,
    Side,
    TimeInForce,
    WorkingType,
    made_client_id,
)

_STOPS: Final = (OrderType.STOP, OrderType.STOP_MARKET)
_AT_MARKET: Final = (OrderType.STOP_MARKET, OrderType.TAKE_PROFIT_MARKET, OrderType.TRAILING_STOP_MARKET)
_CLOSING: Final = (OrderType.STOP_MARKET, OrderType.TAKE_PROFIT_MARKET)  # may close the whole position
_SUPPORTED: Final = (*_STOPS, OrderType.TAKE_PROFIT, *_AT_MARKET)
_PAIRED: Final = (AlgoOrigin.TAKE_PROFIT, AlgoOrigin.STOP_LOSS)
_TRIGGER_PROTECT: Final = Decimal("0.05")  # of mark: further apart, last and mark trigger no protected order


def working_price(ticker: Ticker, working_type: WorkingType) -> Decimal:
    """Return the price a conditional order watches."""
    match working_type:
        case WorkingType.MARK_PRICE:
            return ticker.mark
        case WorkingType.INDEX_PRICE:
            return ticker.index
        case WorkingType.CONTRACT_PRICE:
            return ticker.last


def place_algo_order(floor: Floor, account: Account, wish: PlaceAlgoOrder) -> AlgoOrder:
    """Accept a conditional order, or refuse it having changed nothing."""
    market, ticker = floor.priced(wish.symbol)
    if wish.order_type not in _SUPPORTED:
        raise refusals.INVALID_ORDER_TYPE.because()
    filters.check_client_id(wish.client_algo_id, "clientAlgoId")
    check_position_side(account, wish.symbol, wish.position_side, reduce_only=wish.reduce_only)
    working = working_price(ticker, wish.working_type)
    trigger, above = _checked_trigger(floor, wish)
    quantity = _checked_quantity(floor, account, wish)
    price = _checked_price(floor, wish)
    if wish.order_type is OrderType.TRAILING_STOP_MARKET:
        trailing.check_callback(wish, working)
    elif working >= trigger if above else working <= trigger:
        raise refusals.IMMEDIATE_TRIGGER.because()
    _check_room(floor, account, wish)
    time_in_force = wish.time_in_force or TimeInForce.GTC
    good_till_ms = filters.checked_good_till(time_in_force, wish.good_till_ms, floor.now_ms)
    algo_id = account.next_id("algo")
    tick, activation = market.instrument.tick_size, wish.activation_price
    order = AlgoOrder(
        account.uid,
        algo_id,
        wish.client_algo_id or made_client_id("algo", algo_id),
        wish.symbol,
        wish.side,
        wish.order_type,
        filters.written_on(market.instrument.step_size, quantity),
        filters.written_on(tick, trigger),
        floor.now_ms,
        floor.now_ms,
        trigger_above=above,
        position_side=wish.position_side,
        time_in_force=time_in_force,
        price=filters.written_on(tick, price),
        working_type=wish.working_type,
        reduce_only=wish.reduce_only or wish.close_position,
        close_position=wish.close_position,
        price_protect=wish.price_protect,
        callback_rate=wish.callback_rate,
        callback_distance=wish.callback_distance,
        activation_price=None if activation is None else filters.written_on(tick, activation),
        good_till_ms=good_till_ms,
        self_trade_prevention=wish.self_trade_prevention,
        ends_with_position=wish.ends_with_position or wish.close_position,
        attached=wish.attached,
    )
    return rest(floor, account, order)


def rest(floor: Floor, account: Account, order: AlgoOrder) -> AlgoOrder:
    """Keep an accepted conditional order; a trailing one starts from the price of the moment."""
    if trailing.trails(order):
        market, ticker = floor.priced(order.symbol)
        order = trailing.followed(order, working_price(ticker, order.working_type), market.instrument)
    floor.store_algo(account, order)
    floor.refresh_interest(account)
    return order


def _check_room(floor: Floor, account: Account, wish: PlaceAlgoOrder) -> None:
    """Refuse a client id that is in use, one order too many, and what ends with a position that is not there."""
    known = account.algo_by_client_id.get(wish.client_algo_id)
    if known is not None and known in account.open_algo_orders:
        raise refusals.DUPLICATE_CLIENT_ID.because()
    if len(account.algo_orders_in(wish.symbol)) >= floor.market(wish.symbol).instrument.max_open_algo_orders:
        raise refusals.MAX_ALGO_ORDERS.because()
    if wish.ends_with_position and not account.position(wish.symbol, wish.position_side).quantity:
        raise refusals.ENDS_WITHOUT_POSITION.because()


def _checked_trigger(floor: Floor, wish: PlaceAlgoOrder) -> tuple[Decimal, bool]:
    """Return the trigger price and whether it fires at or above it; a trailing order has no price of its own yet."""
    if wish.order_type is OrderType.TRAILING_STOP_MARKET:
        if wish.activation_price is not None:
            activation = filters.given(wish.activation_price, "activationPrice")
            filters.check_trigger_price(floor.market(wish.symbol).instrument, activation)
        return ZERO, wish.side is Side.BUY
    for amount, name in (
        (wish.callback_rate, "callbackRate"),
        (wish.callback_distance, "callbackRate"),
        (wish.activation_price, "activationPrice"),
    ):
        if amount is not None:
            raise refusals.NOT_REQUIRED.because(parameter=name)
    trigger = filters.given(wish.trigger_price, "triggerPrice")
    filters.check_trigger_price(floor.market(wish.symbol).instrument, trigger)
    usual = (wish.side is Side.BUY) == (wish.order_type in _STOPS)
    return trigger, usual if wish.trigger_above is None else wish.trigger_above


def _checked_quantity(floor: Floor, account: Account, wish: PlaceAlgoOrder) -> Decimal:
    instrument = floor.market(wish.symbol).instrument
    if not wish.close_position:
        quantity = filters.given(wish.quantity, "quantity")
        filters.check_quantity(instrument, quantity, market=wish.order_type in _AT_MARKET)
        return quantity
    if wish.order_type not in _CLOSING:
        raise refusals.NOT_REQUIRED.because(parameter="closePosition")
    if wish.quantity is not None:
        raise refusals.NOT_REQUIRED.because(parameter="quantity")
    if wish.reduce_only:
        raise refusals.NOT_REQUIRED.because(parameter="reduceonly")
    for other in account.algo_orders_in(wish.symbol):
        same_kind = (other.order_type in _STOPS) == (wish.order_type in _STOPS)
        if other.close_position and same_kind and (other.side, other.position_side) == (wish.side, wish.position_side):
            raise refusals.CLOSE_POSITION_EXISTS.because()
    return ZERO


def _checked_price(floor: Floor, wish: PlaceAlgoOrder) -> Decimal:
    if wish.order_type in _AT_MARKET:
        if wish.price is not None:
            raise refusals.NOT_REQUIRED.because(parameter="price")
        return ZERO
    price = filters.given(wish.price, "price")
    instrument = floor.market(wish.symbol).instrument
    filters.check_price(instrument, price)
    if wish.quantity is not None and not wish.reduce_only and price * wish.quantity < instrument.min_notional:
        raise refusals.BELOW_MIN_NOTIONAL.because(minimum=instrument.min_notional)
    return price


def find_algo_order(account: Account, algo_id: int | None, client_algo_id: str | None) -> AlgoOrder | None:
    """Return the algo order of this id, or the newest of this client id; refuse when neither was sent."""
    if algo_id is None and not client_algo_id:
        raise refusals.ONE_ID_NEEDED.because(first="clientAlgoId", second="algoId")
    if algo_id is None and client_algo_id is not None:
        algo_id = account.algo_by_client_id.get(client_algo_id)
    return account.algo_orders.get(algo_id) if algo_id is not None else None


def cancel_algo_order(floor: Floor, account: Account, wish: CancelAlgoOrder) -> AlgoOrder:
    """Cancel an open algo order, or refuse."""
    order = find_algo_order(account, wish.algo_id, wish.client_algo_id)
    if order is None or not order.is_open:
        raise refusals.UNKNOWN_ORDER.because()
    return _cancel(floor, account, order)


def cancel_all_algo_orders(floor: Floor, account: Account, wish: CancelAllAlgoOrders) -> tuple[AlgoOrder, ...]:
    """Cancel every open algo order of a symbol."""
    floor.market(wish.symbol)
    return tuple(_cancel(floor, account, order) for order in account.algo_orders_in(wish.symbol))


def amend_algo_order(floor: Floor, account: Account, wish: AmendAlgoOrder) -> AlgoOrder:
    """Change quantity, price or trigger price of an open conditional order, or refuse it having changed nothing."""
    order = find_algo_order(account, wish.algo_id, wish.client_algo_id)
    if order is None or not order.is_open:
        raise refusals.UNKNOWN_ORDER.because()
    market, ticker = floor.priced(order.symbol)
    at_market = order.order_type in _AT_MARKET
    quantity, price, trigger = order.quantity, order.price, order.trigger_price
    if wish.quantity is not None:
        if order.close_position:
            raise refusals.NOT_REQUIRED.because(parameter="quantity")
        quantity = filters.given(wish.quantity, "quantity")
        filters.check_quantity(market.instrument, quantity, market=at_market)
    if wish.price is not None:
        if at_market:
            raise refusals.NOT_REQUIRED.because(parameter="price")
        price = filters.given(wish.price, "price")
        filters.check_price(market.instrument, price)
    if not at_market and not order.reduce_only and price * quantity < market.instrument.min_notional:
        raise refusals.BELOW_MIN_NOTIONAL.because(minimum=market.instrument.min_notional)
    if wish.trigger_price is not None:
        if trailing.trails(order):
            raise refusals.NOT_REQUIRED.because(parameter="triggerPrice")
        trigger = filters.given(wish.trigger_price, "triggerPrice")
        filters.check_trigger_price(market.instrument, trigger)
        working = working_price(ticker, order.working_type)
        if working >= trigger if order.trigger_above else working <= trigger:
            raise refusals.IMMEDIATE_TRIGGER.because()
    changed = replace(order, quantity=quantity, price=price, trigger_price=trigger, updated_ms=floor.now_ms)
    floor.store_algo(account, changed)
    floor.refresh_interest(account)
    return changed


def _cancel(floor: Floor, account: Account, order: AlgoOrder) -> AlgoOrder:
    order = floor.store_algo(account, replace(order, status=AlgoStatus.CANCELED, updated_ms=floor.now_ms))
    floor.refresh_interest(account)
    return order


def is_triggered(order: AlgoOrder, ticker: Ticker) -> bool:
    """Whether the working price has reached the trigger price."""
    if trailing.trails(order) and order.extreme is None:
        return False
    if order.price_protect and abs(ticker.last - ticker.mark) > ticker.mark * _TRIGGER_PROTECT:
        return False
    working = working_price(ticker, order.working_type)
    return working >= order.trigger_price if order.trigger_above else working <= order.trigger_price


def concerned_between(order: AlgoOrder) -> tuple[Decimal | None, Decimal | None]:
    """Return the nearest prices below and above at which a move concerns the order; None: nothing on that side."""
    if trailing.trails(order):
        return trailing.follows_between(order)
    return (None, order.trigger_price) if order.trigger_above else (order.trigger_price, None)


def follow(floor: Floor, account: Account, ticker: Ticker) -> None:
    """Let the trailing orders of an account follow a move that did not trigger them; nobody is told."""
    market = floor.markets[ticker.symbol]
    for order in account.algo_orders_in(ticker.symbol):
        if trailing.trails(order):
            followed = trailing.followed(order, working_price(ticker, order.working_type), market.instrument)
            if followed is not order:
                account.store_algo_order(followed)


def trigger(floor: Floor, account: Account, algo: AlgoOrder) -> None:
    """Turn a triggered algo order into an order of its own, or reject it with the reason."""
    algo = replace(algo, status=AlgoStatus.TRIGGERING, triggered_ms=floor.now_ms, updated_ms=floor.now_ms)
    floor.store_algo(account, algo)
    _end_pair(floor, account, algo)
    child = _child(floor, account, algo)
    if algo.close_position and not child.quantity:
        floor.store_algo(account, replace(algo, status=AlgoStatus.EXPIRED, reject_reason="No position to close"))
        return
    try:
        if child.reduce_only and not reducible(account, child):
            raise refusals.REDUCE_ONLY_REJECTED.because()
        check_money(floor, account, child)
    except VenueRefusal as refusal:
        reason = "Reduce Only reject" if refusal.code == refusals.REDUCE_ONLY_REJECTED.code else refusal.message
        floor.store_algo(account, replace(algo, status=AlgoStatus.REJECTED, reject_reason=reason))
        return
    child = replace(child, order_id=account.next_id("order"))
    market, _ = floor.priced(algo.symbol)
    child = enter(floor, account, child, market.met_on_the_way(algo.trigger_price))
    floor.store_algo(account, replace(algo, status=AlgoStatus.TRIGGERED, actual_order_id=child.order_id))
    floor.finish_parent(account, child)


def _end_pair(floor: Floor, account: Account, algo: AlgoOrder) -> None:
    """Expire the stop loss beside a take profit that fires, and the other way round."""
    if algo.origin not in _PAIRED:
        return
    for other in account.algo_orders_in(algo.symbol):
        if other.origin in _PAIRED and other.origin is not algo.origin and other.position_side is algo.position_side:
            together = algo.close_position and other.close_position
            if together or (algo.pair_id and algo.pair_id == other.pair_id):
                floor.store_algo(account, replace(other, status=AlgoStatus.EXPIRED, updated_ms=floor.now_ms))


def _child(floor: Floor, account: Account, algo: AlgoOrder) -> Order:
    closes = algo.reduce_only or algo.close_position
    if algo.position_side is not PositionSide.BOTH:
        closes = (algo.position_side is PositionSide.LONG) == (algo.side is Side.SELL)
    at_market = algo.order_type in _AT_MARKET
    child = Order(
        account.uid,
        0,
        algo.client_algo_id,
        algo.symbol,
        algo.side,
        OrderType.MARKET if at_market else OrderType.LIMIT,
        algo.quantity,
        floor.now_ms,
        floor.now_ms,
        position_side=algo.position_side,
        time_in_force=TimeInForce.GTC if at_market else algo.time_in_force,
        price=algo.price,
        reduce_only=closes,
        close_position=algo.close_position,
        original_type=algo.order_type,
        algo_id=algo.algo_id,
        working_type=algo.working_type,
        good_till_ms=algo.good_till_ms,
        self_trade_prevention=algo.self_trade_prevention,
        origin=algo.origin,
        attached=algo.attached,
    )
    return replace(child, quantity=reducible(account, child)) if algo.close_position else child
