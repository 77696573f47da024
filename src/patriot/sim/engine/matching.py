"""Orders: acceptance, the walk through the seeded book, resting fills, cancels."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Final

from patriot.sim.engine import filters, liquidity, refusals
from patriot.sim.engine.account import Account
from patriot.sim.engine.floor import Floor
from patriot.sim.engine.margin import max_notional
from patriot.sim.engine.market import Market
from patriot.sim.engine.operations import CancelAllOrders, CancelOrder, PlaceOrder
from patriot.sim.engine.records import Order
from patriot.sim.engine.words import ZERO, ExecutionType, OrderStatus, OrderType, PositionSide, Side, TimeInForce

_MARKET_BUY_ALLOWANCE: Final = Decimal("1.0005")  # the venue reserves margin for a market buy at ask x this


def place_order(floor: Floor, account: Account, wish: PlaceOrder) -> Order:
    """Accept an order and match it, or refuse it having changed nothing."""
    market, ticker = floor.priced(wish.symbol)
    order = _accepted(floor, account, market, wish)
    if not order.reduce_only:
        reference = order.price if order.order_type is OrderType.LIMIT else ticker.mark
        if order.quantity * reference < market.instrument.min_notional and not _only_closes(account, order):
            raise refusals.BELOW_MIN_NOTIONAL.because(minimum=market.instrument.min_notional)
    if len(account.orders_in(order.symbol)) >= market.instrument.max_open_orders:
        raise refusals.MAX_OPEN_ORDERS.because()
    check_money(floor, account, order)
    takes = order.time_in_force is TimeInForce.GTX and _crosses(market, order)
    if takes and not wish.refuse_late:
        raise refusals.POST_ONLY_REJECTED.because()
    order_id = account.next_id("order")
    order = replace(order, order_id=order_id, client_order_id=order.client_order_id or f"web_{order_id}")
    if takes:
        floor.tell_order(order, ExecutionType.NEW)
        return floor.end_order(account, order, OrderStatus.EXPIRED)
    return enter(floor, account, order)


def _accepted(floor: Floor, account: Account, market: Market, wish: PlaceOrder) -> Order:
    """Return the order as the venue understands it, after its filters; it has no id yet."""
    if wish.order_type not in (OrderType.MARKET, OrderType.LIMIT):
        raise refusals.USE_ALGO_ENDPOINT.because()
    filters.check_client_id(wish.client_order_id, "newClientOrderId")
    check_position_side(account, wish.symbol, wish.position_side, reduce_only=wish.reduce_only)
    is_market = wish.order_type is OrderType.MARKET
    quantity = filters.given(wish.quantity, "quantity")
    price, time_in_force = ZERO, TimeInForce.GTC
    if is_market:
        if wish.price is not None:
            raise refusals.NOT_REQUIRED.because(parameter="price")
        if wish.time_in_force is not None:
            raise refusals.NOT_REQUIRED.because(parameter="timeInForce")
    else:
        if wish.time_in_force is None:
            raise refusals.MANDATORY.because(parameter="timeInForce")
        price, time_in_force = filters.given(wish.price, "price"), wish.time_in_force
        filters.check_price(market.instrument, price)
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
        quantity,
        floor.now_ms,
        floor.now_ms,
        position_side=wish.position_side,
        time_in_force=time_in_force,
        price=price,
        reduce_only=wish.reduce_only or _closes_side(wish.position_side, wish.side),
        original_type=wish.order_type,
        attached=wish.attached,
    )
    if order.reduce_only and not reducible(account, order):
        raise refusals.REDUCE_ONLY_REJECTED.because()
    if order.position_side is not PositionSide.BOTH and order.reduce_only and quantity > reducible(account, order):
        raise refusals.REDUCE_ONLY_REJECTED.because()  # hedge mode has nothing to turn into
    return order


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


def reducible(account: Account, order: Order) -> Decimal:
    """Return how much of the position an order of this side could still take off."""
    held = account.position(order.symbol, order.position_side).quantity
    return max(held if order.side is Side.SELL else -held, ZERO)


def _only_closes(account: Account, order: Order) -> bool:
    return ZERO < order.quantity <= reducible(account, order)


def check_money(floor: Floor, account: Account, order: Order) -> None:
    """Refuse exposure that the margin or the bracket of the leverage cannot carry; what only reduces always passes."""
    market, ticker = floor.priced(order.symbol)
    if order.reduce_only:
        return
    price = order.price
    if order.order_type is OrderType.MARKET:
        price = ticker.ask * _MARKET_BUY_ALLOWANCE if order.side is Side.BUY else max(ticker.bid, ticker.mark)
    before = account.symbol_notional(order.symbol, ticker.mark, None)
    extra = (order.side, order.position_side, order.quantity * price)
    after = account.symbol_notional(order.symbol, ticker.mark, extra)
    if after <= before:
        return
    leverage = account.settings_of(order.symbol).leverage
    if after > max_notional(market.instrument, leverage):
        raise refusals.MAX_POSITION.because()
    if (after - before) / leverage > account.free_margin(floor.markets):
        raise refusals.MARGIN_INSUFFICIENT.because()


def _crosses(market: Market, order: Order) -> bool:
    if market.ticker is None:
        return False
    if order.side is Side.BUY:
        return order.price >= market.ticker.ask
    return order.price <= market.ticker.bid


# -------------------------------------------------------------------------------------------------- the book


def enter(floor: Floor, account: Account, order: Order, center: Decimal | None = None) -> Order:
    """Let an accepted order into the book: NEW, then what it meets, then what its time in force says of the rest.

    center: the price around which the book stands, when it is not the last price (a stop met on the way of a move).
    """
    account.store_order(order)
    floor.tell_order(order, ExecutionType.NEW)
    order = take(floor, account, order, center)
    if order.is_open:
        may_rest = order.order_type is OrderType.LIMIT and order.time_in_force in (TimeInForce.GTC, TimeInForce.GTX)
        if not may_rest or (order.reduce_only and not reducible(account, order)):
            order = floor.end_order(account, order, OrderStatus.EXPIRED)
    expire_pointless(floor, account, order.symbol)
    floor.refresh_interest(account)
    return order


def take(floor: Floor, account: Account, order: Order, center: Decimal | None) -> Order:
    """Walk the account's book up to the order's limit."""
    market, ticker = floor.priced(order.symbol)
    center = ticker.last if center is None else center
    best, limit = _best_and_limit(floor, market, order, center)
    wanted = order.leaves_quantity
    if order.reduce_only:
        wanted = min(wanted, reducible(account, order))
    taken = _taken_at(account, order.symbol, (floor.now_ms, center))
    parts: list[tuple[Decimal, Decimal]] = []
    depth = liquidity.levels(market.instrument, order.side, best, seed=floor.seed, uid=account.uid, at_ms=floor.now_ms)
    for price, resting in depth:
        if not wanted or (price > limit if order.side is Side.BUY else price < limit):
            break
        part = min(wanted, resting - taken.get((order.side, price), ZERO))
        if part > ZERO:
            parts.append((price, part))
            wanted -= part
    if order.time_in_force is TimeInForce.FOK and wanted:
        return order
    for price, part in parts:
        taken[order.side, price] = taken.get((order.side, price), ZERO) + part
        order, _ = floor.fill(account, order, price, part, maker=False)
    return order


def _best_and_limit(floor: Floor, market: Market, order: Order, center: Decimal) -> tuple[Decimal, Decimal]:
    """Return the first price a taker meets, and the last it may pay."""
    _, ticker = floor.priced(order.symbol)
    if center == ticker.last:
        bid, ask = ticker.bid, ticker.ask
    else:
        bits = liquidity.keyed_bits(floor.seed, 0, order.symbol, floor.now_ms, f"touch{center}")
        bid, ask = liquidity.touch(market.instrument, center, bits)
    best = ask if order.side is Side.BUY else bid
    if order.order_type is OrderType.LIMIT:
        return best, order.price
    bound = market.instrument.market_take_bound
    return best, center * (1 + bound if order.side is Side.BUY else 1 - bound)


def _taken_at(account: Account, symbol: str, moment: tuple[int, Decimal]) -> dict[tuple[Side, Decimal], Decimal]:
    """Return what the account has already taken from the book of this moment; a new moment brings a fresh book."""
    known = account.taken.get(symbol)
    if known is None or known[0] != moment:
        account.taken[symbol] = known = (moment, {})
    return known[1]


def fill_resting(floor: Floor, account: Account, order: Order) -> None:
    """Fill a resting order that the price has traded through, at its own price."""
    quantity = order.leaves_quantity
    if order.reduce_only:
        quantity = min(quantity, reducible(account, order))
    if quantity:
        order, _ = floor.fill(account, order, order.price, quantity, maker=True)
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
    return _cancel(floor, account, order)


def cancel_all_orders(floor: Floor, account: Account, wish: CancelAllOrders) -> tuple[Order, ...]:
    """Cancel every open order of a symbol; algo orders stay."""
    floor.market(wish.symbol)
    return tuple(_cancel(floor, account, order) for order in account.orders_in(wish.symbol))


def _cancel(floor: Floor, account: Account, order: Order) -> Order:
    order = floor.end_order(account, order, OrderStatus.CANCELED)
    floor.finish_parent(account, order)
    floor.refresh_interest(account)
    return order
