"""What a price move does: resting orders it trades through, algo orders it triggers, positions it liquidates."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from patriot.sim.engine import conditional, filters, matching, refusals, wires
from patriot.sim.engine.account import Account
from patriot.sim.engine.floor import Floor
from patriot.sim.engine.liquidation import liquidate_if_due
from patriot.sim.engine.market import Market
from patriot.sim.engine.operations import MovePrice, SettleFunding
from patriot.sim.engine.records import Income, Order, Ticker
from patriot.sim.engine.words import IncomeType, InstrumentStatus, UpdateReason, round_money


class _Met(NamedTuple):
    """Something that a move met, in the sequence in which it is dealt with."""

    distance: Decimal  # along the way of the move
    triggers: bool  # resting orders at a price go before what that price triggers
    since: int  # priority of an order, time of a conditional order
    uid: int
    identifier: int


def move_price(floor: Floor, operation: MovePrice) -> Ticker:
    """Move the price of a symbol and let everybody concerned meet it.

    In shared liquidity the touch that is told is the one that everybody left, see counterparties.tell_touch.
    """
    market = floor.market(operation.symbol)
    for price, name in ((operation.last, "last"), (operation.mark, "mark"), (operation.index, "index")):
        filters.check_market_price(price, name)
    if operation.quantity is not None and not operation.quantity.is_finite():
        raise refusals.INVALID_DATA.because(parameter="quantity")
    market.moved_priority = floor.next_priority()
    moved = market.move(operation, floor.now_ms)
    floor.emitted.append(moved)
    if market.instrument.status is InstrumentStatus.TRADING:
        meet(floor, market)
    else:  # what it would have met counts with the next move of another symbol
        floor.stale.update(market.watch.reaches)
    if market.book.stands_at(market.house_bid, market.house_ask):
        floor.touch(operation.symbol)
    return moved.ticker


def meet(floor: Floor, market: Market) -> None:
    """Let everybody concerned meet the prices of the moment: by price on the way, then by time; then liquidate."""
    ticker = market.ticker
    if ticker is None:
        return
    if floor.stale:
        wires.refresh(floor)
    if not market.book.orders and not market.watch.reaches:
        return
    prices = (ticker.last, ticker.mark, ticker.index)
    crossed = market.book.met_by(ticker.last, market.house_bid, market.house_ask) if market.book.orders else []
    uids = market.watch.reached(min(prices), max(prices))
    if not crossed and not uids:
        return
    concerned = sorted({order.uid for order in crossed} | uids)
    for met in sorted(_met(floor, market, ticker, crossed, uids)):
        account = floor.accounts[met.uid]
        if _liquidated_before(floor, account, market, met.distance if market.rising else -met.distance):
            liquidate_if_due(floor, account, ticker.symbol)
        if met.triggers:
            if met.identifier in account.open_algo_orders:
                conditional.trigger(floor, account, account.open_algo_orders[met.identifier])
        elif met.identifier in account.open_orders:
            matching.fill_resting(floor, account, account.open_orders[met.identifier])
    for uid in concerned:
        account = floor.accounts[uid]
        liquidate_if_due(floor, account, ticker.symbol)
        conditional.follow(floor, account, ticker)
        floor.refresh_interest(account)


def _met(floor: Floor, market: Market, ticker: Ticker, crossed: list[Order], uids: set[int]) -> list[_Met]:
    """Return what the move met: resting orders, and conditional orders that it triggers."""
    sign = 1 if market.rising else -1
    met = [_Met(sign * o.price, False, o.priority, o.uid, o.order_id) for o in crossed]
    for uid in uids:
        for algo in floor.accounts[uid].algo_orders_in(ticker.symbol):
            if conditional.is_triggered(algo, ticker):
                met.append(_Met(sign * algo.trigger_price, True, algo.created_ms, uid, algo.algo_id))
    return met


def _liquidated_before(floor: Floor, account: Account, market: Market, price: Decimal) -> bool:
    """Whether the move reached a liquidation price before it reached this one; a jump reaches it before anything."""
    for position in account.held(market.instrument.symbol):
        level = account.liquidation_price_of(position, floor.markets)
        if level is not None and (market.jumped or (level < price if market.rising else level > price)):
            return True
    return False


def settle_funding(floor: Floor, operation: SettleFunding) -> tuple[Income, ...]:
    """Pay or take funding on every open position of a symbol: minus quantity x mark x rate, rounded once."""
    market, ticker = floor.priced(operation.symbol)
    rate = market.funding_rate if operation.rate is None else operation.rate
    if not rate.is_finite() or abs(rate) > 1:
        raise refusals.INVALID_DATA.because(parameter="rate")
    records: list[Income] = []
    for uid in wires.standing_in(floor, operation.symbol):
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
