"""What a price move does: resting orders it trades through, algo orders it triggers, positions it liquidates."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from patriot.sim.engine import conditional, matching
from patriot.sim.engine.account import Account
from patriot.sim.engine.floor import Floor
from patriot.sim.engine.liquidation import liquidate_if_due
from patriot.sim.engine.market import Market
from patriot.sim.engine.operations import MovePrice, SettleFunding
from patriot.sim.engine.records import AlgoOrder, Income, Order, Ticker
from patriot.sim.engine.words import ZERO, IncomeType, Side, UpdateReason, round_money

_NOWHERE_LOW: Final = Decimal("-Infinity")
_NOWHERE_HIGH: Final = Decimal("Infinity")


def move_price(floor: Floor, operation: MovePrice) -> Ticker:
    """Move the price of a symbol and let everybody concerned meet it."""
    market = floor.market(operation.symbol)
    floor.emitted.append(market.move(operation, floor.now_ms))
    if market.concerns_anybody():
        for uid in sorted(market.interested):
            _meet(floor, floor.accounts[uid], market)
        if market.wires is None:
            market.wires = _stretch_wires(floor, market)
    _, ticker = floor.priced(operation.symbol)
    return ticker


def _meet(floor: Floor, account: Account, market: Market) -> None:
    """Let one account meet a move: orders in the sequence in which the price passed them, then liquidation."""
    _, ticker = floor.priced(market.instrument.symbol)
    symbol = ticker.symbol
    met: list[tuple[Decimal, int, Order | AlgoOrder]] = []
    sign = 1 if market.rising else -1
    for order in account.orders_in(symbol):
        if ticker.last < order.price if order.side is Side.BUY else ticker.last > order.price:
            met.append((sign * order.price, order.order_id, order))
    for algo in account.algo_orders_in(symbol):
        if conditional.is_triggered(algo, ticker):
            met.append((sign * algo.trigger_price, algo.algo_id, algo))
    met.sort(key=lambda entry: entry[:2])
    for distance, identifier, order_or_algo in met:
        if _liquidated_before(floor, account, market, distance * sign):
            liquidate_if_due(floor, account, symbol)
        if isinstance(order_or_algo, AlgoOrder):
            if identifier in account.open_algo_orders:
                conditional.trigger(floor, account, order_or_algo)
        elif identifier in account.open_orders:
            matching.fill_resting(floor, account, account.open_orders[identifier])
    liquidate_if_due(floor, account, symbol)
    conditional.follow(floor, account, ticker)
    if met:
        floor.refresh_interest(account)


def _liquidated_before(floor: Floor, account: Account, market: Market, price: Decimal) -> bool:
    """Whether the move reached a liquidation price before it reached this one; a jump reaches it before anything."""
    for position in account.held(market.instrument.symbol):
        level = account.liquidation_price_of(position, floor.markets)
        if level is not None and (market.jumped or (level < price if market.rising else level > price)):
            return True
    return False


def _stretch_wires(floor: Floor, market: Market) -> tuple[Decimal, Decimal] | None:
    """Find the nearest prices at which a resting order, a trigger or a liquidation waits.

    None when they cannot be known from this symbol alone: an account with crossed positions in several rows.
    """
    low, high = _NOWHERE_LOW, _NOWHERE_HIGH
    symbol = market.instrument.symbol
    for uid in market.interested:
        account = floor.accounts[uid]
        for order in account.orders_in(symbol):
            if order.side is Side.BUY:
                low = max(low, order.price)
            else:
                high = min(high, order.price)
        for algo in account.algo_orders_in(symbol):
            below, above = conditional.concerned_between(algo)
            low = low if below is None else max(low, below)
            high = high if above is None else min(high, above)
        for position in account.held(symbol):
            if not account.is_isolated(symbol) and len(account.held()) > 1:
                return None
            level = account.liquidation_price_of(position, floor.markets)
            if level is not None and position.quantity > ZERO:
                low = max(low, level)
            elif level is not None:
                high = min(high, level)
    return low, high


def settle_funding(floor: Floor, operation: SettleFunding) -> tuple[Income, ...]:
    """Pay or take funding on every open position of a symbol: minus quantity x mark x rate, rounded once."""
    market, ticker = floor.priced(operation.symbol)
    rate = market.funding_rate if operation.rate is None else operation.rate
    records: list[Income] = []
    for uid in sorted(market.interested):
        account = floor.accounts[uid]
        for position in account.held(operation.symbol):
            amount = round_money(-position.quantity * ticker.mark * rate)
            if not amount:
                continue
            account.pay_funding(position, amount)
            floor.pools.settle(amount)
            records.append(
                account.book(IncomeType.FUNDING_FEE, amount, floor.now_ms, symbol=operation.symbol, info=str(rate))
            )
            rows = [(position.symbol, position.position_side)] if account.is_isolated(position.symbol) else []
            floor.tell_account(account, UpdateReason.FUNDING_FEE, change=amount, positions=rows)
        liquidate_if_due(floor, account, operation.symbol)
        floor.refresh_interest(account)
    return tuple(records)
