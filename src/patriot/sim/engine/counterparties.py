"""Whom an order meets: the seeded levels (the house) merged with resting orders, by price and then time.

In private liquidity a taker meets the house as it stands for its own account, and no other account; its own resting
orders are looked at only for self-trade prevention. In shared liquidity everybody meets the same book.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from itertools import islice
from typing import Final, NamedTuple

from patriot.sim.engine import liquidity
from patriot.sim.engine.account import Account
from patriot.sim.engine.events import PriceMoved
from patriot.sim.engine.floor import Floor
from patriot.sim.engine.ladder import Ladder, Row
from patriot.sim.engine.market import Market
from patriot.sim.engine.records import Order
from patriot.sim.engine.words import (
    ZERO,
    InstrumentStatus,
    Liquidity,
    PositionSide,
    SelfTradePrevention,
    Side,
)

_NOBODY: Final = (ZERO, ZERO)  # price and quantity of a touch without anybody


class Offer(NamedTuple):
    price: Decimal
    quantity: Decimal
    maker: Order | None  # None: the house


def opposite(side: Side) -> Side:
    """Return the other side."""
    return Side.SELL if side is Side.BUY else Side.BUY


def reducible(account: Account, order: Order) -> Decimal:
    """Return how much of the position an order of this side could still take off."""
    held = account.position(order.symbol, order.position_side).quantity
    return max(held if order.side is Side.SELL else -held, ZERO)


def offers(floor: Floor, account: Account, order: Order, center: Decimal) -> Iterator[Offer]:
    """Yield what an order of an account meets, first in turn first, without end.

    center: the price around which the house stands; the last price, or where a move met a stop on its way.
    """
    market = floor.markets[order.symbol]
    levels = iter(house(floor, market, account, order.side, center))
    if floor.liquidity is Liquidity.SHARED:
        makers = _fillable(floor, market, opposite(order.side))
        return _merged(order.side, levels, makers, market.moved_priority)
    if order.self_trade_prevention is SelfTradePrevention.NONE:
        return (Offer(price, quantity, None) for price, quantity in levels)
    own = [o for o in account.orders_in(order.symbol) if o.side is not order.side and o.order_id in market.book.orders]
    own.sort(key=lambda o: (o.price if o.side is Side.SELL else -o.price, o.priority))
    return _merged(order.side, levels, ((o, o.leaves_quantity) for o in own), 0)


def _merged(
    taker: Side, levels: Iterator[Row], makers: Iterator[tuple[Order, Decimal]], moved_priority: int
) -> Iterator[Offer]:
    """Yield both, the better price first; at one price orders older than the last move stand before the house."""
    level, maker = next(levels, None), next(makers, None)
    buys = taker is Side.BUY
    while level is not None or maker is not None:
        if maker is None:
            house_first = True
        elif level is None:
            house_first = False
        elif level[0] == maker[0].price:
            house_first = moved_priority < maker[0].priority
        else:
            house_first = (level[0] < maker[0].price) == buys
        if house_first and level is not None:
            yield Offer(level[0], level[1], None)
            level = next(levels, None)
        elif maker is not None:
            yield Offer(maker[0].price, maker[1], maker[0])
            maker = next(makers, None)


def _fillable(floor: Floor, market: Market, side: Side) -> Iterator[tuple[Order, Decimal]]:
    """Yield resting orders of a side with what they can still fill: reduce-only ones no more than the position."""
    used: dict[tuple[int, PositionSide], Decimal] = {}
    for order in market.book.queue(side):
        quantity, key = order.leaves_quantity, (order.uid, order.position_side)
        before = used.get(key, ZERO)
        if order.reduce_only:
            quantity = min(quantity, reducible(floor.accounts[order.uid], order) - before)
            if quantity <= ZERO:
                continue
        used[key] = before + quantity
        yield order, quantity


def house(floor: Floor, market: Market, account: Account, taker: Side, center: Decimal) -> Ladder:
    """Return what is left of the house around a price: for everybody, or in private liquidity for this account."""
    if floor.liquidity is Liquidity.SHARED:
        return _public_house(floor, market, taker, center)
    moment = (floor.now_ms, center, market.instrument)
    known = account.houses.get(market.instrument.symbol)
    if known is None or known[0] != moment:
        account.houses[market.instrument.symbol] = known = (moment, {})
    if taker not in known[1]:
        known[1][taker] = _ladder(floor, market, taker, center, account.uid, floor.now_ms)
    return known[1][taker]


def _public_house(floor: Floor, market: Market, taker: Side, center: Decimal) -> Ladder:
    ladder = market.houses.get((center, taker))
    if ladder is None:
        at_ms = market.ticker.at_ms if market.ticker is not None else floor.now_ms
        market.houses[center, taker] = ladder = _ladder(floor, market, taker, center, 0, at_ms)
    return ladder


def _ladder(floor: Floor, market: Market, taker: Side, center: Decimal, uid: int, at_ms: int) -> Ladder:
    instrument = market.instrument
    bid, ask = market.house_bid, market.house_ask
    if market.ticker is not None and center != market.ticker.last:
        bits = liquidity.keyed_bits(floor.seed, 0, instrument.symbol, floor.now_ms, f"touch{center}")
        bid, ask = liquidity.touch(instrument, center, bits)
    best = ask if taker is Side.BUY else bid
    return Ladder(liquidity.levels(instrument, taker, best, seed=floor.seed, uid=uid, at_ms=at_ms))


# -------------------------------------------------------------------------------------------------- the public book


def rows(floor: Floor, market: Market, taker: Side, limit: int) -> tuple[Row, ...]:
    """Return the public levels that a taker of this side would meet, best first, one row per price."""
    ticker = market.ticker
    if ticker is None or limit <= 0:
        return ()
    levels = iter(_public_house(floor, market, taker, ticker.last))
    if floor.liquidity is Liquidity.PRIVATE or not market.book.orders:
        return tuple(islice(levels, limit))
    found: list[Row] = []
    makers = _fillable(floor, market, opposite(taker))
    if market.instrument.status is InstrumentStatus.HALTED:
        makers = (maker for maker in makers if not _crosses_house(market, maker[0]))
    for offer in _merged(taker, levels, makers, market.moved_priority):
        if found and found[-1][0] == offer.price:
            found[-1] = (offer.price, found[-1][1] + offer.quantity)
        elif len(found) == limit:
            break
        else:
            found.append((offer.price, offer.quantity))
    return tuple(found)


def _crosses_house(market: Market, order: Order) -> bool:
    """Whether a resting order stands across the house, which only a halt allows."""
    return order.price >= market.house_ask if order.side is Side.BUY else order.price <= market.house_bid


def tell_touch(floor: Floor) -> None:
    """Let the tickers tell the first level of the books that the operation in hand has changed."""
    for symbol in floor.touched:
        market = floor.markets[symbol]
        market.updates += 1
        ticker = market.ticker
        if ticker is None:
            continue
        bid, bid_quantity = next(iter(rows(floor, market, Side.SELL, 1)), _NOBODY)
        ask, ask_quantity = next(iter(rows(floor, market, Side.BUY, 1)), _NOBODY)
        ticker = replace(ticker, bid=bid, bid_quantity=bid_quantity, ask=ask, ask_quantity=ask_quantity)
        market.ticker = ticker
        first = floor.emitted[0] if floor.emitted else None
        if isinstance(first, PriceMoved) and first.ticker.symbol == symbol:
            floor.emitted[0] = replace(first, ticker=ticker)
    floor.touched.clear()
