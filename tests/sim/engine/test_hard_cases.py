"""What random days have broken: prices of nothing, grids that change, debts, halts, and orders that say two things."""

from __future__ import annotations

import pytest

from patriot.sim.engine.operations import (
    AmendOrder,
    ChangeInstrument,
    CreateAccount,
    MovePrice,
    Operation,
    PassTime,
    PlaceOrder,
    SetLeverage,
    SettleFunding,
)
from patriot.sim.engine.records import Protection
from patriot.sim.engine.venue import Venue
from patriot.sim.engine.words import (
    ZERO,
    AlgoStatus,
    IncomeType,
    InstrumentStatus,
    Liquidity,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from tests.sim.engine.scenarios import THIN
from tests.sim.engine.support import START_MS, SYMBOL, D, Desk, limit, market, stop

pytestmark = pytest.mark.integration

BUY, SELL = Side.BUY, Side.SELL


# ---------------------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    "operation",
    [
        MovePrice(SYMBOL, D(0)),
        MovePrice(SYMBOL, D(-1)),
        MovePrice(SYMBOL, D("NaN")),
        MovePrice(SYMBOL, D("1E+30")),
        MovePrice(SYMBOL, D(40_000), D("Infinity")),
        MovePrice(SYMBOL, D(40_000), index=D(0)),
        SettleFunding(SYMBOL, D("NaN")),
        SettleFunding(SYMBOL, D("1.1")),
    ],
)
def test_market_of_impossible_numbers_is_refused_and_changes_nothing(operation: Operation) -> None:
    desk = Desk()
    before = desk.venue.state()

    assert desk.code(operation) == -1130
    assert desk.venue.state() == before


def test_deposit_that_is_no_number_is_refused() -> None:
    assert Desk().code(CreateAccount(D("sNaN"))) == -5021


def test_price_below_the_first_tick_stands_at_it() -> None:
    desk = Desk()

    desk.move("0.05")

    depth = desk.venue.depth(SYMBOL)
    assert depth.bids[0][0] == D("0.1")
    assert depth.asks[0][0] > D("0.1")


def test_book_without_a_buyer_tells_a_bid_of_nothing() -> None:
    venue = Venue(seed=5, instruments=THIN, liquidity=Liquidity.SHARED)
    venue.apply(CreateAccount(D("1000000"), uid=1), START_MS)
    venue.apply(MovePrice("SOLUSDT", D("0.1")), START_MS)
    [(price, quantity)] = venue.depth("SOLUSDT").bids

    sold = venue.apply(PlaceOrder(1, "SOLUSDT", SELL, OrderType.MARKET, quantity), START_MS)

    assert price == D("0.1")
    assert sold.refusal is None
    ticker = venue.ticker("SOLUSDT")
    assert ticker is not None
    assert (ticker.bid, ticker.bid_quantity, venue.depth("SOLUSDT").bids) == (ZERO, ZERO, ())
    again = venue.apply(PlaceOrder(1, "SOLUSDT", SELL, OrderType.MARKET, quantity), START_MS)
    assert again.refusal is not None
    assert again.refusal.code == -4131


# ---------------------------------------------------------------------------------------------------- grids


def test_finer_grid_of_one_kind_is_refused_where_the_other_has_ever_been_fine() -> None:
    desk = Desk()  # a tick of 0.1 and a step of 0.001 before
    desk.do(ChangeInstrument(SYMBOL, tick_size=D("0.00001")))
    desk.do(ChangeInstrument(SYMBOL, tick_size=D("10")))

    assert desk.code(ChangeInstrument(SYMBOL, step_size=D("0.0001"))) == -1130


def test_house_stands_on_a_new_grid_at_once_and_meets_who_is_now_in_its_way() -> None:
    desk = Desk(price="40004.9")
    order = desk.limit(BUY, "0.1", "40004.5")

    desk.do(ChangeInstrument(SYMBOL, tick_size=D("10")))

    depth, ticker = desk.venue.depth(SYMBOL), desk.venue.ticker(SYMBOL)
    assert ticker is not None
    assert [price % 10 for price, _ in (*depth.bids, *depth.asks)] == [ZERO] * (len(depth.bids) + len(depth.asks))
    assert ((ticker.bid, ticker.bid_quantity), (ticker.ask, ticker.ask_quantity)) == (depth.bids[0], depth.asks[0])
    assert (desk.order(order).status is OrderStatus.FILLED) == (ticker.ask <= D("40004.5"))


# ---------------------------------------------------------------------------------------------------- money


def test_debt_of_an_account_that_holds_nothing_is_paid_by_the_insurance_fund() -> None:
    venue = Venue(seed=5, instruments=THIN, liquidity=Liquidity.SHARED)
    for uid, balance in ((1, "210"), (2, "1000000")):
        venue.apply(CreateAccount(D(balance), uid=uid), START_MS)
    venue.apply(MovePrice(SYMBOL, D(40_000)), START_MS)
    venue.apply(SetLeverage(1, SYMBOL, 100), START_MS)
    venue.apply(market(1, BUY, "0.4"), START_MS)
    venue.apply(market(2, SELL, "2"), START_MS)

    sold = venue.apply(market(1, SELL, "0.4", reduce_only=True), START_MS)

    assert sold.refusal is None
    [cleared] = [i for i in venue.income(1) if i.income_type is IncomeType.INSURANCE_CLEAR]
    assert cleared.amount > ZERO
    assert (venue.positions(1), venue.account(1).wallet) == ((), ZERO)
    assert venue.pools().insurance == ZERO  # an empty fund: the house pays


def test_fee_of_a_liquidation_leaves_no_debt() -> None:
    desk = Desk(balance="401")
    desk.isolated(20)
    desk.market(BUY, "0.2")
    assert desk.venue.account(1).cross_wallet < ZERO  # the margin of the position and the fee took more than all

    desk.move("38000")

    assert (desk.venue.positions(1), desk.venue.account(1).wallet) == ((), ZERO)


def test_loss_on_a_halted_symbol_counts_when_another_symbol_moves() -> None:
    desk = Desk(balance="5000")
    desk.move("100", symbol="SOLUSDT")
    desk.market(BUY, "1")
    desk.market(BUY, "1", symbol="SOLUSDT")
    desk.move("40000")
    desk.do(ChangeInstrument(SYMBOL, status=InstrumentStatus.HALTED))
    desk.move("35000")
    assert desk.venue.positions(1)

    desk.move("100.01", symbol="SOLUSDT")

    assert desk.venue.positions(1) == ()


# ---------------------------------------------------------------------------------------------------- orders


def test_fill_or_kill_order_that_may_only_reduce_asks_for_no_more_than_the_position() -> None:
    desk = Desk()
    desk.market(BUY, "0.1")
    wish = limit(1, SELL, "0.2", "39000", time_in_force=TimeInForce.FOK, reduce_only=True)

    assert desk.code(wish) == -5021
    assert desk.position().quantity == D("0.1")


@pytest.mark.parametrize("protection", [Protection(stop_loss=D("41000")), Protection(take_profit=D("NaN"))])
def test_protection_that_an_amendment_brings_is_checked(protection: Protection) -> None:
    desk = Desk()
    order = desk.limit(BUY, "0.1", "39000")

    assert desk.code(AmendOrder(1, SYMBOL, order.order_id, attached=protection)) in (-90003, -1102)
    assert desk.order(order) == order


def test_conditional_order_that_fires_at_market_takes_whatever_its_time_in_force() -> None:
    desk = Desk()
    desk.market(BUY, "0.1")
    algo = desk.stop(SELL, "39000", "0.1", time_in_force=TimeInForce.GTX)

    desk.move("38900")

    assert desk.algo(algo).status is AlgoStatus.FINISHED
    assert desk.position().quantity == ZERO


@pytest.mark.parametrize(
    ("time_in_force", "offset_ms", "code"),
    [(TimeInForce.GTD, 0, -1102), (TimeInForce.GTD, 5_000, -5040), (TimeInForce.GTC, 700_000, -1106)],
)
def test_end_of_a_conditional_order_is_checked(time_in_force: TimeInForce, offset_ms: int, code: int) -> None:
    desk = Desk()
    good_till_ms = desk.now_ms + offset_ms if offset_ms else 0

    assert desk.code(stop(1, SELL, "39000", "0.1", time_in_force=time_in_force, good_till_ms=good_till_ms)) == code


def test_conditional_order_good_till_a_time_expires_then() -> None:
    desk = Desk()
    algo = desk.stop(SELL, "39000", "0.1", time_in_force=TimeInForce.GTD, good_till_ms=desk.now_ms + 700_000)

    desk.now_ms += 700_000
    desk.do(PassTime())

    assert desk.algo(algo).status is AlgoStatus.EXPIRED
