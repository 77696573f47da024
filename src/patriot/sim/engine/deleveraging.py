"""Auto-deleveraging: when the insurance fund cannot carry a bankrupt position, those who won on it are closed.

Source: binance.com/en/support/faq/360033525471 (ranking by profit and leverage, no fee, open orders canceled), read
2026-11-22. Only accounts that the closing leaves above their maintenance margin are taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from patriot.sim.engine import wires
from patriot.sim.engine.account import Account
from patriot.sim.engine.floor import Floor
from patriot.sim.engine.margin import maintenance_margin
from patriot.sim.engine.records import Order, Position
from patriot.sim.engine.words import (
    ZERO,
    Closing,
    ExecutionType,
    Liquidity,
    OrderStatus,
    OrderType,
    PositionSide,
    Side,
    TimeInForce,
)

_HIGHEST_QUANTILE: Final = 4


def deleverage(floor: Floor, bankrupt: Order, quantity: Decimal, price: Decimal) -> Decimal:
    """Close opposing positions at a bankruptcy price, the highest rank first; return how much that came to."""
    closed = ZERO
    for account, position in _ranked(floor, bankrupt.symbol, long=bankrupt.side is Side.BUY):
        if closed == quantity:
            break
        if account.uid == bankrupt.uid or position.unrealized_pnl(_mark(floor, position)) <= ZERO:
            continue
        if _bears(floor, account, position, price):
            part = min(quantity - closed, abs(position.quantity))
            _close(floor, account, position, part, price)
            closed += part
    return closed


def quantiles(floor: Floor, account: Account, symbol: str) -> dict[PositionSide, int]:
    """Return for each row of a symbol its place in the queue, 0 to 4; 4 is closed first.

    Where liquidity is private nobody is ever deleveraged: 0.
    """
    places = dict.fromkeys(account.sides_of(symbol), 0)
    if floor.liquidity is Liquidity.PRIVATE:
        return places
    for position in account.held(symbol):
        queue = _ranked(floor, symbol, long=position.quantity > ZERO)
        place = next(number for number, (other, _) in enumerate(queue) if other.uid == account.uid)
        places[position.position_side] = _HIGHEST_QUANTILE - place * (_HIGHEST_QUANTILE + 1) // len(queue)
    return places


def _ranked(floor: Floor, symbol: str, *, long: bool) -> list[tuple[Account, Position]]:
    """Return all positions of one direction, the highest profit x leverage first."""
    scored = [
        (-_score(floor, account, position), account.uid, account, position)
        for account, position in _holders(floor, symbol)
        if (position.quantity > ZERO) == long
    ]
    scored.sort(key=lambda entry: entry[:2])
    return [(account, position) for _, _, account, position in scored]


def _holders(floor: Floor, symbol: str) -> Iterator[tuple[Account, Position]]:
    for uid in wires.standing_in(floor, symbol):
        account = floor.accounts[uid]
        for position in account.held(symbol):
            yield account, position


def _score(floor: Floor, account: Account, position: Position) -> Decimal:
    """Return profit ratio x effective leverage, or of a loss the ratio over the leverage."""
    mark = _mark(floor, position)
    profit = position.unrealized_pnl(mark)
    margin = position.isolated_wallet + profit
    if not account.is_isolated(position.symbol):
        margin, _ = account.cross_margin(floor.markets)
    ratio = profit / abs(position.basis) if position.basis else ZERO
    notional = abs(position.quantity) * mark
    if margin <= ZERO or not notional:
        return ratio
    return ratio * notional / margin if ratio > ZERO else ratio * margin / notional


def _bears(floor: Floor, account: Account, position: Position, price: Decimal) -> bool:
    """Whether the account would keep its maintenance margin if the whole position were closed at this price."""
    if account.is_isolated(position.symbol):
        margin = position.isolated_wallet + position.unrealized_pnl(price)
        notional = abs(position.quantity) * _mark(floor, position)
        return margin >= maintenance_margin(floor.markets[position.symbol].instrument, notional)
    _, needed = account.cross_margin(floor.markets)
    others, _ = account.cross_margin(floor.markets, without=position)
    return others + position.unrealized_pnl(price) >= needed


def _mark(floor: Floor, position: Position) -> Decimal:
    _, ticker = floor.priced(position.symbol)
    return ticker.mark


def _close(floor: Floor, account: Account, position: Position, quantity: Decimal, price: Decimal) -> None:
    for resting in account.orders_in(position.symbol):
        floor.finish_parent(account, floor.end_order(account, resting, OrderStatus.CANCELED))
    order_id = account.next_id("order")
    order = Order(
        account.uid,
        order_id,
        f"adl_autoclose-{order_id}",
        position.symbol,
        Side.SELL if position.quantity > ZERO else Side.BUY,
        OrderType.LIMIT,
        quantity,
        floor.now_ms,
        floor.now_ms,
        position_side=position.position_side,
        time_in_force=TimeInForce.IOC,
        price=price,
        reduce_only=True,
        original_type=OrderType.LIMIT,
        closing=Closing.DELEVERAGING,
    )
    account.store_order(order)
    floor.tell_order(order, ExecutionType.NEW)
    floor.fill(account, order, price, quantity, maker=False)
    floor.refresh_interest(account)
