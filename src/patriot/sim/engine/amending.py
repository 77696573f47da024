"""Amendments of open limit orders.

Source: developers.binance.com, USD-M futures, "Modify Order (TRADE)" and "Error Code" 50xx, read 2026-11-22. An
amendment that the filters refuse leaves the order as it is; one that asks for no more than is filled already, or that
would let a post-only order take, cancels it. Which amendments keep the place in the queue the venue does not say; here
it is those that only lower the quantity.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from patriot.sim.engine import filters, matching, protection, refusals
from patriot.sim.engine.account import Account
from patriot.sim.engine.counterparties import reducible
from patriot.sim.engine.floor import Floor
from patriot.sim.engine.market import Market
from patriot.sim.engine.operations import AmendOrder
from patriot.sim.engine.records import Amendment, Order
from patriot.sim.engine.words import (
    ExecutionType,
    InstrumentStatus,
    OrderType,
    PositionSide,
    TimeInForce,
)

MOST_AMENDMENTS: Final = 10_000  # of one order


def amend_order(floor: Floor, account: Account, wish: AmendOrder) -> Order:
    """Change price or quantity of an open limit order, or refuse, having changed nothing."""
    market = floor.market(wish.symbol)
    order = matching.find_order(account, wish.symbol, wish.order_id, wish.client_order_id)
    if order is None or not order.is_open:
        raise refusals.NO_SUCH_ORDER.because()
    if order.order_type is not OrderType.LIMIT:
        raise refusals.LIMIT_ORDERS_ONLY.because()
    if market.instrument.status is not InstrumentStatus.TRADING:
        raise refusals.NOT_TRADING_TO_AMEND.because()
    count = len(floor.amendments.get(order.order_id, ())) + 1
    if count > MOST_AMENDMENTS:
        raise refusals.TOO_MANY_AMENDMENTS.because()
    changed = _checked(floor, account, market, order, wish)
    if changed.quantity <= order.filled_quantity:
        return matching.cancel(floor, account, order)
    changed = replace(changed, updated_ms=floor.now_ms)
    if order.time_in_force is TimeInForce.GTX and matching.would_take(floor, account, changed):
        return matching.cancel(floor, account, order)
    _remember(floor, account, order, changed, count)
    return _moved(floor, account, order, changed)


def _checked(floor: Floor, account: Account, market: Market, order: Order, wish: AmendOrder) -> Order:
    """Return the order as it would be after its filters and the money for it were looked at."""
    price = order.price if wish.price is None else filters.given(wish.price, "price")
    quantity = order.quantity if wish.quantity is None else filters.given(wish.quantity, "quantity")
    if (price, quantity) == (order.price, order.quantity) and wish.attached is None:
        raise refusals.SAME_ORDER.because()
    if price != order.price:
        filters.check_price(market.instrument, price)
    if quantity != order.quantity:
        filters.check_quantity(market.instrument, quantity, market=False)
    _, ticker = floor.priced(order.symbol)
    filters.check_band(market.instrument, order.side, price, ticker.mark)
    changed = replace(
        order,
        price=filters.written_on(market.instrument.tick_size, price),
        quantity=filters.written_on(market.instrument.step_size, quantity),
        attached=wish.attached or order.attached,
    )
    if wish.attached is not None:
        protection.check_attached(floor, changed, price)
    if order.reduce_only:
        if order.position_side is not PositionSide.BOTH and changed.leaves_quantity > reducible(account, order):
            raise refusals.REDUCE_ONLY_REJECTED.because()
    elif price * quantity < market.instrument.min_notional:
        raise refusals.AMENDED_BELOW_MIN_NOTIONAL.because(minimum=market.instrument.min_notional)
    elif changed.leaves_quantity > 0:
        matching.check_money(floor, account, changed, instead_of=order)
    return changed


def _moved(floor: Floor, account: Account, order: Order, changed: Order) -> Order:
    """Put the changed order into its new place and let it take what it now meets."""
    keeps_place = changed.price == order.price and changed.quantity <= order.quantity
    if not keeps_place:
        changed = replace(changed, priority=floor.next_priority(account))
    floor.markets[order.symbol].book.remove(order.order_id)
    floor.touch(order.symbol)
    account.store_order(changed)
    floor.tell_order(changed, ExecutionType.AMENDMENT)
    settled = matching.settle(floor, account, matching.take(floor, account, changed))
    floor.finish_parent(account, settled)
    return settled


def _remember(floor: Floor, account: Account, order: Order, changed: Order, count: int) -> None:
    floor.amendments.setdefault(order.order_id, []).append(
        Amendment(
            account.uid,
            account.next_id("amendment"),
            order.order_id,
            order.client_order_id,
            order.symbol,
            floor.now_ms,
            order.price,
            changed.price,
            order.quantity,
            changed.quantity,
            count,
        )
    )


def amendments(floor: Floor, account: Account, symbol: str, order_id: int | None) -> tuple[Amendment, ...]:
    """Return what was changed of the orders of a symbol, or of one of them; oldest first."""
    found = [
        row
        for amended_id, rows in floor.amendments.items()
        for row in rows
        if row.uid == account.uid and row.symbol == symbol and (order_id is None or amended_id == order_id)
    ]
    return tuple(sorted(found, key=lambda row: row.amendment_id))
