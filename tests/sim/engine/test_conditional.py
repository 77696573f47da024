"""Algo orders: placing, triggering, what they become, and what the venue says on the way."""

from __future__ import annotations

from typing import Any

import pytest

from patriot.sim.engine.events import AlgoOrderUpdated
from patriot.sim.engine.operations import AmendAlgoOrder, CancelAlgoOrder, CancelAllAlgoOrders, MovePrice, Operation
from patriot.sim.engine.words import AlgoStatus, OrderStatus, OrderType, PositionSide, Side, TimeInForce, WorkingType
from tests.sim.engine.support import SYMBOL, D, Desk, stop

pytestmark = pytest.mark.integration

BUY, SELL = Side.BUY, Side.SELL


def test_stop_becomes_a_market_order_of_its_own() -> None:
    desk = Desk()
    desk.market(BUY, "0.1")
    protective = desk.stop(SELL, "39000", "0.1", reduce_only=True, client_algo_id="stop-1")

    desk.move("38900")

    algo = desk.algo(protective)
    child = desk.venue.order(1, SYMBOL, client_order_id="stop-1")
    assert desk.statuses() == [
        AlgoStatus.TRIGGERING,
        "order NEW",
        "order FILLED",
        AlgoStatus.TRIGGERED,
        AlgoStatus.FINISHED,
    ]
    assert (algo.status, algo.actual_order_id) == (AlgoStatus.FINISHED, child.order_id)
    assert (algo.actual_quantity, algo.actual_price) == (D("0.1"), child.average_fill_price)
    assert (child.order_type, child.original_type) == (OrderType.MARKET, OrderType.STOP_MARKET)
    assert desk.position().quantity == D(0)


def test_stop_on_the_way_fills_near_its_trigger_price() -> None:
    desk = Desk()
    desk.market(BUY, "0.1")
    desk.stop(SELL, "39000", "0.1", reduce_only=True)

    desk.move("38000")

    assert D("38990") <= desk.venue.trades(1)[-1].price <= D("39000")


def test_stop_beyond_a_jump_fills_at_the_new_price() -> None:
    desk = Desk()
    desk.market(BUY, "0.1")
    desk.stop(SELL, "39000", "0.1", reduce_only=True)

    desk.move("38000", jump=True)

    assert D("37990") <= desk.venue.trades(1)[-1].price <= D("38000")


def test_mark_price_stop_sleeps_through_the_last_price() -> None:
    desk = Desk()
    desk.market(BUY, "0.1")
    protective = desk.stop(SELL, "39000", "0.1", working_type=WorkingType.MARK_PRICE, reduce_only=True)

    desk.move("38500", mark="39500")
    assert desk.algo(protective).status is AlgoStatus.NEW
    desk.move("38600", mark="38900")

    assert desk.algo(protective).status is AlgoStatus.FINISHED


def test_mark_price_stop_fires_while_the_last_price_stands_still() -> None:
    desk = Desk()
    algo = desk.stop(SELL, "39000", "0.1", working_type=WorkingType.MARK_PRICE)
    desk.move("40000")

    desk.move("40000", mark="38900")

    assert desk.algo(algo).status is AlgoStatus.FINISHED


@pytest.mark.parametrize(
    ("side", "order_type", "trigger_price", "sleeps_at", "fires_at"),
    [
        (SELL, OrderType.STOP_MARKET, "39000", "39000.1", "39000"),
        (BUY, OrderType.STOP_MARKET, "41000", "40999.9", "41000"),
        (SELL, OrderType.TAKE_PROFIT_MARKET, "41000", "40999.9", "41000"),
        (BUY, OrderType.TAKE_PROFIT_MARKET, "39000", "39000.1", "39000"),
    ],
)
def test_trigger_fires_at_its_price_from_its_side(
    side: Side, order_type: OrderType, trigger_price: str, sleeps_at: str, fires_at: str
) -> None:
    desk = Desk()
    algo = desk.stop(side, trigger_price, "0.1", order_type=order_type)

    desk.move(sleeps_at)
    assert desk.algo(algo).status is AlgoStatus.NEW
    desk.move(fires_at)

    assert desk.algo(algo).status is AlgoStatus.FINISHED


def test_stop_limit_rests_after_its_trigger_and_finishes_when_filled() -> None:
    desk = Desk()
    algo = desk.stop(BUY, "41000", "0.1", order_type=OrderType.STOP, price=D("40900"))

    desk.move("41200")
    assert desk.algo(algo).status is AlgoStatus.TRIGGERED
    [resting] = desk.venue.open_orders(1)
    assert (resting.price, resting.time_in_force) == (D("40900"), TimeInForce.GTC)
    desk.move("40800")

    assert desk.algo(algo).status is AlgoStatus.FINISHED
    assert desk.order(resting).status is OrderStatus.FILLED


def test_cancel_of_the_child_finishes_the_parent() -> None:
    desk = Desk()
    algo = desk.stop(BUY, "41000", "0.1", order_type=OrderType.STOP, price=D("40900"))
    desk.move("41200")

    desk.cancel(desk.venue.open_orders(1)[0])

    assert desk.algo(algo).status is AlgoStatus.FINISHED
    assert desk.algo(algo).actual_quantity == D(0)


def test_reduce_only_trigger_without_a_position_is_rejected_with_the_reason() -> None:
    desk = Desk()
    algo = desk.stop(SELL, "39000", "0.1", reduce_only=True)

    desk.move("38900")

    assert desk.statuses() == [AlgoStatus.TRIGGERING, AlgoStatus.REJECTED]
    assert desk.algo(algo).reject_reason == "Reduce Only reject"
    assert desk.venue.orders(1) == ()


def test_trigger_that_the_margin_cannot_carry_is_rejected() -> None:
    desk = Desk(balance="100")
    algo = desk.stop(BUY, "41000", "1")

    desk.move("41000")

    assert (desk.algo(algo).status, desk.algo(algo).reject_reason) == (AlgoStatus.REJECTED, "Margin is insufficient.")


def test_close_position_closes_what_is_there_at_the_trigger() -> None:
    desk = Desk()
    desk.market(BUY, "0.1")
    desk.stop(SELL, "39000", close_position=True)
    desk.market(BUY, "0.2")

    desk.move("38900")

    assert desk.position().quantity == D(0)
    assert desk.venue.orders(1)[-1].quantity == D("0.3")


def test_close_position_without_a_position_expires() -> None:
    desk = Desk()
    algo = desk.stop(SELL, "39000", close_position=True)

    desk.move("38900")

    assert desk.algo(algo).status is AlgoStatus.EXPIRED


def test_stop_and_target_in_one_move_close_only_once() -> None:
    desk = Desk()
    desk.market(BUY, "0.1")
    near = desk.stop(SELL, "39500", "0.1", reduce_only=True)
    far = desk.stop(SELL, "39000", "0.1", reduce_only=True)

    desk.move("38000")

    assert desk.algo(near).status is AlgoStatus.FINISHED
    assert desk.algo(far).status is AlgoStatus.REJECTED
    assert desk.position().quantity == D(0)


def test_orders_meet_a_move_in_the_sequence_of_their_prices() -> None:
    desk = Desk()
    desk.limit(BUY, "0.1", "38500")
    desk.limit(BUY, "0.1", "39000")
    desk.stop(SELL, "38700", close_position=True)

    desk.move("38000")

    assert [(t.side, t.quantity) for t in desk.venue.trades(1)] == [(BUY, D("0.1")), (SELL, D("0.1")), (BUY, D("0.1"))]


def test_cancel_by_either_id_and_all() -> None:
    desk = Desk()
    by_id = desk.stop(SELL, "39000", "0.1")
    by_name = desk.stop(SELL, "39000", "0.1", client_algo_id="mine")
    rest = desk.stop(SELL, "39000", "0.1")

    assert desk.do(CancelAlgoOrder(1, algo_id=by_id.algo_id)).status is AlgoStatus.CANCELED
    assert desk.do(CancelAlgoOrder(1, client_algo_id="mine")).algo_id == by_name.algo_id
    assert [order.algo_id for order in desk.do(CancelAllAlgoOrders(1, SYMBOL))] == [rest.algo_id]
    assert desk.code(CancelAlgoOrder(1, algo_id=rest.algo_id)) == -2011
    desk.move("38000")
    assert desk.venue.orders(1) == ()


def test_client_algo_id_may_be_used_again_once_closed() -> None:
    desk = Desk()
    first = desk.stop(SELL, "39000", "0.1", client_algo_id="mine")
    assert desk.code(stop(1, SELL, "39000", "0.1", client_algo_id="mine")) == -4116
    desk.do(CancelAlgoOrder(1, algo_id=first.algo_id))

    second = desk.stop(SELL, "39000", "0.1", client_algo_id="mine")

    assert desk.venue.algo_order(1, client_algo_id="mine") == second


def test_placing_tells_the_new_algo_order() -> None:
    desk = Desk()

    order = desk.stop(SELL, "39000", "0.1")

    assert desk.emitted == (AlgoOrderUpdated(1, desk.now_ms, order),)


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        (stop(1, SELL, "40000", "0.1"), -2021),
        (stop(1, SELL, "40100", "0.1"), -2021),
        (stop(1, BUY, "39900", "0.1"), -2021),
        (stop(1, SELL, "39900", "0.1", order_type=OrderType.TAKE_PROFIT_MARKET), -2021),
        (stop(1, SELL, "39000", "0.1", order_type=OrderType.LIMIT), -1116),
        (stop(1, SELL, "39000", "0.1", order_type=OrderType.TRAILING_STOP_MARKET), -1106),
        (stop(1, SELL, "39000"), -1102),
        (stop(1, SELL, "39000", "0.0001"), -1111),
        (stop(1, SELL, "39000", "0"), -4003),
        (stop(1, SELL, "39000.05", "0.1"), -4014),
        (stop(1, SELL, "0", "0.1"), -4006),
        (stop(1, SELL, "39000", "0.1", price=D("38000")), -1106),
        (stop(1, SELL, "39000", "0.1", order_type=OrderType.STOP), -1102),
        (stop(1, SELL, "39000", "0.001", order_type=OrderType.STOP, price=D("39000")), -4164),
        (stop(1, SELL, "39000", "0.1", close_position=True), -1106),
        (stop(1, SELL, "39000", close_position=True, reduce_only=True), -1106),
        (stop(1, SELL, "39000", "0.1", position_side=PositionSide.SHORT), -4061),
        (stop(1, SELL, "39000", "0.1", client_algo_id="x" * 40), -4015),
    ],
)
def test_bad_algo_order_is_refused_with_the_venues_code(operation: Operation, code: int) -> None:
    desk = Desk()
    before = desk.venue.state()

    assert desk.code(operation) == code
    assert desk.venue.state() == before


def test_second_close_position_stop_of_a_side_is_refused() -> None:
    desk = Desk()
    desk.stop(SELL, "39000", close_position=True)

    assert desk.code(stop(1, SELL, "38000", close_position=True)) == -4130
    assert desk.code(stop(1, SELL, "41000", close_position=True, order_type=OrderType.TAKE_PROFIT_MARKET)) == 0


def test_trigger_side_may_be_named_against_the_usual_one() -> None:
    desk = Desk()
    falling = desk.stop(BUY, "39000", "0.1", trigger_above=False)

    desk.move("39000.1")
    assert desk.algo(falling).status is AlgoStatus.NEW
    desk.move("38900")

    assert desk.algo(falling).status is AlgoStatus.FINISHED
    assert desk.code(stop(1, BUY, "39000", "0.1", trigger_above=False)) == -2021


def test_index_price_stop_watches_the_index_alone() -> None:
    desk = Desk()
    algo = desk.stop(SELL, "39000", "0.1", working_type=WorkingType.INDEX_PRICE)
    desk.do(MovePrice(SYMBOL, D("38000"), D("38500"), D("39500")))
    assert desk.algo(algo).status is AlgoStatus.NEW

    desk.do(MovePrice(SYMBOL, D("38000"), D("38500"), D("38999")))

    assert desk.algo(algo).status is AlgoStatus.FINISHED


def test_price_protect_holds_back_while_last_and_mark_are_far_apart() -> None:
    desk = Desk()
    algo = desk.stop(SELL, "39000", "0.1", price_protect=True)

    desk.move("37500", mark="40000")
    assert desk.algo(algo).status is AlgoStatus.NEW
    desk.move("38500", mark="40000")

    assert desk.algo(algo).status is AlgoStatus.FINISHED


def test_amended_conditional_order_fires_by_its_new_terms() -> None:
    desk = Desk()
    algo = desk.stop(BUY, "41000", "0.1", order_type=OrderType.STOP, price=D("41100"))

    amended = desk.do(AmendAlgoOrder(1, algo.algo_id, quantity=D("0.2"), price=D("40500"), trigger_price=D("40400")))
    assert (amended.quantity, amended.price, amended.trigger_price) == (D("0.2"), D("40500"), D("40400"))
    desk.move("40450")

    assert desk.position().quantity == D("0.2")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"trigger_price": D("40000")}, -2021),
        ({"trigger_price": D("40500.05")}, -4014),
        ({"quantity": D("0")}, -4003),
        ({"price": D("39000")}, -1106),
    ],
)
def test_bad_amendment_is_refused_and_changes_nothing(fields: dict[str, Any], code: int) -> None:
    desk = Desk()
    algo = desk.stop(BUY, "41000", "0.1")

    assert desk.code(AmendAlgoOrder(1, algo.algo_id, **fields)) == code
    assert desk.algo(algo) == algo


def test_amendment_of_a_closed_conditional_order_is_refused() -> None:
    desk = Desk()
    algo = desk.stop(BUY, "41000", "0.1", client_algo_id="mine")
    desk.do(CancelAlgoOrder(1, algo.algo_id))

    assert desk.code(AmendAlgoOrder(1, client_algo_id="mine", quantity=D("0.2"))) == -2011
