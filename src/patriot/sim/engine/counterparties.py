"""Whom an order meets: the seeded levels (the house) merged with resting orders, by price and then time.

In private liquidity a taker meets the house as it stands for its own account, and no other account; its own resting
orders are looked at only for self-trade prevention. In shared liquidity everybody meets the same book.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from itertools import islice
from typing import NamedTuple

from patriot.sim.engine import liquidity
from patriot.sim.engine.account import Account
from patriot.sim.engine.events import PriceMoved
from patriot.sim.engine.floor import Floor
from patriot.sim.engine.market import Market
from patriot.sim.engine.records import Order, Ticker
from patriot.sim.engine.words import (
    ZERO,
    InstrumentStatus,
    Liquidity,
    PositionSide,
    SelfTradePrevention,
    Side,
)

Row = tuple[Decimal, Decimal]  # price, quantity


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
    if floor.liquidity is Liquidity.SHARED:
        makers = _fillable(floor, market, opposite(order.side))
        house = _house(floor, market, order.side, center, None)
        return _merged(order.side, house, makers, market.moved_priority)
    house = _house(floor, market, order.side, center, account)
    if order.self_trade_prevention is SelfTradePrevention.NONE:
        return (Offer(price, quantity, None) for price, quantity in house)
    own = [o for o in account.orders_in(order.symbol) if o.side is not order.side and o.order_id in market.book.orders]
    own.sort(key=lambda o: (o.price if o.side is Side.SELL else -o.price, o.priority))
    return _merged(order.side, house, ((o, o.leaves_quantity) for o in own), 0)


def _merged(
    taker: Side, house: Iterator[Row], makers: Iterator[tuple[Order, Decimal]], moved_priority: int
) -> Iterator[Offer]:
    """Yield both, the better price first; at one price orders older than the last move stand before the house."""
    level, maker = next(house, None), next(makers, None)
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
            level = next(house, None)
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


def _house(floor: Floor, market: Market, taker: Side, center: Decimal, account: Account | None) -> Iterator[Row]:
    """Yield what is left of the seeded levels; account None: those that everybody meets."""
    ticker = market.ticker
    if ticker is None:
        return
    taken = taken_of(floor, market, account, center)
    for price, quantity in _levels(floor, market, ticker, taker, center, account):
        left = quantity - taken.get((taker, price), ZERO) if taken else quantity
        if left > ZERO:
            yield price, left


def _levels(
    floor: Floor, market: Market, ticker: Ticker, taker: Side, center: Decimal, account: Account | None
) -> Iterator[Row]:
    """Return the seeded levels around a price, those of uid 0 for everybody."""
    instrument = market.instrument
    bid, ask = market.house_bid, market.house_ask
    if account is None and center == ticker.last:
        return public_levels(floor, market, ticker, taker)
    if center != ticker.last:
        bits = liquidity.keyed_bits(floor.seed, 0, instrument.symbol, floor.now_ms, f"touch{center}")
        bid, ask = liquidity.touch(instrument, center, bits)
    uid, at_ms = (0, ticker.at_ms) if account is None else (account.uid, floor.now_ms)
    best = ask if taker is Side.BUY else bid
    return liquidity.levels(instrument, taker, best, seed=floor.seed, uid=uid, at_ms=at_ms)


def public_levels(floor: Floor, market: Market, ticker: Ticker, taker: Side) -> Iterator[Row]:
    """Yield the levels of the house that everybody sees; they are made once per move."""
    if taker not in market.levels:
        best = market.house_ask if taker is Side.BUY else market.house_bid
        source = liquidity.levels(market.instrument, taker, best, seed=floor.seed, uid=0, at_ms=ticker.at_ms)
        market.levels[taker] = ([], source)
    seen, unseen = market.levels[taker]
    number = 0
    while True:
        if number == len(seen):
            level = next(unseen, None)
            if level is None:
                return
            seen.append(level)
        yield seen[number]
        number += 1


def taken_of(
    floor: Floor, market: Market, account: Account | None, center: Decimal
) -> dict[tuple[Side, Decimal], Decimal]:
    """Return what has been taken from the house around a price; a move (of an account: a moment) brings a fresh one."""
    if account is None:
        return market.taken.setdefault(center, {})
    moment = (floor.now_ms, center)
    known = account.taken.get(market.instrument.symbol)
    if known is None or known[0] != moment:
        account.taken[market.instrument.symbol] = known = (moment, {})
    return known[1]


# -------------------------------------------------------------------------------------------------- the public book


def rows(floor: Floor, market: Market, taker: Side, limit: int) -> tuple[Row, ...]:
    """Return the public levels that a taker of this side would meet, best first, one row per price."""
    ticker = market.ticker
    if ticker is None or limit <= 0:
        return ()
    if floor.liquidity is Liquidity.PRIVATE:
        return tuple(islice(public_levels(floor, market, ticker, taker), limit))
    found: list[Row] = []
    house = _house(floor, market, taker, ticker.last, None)
    makers = _fillable(floor, market, opposite(taker))
    if market.instrument.status is InstrumentStatus.HALTED:
        makers = (maker for maker in makers if not _crosses_house(market, maker[0]))
    for offer in _merged(taker, house, makers, market.moved_priority):
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
        (bid, bid_quantity), (ask, ask_quantity) = (rows(floor, market, s, 1)[0] for s in (Side.SELL, Side.BUY))
        ticker = replace(ticker, bid=bid, bid_quantity=bid_quantity, ask=ask, ask_quantity=ask_quantity)
        market.ticker = ticker
        first = floor.emitted[0] if floor.emitted else None
        if isinstance(first, PriceMoved) and first.ticker.symbol == symbol:
            floor.emitted[0] = replace(first, ticker=ticker)
    floor.touched.clear()
