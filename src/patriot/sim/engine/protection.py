"""What a position carries: take profit, stop loss and trailing stop, as conditional orders of their own origins.

Full mode (no size): one of each, closing whatever the position is when it fires; setting it again changes it, zero
takes it away. Partial mode (a size): another one with every call; take profit and stop loss of one call end each other.
Source: bybit-exchange.github.io/docs/v5/position/trading-stop and /v5/order/create-order, read 2026-11-22.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from patriot.sim.engine import conditional, filters, matching, refusals
from patriot.sim.engine.account import Account
from patriot.sim.engine.floor import Floor
from patriot.sim.engine.operations import PlaceAlgoOrder, PlaceOrder, SetProtection
from patriot.sim.engine.records import AlgoOrder, Order, Position, PositionView, Protection, Ticker
from patriot.sim.engine.words import ZERO, AlgoOrigin, AlgoStatus, OrderType, Side, WorkingType, made_client_id

MOST_PARTIAL: Final = 20  # of one origin on one position; the venue's page names no figure
_TYPES: Final = {  # at market, at a limit
    AlgoOrigin.TAKE_PROFIT: (OrderType.TAKE_PROFIT_MARKET, OrderType.TAKE_PROFIT),
    AlgoOrigin.STOP_LOSS: (OrderType.STOP_MARKET, OrderType.STOP),
    AlgoOrigin.TRAILING_STOP: (OrderType.TRAILING_STOP_MARKET, OrderType.TRAILING_STOP_MARKET),
}


@dataclass(frozen=True, slots=True)
class _Leg:
    """One of the parts of a Protection."""

    origin: AlgoOrigin
    price: Decimal  # of the trigger, or the distance of a trailing stop; 0 takes it away
    working_type: WorkingType
    size: Decimal | None = None
    limit_price: Decimal | None = None
    activation: Decimal | None = None


def _legs(protection: Protection) -> Iterator[_Leg]:
    p = protection
    if p.take_profit is not None:
        yield _Leg(AlgoOrigin.TAKE_PROFIT, p.take_profit, p.take_profit_type, p.take_profit_size, p.take_profit_price)
    if p.stop_loss is not None:
        yield _Leg(AlgoOrigin.STOP_LOSS, p.stop_loss, p.stop_loss_type, p.stop_loss_size, p.stop_loss_price)
    if p.trailing_distance is not None:
        yield _Leg(
            AlgoOrigin.TRAILING_STOP,
            p.trailing_distance,
            WorkingType.CONTRACT_PRICE,
            activation=p.activation_price,
        )


# -------------------------------------------------------------------------------------------------- operations


def set_protection(floor: Floor, account: Account, wish: SetProtection) -> PositionView:
    """Change what an open position carries, or refuse it having changed nothing."""
    _, ticker = floor.priced(wish.symbol)
    matching.check_position_side(account, wish.symbol, wish.position_side, reduce_only=False)
    position = account.position(wish.symbol, wish.position_side)
    if not position.quantity:
        raise refusals.PROTECTION_WITHOUT_POSITION.because()
    legs = list(_legs(wish.protection))
    for leg in legs:
        _check(floor, leg, wish.symbol, long=position.quantity > ZERO, reference=None, ticker=ticker)
        if leg.size is not None and leg.size > abs(position.quantity):
            raise refusals.PROTECTION_SIZE.because(size=leg.size, held=abs(position.quantity))
        if leg.size is not None and len(_standing(account, position, leg.origin, full=False)) >= MOST_PARTIAL:
            raise refusals.TOO_MANY_PROTECTIONS.because(most=MOST_PARTIAL)
    if not any(_changes(account, position, leg) for leg in legs):
        raise refusals.PROTECTION_UNCHANGED.because()
    _put(floor, account, position, legs)
    return account.position_view(wish.symbol, wish.position_side, floor.markets)


def place_order(floor: Floor, account: Account, wish: PlaceOrder) -> Order:
    """Accept an order beside what its position is to carry; both or neither are refused."""
    check_attached(floor, wish, wish.price)
    return matching.place_order(floor, account, wish)


def place_algo_order(floor: Floor, account: Account, wish: PlaceAlgoOrder) -> AlgoOrder:
    """Accept a conditional order beside what its position is to carry; both or neither are refused."""
    check_attached(floor, wish, wish.trigger_price if wish.price is None else wish.price)
    return conditional.place_algo_order(floor, account, wish)


def apply_attached(floor: Floor) -> None:
    """Give the positions that orders have just opened what those orders carried; fire what the price has passed."""
    while floor.unprotected:
        order = floor.unprotected.pop(0)
        account = floor.accounts[order.uid]
        position = account.position(order.symbol, order.position_side)
        if order.attached is None or not position.quantity:
            continue
        if (position.quantity > ZERO) != (order.side is Side.BUY):
            continue  # it only reduced the position of the other side
        _, ticker = floor.priced(order.symbol)
        for algo in _put(floor, account, position, [leg for leg in _legs(order.attached) if leg.price]):
            if algo.algo_id in account.open_algo_orders and conditional.is_triggered(algo, ticker):
                conditional.trigger(floor, account, algo)


# -------------------------------------------------------------------------------------------------- rules


def check_attached(floor: Floor, wish: PlaceOrder | PlaceAlgoOrder | Order, reference: Decimal | None) -> None:
    """Refuse what an order would give its position, seen from the order's own price."""
    if wish.attached is None:
        return
    _, ticker = floor.priced(wish.symbol)
    if reference is not None:
        filters.given(reference, "price")
    for leg in _legs(wish.attached):
        if leg.price:
            _check(floor, leg, wish.symbol, long=wish.side is Side.BUY, reference=reference, ticker=ticker)


def _check(floor: Floor, leg: _Leg, symbol: str, *, long: bool, reference: Decimal | None, ticker: Ticker) -> None:
    """Refuse a part that is malformed or on the wrong side of its reference: what it watches, unless one is given."""
    instrument = floor.market(symbol).instrument
    for amount in (leg.price, leg.size, leg.limit_price, leg.activation):
        if amount is not None:
            filters.given(amount, str(leg.origin))
    if leg.limit_price is not None:
        if leg.size is None:
            raise refusals.PROTECTION_LIMIT_PRICE.because()
        filters.check_price(instrument, leg.limit_price)
    if leg.size is not None:
        filters.check_quantity(instrument, leg.size, market=leg.limit_price is None)
    if not leg.price:
        return
    filters.check_trigger_price(instrument, leg.price)
    standing = conditional.working_price(ticker, leg.working_type) if reference is None else reference
    if leg.origin is AlgoOrigin.TRAILING_STOP:
        if leg.price >= standing:
            raise refusals.TRAILING_DISTANCE.because(distance=leg.price)
        if leg.activation is not None:
            filters.check_trigger_price(instrument, leg.activation)
            if leg.activation <= standing if long else leg.activation >= standing:
                raise refusals.ACTIVATION_SIDE.because(price=leg.activation, reference=standing)
    elif leg.price == standing or (leg.price > standing) != (long == (leg.origin is AlgoOrigin.TAKE_PROFIT)):
        words = refusals.TAKE_PROFIT_SIDE if leg.origin is AlgoOrigin.TAKE_PROFIT else refusals.STOP_LOSS_SIDE
        raise words.because(price=leg.price, reference=standing)


def _standing(account: Account, position: Position, origin: AlgoOrigin, *, full: bool) -> list[AlgoOrder]:
    return [
        order
        for order in account.algo_orders_in(position.symbol)
        if order.origin is origin and order.position_side is position.position_side and order.close_position is full
    ]


def _changes(account: Account, position: Position, leg: _Leg) -> bool:
    """Whether a part is another than what stands already."""
    if leg.size is not None:
        return bool(leg.price)
    for order in _standing(account, position, leg.origin, full=True):
        if leg.origin is AlgoOrigin.TRAILING_STOP:
            return (order.callback_distance, order.activation_price) != (leg.price, leg.activation)
        return (order.trigger_price, order.working_type) != (leg.price, leg.working_type)
    return bool(leg.price)


def _put(floor: Floor, account: Account, position: Position, legs: list[_Leg]) -> list[AlgoOrder]:
    """Make, change and take away; return what stands anew."""
    put: list[AlgoOrder] = []
    pair_id = 0
    for leg in legs:
        if leg.size is not None:
            if leg.price:
                order = _made(floor, account, position, leg)
                pair_id = pair_id or order.algo_id
                put.append(conditional.rest(floor, account, replace(order, pair_id=pair_id)))
            continue
        known = _standing(account, position, leg.origin, full=True)
        if known and not _changes(account, position, leg):
            continue
        if known and not leg.price:
            floor.store_algo(account, replace(known[0], status=AlgoStatus.CANCELED, updated_ms=floor.now_ms))
            floor.refresh_interest(account)
        elif leg.price:
            put.append(conditional.rest(floor, account, _made(floor, account, position, leg, known)))
    return put


def _made(
    floor: Floor, account: Account, position: Position, leg: _Leg, known: list[AlgoOrder] | None = None
) -> AlgoOrder:
    """Return the conditional order of a part; it keeps the id and the birth of the one that it changes."""
    algo_id = known[0].algo_id if known else account.next_id("algo")
    long = position.quantity > ZERO
    trailing = leg.origin is AlgoOrigin.TRAILING_STOP
    at_market, at_limit = _TYPES[leg.origin]
    return AlgoOrder(
        account.uid,
        algo_id,
        made_client_id("algo", algo_id),
        position.symbol,
        Side.SELL if long else Side.BUY,
        at_market if leg.limit_price is None else at_limit,
        leg.size or ZERO,
        ZERO if trailing else leg.price,
        known[0].created_ms if known else floor.now_ms,
        floor.now_ms,
        trigger_above=long == (leg.origin is AlgoOrigin.TAKE_PROFIT),
        position_side=position.position_side,
        price=leg.limit_price or ZERO,
        working_type=leg.working_type,
        reduce_only=True,
        close_position=leg.size is None,
        callback_distance=leg.price if trailing else None,
        activation_price=leg.activation,
        origin=leg.origin,
        ends_with_position=True,
    )
