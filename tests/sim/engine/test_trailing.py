"""Trailing stops: what they follow, when they fire, what is refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.sim.engine.operations import PlaceAlgoOrder
from patriot.sim.engine.records import AlgoOrder
from patriot.sim.engine.words import AlgoStatus, OrderType, Side, WorkingType
from tests.sim.engine.support import SYMBOL, D, Desk

pytestmark = pytest.mark.integration

BUY, SELL = Side.BUY, Side.SELL


def trailing(side: Side, **fields: Any) -> PlaceAlgoOrder:
    fields.setdefault("quantity", D("0.1"))
    return PlaceAlgoOrder(1, SYMBOL, side, OrderType.TRAILING_STOP_MARKET, **fields)


def placed(desk: Desk, side: Side, **fields: Any) -> AlgoOrder:
    order: AlgoOrder = desk.do(trailing(side, **fields))
    return order


def test_trailing_stop_follows_the_price_up_and_fires_where_it_turned_back() -> None:
    desk = Desk()
    desk.market(BUY, "0.1")
    order = placed(desk, SELL, callback_rate=D("1"), reduce_only=True)
    assert (order.extreme, order.trigger_price) == (D("40000"), D("39600"))

    desk.move("42000")
    assert desk.algo(order).trigger_price == D("41580")
    desk.move("41580.1")
    assert desk.algo(order).status is AlgoStatus.NEW
    desk.move("41500")

    assert desk.algo(order).status is AlgoStatus.FINISHED
    assert D("41570") <= desk.venue.trades(1)[-1].price <= D("41580")
    assert desk.position().quantity == D(0)


def test_trailing_buy_follows_the_price_down_by_a_distance() -> None:
    desk = Desk()
    order = placed(desk, BUY, callback_distance=D("500"))

    desk.move("38000")
    assert desk.algo(order).trigger_price == D("38500")
    desk.move("38400")
    assert desk.algo(order).status is AlgoStatus.NEW
    desk.move("38500")

    assert desk.algo(order).status is AlgoStatus.FINISHED
    assert desk.position().quantity == D("0.1")


def test_trailing_stop_sleeps_until_its_activation_price() -> None:
    desk = Desk()
    desk.market(BUY, "0.1")
    order = placed(desk, SELL, callback_rate=D("0.5"), activation_price=D("41000"), reduce_only=True)

    desk.move("39000")
    assert (desk.algo(order).status, desk.algo(order).extreme) == (AlgoStatus.NEW, None)
    desk.move("41200")
    assert desk.algo(order).extreme == D("41200")
    desk.move("40994")

    assert desk.algo(order).status is AlgoStatus.FINISHED


def test_trailing_buy_that_sleeps_does_not_fire_on_the_way_up() -> None:
    desk = Desk()
    order = placed(desk, BUY, callback_rate=D("1"), activation_price=D("39000"))

    desk.move("45000")

    assert desk.algo(order).status is AlgoStatus.NEW


@pytest.mark.parametrize("working_type", [WorkingType.MARK_PRICE, WorkingType.INDEX_PRICE])
def test_trailing_stop_follows_its_own_working_price(working_type: WorkingType) -> None:
    desk = Desk()
    desk.market(BUY, "0.1")
    order = placed(desk, SELL, callback_rate=D("1"), working_type=working_type, reduce_only=True)

    desk.move("38000", mark="41000")

    assert desk.algo(order).extreme == D("41000")
    desk.move("38000", mark="40500")
    assert desk.algo(order).status is AlgoStatus.FINISHED


@pytest.mark.parametrize(
    ("side", "fields", "code"),
    [
        (SELL, {}, -1102),
        (SELL, {"callback_rate": D("0.09")}, -2007),
        (SELL, {"callback_rate": D("10.1")}, -2007),
        (SELL, {"callback_rate": D("NaN")}, -1102),
        (SELL, {"callback_distance": D("40000")}, -2007),
        (SELL, {"callback_rate": D(1), "activation_price": D("40000")}, -2021),
        (BUY, {"callback_rate": D(1), "activation_price": D("40000")}, -2021),
        (SELL, {"callback_rate": D(1), "activation_price": D("41000.05")}, -4014),
        (SELL, {"callback_rate": D(1), "trigger_price": D("39000")}, -1106),
        (SELL, {"callback_rate": D(1), "price": D("39000")}, -1106),
        (SELL, {"callback_rate": D(1), "close_position": True, "quantity": None}, -1106),
    ],
)
def test_bad_trailing_stop_is_refused_with_the_venues_code(side: Side, fields: dict[str, Any], code: int) -> None:
    assert Desk().code(trailing(side, **fields)) == code


@given(
    st.lists(st.integers(380_000, 420_000).map(lambda n: Decimal(n) / 10), min_size=1, max_size=25),
    st.integers(1, 40).map(lambda n: Decimal(n) / 10),
    st.sampled_from(Side),
)
def test_trailing_stop_fires_at_the_first_turn_of_its_callback_and_not_before(
    path: list[Decimal], rate: Decimal, side: Side
) -> None:
    desk = Desk()
    order = placed(desk, side, callback_rate=rate, quantity=D("0.001"))
    best = D("40000")
    for price in path:
        desk.move(str(price))
        if side is SELL:
            fired = price <= best * (1 - rate / 100)
            best = max(best, price)
        else:
            fired = price >= best * (1 + rate / 100)
            best = min(best, price)
        assert (desk.algo(order).status is not AlgoStatus.NEW) == fired
        if fired:
            return


def test_trailing_buy_does_not_fire_a_fraction_of_a_tick_too_early() -> None:
    desk = Desk()
    order = placed(desk, BUY, callback_rate=D("1"))
    desk.move("38000.1")  # one percent above it: 38380.101

    desk.move("38380.1")
    assert desk.algo(order).status is AlgoStatus.NEW
    desk.move("38380.2")

    assert desk.algo(order).status is AlgoStatus.FINISHED
