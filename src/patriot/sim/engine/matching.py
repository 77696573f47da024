"""Orders: acceptance, the walk through the book, resting fills, cancels.

Sources: developers.binance.com, USD-M futures, "New Order", "Error Code", "Self Trade Prevention (STP) FAQ", read
2026-11-22. What self-trade prevention does is said by the order that takes; the mode of a resting order is ignored.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Final, NamedTuple

from patriot.sim.engine import filters, refusals
from patriot.sim.engine.account import Account
from patriot.sim.engine.book import is_met
from patriot.sim.engine.counterparties import house, offers, reducible
from patriot.sim.engine.deadlines import Due
from patriot.sim.engine.events import Printed
from patriot.sim.engine.floor import Floor
from patriot.sim.engine.margin import max_notional
from patriot.sim.engine.market import Market
from patriot.sim.engine.operations import CancelAllOrders, CancelOrder, PlaceOrder
from patriot.sim.engine.records import Order
from patriot.sim.engine.words import (
    ZERO,
    ExecutionType,
    InstrumentStatus,
    Liquidity,
    OrderStatus,
    OrderType,
    PositionSide,
    SelfTradePrevention,
    Side,
    TimeInForce,
    made_client_id,
)

_MARKET_BUY_ALLOWANCE: Final = Decimal("1.0005")  # the venue reserves margin for a market buy at ask x this
_RESTING: Final = (TimeInForce.GTC, TimeInForce.GTX, TimeInForce.GTD)
_EXPIRES_TAKER: Final = (SelfTradePrevention.EXPIRE_TAKER, SelfTradePrevention.EXPIRE_BOTH)
_PREVENTING: Final = (
    SelfTradePrevention.EXPIRE_TAKER,
    SelfTradePrevention.EXPIRE_MAKER,
    SelfTradePrevention.EXPIRE_BOTH,
)
_EXPIRES_MAKER: Final = (SelfTradePrevention.EXPIRE_MAKER, SelfTradePrevention.EXPIRE_BOTH)


class _Match(NamedTuple):
    price: Decimal
    quantity: Decimal
    maker: Order | None  # None: the house
    prevented: bool  # a trade of an account with itself that must not be


def place_order(floor: Floor, account: Account, wish: PlaceOrder) -> Order:
    """Accept an order and match it, or refuse it having changed nothing."""
    order = admitted(floor, account, wish)
    order_id = account.next_id("order")
    name = order.client_order_id or made_client_id("order", order_id)
    order = replace(order, order_id=order_id, client_order_id=name, priority=floor.next_priority(account))
    return enter(floor, account, order)


def admitted(floor: Floor, account: Account, wish: PlaceOrder) -> Order:
    """Return the order that would be placed, without an id; or refuse. Changes nothing."""
    market, ticker = floor.priced(wish.symbol)
    if market.instrument.status is not InstrumentStatus.TRADING:
        raise refusals.NOT_TRADING.because()
    order = _accepted(floor, account, market, wish)
    if not order.reduce_only:
        reference = order.price if order.order_type is OrderType.LIMIT else ticker.mark
        if order.quantity * reference < market.instrument.min_notional and not _only_closes(account, order):
            raise refusals.BELOW_MIN_NOTIONAL.because(minimum=market.instrument.min_notional)
    if len(account.orders_in(order.symbol)) >= market.instrument.max_open_orders:
        raise refusals.MAX_OPEN_ORDERS.because()
    if order.order_type is OrderType.MARKET:
        best, bound = (ticker.ask if order.side is Side.BUY else ticker.bid), _limit(market, order, ticker.mark)
        if best > bound if order.side is Side.BUY else best < bound:
            raise refusals.NO_BEST_PRICE.because()
    check_money(floor, account, order)
    if not wish.refuse_late:
        if order.time_in_force is TimeInForce.GTX and would_take(floor, account, order):
            raise refusals.POST_ONLY_REJECTED.because()
        if order.time_in_force is TimeInForce.FOK and _plan(floor, account, order, ticker.last, order.price)[1]:
            raise refusals.FILL_OR_KILL_REJECTED.because()
    return order


def _accepted(floor: Floor, account: Account, market: Market, wish: PlaceOrder) -> Order:
    """Return the order as the venue understands it, after its filters; it has no id yet."""
    if wish.order_type not in (OrderType.MARKET, OrderType.LIMIT):
        raise refusals.USE_ALGO_ENDPOINT.because()
    filters.check_client_id(wish.client_order_id, "newClientOrderId")
    check_position_side(account, wish.symbol, wish.position_side, reduce_only=wish.reduce_only)
    is_market = wish.order_type is OrderType.MARKET
    quantity = filters.given(wish.quantity, "quantity")
    price, time_in_force = _price_and_time(market, wish)
    good_till_ms = filters.checked_good_till(time_in_force, wish.good_till_ms, floor.now_ms)
    filters.check_quantity(market.instrument, quantity, market=is_market)
    if not is_market and market.ticker is not None:
        filters.check_band(market.instrument, wish.side, price, market.ticker.mark)
    known = account.order_by_client_id.get(wish.client_order_id)
    if known is not None and known in account.open_orders:
        raise refusals.DUPLICATE_CLIENT_ID.because()
    order = Order(
        account.uid,
        0,
        wish.client_order_id,
        wish.symbol,
        wish.side,
        wish.order_type,
        filters.written_on(market.instrument.step_size, quantity),
        floor.now_ms,
        floor.now_ms,
        position_side=wish.position_side,
        time_in_force=time_in_force,
        price=filters.written_on(market.instrument.tick_size, price),
        reduce_only=wish.reduce_only or _closes_side(wish.position_side, wish.side),
        original_type=wish.order_type,
        good_till_ms=good_till_ms,
        self_trade_prevention=wish.self_trade_prevention,
        price_match=wish.price_match,
        attached=wish.attached,
    )
    if order.reduce_only and not reducible(account, order):
        raise refusals.REDUCE_ONLY_REJECTED.because()
    if order.position_side is not PositionSide.BOTH and order.reduce_only and quantity > reducible(account, order):
        raise refusals.REDUCE_ONLY_REJECTED.because()  # hedge mode has nothing to turn into
    return order


def _price_and_time(market: Market, wish: PlaceOrder) -> tuple[Decimal, TimeInForce]:
    """Return limit price and time in force, which a limit order must have and a market order must not."""
    if wish.order_type is OrderType.MARKET:
        if wish.price is not None:
            raise refusals.NOT_REQUIRED.because(parameter="price")
        if wish.time_in_force is not None:
            raise refusals.NOT_REQUIRED.because(parameter="timeInForce")
        return ZERO, TimeInForce.GTC
    if wish.time_in_force is None:
        raise refusals.MANDATORY.because(parameter="timeInForce")
    price = filters.given(wish.price, "price")
    filters.check_price(market.instrument, price)
    return price, wish.time_in_force


def check_position_side(account: Account, symbol: str, position_side: PositionSide, *, reduce_only: bool) -> None:
    """Refuse a position side that the account's mode does not have."""
    if (position_side is PositionSide.BOTH) == account.hedges(symbol):
        raise refusals.POSITION_SIDE_MISMATCH.because()
    if reduce_only and account.hedges(symbol):
        raise refusals.NOT_REQUIRED.because(parameter="reduceonly")


def _closes_side(position_side: PositionSide, side: Side) -> bool:
    """Whether a hedge-mode order can only close: selling the long side, buying the short side."""
    return (position_side is PositionSide.LONG and side is Side.SELL) or (
        position_side is PositionSide.SHORT and side is Side.BUY
    )


def _only_closes(account: Account, order: Order) -> bool:
    return ZERO < order.quantity <= reducible(account, order)


def check_money(floor: Floor, account: Account, order: Order, instead_of: Order | None = None) -> None:
    """Refuse exposure that the margin or the bracket of the leverage cannot carry; what only reduces always passes.

    instead_of: the order as it rests, when this is what an amendment would make of it.
    """
    market, ticker = floor.priced(order.symbol)
    if order.reduce_only:
        return
    price = order.price
    if order.order_type is OrderType.MARKET:
        price = ticker.ask * _MARKET_BUY_ALLOWANCE if order.side is Side.BUY else max(ticker.bid, ticker.mark)
    before = account.symbol_notional(order.symbol, ticker.mark, None)
    notional = order.leaves_quantity * price
    if instead_of is not None:
        notional -= instead_of.leaves_quantity * instead_of.price
    extra = (order.side, order.position_side, notional)
    after = account.symbol_notional(order.symbol, ticker.mark, extra)
    if after <= before:
        return
    leverage = account.settings_of(order.symbol).leverage
    if after > max_notional(market.instrument, leverage):
        raise refusals.MAX_POSITION.because()
    if (after - before) / leverage > account.free_margin(floor.markets):
        raise refusals.MARGIN_INSUFFICIENT.because()


# -------------------------------------------------------------------------------------------------- the book


def enter(floor: Floor, account: Account, order: Order, center: Decimal | None = None) -> Order:
    """Let an accepted order into the book: NEW, then what it meets, then what its time in force says of the rest.

    center: the price around which the book stands, when it is not the last price (a stop met on the way of a move).
    """
    if not order.priority:
        order = replace(order, priority=floor.next_priority(account))
    account.store_order(order)
    floor.tell_order(order, ExecutionType.NEW)
    if order.time_in_force is TimeInForce.GTX and would_take(floor, account, order, center):
        return floor.end_order(account, order, OrderStatus.EXPIRED)
    order = settle(floor, account, take(floor, account, order, center))
    if center is not None and order.is_open:  # the move that met the stop went on, maybe through the order's price
        market, ticker = floor.priced(order.symbol)
        if is_met(order, ticker.last, market.house_bid, market.house_ask):
            fill_resting(floor, account, order)
    return account.orders[order.order_id]


def settle(floor: Floor, account: Account, order: Order) -> Order:
    """Let what is left of an order rest or expire, after it took what it could."""
    if order.is_open:
        may_rest = order.order_type is OrderType.LIMIT and order.time_in_force in _RESTING
        if not may_rest or (order.reduce_only and not reducible(account, order)):
            order = floor.end_order(account, order, OrderStatus.EXPIRED)
        else:
            floor.rest(order)
            if order.good_till_ms:
                floor.deadlines.set((Due.ORDER, order.uid, str(order.order_id)), order.good_till_ms)
    expire_pointless(floor, account, order.symbol)
    return order


def would_take(floor: Floor, account: Account, order: Order, center: Decimal | None = None) -> bool:
    """Whether a limit order would meet somebody at once."""
    _, ticker = floor.priced(order.symbol)
    best = next(offers(floor, account, order, ticker.last if center is None else center), None)
    return best is not None and not _is_worse(order.side, best.price, order.price)


def take(floor: Floor, account: Account, order: Order, center: Decimal | None = None) -> Order:
    """Let an order take what stands within its limit, the best price first, then the oldest."""
    market, ticker = floor.priced(order.symbol)
    around = ticker.last if center is None else center
    limit = _limit(market, order, ticker.mark if center is None else center)
    while order.is_open:
        matches, left = _plan(floor, account, order, around, limit)
        if not matches or (left and order.time_in_force is TimeInForce.FOK):
            break
        for match in matches:
            order = _meet(floor, account, market, order, match, around)
            if not order.is_open:
                break
    return order


def _is_worse(side: Side, price: Decimal, limit: Decimal) -> bool:
    return price > limit if side is Side.BUY else price < limit


def _limit(market: Market, order: Order, reference: Decimal) -> Decimal:
    """Return the last price an order may pay; at market, so far from the reference as the venue bounds it."""
    if order.order_type is OrderType.LIMIT:
        return order.price
    bound = market.instrument.market_take_bound
    return reference * (1 + bound if order.side is Side.BUY else 1 - bound)


def _plan(
    floor: Floor, account: Account, order: Order, around: Decimal, limit: Decimal
) -> tuple[list[_Match], Decimal]:
    """Return what an order would meet within a limit, and what of it would be left. Changes nothing."""
    wanted = order.leaves_quantity
    kept = max(wanted - reducible(account, order), ZERO) if order.reduce_only else ZERO
    wanted -= kept
    matches: list[_Match] = []
    if not wanted:
        return matches, kept
    for price, quantity, maker in offers(floor, account, order, around):
        if _is_worse(order.side, price, limit):
            break
        if maker is not None and maker.uid == account.uid and order.self_trade_prevention in _PREVENTING:
            matches.append(_Match(price, ZERO, maker, True))
            if order.self_trade_prevention in _EXPIRES_TAKER:
                break
            continue
        part = min(wanted, quantity)
        matches.append(_Match(price, part, maker, False))
        wanted -= part
        if not wanted:
            break
    return matches, wanted + kept


def _meet(floor: Floor, account: Account, market: Market, order: Order, match: _Match, around: Decimal) -> Order:
    """Carry out one match of a plan; an order that has gone meanwhile is passed over."""
    if match.maker is None:
        house(floor, market, account, order.side, around).take(match.quantity)
        for part in parts_of(market, match.quantity):
            order, _ = floor.fill(account, order, match.price, part, maker=False)
            _print(floor, market, match.price, part, taker=order.side)
        return order
    resting = market.book.orders.get(match.maker.order_id)
    if resting is None:
        return order
    if match.prevented:
        return _prevent(floor, account, order, resting)
    owner = floor.accounts[resting.uid]
    quantity = min(match.quantity, resting.leaves_quantity)
    if resting.reduce_only:
        quantity = min(quantity, reducible(owner, resting))
    for part in parts_of(market, quantity):
        resting, _ = floor.fill(owner, resting, match.price, part, maker=True)
        order, _ = floor.fill(account, order, match.price, part, maker=False)
        _print(floor, market, match.price, part, taker=order.side)
    floor.finish_parent(owner, resting)
    expire_pointless(floor, owner, order.symbol)
    return account.orders[order.order_id]


def _prevent(floor: Floor, account: Account, order: Order, resting: Order) -> Order:
    """Expire the taker, the maker or both, instead of a trade of an account with itself."""
    if order.self_trade_prevention in _EXPIRES_MAKER:
        floor.finish_parent(account, floor.end_order(account, resting, OrderStatus.EXPIRED_IN_MATCH))
    if order.self_trade_prevention in _EXPIRES_TAKER:
        return floor.end_order(account, order, OrderStatus.EXPIRED_IN_MATCH)
    return order


def parts_of(market: Market, quantity: Decimal) -> list[Decimal]:
    """Return a match in the parts in which it is told: on the step grid, at least one step each."""
    if not quantity:
        return []
    step = market.instrument.step_size
    number = min(market.fill_parts, int(quantity // step))
    if number < 2:
        return [quantity]
    part = quantity // step // number * step
    return [part] * (number - 1) + [quantity - part * (number - 1)]


def _print(floor: Floor, market: Market, price: Decimal, quantity: Decimal, *, taker: Side) -> None:
    """Tell a trade to everybody, where everybody shares the book."""
    if floor.liquidity is Liquidity.SHARED:
        market.prints += 1
        symbol = market.instrument.symbol
        floor.emitted.append(Printed(floor.now_ms, market.prints, symbol, price, quantity, taker is Side.SELL))


def fill_resting(floor: Floor, account: Account, order: Order) -> None:
    """Let the house fill a resting order that a move has met, at the order's own price."""
    market = floor.markets[order.symbol]
    quantity = order.leaves_quantity
    if order.reduce_only:
        quantity = min(quantity, reducible(account, order))
    taker = Side.SELL if order.side is Side.BUY else Side.BUY
    for part in parts_of(market, quantity):
        order, _ = floor.fill(account, order, order.price, part, maker=True)
        _print(floor, market, order.price, part, taker=taker)
    floor.finish_parent(account, order)
    expire_pointless(floor, account, order.symbol)


def expire_pointless(floor: Floor, account: Account, symbol: str) -> None:
    """Expire resting reduce-only orders that have nothing left to reduce, as the venue does."""
    for order in account.orders_in(symbol):
        if order.reduce_only and not reducible(account, order):
            floor.finish_parent(account, floor.end_order(account, order, OrderStatus.EXPIRED))


# -------------------------------------------------------------------------------------------------- cancels


def find_order(account: Account, symbol: str, order_id: int | None, client_order_id: str | None) -> Order | None:
    """Return the order of this id, or the newest of this client id; refuse when neither was sent."""
    if order_id is None and not client_order_id:
        raise refusals.ONE_ID_NEEDED.because(first="origClientOrderId", second="orderId")
    if order_id is None and client_order_id is not None:
        order_id = account.order_by_client_id.get(client_order_id)
    order = account.orders.get(order_id) if order_id is not None else None
    return order if order is not None and order.symbol == symbol else None


def cancel_order(floor: Floor, account: Account, wish: CancelOrder) -> Order:
    """Cancel an open order, or refuse."""
    floor.market(wish.symbol)
    order = find_order(account, wish.symbol, wish.order_id, wish.client_order_id)
    if order is None or not order.is_open:
        raise refusals.UNKNOWN_ORDER.because()
    return cancel(floor, account, order)


def cancel_all_orders(floor: Floor, account: Account, wish: CancelAllOrders) -> tuple[Order, ...]:
    """Cancel every open order of a symbol; algo orders stay."""
    floor.market(wish.symbol)
    return tuple(cancel(floor, account, order) for order in account.orders_in(wish.symbol))


def cancel(floor: Floor, account: Account, order: Order) -> Order:
    """Cancel what is left of an open order."""
    order = floor.end_order(account, order, OrderStatus.CANCELED)
    floor.finish_parent(account, order)
    return order
