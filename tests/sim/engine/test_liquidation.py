"""Liquidation: at which price, through which book, and who carries what is missing."""

from __future__ import annotations

import pytest

from patriot.sim.engine.events import MarginCalled, OrderUpdated
from patriot.sim.engine.operations import MovePrice, SetLeverage
from patriot.sim.engine.records import Order
from patriot.sim.engine.words import (
    Closing,
    ExecutionType,
    IncomeType,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from tests.sim.engine.support import SYMBOL, D, Desk

pytestmark = pytest.mark.integration

BUY, SELL = Side.BUY, Side.SELL


def long_at_39000(leverage: int = 10) -> Desk:
    desk = Desk()
    desk.isolated(leverage)
    desk.limit(BUY, "1", "39000")
    desk.move("38900")
    return desk


def closing_order(desk: Desk) -> Order:
    [order] = [order for order in desk.venue.orders(1) if order.closing]
    return order


def test_liquidation_walks_the_book_from_where_the_margin_ran_out() -> None:
    desk = long_at_39000()
    level = desk.venue.positions(1, SYMBOL)[0].liquidation_price

    desk.move("30000")

    order = closing_order(desk)
    assert (order.closing, order.order_type, order.time_in_force) == (
        Closing.LIQUIDATION,
        OrderType.LIMIT,
        TimeInForce.IOC,
    )
    assert order.client_order_id.startswith("autoclose-")
    parts = [trade for trade in desk.venue.trades(1) if trade.order_id == order.order_id]
    assert len(parts) > 1
    assert all(order.price < trade.price <= level for trade in parts)
    assert abs(order.average_fill_price - level) < D("5")
    told = [event.execution_type for event in desk.emitted if isinstance(event, OrderUpdated)]
    assert told == [ExecutionType.NEW, *[ExecutionType.CALCULATED] * len(parts)]


def test_what_is_left_of_the_margin_pays_the_fee_to_the_insurance_fund() -> None:
    desk = long_at_39000()
    wallet = desk.venue.account(1).wallet

    desk.move("30000")

    fee = -desk.income_of(IncomeType.INSURANCE_CLEAR)
    assert fee > 0
    assert desk.venue.pools().insurance == fee
    assert wallet - desk.venue.account(1).wallet == D("3900")


def test_position_beyond_bankruptcy_is_taken_over_by_the_fund_at_the_bankruptcy_price() -> None:
    desk = long_at_39000()
    wallet = desk.venue.account(1).wallet

    desk.move("30000", jump=True)

    order = closing_order(desk)
    assert (order.status, order.average_fill_price) == (OrderStatus.FILLED, order.price)
    assert D("0") <= order.price - D("35117.55") < D("0.1")  # 35100 and the fee of closing
    assert wallet - desk.venue.account(1).wallet == D("3900")
    assert desk.venue.pools().insurance == D("30000") - order.price - desk.income_of(IncomeType.INSURANCE_CLEAR)


def test_short_beyond_bankruptcy_costs_its_margin_and_no_more() -> None:
    desk = Desk()
    desk.isolated(10)
    desk.limit(SELL, "1", "41000")
    desk.move("41100")
    wallet = desk.venue.account(1).wallet

    desk.move("60000", jump=True)

    assert wallet - desk.venue.account(1).wallet == D("4100")
    assert desk.venue.pools().insurance < D("-14000")


def test_crossed_loser_bears_what_is_missing_and_the_winner_closes_at_the_market() -> None:
    desk = Desk(balance="3000")
    desk.do(MovePrice("ETHUSDT", D("3000")))
    desk.do(SetLeverage(1, SYMBOL, 50))
    desk.market(BUY, "1")
    desk.market(BUY, "1", symbol="ETHUSDT")
    desk.do(MovePrice("ETHUSDT", D("3500")))

    desk.move("30000", jump=True)

    first, second = [order for order in desk.venue.orders(1) if order.closing]
    assert (first.symbol, second.symbol) == ("ETHUSDT", SYMBOL)
    assert D("3490") < first.average_fill_price <= D("3500")
    assert second.average_fill_price > D("36000")
    assert D(0) <= desk.venue.account(1).wallet < D("0.2")


def test_market_price_of_another_symbol_is_its_last() -> None:
    desk = Desk(balance="5000")
    desk.do(MovePrice("ETHUSDT", D("4000")))
    desk.do(MovePrice("ETHUSDT", D("3000")))
    desk.market(BUY, "1")
    desk.market(BUY, "1", symbol="ETHUSDT")

    desk.move("35000")

    closed = [order for order in desk.venue.orders(1) if order.closing and order.symbol == "ETHUSDT"]
    assert closed
    assert all(D("2990") < order.average_fill_price <= D("3000") for order in closed)


def test_margin_call_comes_once_on_the_way_to_liquidation_and_again_after_a_recovery() -> None:
    desk = long_at_39000()
    told: list[str] = []

    for price in ("37000", "35300", "35270", "35260", "39000", "38000", "35265", "30000"):
        desk.move(price)
        told += [price for event in desk.emitted if isinstance(event, MarginCalled)]

    assert told == ["35270", "35265"]
    assert desk.position().quantity == 0


def test_margin_call_lists_every_crossed_position_that_is_near() -> None:
    desk = Desk(balance="5000")
    desk.do(MovePrice("ETHUSDT", D("3000")))
    desk.market(BUY, "1")
    desk.market(BUY, "1", symbol="ETHUSDT")

    desk.move("35190")

    [call] = [event for event in desk.emitted if isinstance(event, MarginCalled)]
    assert {row.position.symbol for row in call.positions} == {SYMBOL, "ETHUSDT"}
    assert call.cross_wallet == desk.venue.account(1).cross_wallet
    needed = sum((row.maintenance_margin for row in call.positions), D(0))
    margin = call.cross_wallet + sum((row.unrealized_pnl for row in call.positions), D(0))
    assert margin * D("0.8") < needed <= margin


def test_new_position_of_a_row_is_called_for_margin_anew() -> None:
    desk = long_at_39000()
    desk.move("35270")
    assert any(isinstance(event, MarginCalled) for event in desk.emitted)
    desk.market(SELL, "1", reduce_only=True)
    desk.market(BUY, "1")

    desk.move("31885")

    assert any(isinstance(event, MarginCalled) for event in desk.emitted)
