"""Position mode of a symbol, and margin moved in and out of isolated positions."""

from __future__ import annotations

from decimal import Decimal

import pytest

from patriot.sim.engine.events import AccountUpdated
from patriot.sim.engine.operations import AdjustMargin, SetPositionMode
from patriot.sim.engine.records import MarginChange
from patriot.sim.engine.words import PositionSide, Side, UpdateReason
from tests.sim.engine.support import SYMBOL, D, Desk, limit

pytestmark = pytest.mark.integration

BUY, SELL = Side.BUY, Side.SELL


def isolated_long(quantity: str = "1") -> Desk:
    desk = Desk()
    desk.isolated(10)
    desk.limit(BUY, quantity, "39000")
    desk.move("38900")
    desk.move("39000")
    return desk


# -------------------------------------------------------------------------------------------------- position mode


def test_hedge_mode_of_one_symbol_leaves_the_others_one_way() -> None:
    desk = Desk()

    desk.do(SetPositionMode(1, True, SYMBOL))

    assert [row.position.position_side for row in desk.venue.positions(1, SYMBOL)] == [
        PositionSide.LONG,
        PositionSide.SHORT,
    ]
    assert [row.position.position_side for row in desk.venue.positions(1, "ETHUSDT")] == [PositionSide.BOTH]
    assert not desk.venue.account(1).hedge_mode
    assert desk.code(limit(1, BUY, "0.1", "39000")) == -4061
    desk.market(BUY, "0.1", position_side=PositionSide.LONG)
    desk.market(SELL, "0.2", position_side=PositionSide.SHORT)
    assert desk.position(PositionSide.LONG).quantity == D("0.1")
    assert desk.position(PositionSide.SHORT).quantity == D("-0.2")


def test_mode_of_a_symbol_follows_the_venues_rules() -> None:
    desk = Desk()
    assert desk.code(SetPositionMode(1, False, SYMBOL)) == -4059
    assert desk.code(SetPositionMode(1, True, "NOPE")) == -1121
    order = desk.limit(BUY, "0.1", "39000")
    assert desk.code(SetPositionMode(1, True, SYMBOL)) == -4067
    assert desk.code(SetPositionMode(1, True, "ETHUSDT")) == 0
    desk.cancel(order)
    desk.market(BUY, "0.1")
    assert desk.code(SetPositionMode(1, True, SYMBOL)) == -4068


def test_mode_of_the_account_takes_every_symbol_along() -> None:
    desk = Desk()
    desk.do(SetPositionMode(1, True, SYMBOL))

    desk.do(SetPositionMode(1, False))

    assert not desk.venue.hedges(1, SYMBOL)
    desk.do(SetPositionMode(1, True))
    assert desk.venue.hedges(1, "ETHUSDT")
    assert desk.code(SetPositionMode(1, True)) == -4059


# -------------------------------------------------------------------------------------------------- isolated margin


def test_margin_moves_between_the_wallet_and_the_position() -> None:
    desk = isolated_long()
    before = desk.venue.positions(1, SYMBOL)[0]
    wallet = desk.venue.account(1).wallet

    view = desk.do(AdjustMargin(1, SYMBOL, D("500")))

    assert view.position.isolated_wallet - before.position.isolated_wallet == D("500")
    assert view.liquidation_price < before.liquidation_price
    assert desk.venue.account(1).wallet == wallet
    [told] = [event for event in desk.emitted if isinstance(event, AccountUpdated)]
    assert (told.reason, told.balance_change) == (UpdateReason.MARGIN_TRANSFER, D(0))
    desk.do(AdjustMargin(1, SYMBOL, D("-200")))
    assert [(change.amount, change.position_side) for change in desk.venue.margin_changes(1, SYMBOL)] == [
        (D("500"), PositionSide.BOTH),
        (D("-200"), PositionSide.BOTH),
    ]
    assert desk.venue.margin_changes(1, SYMBOL)[0] == MarginChange(
        1, SYMBOL, PositionSide.BOTH, D("500"), desk.now_ms - 1_000
    )
    assert desk.venue.margin_changes(1, "ETHUSDT") == ()


def test_added_margin_holds_a_liquidation_off() -> None:
    desk = isolated_long()
    desk.do(AdjustMargin(1, SYMBOL, D("5000")))

    desk.move("35000")

    assert desk.position().quantity == D("1")


@pytest.mark.parametrize(
    ("amount", "code"),
    [("200000", -4050), ("-0.00000001", -4051), ("0", -5021), ("0.000000001", -5021), ("NaN", -5021)],
)
def test_margin_that_is_not_there_is_refused(amount: str, code: int) -> None:
    desk = isolated_long()

    assert desk.code(AdjustMargin(1, SYMBOL, Decimal(amount))) == code


def test_margin_that_a_loss_needs_cannot_be_taken_out() -> None:
    desk = isolated_long()
    desk.do(AdjustMargin(1, SYMBOL, D("500")))
    desk.move("38600")

    assert desk.code(AdjustMargin(1, SYMBOL, D("-141"))) == -4051
    assert desk.code(AdjustMargin(1, SYMBOL, D("-140"))) == 0


def test_margin_is_for_isolated_positions_only() -> None:
    desk = Desk()
    assert desk.code(AdjustMargin(1, SYMBOL, D("10"))) == -4049
    assert desk.code(AdjustMargin(1, SYMBOL, D("10"), PositionSide.LONG)) == -4061
    desk.isolated(10)
    assert desk.code(AdjustMargin(1, SYMBOL, D("10"))) == -4054
