"""Plain orders: the walk through the book, resting, time in force, reduce only, refusals."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from patriot.sim.engine.events import OrderUpdated, VenueRefusal
from patriot.sim.engine.instruments import BTCUSDT
from patriot.sim.engine.operations import (
    CancelAllOrders,
    CancelOrder,
    CreateAccount,
    MovePrice,
    Operation,
    PlaceOrder,
    SetPositionMode,
)
from patriot.sim.engine.venue import Venue
from patriot.sim.engine.words import (
    ExecutionType,
    OrderStatus,
    OrderType,
    PositionSide,
    Side,
    TimeInForce,
    made_client_id,
)
from tests.sim.engine.support import START_MS, SYMBOL, D, Desk, limit, market, stop

pytestmark = pytest.mark.integration

BUY, SELL = Side.BUY, Side.SELL


def test_market_order_walks_the_book_in_several_trades() -> None:
    desk = Desk(balance="10000000")

    order = desk.market(BUY, "20")

    trades = desk.venue.trades(desk.uid)
    prices = [trade.price for trade in trades]
    assert order.status is OrderStatus.FILLED
    assert len(trades) > 3
    assert prices == sorted(prices)
    assert prices[0] >= D("40000")
    assert sum(trade.quantity for trade in trades) == order.filled_quantity == D("20")
    assert [e.execution_type for e in desk.emitted if isinstance(e, OrderUpdated)] == [
        ExecutionType.NEW,
        *[ExecutionType.TRADE] * len(trades),
    ]


def test_market_order_beyond_the_price_bound_expires_with_the_rest() -> None:
    thin = replace(BTCUSDT, level_notional=D("10"))
    venue = Venue(seed=1, instruments=[thin])
    venue.apply(CreateAccount(D("100000000")), START_MS)
    venue.apply(MovePrice(SYMBOL, D("40000")), START_MS)

    order = venue.apply(market(1, SELL, "100"), START_MS).result

    assert order == venue.orders(1)[0]
    filled = venue.orders(1)[0]
    assert filled.status is OrderStatus.EXPIRED
    assert D(0) < filled.filled_quantity < D("100")
    assert min(trade.price for trade in venue.trades(1)) >= D("38000")


def test_limit_order_pays_no_more_than_its_price_and_rests_with_the_remainder() -> None:
    desk = Desk(balance="10000000")

    order = desk.limit(BUY, "50", "40003.0")

    assert order.status is OrderStatus.PARTIALLY_FILLED
    assert max(trade.price for trade in desk.venue.trades(desk.uid)) <= D("40003.0")
    assert desk.venue.open_orders(desk.uid) == (order,)


@pytest.mark.parametrize("seed", range(6))
def test_resting_limit_fills_at_its_price_when_the_new_touch_would_cross_it(seed: int) -> None:
    desk = Desk(seed=seed)
    order = desk.limit(BUY, "0.1", "39000")

    desk.move("39000")

    ticker = desk.venue.ticker(SYMBOL)
    assert ticker is not None
    assert (desk.order(order).status is OrderStatus.FILLED) == (ticker.ask == D("39000"))


def test_resting_limit_fills_as_maker_when_the_price_trades_through() -> None:
    desk = Desk()
    order = desk.limit(BUY, "0.1", "39000")

    desk.move("39000.2")
    assert desk.order(order).status is OrderStatus.NEW
    desk.move("38999.9")

    assert desk.order(order).status is OrderStatus.FILLED
    [trade] = desk.venue.trades(desk.uid)
    assert (trade.price, trade.maker, trade.commission) == (D("39000"), True, D("0.78"))


def test_resting_sell_fills_on_the_way_up() -> None:
    desk = Desk()
    order = desk.limit(SELL, "0.1", "41000")

    desk.move("41500")

    assert desk.order(order).average_fill_price == D("41000")
    assert desk.position().quantity == D("-0.1")


def test_immediate_or_cancel_expires_what_is_left() -> None:
    desk = Desk(balance="10000000")

    order = desk.limit(BUY, "50", "40003.0", time_in_force=TimeInForce.IOC)

    assert order.status is OrderStatus.EXPIRED
    assert D(0) < order.filled_quantity < D("50")


def test_fill_or_kill_that_cannot_fill_is_refused_or_expires_having_taken_nothing() -> None:
    desk = Desk(balance="10000000")

    assert desk.code(limit(1, BUY, "50", "40003.0", time_in_force=TimeInForce.FOK)) == -5021
    order = desk.limit(BUY, "50", "40003.0", time_in_force=TimeInForce.FOK, refuse_late=True)

    assert (order.status, order.filled_quantity) == (OrderStatus.EXPIRED, D(0))
    assert desk.venue.orders(desk.uid) == (order,)
    assert desk.venue.trades(desk.uid) == ()


def test_fill_or_kill_that_can_fill_fills() -> None:
    assert Desk().limit(BUY, "0.1", "40100", time_in_force=TimeInForce.FOK).status is OrderStatus.FILLED


def test_post_only_rests_below_the_touch_and_is_refused_across_it() -> None:
    desk = Desk()

    assert desk.limit(BUY, "0.1", "39990", time_in_force=TimeInForce.GTX).status is OrderStatus.NEW
    assert desk.code(limit(1, BUY, "0.1", "40100", time_in_force=TimeInForce.GTX)) == -5022


def test_book_of_one_moment_is_eaten_only_once() -> None:
    desk = Desk(balance="10000000")
    desk.venue.apply(market(1, BUY, "5"), desk.now_ms)
    desk.venue.apply(market(1, BUY, "5"), desk.now_ms)

    first, second = desk.venue.orders(desk.uid)

    assert second.average_fill_price > first.average_fill_price


def test_order_ids_are_the_accounts_own() -> None:
    desk = Desk()
    desk.do(CreateAccount(D("1000"), uid=5))

    order = desk.do(market(5, BUY, "0.003"))
    mine = desk.market(BUY, "0.003")

    assert (order.order_id, mine.order_id) == (5_000_000_001, 1_000_000_001)


# ---------------------------------------------------------------------------------------------------- client ids


def test_client_order_id_is_refused_only_while_its_order_is_open() -> None:
    desk = Desk()
    first = desk.limit(BUY, "0.1", "39000", client_order_id="entry-1")

    assert desk.code(limit(1, BUY, "0.1", "39000", client_order_id="entry-1")) == -4116
    desk.cancel(first)
    second = desk.limit(BUY, "0.1", "39000", client_order_id="entry-1")

    assert desk.venue.order(1, SYMBOL, client_order_id="entry-1") == second
    assert len(desk.venue.orders(1)) == 2


def test_order_without_client_id_gets_one() -> None:
    order = Desk().market(BUY, "0.1")

    assert order.client_order_id == made_client_id("order", 1_000_000_001)


# ---------------------------------------------------------------------------------------------------- positions


def test_partial_close_realizes_its_share_and_a_flip_opens_the_rest() -> None:
    desk = Desk()
    desk.limit(BUY, "0.2", "39000")
    desk.move("38000")
    desk.limit(SELL, "0.1", "39500")
    desk.limit(SELL, "0.3", "39600")

    desk.move("40000")

    by_price = {trade.price: trade.realized_pnl for trade in desk.venue.trades(desk.uid)}
    assert by_price[D("39500")] == D("50")  # 0.1 x (39500 - 39000)
    assert by_price[D("39600")] == D("60")  # 0.1 closed; 0.2 opened short
    assert (desk.position().quantity, desk.position().basis) == (D("-0.2"), D("-7920"))


def test_reduce_only_never_turns_a_position() -> None:
    desk = Desk()
    desk.market(BUY, "0.1")

    order = desk.market(SELL, "0.3", reduce_only=True)

    assert (order.status, order.filled_quantity) == (OrderStatus.EXPIRED, D("0.1"))
    assert desk.position().quantity == D(0)


def test_reduce_only_without_a_position_is_refused() -> None:
    desk = Desk()
    assert desk.code(market(1, SELL, "0.1", reduce_only=True)) == -2022
    desk.market(BUY, "0.1")
    assert desk.code(market(1, BUY, "0.1", reduce_only=True)) == -2022


def test_resting_reduce_only_expires_when_the_position_is_gone() -> None:
    desk = Desk()
    desk.market(BUY, "0.1")
    target = desk.limit(SELL, "0.1", "41000", reduce_only=True)

    desk.market(SELL, "0.1")

    assert desk.order(target).status is OrderStatus.EXPIRED
    assert "order EXPIRED" in desk.statuses()


def test_reducing_is_possible_without_any_free_margin() -> None:
    desk = Desk(balance="2100")
    desk.market(BUY, "1")
    desk.move("38500")

    assert desk.venue.account(desk.uid).available == D(0)
    assert desk.market(SELL, "1", reduce_only=True).status is OrderStatus.FILLED


def test_hedge_mode_holds_both_sides() -> None:
    desk = Desk(hedge_mode=True)
    desk.market(BUY, "0.2", position_side=PositionSide.LONG)
    desk.market(SELL, "0.1", position_side=PositionSide.SHORT)

    assert desk.position(PositionSide.LONG).quantity == D("0.2")
    assert desk.position(PositionSide.SHORT).quantity == D("-0.1")
    assert desk.code(market(1, BUY, "0.1")) == -4061
    assert desk.code(market(1, SELL, "0.1", position_side=PositionSide.LONG, reduce_only=True)) == -1106
    assert desk.code(market(1, SELL, "0.3", position_side=PositionSide.LONG)) == -2022
    assert desk.market(SELL, "0.2", position_side=PositionSide.LONG).status is OrderStatus.FILLED


# ---------------------------------------------------------------------------------------------------- cancels


def test_cancel_all_takes_the_symbols_orders_and_leaves_algo_orders() -> None:
    desk = Desk()
    desk.do(MovePrice("ETHUSDT", D("3000")))
    desk.limit(BUY, "0.1", "39000")
    other = desk.limit(BUY, "0.1", "2900", symbol="ETHUSDT")
    protective = desk.stop(SELL, "39000", "0.1")

    canceled = desk.do(CancelAllOrders(1, SYMBOL))

    assert [order.status for order in canceled] == [OrderStatus.CANCELED]
    assert desk.venue.open_orders(1) == (other,)
    assert desk.venue.open_algo_orders(1) == (protective,)


def test_cancel_of_an_order_that_is_not_open_is_refused() -> None:
    desk = Desk()
    filled = desk.market(BUY, "0.1")

    assert desk.code(CancelOrder(1, SYMBOL, filled.order_id)) == -2011
    assert desk.code(CancelOrder(1, SYMBOL, client_order_id="never")) == -2011
    assert desk.code(CancelOrder(1, "ETHUSDT", filled.order_id)) == -2011
    assert desk.code(CancelOrder(1, SYMBOL)) == -1102


def test_query_of_an_unknown_order_is_refused() -> None:
    with pytest.raises(VenueRefusal, match="-2013: Order does not exist"):
        Desk().venue.order(1, SYMBOL, client_order_id="never")


# ---------------------------------------------------------------------------------------------------- refusals


def wish(**fields: Any) -> PlaceOrder:
    base: dict[str, Any] = {
        "uid": 1,
        "symbol": SYMBOL,
        "side": BUY,
        "order_type": OrderType.LIMIT,
        "quantity": D("0.1"),
        "price": D("39000"),
        "time_in_force": TimeInForce.GTC,
    }
    return PlaceOrder(**(base | fields))


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        (wish(symbol="NOPEUSDT"), -1121),
        (wish(quantity=None), -1102),
        (wish(quantity=Decimal("NaN")), -1102),
        (wish(quantity=Decimal("Infinity")), -1102),
        (wish(quantity=D("0")), -4003),
        (wish(quantity=D("-1")), -4003),
        (wish(quantity=D("1e400")), -4005),
        (wish(quantity=D("1e-400")), -1111),
        (wish(quantity=D("0.0005")), -1111),
        (wish(quantity=D("1000.001")), -4005),
        (wish(price=None), -1102),
        (wish(price=D("NaN")), -1102),
        (wish(price=D("0")), -4001),
        (wish(price=D("1e400")), -4002),
        (wish(price=D("100")), -4013),
        (wish(price=D("39000.05")), -4014),
        (wish(price=D("39000.005")), -1111),
        (wish(price=D("42001")), -4016),
        (wish(side=SELL, price=D("37999")), -4024),
        (wish(time_in_force=None), -1102),
        (wish(order_type=OrderType.STOP_MARKET), -4120),
        (wish(order_type=OrderType.TRAILING_STOP_MARKET), -4120),
        (wish(order_type=OrderType.MARKET), -1106),
        (wish(order_type=OrderType.MARKET, price=None), -1106),
        (market(1, BUY, "121"), -4005),
        (wish(quantity=D("0.002"), price=D("39000")), -4164),
        (market(1, BUY, "0.002"), -4164),
        (wish(quantity=D("100")), -2019),
        (market(1, BUY, "100"), -2019),
        (wish(client_order_id="x" * 37), -4015),
        (wish(client_order_id="no spaces"), -1100),
        (wish(client_order_id="ümlaut"), -1100),
        (wish(position_side=PositionSide.LONG), -4061),
    ],
)
def test_bad_order_is_refused_with_the_venues_code_and_changes_nothing(operation: Operation, code: int) -> None:
    desk = Desk()
    before = desk.venue.state()

    assert desk.code(operation) == code
    assert desk.emitted == ()
    assert desk.venue.state() == before


def test_position_above_the_bracket_of_the_leverage_is_refused() -> None:
    desk = Desk(balance="100000000")

    assert desk.code(wish(quantity=D("1000"))) == 0  # 39 M at 20x: 100 M allowed
    assert desk.code(wish(quantity=D("1000"))) == 0
    assert desk.code(wish(quantity=D("1000"))) == -2027


def test_order_without_any_price_is_refused() -> None:
    assert Desk().code(wish(symbol="ETHUSDT")) == -4131


def test_open_orders_reserve_margin() -> None:
    desk = Desk(balance="2000")
    desk.limit(BUY, "1", "39000")  # 1950 of 2000

    assert desk.venue.account(1).available == D("50")
    assert desk.code(limit(1, BUY, "0.1", "39000")) == -2019
    assert desk.code(stop(1, SELL, "39000", "1")) == 0  # conditional orders reserve nothing


def test_position_mode_cannot_change_with_orders_or_positions() -> None:
    desk = Desk()
    assert desk.code(SetPositionMode(1, False)) == -4059
    order = desk.limit(BUY, "0.1", "39000")
    assert desk.code(SetPositionMode(1, True)) == -4067
    desk.cancel(order)
    desk.market(BUY, "0.1")
    assert desk.code(SetPositionMode(1, True)) == -4068
    desk.market(SELL, "0.1")
    assert desk.code(SetPositionMode(1, True)) == 0
