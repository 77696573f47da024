"""The pools beside the accounts: fees, insurance, the house."""

from __future__ import annotations

from decimal import Decimal

import pytest

from patriot.sim.engine.operations import FundInsurance, SettleFunding
from patriot.sim.engine.pools import PoolLedger
from patriot.sim.engine.statement import of_record
from patriot.sim.engine.words import Side
from tests.sim.engine.support import SYMBOL, D, Desk

pytestmark = pytest.mark.integration

BUY, SELL = Side.BUY, Side.SELL


def test_house_stands_on_the_other_side_of_a_fill_and_the_fee_goes_to_its_pool() -> None:
    desk = Desk()

    desk.limit(BUY, "1", "39000")
    desk.move("38900")

    pools = desk.venue.pools()
    assert (pools.house_cash, pools.house_quantity) == (D("39000"), {SYMBOL: D("-1")})
    assert pools.fees == D("7.8") == sum(trade.commission for trade in desk.venue.trades(1))


def test_funding_comes_from_the_house() -> None:
    desk = Desk()
    desk.limit(BUY, "1", "39000")
    desk.move("38900")
    before = desk.venue.pools().house_cash

    [record] = desk.do(SettleFunding(SYMBOL, D("0.0001")))

    assert record.amount == D("-3.89")
    assert desk.venue.pools().house_cash - before == D("3.89")


def test_insurance_is_funded_from_outside_and_never_below_zero() -> None:
    desk = Desk()

    pools = desk.do(FundInsurance(D("500")))
    assert (pools.insurance, pools.insurance_funded) == (D("500"), D("500"))
    assert desk.do(FundInsurance(D("-500"))).insurance == D(0)
    assert desk.code(FundInsurance(D("-0.1"))) == -5013
    assert desk.code(FundInsurance(D("NaN"))) == -5021


@pytest.mark.parametrize("bounded", [False, True])
def test_loss_beyond_a_bounded_fund_is_the_houses(bounded: bool) -> None:
    pools = PoolLedger(bounded=bounded)
    pools.fund(D("100"))
    before = pools.view()

    pools.absorb(D("1"), D("40000"), D("39700"))

    after = pools.view()
    assert after.insurance == (D("0") if bounded else D("-200"))
    assert pools.can_carry(D("1")) is not bounded
    assert after.insurance + after.house_cash == before.insurance + before.house_cash


def test_two_accounts_that_meet_leave_the_house_as_it_was() -> None:
    pools = PoolLedger(bounded=True)

    pools.meet(SYMBOL, D("0.3"), D("40000"))
    pools.meet(SYMBOL, D("-0.3"), D("40000"))

    assert pools.view().house_cash == Decimal(0) == pools.view().house_quantity[SYMBOL]


def test_pools_are_part_of_the_venues_statement() -> None:
    desk = Desk()
    desk.market(BUY, "0.1")

    assert desk.venue.state()["pools"] == of_record(desk.venue.pools())
    assert desk.venue.state()["pools"]["house_quantity"] == {SYMBOL: "-0.1"}
