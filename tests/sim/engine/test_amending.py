"""Amendments of open orders: what they change, what they refuse, what they cost in the queue."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from patriot.sim.engine import amending
from patriot.sim.engine.events import OrderUpdated
from patriot.sim.engine.operations import AmendOrder, CancelOrder, ChangeInstrument, CreateAccount, MovePrice
from patriot.sim.engine.records import Order
from patriot.sim.engine.venue import Venue
from patriot.sim.engine.words import (
    ExecutionType,
    InstrumentStatus,
    Liquidity,
    OrderStatus,
    PositionSide,
    Side,
    TimeInForce,
)
from tests.sim.engine.support import START_MS, SYMBOL, D, Desk, limit

pytestmark = pytest.mark.integration

BUY, SELL = Side.BUY, Side.SELL


def amend(order: Order, **fields: Any) -> AmendOrder:
    numbers: dict[str, Any] = {name: D(value) for name, value in fields.items()}
    return AmendOrder(order.uid, SYMBOL, order.order_id, **numbers)


def test_amendment_changes_price_and_quantity_and_is_told_and_remembered() -> None:
    desk = Desk()
    order = desk.limit(BUY, "0.1", "39000")

    changed = desk.do(amend(order, price="39100", quantity="0.2"))

    assert (changed.price, changed.quantity, changed.order_id) == (D("39100"), D("0.2"), order.order_id)
    assert desk.venue.open_orders(1) == (changed,)
    assert [e.execution_type for e in desk.emitted if isinstance(e, OrderUpdated)] == [ExecutionType.AMENDMENT]
    desk.do(amend(order, quantity="0.3"))
    first, second = desk.venue.amendments(1, SYMBOL, order.order_id)
    assert (first.price_before, first.price_after) == (D("39000"), D("39100"))
    assert (second.quantity_before, second.quantity_after) == (D("0.2"), D("0.3"))
    assert (first.count, second.count, first.at_ms < second.at_ms) == (1, 2, True)
    assert desk.venue.amendments(1, SYMBOL) == (first, second)


def test_amended_order_rests_at_its_new_price_only() -> None:
    desk = Desk()
    order = desk.limit(BUY, "0.1", "39000")
    desk.do(amend(order, price="38500"))

    desk.move("38900")
    assert desk.order(order).status is OrderStatus.NEW
    desk.move("38400")

    assert desk.order(order).average_fill_price == D("38500")


def test_amendment_across_the_book_takes_at_once() -> None:
    desk = Desk()
    order = desk.limit(BUY, "0.01", "39000")

    changed = desk.do(amend(order, price="40100"))

    assert changed.status is OrderStatus.FILLED
    assert desk.venue.trades(1)[0].maker is False
    assert desk.venue.open_orders(1) == ()


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, -5027),
        ({"price": "39000", "quantity": "0.1"}, -5027),
        ({"price": "39000.05"}, -4014),
        ({"price": "43000"}, -4016),
        ({"quantity": "0.0001"}, -1111),
        ({"quantity": "0"}, -4003),
        ({"quantity": "0.001"}, -5029),
        ({"quantity": "900"}, -2019),
    ],
)
def test_amendment_that_a_rule_refuses_leaves_the_order_as_it_is(fields: dict[str, str], code: int) -> None:
    desk = Desk()
    order = desk.limit(BUY, "0.1", "39000")
    before = desk.venue.state()

    assert desk.code(amend(order, **fields)) == code
    assert desk.venue.state() == before
    assert desk.venue.amendments(1, SYMBOL) == ()


def test_amendment_is_only_for_open_limit_orders_and_only_while_the_symbol_trades() -> None:
    desk = Desk()
    filled = desk.market(BUY, "0.1")
    order = desk.limit(BUY, "0.1", "39000")

    assert desk.code(amend(filled, quantity="0.2")) == -2013
    assert desk.code(AmendOrder(1, SYMBOL, 77, quantity=D("0.2"))) == -2013
    assert desk.code(AmendOrder(1, SYMBOL, quantity=D("0.2"))) == -1102
    desk.do(ChangeInstrument(SYMBOL, status=InstrumentStatus.HALTED))
    assert desk.code(amend(order, quantity="0.2")) == -5024
    assert desk.do(CancelOrder(1, SYMBOL, order.order_id)).status is OrderStatus.CANCELED


def test_only_so_many_amendments_of_one_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amending, "MOST_AMENDMENTS", 2)
    desk = Desk()
    order = desk.limit(BUY, "0.1", "39000")
    desk.do(amend(order, quantity="0.2"))
    desk.do(amend(order, quantity="0.3"))

    assert desk.code(amend(order, quantity="0.4")) == -5026


def test_amendment_to_no_more_than_what_is_filled_cancels() -> None:
    desk = Desk(balance="10000000")
    order = desk.limit(BUY, "50", "40003.0")
    assert order.status is OrderStatus.PARTIALLY_FILLED

    changed = desk.do(amend(order, quantity=str(order.filled_quantity)))

    assert (changed.status, changed.quantity) == (OrderStatus.CANCELED, D("50"))


def test_post_only_order_amended_across_the_book_is_canceled() -> None:
    desk = Desk()
    order = desk.limit(BUY, "0.1", "39000", time_in_force=TimeInForce.GTX)

    assert desk.do(amend(order, price="40100")).status is OrderStatus.CANCELED
    assert desk.venue.trades(1) == ()


def test_hedge_mode_close_cannot_grow_beyond_its_position() -> None:
    desk = Desk(hedge_mode=True)
    desk.market(BUY, "0.2", position_side=PositionSide.LONG)
    order = desk.limit(SELL, "0.1", "41000", position_side=PositionSide.LONG)

    assert desk.code(amend(order, quantity="0.3")) == -2022
    assert desk.do(amend(order, quantity="0.2")).quantity == D("0.2")


def test_amendment_counts_only_the_money_that_it_adds() -> None:
    desk = Desk(balance="2000")
    order = desk.limit(BUY, "1", "39000")  # 1950 of 2000

    assert desk.code(amend(order, price="39500")) == 0  # 1975
    assert desk.code(amend(order, quantity="1.1")) == -2019


def test_lower_quantity_keeps_the_place_in_the_queue_and_anything_else_loses_it() -> None:
    venue = Venue(seed=5, instruments=[replace(Desk().venue.instrument(SYMBOL))], liquidity=Liquidity.SHARED)
    for uid in (1, 2):
        venue.apply(CreateAccount(D("1000000"), uid=uid), START_MS)
    venue.apply(MovePrice(SYMBOL, D("40000")), START_MS)
    first = venue.apply(limit(1, BUY, "0.5", "39000"), START_MS).result
    second = venue.apply(limit(2, BUY, "0.5", "39000"), START_MS).result
    assert isinstance(first, Order)
    assert isinstance(second, Order)

    lowered = venue.apply(amend(first, quantity="0.4"), START_MS).result
    raised = venue.apply(amend(second, quantity="0.6"), START_MS).result

    assert isinstance(lowered, Order)
    assert isinstance(raised, Order)
    assert lowered.priority == first.priority < second.priority < raised.priority
