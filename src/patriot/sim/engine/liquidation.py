"""Liquidation: a position whose margin no longer covers its maintenance is closed by the venue.

An order at the bankruptcy price, where closing leaves nothing, takes what the book has from the price on where the
margin ran out. The insurance fund takes the rest over at the bankruptcy price and closes it with the house at the
market's; a loss that the fund cannot carry goes to auto-deleveraging first. What is left of the margin pays the fee.
Sources: binance.com/en/support/faq/360033525471; binance.com/en/blog, "Liquidation & Insurance Funds"; read 2026-11-22.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from patriot.sim.engine import matching
from patriot.sim.engine.account import Account
from patriot.sim.engine.deleveraging import deleverage
from patriot.sim.engine.events import MarginCalled
from patriot.sim.engine.floor import Floor
from patriot.sim.engine.margin import bankruptcy_price, maintenance_margin
from patriot.sim.engine.records import Order, Position
from patriot.sim.engine.wires import MARGIN_CALL_RATIO
from patriot.sim.engine.words import (
    ZERO,
    Closing,
    ExecutionType,
    IncomeType,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
    UpdateReason,
    round_money,
)


def liquidate_if_due(floor: Floor, account: Account, symbol: str) -> None:
    """Close what is due after a move of this symbol: isolated positions one by one, or all crossed ones together.

    What is near tells a margin call, once until it has recovered.
    """
    held = account.held(symbol)
    if not held:
        return
    if account.is_isolated(symbol):
        market, ticker = floor.priced(symbol)
        for position in held:
            needed = maintenance_margin(market.instrument, abs(position.quantity) * ticker.mark)
            _judge(floor, account, [position], position.isolated_wallet + position.unrealized_pnl(ticker.mark), needed)
        return
    margin, needed = account.cross_margin(floor.markets)
    _judge(floor, account, [p for p in account.held() if not account.is_isolated(p.symbol)], margin, needed, symbol)


def _judge(
    floor: Floor, account: Account, positions: list[Position], margin: Decimal, needed: Decimal, moved: str = ""
) -> None:
    if margin < needed:
        _liquidate(floor, account, positions, moved or positions[0].symbol)
        return
    rows = [(position.symbol, position.position_side) for position in positions]
    if margin * MARGIN_CALL_RATIO >= needed:
        account.called.difference_update(rows)
    elif not account.called.issuperset(rows):
        account.called.update(rows)
        views = tuple(account.position_view(*row, floor.markets) for row in rows)
        floor.emitted.append(MarginCalled(account.uid, floor.now_ms, account.cross_wallet, views))


def _liquidate(floor: Floor, account: Account, positions: list[Position], moved: str) -> None:
    """Cancel the open orders in the way, close the positions, clear with the insurance fund."""
    isolated = account.is_isolated(moved)
    levels = [account.liquidation_price_of(p, floor.markets) if p.symbol == moved else None for p in positions]
    due = [(p, _market_price(floor, p, level)) for p, level in zip(positions, levels, strict=True)]
    due.sort(key=lambda entry: -entry[0].unrealized_pnl(entry[1]))  # the greatest loser last: it bears what is missing
    for order in list(account.open_orders.values()):
        if not isolated or order.symbol == moved:
            floor.finish_parent(account, floor.end_order(account, order, OrderStatus.EXPIRED))
    left = positions[0].isolated_wallet if isolated else account.cross_wallet
    fees, wallet_before = ZERO, account.wallet
    for number, (position, center) in enumerate(due):
        others = sum((p.unrealized_pnl(price) for p, price in due[number + 1 :]), ZERO)
        margin = left + account.wallet - wallet_before + others
        limit = center
        if number + 1 == len(due) or margin + position.unrealized_pnl(center) >= ZERO:
            limit = bankruptcy_price(floor.markets[position.symbol].instrument, position, margin)
        order = _close(floor, account, position, limit, center)
        rate = floor.markets[position.symbol].instrument.liquidation_fee_rate
        fees += round_money(order.filled_notional * rate)
    left += account.wallet - wallet_before
    cleared = -left if left < ZERO else -max(min(fees, left, account.wallet), ZERO)  # a fee makes no debt
    if cleared:
        _clear(floor, account, cleared, due[-1][0].symbol)
    floor.refresh_interest(account)


def _clear(floor: Floor, account: Account, amount: Decimal, symbol: str) -> None:
    account.book(IncomeType.INSURANCE_CLEAR, amount, floor.now_ms, symbol=symbol)
    floor.pools.insure(amount)
    floor.tell_account(account, UpdateReason.INSURANCE_CLEAR, change=amount)


def clear_debts(floor: Floor) -> None:
    """Let the insurance fund pay what accounts owe that their own trades have left with nothing but a debt.

    Whoever still holds a position is liquidated when that is due.
    """
    for uid in sorted(floor.indebted):
        account = floor.accounts[uid]
        if account.wallet < ZERO and not account.held():
            _clear(floor, account, -account.wallet, account.trades[-1].symbol)
    floor.indebted.clear()


def _market_price(floor: Floor, position: Position, level: Decimal | None) -> Decimal:
    """Return the liquidation price if the move went through it, else the last price; on the losing side of its tick."""
    market, ticker = floor.priced(position.symbol)
    price = ticker.last if level is None else market.met_on_the_way(level)
    tick = market.instrument.tick_size
    rounding = ROUND_FLOOR if position.quantity > ZERO else ROUND_CEILING
    return max((price / tick).to_integral_value(rounding) * tick, tick)


def _close(floor: Floor, account: Account, position: Position, limit: Decimal, center: Decimal) -> Order:
    """Close a position with the book around a price, no worse than a limit, and hand over the rest at the limit."""
    order_id = account.next_id("order")
    order = Order(
        account.uid,
        order_id,
        f"autoclose-{order_id}",
        position.symbol,
        Side.SELL if position.quantity > ZERO else Side.BUY,
        OrderType.LIMIT,
        abs(position.quantity),
        floor.now_ms,
        floor.now_ms,
        position_side=position.position_side,
        time_in_force=TimeInForce.IOC,
        price=limit,
        reduce_only=True,
        original_type=OrderType.LIMIT,
        closing=Closing.LIQUIDATION,
    )
    account.store_order(order)
    floor.tell_order(order, ExecutionType.NEW)
    order = matching.take(floor, account, order, center)
    rest = order.leaves_quantity
    if rest:
        signed = rest if position.quantity > ZERO else -rest
        if not floor.pools.can_carry(signed * (limit - center)):
            taken = deleverage(floor, order, rest, limit)
            signed -= taken if signed > ZERO else -taken
        floor.pools.absorb(signed, limit, center)
        order, _ = floor.fill(account, order, limit, rest, maker=False)
    return order
