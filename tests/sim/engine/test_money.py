"""Margin, leverage, funding, liquidation, transfers: where the money goes."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.sim.engine.events import AccountUpdated, LeverageChanged
from patriot.sim.engine.instruments import BTCUSDT
from patriot.sim.engine.margin import after_fill, liquidation_price, maintenance_margin
from patriot.sim.engine.operations import (
    CreateAccount,
    MovePrice,
    SetLeverage,
    SetMarginType,
    SetPermissions,
    SettleFunding,
    Transfer,
)
from patriot.sim.engine.records import Position
from patriot.sim.engine.words import (
    AlgoStatus,
    Closing,
    IncomeType,
    MarginType,
    Permission,
    PositionSide,
    Side,
    UpdateReason,
)
from tests.sim.engine.support import SYMBOL, D, Desk, limit

pytestmark = pytest.mark.integration

BUY, SELL = Side.BUY, Side.SELL
quantities = st.integers(-500, 500).filter(bool).map(lambda n: Decimal(n) / 1000)
prices = st.integers(10_000, 600_000).map(lambda n: Decimal(n) / 10)


@given(st.lists(st.tuples(quantities, prices), min_size=1, max_size=30), st.sampled_from([None, 3, 20]))
def test_fills_keep_equity_exact_and_leave_nothing_behind_when_flat(
    fills: list[tuple[Decimal, Decimal]], leverage: int | None
) -> None:
    position = Position(SYMBOL, PositionSide.BOTH)
    realized = Decimal(0)
    cash = Decimal(0)  # what buying and selling the base asset outright would have left
    for quantity, price in [*fills, (-sum((q for q, _ in fills), Decimal(0)), Decimal("30000"))]:
        if not quantity:
            continue
        position, profit = after_fill(position, quantity, price, isolated_leverage=leverage, at_ms=0)
        realized += profit
        cash -= quantity * price
        assert realized + position.quantity * price - position.basis == cash + position.quantity * price
        assert position.isolated_wallet >= 0
    assert not any((position.quantity, position.basis, position.isolated_wallet))
    assert realized == cash == position.realized_pnl


@given(quantities, prices, st.integers(0, 50_000).map(Decimal))
def test_liquidation_price_is_where_margin_meets_maintenance(
    quantity: Decimal, price: Decimal, margin: Decimal
) -> None:
    basis = quantity * price
    level = liquidation_price(BTCUSDT, quantity, basis, margin)
    if level is None:
        return
    held = margin + quantity * level - basis
    assert abs(held - maintenance_margin(BTCUSDT, abs(quantity) * level)) < Decimal("1e-6")


def test_isolated_position_has_a_wallet_of_its_own() -> None:
    desk = Desk()
    desk.isolated(leverage=10)
    desk.limit(BUY, "1", "39000")

    desk.move("38000")

    account = desk.venue.account(1)
    assert desk.position().isolated_wallet == D("3900")
    assert account.cross_wallet == account.wallet - D("3900")
    assert account.unrealized_pnl == D("-1000")
    assert account.cross_unrealized_pnl == D(0)
    assert account.available == account.cross_wallet


def test_stop_in_front_of_the_liquidation_price_is_met_first() -> None:
    desk = Desk()
    desk.isolated(leverage=10)
    desk.market(BUY, "1")
    desk.stop(SELL, "37000", close_position=True)

    desk.move("30000")

    assert desk.position().quantity == D(0)
    assert not any(order.closing for order in desk.venue.orders(1))


@pytest.mark.parametrize("jump", [False, True])
def test_stop_behind_the_liquidation_price_comes_too_late(jump: bool) -> None:
    desk = Desk()
    desk.isolated(leverage=20)
    desk.market(BUY, "1")
    algo = desk.stop(SELL, "34000", "1", reduce_only=True)

    desk.move("30000", jump=jump)

    assert [order.closing for order in desk.venue.orders(1)] == [Closing.NOBODY, Closing.LIQUIDATION]
    assert desk.algo(algo).status is AlgoStatus.REJECTED
    assert desk.venue.account(1).wallet > D("97500")


def test_crossed_positions_are_liquidated_together_and_equity_never_falls_below_zero() -> None:
    desk = Desk(balance="5000")
    desk.do(MovePrice("ETHUSDT", D("3000")))
    desk.market(BUY, "1")
    desk.market(BUY, "1", symbol="ETHUSDT")
    resting = desk.limit(BUY, "0.01", "38000")

    desk.move("36000")
    assert desk.venue.positions(1) != ()
    desk.move("34000")

    account = desk.venue.account(1)
    assert desk.venue.positions(1) == ()
    assert not desk.order(resting).is_open
    assert account.wallet == account.equity >= 0


def test_crossed_losses_of_two_symbols_add_up_to_a_liquidation() -> None:
    desk = Desk(balance="5000")
    desk.do(MovePrice("ETHUSDT", D("3000")))
    desk.market(BUY, "1")
    desk.market(BUY, "10", symbol="ETHUSDT")
    desk.move("39990")
    desk.move("2999", symbol="ETHUSDT")

    desk.move("37500")
    assert len(desk.venue.positions(1)) == 2
    desk.move("2750", symbol="ETHUSDT")

    assert desk.venue.positions(1) == ()


def test_short_is_liquidated_on_the_way_up() -> None:
    desk = Desk(balance="5000")
    desk.market(SELL, "1")

    desk.move("50000")

    assert desk.position().quantity == D(0)
    assert D("44000") < desk.venue.orders(1)[-1].average_fill_price < D("45000")


def test_funding_is_paid_by_longs_and_taken_by_shorts() -> None:
    desk = Desk()
    desk.do(CreateAccount(D("100000"), uid=2))
    desk.limit(BUY, "0.5", "39000")
    desk.do(limit(2, SELL, "0.5", "41000"))
    desk.move("41500")
    desk.move("38900")
    desk.move("40000", mark="40010")

    records = desk.do(SettleFunding(SYMBOL, D("0.0001")))

    assert [(r.uid, r.amount) for r in records] == [(1, D("-2.0005")), (2, D("2.0005"))]
    [first, _] = [e for e in desk.emitted if isinstance(e, AccountUpdated)]
    assert (first.reason, first.balance_change) == (UpdateReason.FUNDING_FEE, D("-2.0005"))


def test_funding_of_an_isolated_position_comes_from_its_wallet() -> None:
    desk = Desk()
    desk.isolated(leverage=10)
    desk.limit(BUY, "1", "39000")
    desk.move("38000")
    cross = desk.venue.account(1).cross_wallet

    desk.do(SettleFunding(SYMBOL, D("0.001")))

    assert desk.position().isolated_wallet == D("3862")
    assert desk.venue.account(1).cross_wallet == cross


def test_seeded_funding_rate_is_the_one_announced_and_settled() -> None:
    desk = Desk()
    desk.market(BUY, "1")
    ticker = desk.venue.ticker(SYMBOL)
    assert ticker is not None
    assert ticker.funding_rate == desk.venue.funding_rate(SYMBOL, ticker.next_funding_ms)

    records = desk.do(SettleFunding(SYMBOL))

    assert sum(r.amount for r in records) == -ticker.funding_rate * 40_000
    assert -D("0.00005") <= ticker.funding_rate <= D("0.00025")


def test_deposit_and_withdrawal_are_income() -> None:
    desk = Desk(balance="1000")

    desk.do(Transfer(1, D("500")))
    record = desk.do(Transfer(1, D("-200.5")))

    assert (record.income_type, record.amount, record.info) == (IncomeType.TRANSFER, D("-200.5"), "WITHDRAW")
    assert desk.venue.account(1).wallet == D("1299.5") == desk.income_of(IncomeType.TRANSFER)
    [update] = [e for e in desk.emitted if isinstance(e, AccountUpdated)]
    assert (update.reason, update.balance_change) == (UpdateReason.WITHDRAW, D("-200.5"))


def test_withdrawal_of_margin_or_of_unrealized_profit_is_refused() -> None:
    desk = Desk(balance="10000")
    desk.market(BUY, "1")
    desk.move("60000")

    account = desk.venue.account(1)
    assert desk.code(Transfer(1, -account.wallet - 1)) == -5013
    assert account.max_withdraw == account.cross_wallet
    desk.move("40000")
    assert desk.code(Transfer(1, D("-9000"))) == -5013
    assert desk.code(Transfer(1, D("-7000"))) == 0


@pytest.mark.parametrize("amount", ["0", "NaN", "1e400", "0.000000001"])
def test_malformed_amount_is_refused(amount: str) -> None:
    desk = Desk()
    assert desk.code(Transfer(1, Decimal(amount))) == -5021
    assert desk.code(CreateAccount(Decimal(amount))) == (0 if amount == "0" else -5021)


def test_leverage_and_margin_type_follow_the_venues_rules() -> None:
    desk = Desk()
    assert desk.code(SetLeverage(1, SYMBOL, 126)) == -4028
    assert desk.code(SetLeverage(1, SYMBOL, 0)) == -4028
    assert desk.do(SetLeverage(1, SYMBOL, 125)).max_notional == D("50000")
    assert desk.emitted == (LeverageChanged(1, desk.now_ms, SYMBOL, 125),)
    assert desk.code(SetMarginType(1, SYMBOL, MarginType.CROSSED)) == -4046
    assert desk.do(SetMarginType(1, SYMBOL, MarginType.ISOLATED)).margin_type is MarginType.ISOLATED
    order = desk.limit(BUY, "0.01", "39000")
    assert desk.code(SetMarginType(1, SYMBOL, MarginType.CROSSED)) == -4047
    desk.cancel(order)
    desk.market(BUY, "1")
    assert desk.code(SetMarginType(1, SYMBOL, MarginType.CROSSED)) == -4048
    assert desk.code(SetLeverage(1, SYMBOL, 10)) == -4161


def test_leverage_that_the_margin_cannot_carry_is_refused() -> None:
    desk = Desk(balance="2500")
    desk.market(BUY, "1")

    assert desk.code(SetLeverage(1, SYMBOL, 2)) == -2028
    assert desk.code(SetLeverage(1, SYMBOL, 125)) == 0
    assert desk.code(SetLeverage(1, SYMBOL, 20)) == 0


def test_permissions_are_kept() -> None:
    desk = Desk()
    view = desk.do(SetPermissions(1, (Permission.READ, Permission.WITHDRAW)))

    assert view.permissions == (Permission.READ, Permission.WITHDRAW)


@pytest.mark.parametrize("uid", [1, -1, 9_000_001])
def test_account_with_a_used_or_impossible_uid_is_refused(uid: int) -> None:
    assert Desk().code(CreateAccount(D("10"), uid=uid)) == -1000
