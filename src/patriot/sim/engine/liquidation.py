"""Liquidation: a position whose margin no longer covers its maintenance is closed by the venue."""

from __future__ import annotations

from decimal import Decimal

from patriot.sim.engine.account import Account
from patriot.sim.engine.floor import Floor
from patriot.sim.engine.margin import maintenance_margin
from patriot.sim.engine.records import Order, Position
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
    """Close what is due after a move of this symbol: isolated positions one by one, or all crossed ones together."""
    held = account.held(symbol)
    if not held:
        return
    if account.is_isolated(symbol):
        for position in held:
            if _isolated_is_due(floor, position):
                _liquidate(floor, account, [position])
        return
    margin, needed = account.cross_margin(floor.markets)
    if margin < needed:
        _liquidate(floor, account, [p for p in account.held() if not account.is_isolated(p.symbol)])


def _isolated_is_due(floor: Floor, position: Position) -> bool:
    market, ticker = floor.priced(position.symbol)
    notional = abs(position.quantity) * ticker.mark
    margin = position.isolated_wallet + position.unrealized_pnl(ticker.mark)
    return margin < maintenance_margin(market.instrument, notional)


def _liquidate(floor: Floor, account: Account, positions: list[Position]) -> None:
    """Cancel the open orders in the way, close at the price where the margin ran out, clear with the insurance fund."""
    isolated = account.is_isolated(positions[0].symbol)
    levels = {id(p): account.liquidation_price_of(p, floor.markets) for p in positions}
    for order in list(account.open_orders.values()):
        if not isolated or order.symbol == positions[0].symbol:
            floor.finish_parent(account, floor.end_order(account, order, OrderStatus.EXPIRED))
    left = positions[0].isolated_wallet if isolated else account.cross_wallet
    fees, wallet_before = ZERO, account.wallet
    for position in positions:
        price = _closing_price(floor, position, levels[id(position)])
        _close(floor, account, position, price)
        rate = floor.markets[position.symbol].instrument.liquidation_fee_rate
        fees += round_money(abs(position.quantity) * price * rate)
    left += account.wallet - wallet_before
    cleared = -left if left < ZERO else -min(fees, left)
    if cleared:
        floor.pools.insure(cleared)
        account.book(IncomeType.INSURANCE_CLEAR, cleared, floor.now_ms, symbol=positions[0].symbol)
        floor.tell_account(account, UpdateReason.INSURANCE_CLEAR, change=cleared)
    floor.refresh_interest(account)


def _closing_price(floor: Floor, position: Position, level: Decimal | None) -> Decimal:
    """Return the liquidation price if the move went through it, else the last price; on the losing side of its tick."""
    market, ticker = floor.priced(position.symbol)
    price = ticker.last if level is None else market.met_on_the_way(level)
    tick = market.instrument.tick_size
    on_grid = price - price % tick
    if position.quantity < ZERO and on_grid != price:
        on_grid += tick
    return max(on_grid, tick)


def _close(floor: Floor, account: Account, position: Position, price: Decimal) -> None:
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
        price=price,
        reduce_only=True,
        original_type=OrderType.LIMIT,
        closing=Closing.LIQUIDATION,
    )
    account.store_order(order)
    floor.tell_order(order, ExecutionType.NEW)
    floor.fill(account, order, price, order.quantity, maker=False)
