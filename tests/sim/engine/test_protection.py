"""What positions carry: full and partial mode, attached to an order, and what ends when."""

from __future__ import annotations

from typing import Any

import pytest

from patriot.sim.engine.operations import CancelAlgoOrder, PlaceAlgoOrder, SetProtection
from patriot.sim.engine.protection import MOST_PARTIAL
from patriot.sim.engine.records import AlgoOrder, Protection
from patriot.sim.engine.words import AlgoOrigin, AlgoStatus, OrderType, PositionSide, Side, WorkingType
from tests.sim.engine.support import SYMBOL, D, Desk, limit, market

pytestmark = pytest.mark.integration

BUY, SELL = Side.BUY, Side.SELL
TAKE_PROFIT, STOP_LOSS, TRAILING = AlgoOrigin.TAKE_PROFIT, AlgoOrigin.STOP_LOSS, AlgoOrigin.TRAILING_STOP


def protect(**fields: Any) -> SetProtection:
    side = fields.pop("position_side", PositionSide.BOTH)
    parts: dict[str, Any] = {name: D(value) if type(value) is str else value for name, value in fields.items()}
    return SetProtection(1, SYMBOL, Protection(**parts), side)


def standing(desk: Desk) -> dict[AlgoOrigin, AlgoOrder]:
    return {order.origin: order for order in desk.venue.open_algo_orders(1, SYMBOL)}


def bought(quantity: str = "0.1") -> Desk:
    desk = Desk()
    desk.market(BUY, quantity)
    return desk


def test_full_mode_closes_whatever_the_position_has_become() -> None:
    desk = bought()
    desk.do(protect(take_profit="41000", stop_loss="39000"))
    desk.market(BUY, "0.2")

    desk.move("41500")

    assert desk.position().quantity == D(0)
    assert desk.venue.orders(1)[-1].origin is TAKE_PROFIT
    assert [order.status for order in desk.venue.algo_orders(1)] == [AlgoStatus.FINISHED, AlgoStatus.EXPIRED]


def test_stop_loss_of_a_short_stands_above() -> None:
    desk = Desk()
    desk.market(SELL, "0.1")
    desk.do(protect(take_profit="39000", stop_loss="41000"))

    desk.move("41200")

    assert desk.position().quantity == D(0)
    assert desk.venue.orders(1)[-1].origin is STOP_LOSS


def test_full_mode_set_again_changes_the_order_that_stands() -> None:
    desk = bought()
    desk.do(protect(stop_loss="39000"))
    first = standing(desk)[STOP_LOSS]

    desk.do(protect(stop_loss="39500", stop_loss_type=WorkingType.MARK_PRICE, take_profit="42000"))

    changed = standing(desk)[STOP_LOSS]
    assert (changed.algo_id, changed.trigger_price, changed.working_type) == (
        first.algo_id,
        D("39500"),
        WorkingType.MARK_PRICE,
    )
    assert len(desk.venue.open_algo_orders(1)) == 2


def test_zero_takes_away_and_none_leaves() -> None:
    desk = bought()
    desk.do(protect(take_profit="41000", stop_loss="39000"))

    desk.do(protect(take_profit="0"))

    assert list(standing(desk)) == [STOP_LOSS]
    assert desk.code(protect(take_profit="0")) == -90005
    assert desk.code(protect(stop_loss="39000")) == -90005
    assert desk.code(protect()) == -90005


def test_trailing_stop_of_a_position_waits_for_its_activation_and_closes_all() -> None:
    desk = bought()
    desk.do(protect(trailing_distance="300", activation_price="41000"))
    desk.move("40500")
    assert standing(desk)[TRAILING].extreme is None

    desk.move("41400")
    assert standing(desk)[TRAILING].trigger_price == D("41100")
    desk.move("41100")

    assert desk.position().quantity == D(0)
    assert desk.algo(desk.venue.algo_orders(1)[0]).status is AlgoStatus.FINISHED


def test_partial_mode_stands_beside_full_mode_and_closes_its_size() -> None:
    desk = bought("0.3")
    desk.do(protect(stop_loss="38000"))
    desk.do(
        protect(
            take_profit="41000",
            take_profit_size="0.1",
            take_profit_price="40900",
            stop_loss="39000",
            stop_loss_size="0.1",
        )
    )
    desk.do(protect(take_profit="42000", take_profit_size="0.1", stop_loss="39500", stop_loss_size="0.1"))

    desk.move("41500")

    assert desk.position().quantity == D("0.2")
    left = desk.venue.open_algo_orders(1)
    assert [(order.origin, order.trigger_price) for order in left] == [
        (STOP_LOSS, D("38000")),
        (TAKE_PROFIT, D("42000")),
        (STOP_LOSS, D("39500")),
    ]


def test_protection_ends_with_the_position() -> None:
    desk = bought()
    desk.do(protect(take_profit="41000", stop_loss="39000", trailing_distance="100"))

    desk.market(SELL, "0.1", reduce_only=True)

    assert desk.venue.open_algo_orders(1) == ()
    assert {order.status for order in desk.venue.algo_orders(1)} == {AlgoStatus.EXPIRED}


def test_protection_ends_when_the_position_turns() -> None:
    desk = bought()
    desk.do(protect(stop_loss="39000"))

    desk.market(SELL, "0.3")

    assert desk.position().quantity == D("-0.2")
    assert desk.venue.open_algo_orders(1) == ()


def test_protection_of_one_row_leaves_the_other_alone_in_hedge_mode() -> None:
    desk = Desk(hedge_mode=True)
    desk.market(BUY, "0.1", position_side=PositionSide.LONG)
    desk.market(SELL, "0.1", position_side=PositionSide.SHORT)
    desk.do(protect(stop_loss="39000", position_side=PositionSide.LONG))
    desk.do(protect(take_profit="39000", position_side=PositionSide.SHORT))

    desk.market(SELL, "0.1", position_side=PositionSide.LONG)

    assert [order.position_side for order in desk.venue.open_algo_orders(1)] == [PositionSide.SHORT]
    desk.move("38900")
    assert desk.position(PositionSide.SHORT).quantity == D(0)


def test_attached_protection_stands_from_the_first_fill_on() -> None:
    desk = Desk()
    order = desk.limit(BUY, "0.1", "39000", attached=Protection(take_profit=D("39500"), stop_loss=D("38500")))
    assert desk.venue.open_algo_orders(1) == ()

    desk.move("38900")

    assert {o.origin: o.trigger_price for o in desk.venue.open_algo_orders(1)} == {
        TAKE_PROFIT: D("39500"),
        STOP_LOSS: D("38500"),
    }
    assert desk.order(order).attached is not None
    desk.move("38400")
    assert desk.position().quantity == D(0)


def test_attached_stop_that_the_price_has_passed_fires_at_once() -> None:
    desk = Desk()
    desk.limit(BUY, "0.1", "39000", attached=Protection(stop_loss=D("38500")))

    desk.move("38000")

    assert desk.position().quantity == D(0)
    assert D("38490") <= desk.venue.trades(1)[-1].price <= D("38500")


def test_attached_protection_of_an_order_that_only_reduces_is_ignored() -> None:
    desk = bought("0.3")

    desk.market(SELL, "0.1", attached=Protection(stop_loss=D("41000")))

    assert desk.venue.open_algo_orders(1) == ()


def test_order_of_a_conditional_order_brings_its_protection() -> None:
    desk = Desk()
    desk.stop(BUY, "41000", "0.1", attached=Protection(stop_loss=D("40500")))

    desk.move("41000")

    assert standing(desk)[STOP_LOSS].trigger_price == D("40500")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"take_profit": "39900"}, -90002),
        ({"take_profit": "40000"}, -90002),
        ({"stop_loss": "40100"}, -90003),
        ({"stop_loss": "40000"}, -90003),
        ({"stop_loss": "39000.05"}, -4014),
        ({"stop_loss": "-1"}, -4006),
        ({"stop_loss": "NaN"}, -1102),
        ({"stop_loss": "39000", "stop_loss_size": "0.2"}, -90004),
        ({"stop_loss": "39000", "stop_loss_size": "0.0001"}, -1111),
        ({"stop_loss": "39000", "stop_loss_price": "38900"}, -90007),
        ({"trailing_distance": "40000"}, -90008),
        ({"trailing_distance": "100", "activation_price": "39000"}, -90009),
        ({"stop_loss": "39000", "position_side": PositionSide.LONG}, -4061),
    ],
)
def test_bad_protection_is_refused(fields: dict[str, Any], code: int) -> None:
    desk = bought()
    before = desk.venue.state()

    assert desk.code(protect(**fields)) == code
    assert desk.venue.state() == before


def test_protection_without_a_position_is_refused() -> None:
    assert Desk().code(protect(stop_loss="39000")) == -90001


def test_attached_protection_is_measured_against_the_orders_own_price() -> None:
    desk = Desk()

    assert desk.code(limit(1, BUY, "0.1", "39000", attached=Protection(stop_loss=D("39500")))) == -90003
    assert desk.code(limit(1, BUY, "0.1", "39000", attached=Protection(take_profit=D("39500")))) == 0
    assert desk.code(market(1, BUY, "0.1", attached=Protection(take_profit=D("39500")))) == -90002


def test_partial_protections_have_a_bound() -> None:
    desk = bought()
    for _ in range(MOST_PARTIAL):
        desk.do(protect(stop_loss="39000", stop_loss_size="0.001"))

    assert desk.code(protect(stop_loss="39000", stop_loss_size="0.001")) == -90006


def test_close_position_stop_ends_with_its_position() -> None:
    desk = bought()
    algo = desk.stop(SELL, "39000", close_position=True)

    desk.market(SELL, "0.1", reduce_only=True)

    assert desk.algo(algo).status is AlgoStatus.EXPIRED


def test_stop_that_ends_with_its_position_needs_one() -> None:
    wish = PlaceAlgoOrder(1, SYMBOL, SELL, OrderType.STOP_MARKET, D("39000"), D("0.1"), ends_with_position=True)

    assert Desk().code(wish) == -4509
    assert bought().code(wish) == 0


def test_protection_can_be_canceled_as_any_conditional_order() -> None:
    desk = bought()
    desk.do(protect(stop_loss="39000"))

    desk.do(CancelAlgoOrder(1, algo_id=standing(desk)[STOP_LOSS].algo_id))

    assert desk.venue.open_algo_orders(1) == ()
