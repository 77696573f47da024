"""What ends at a time: GTD orders and countdowns. And what a halt, a filter change and a trial order do."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.sim.engine.deadlines import Deadlines, Due
from patriot.sim.engine.events import InstrumentChanged, OrderUpdated, VenueRefusal
from patriot.sim.engine.operations import CancelOrder, ChangeInstrument, PassTime, SetCountdown, SetFillParts
from patriot.sim.engine.records import Countdown, Instrument
from patriot.sim.engine.words import ExecutionType, InstrumentStatus, OrderStatus, Side, TimeInForce
from tests.sim.engine.support import SYMBOL, D, Desk, limit, market

pytestmark = pytest.mark.integration

BUY, SELL = Side.BUY, Side.SELL
HALT = ChangeInstrument(SYMBOL, status=InstrumentStatus.HALTED)
TRADE = ChangeInstrument(SYMBOL, status=InstrumentStatus.TRADING)


# ---------------------------------------------------------------------------------------------------- deadlines


def test_order_good_till_a_time_expires_then_in_whole_seconds() -> None:
    desk = Desk()
    till = desk.now_ms + 700_123
    order = desk.limit(BUY, "0.1", "39000", time_in_force=TimeInForce.GTD, good_till_ms=till)

    assert order.good_till_ms == till - till % 1_000 == desk.venue.next_deadline_ms
    assert desk.do(PassTime()) == ()
    desk.now_ms = order.good_till_ms - 1_000
    [ended] = desk.do(PassTime())

    assert ended.status is OrderStatus.EXPIRED
    assert [e.execution_type for e in desk.emitted if isinstance(e, OrderUpdated)] == [ExecutionType.EXPIRED]
    assert desk.venue.next_deadline_ms is None


def test_order_that_ended_before_its_time_leaves_no_deadline() -> None:
    desk = Desk()
    till = desk.now_ms + 700_000
    order = desk.limit(BUY, "0.1", "39000", time_in_force=TimeInForce.GTD, good_till_ms=till)

    desk.cancel(order)

    assert desk.venue.next_deadline_ms is None


@pytest.mark.parametrize(
    ("time_in_force", "offset_ms", "code"),
    [
        (TimeInForce.GTD, None, -1102),
        (TimeInForce.GTD, 600_000, -5040),
        (TimeInForce.GTD, 600_001, 0),
        (TimeInForce.GTD, 253_402_300_799_000, -5040),
        (TimeInForce.GTC, 700_000, -1106),
    ],
)
def test_good_till_time_is_checked(time_in_force: TimeInForce, offset_ms: int | None, code: int) -> None:
    desk = Desk()
    till = 0 if offset_ms is None else desk.now_ms + 1_000 + offset_ms

    assert desk.code(limit(1, BUY, "0.1", "39000", time_in_force=time_in_force, good_till_ms=till)) == code


def test_countdown_cancels_the_orders_of_its_symbol_unless_it_is_set_again_or_stopped() -> None:
    desk = Desk()
    order = desk.limit(BUY, "0.1", "39000")
    stop = desk.stop(SELL, "38000", "0.1")
    due = desk.now_ms + 10_000

    assert desk.do(SetCountdown(1, SYMBOL, due)) == Countdown(SYMBOL, due)
    desk.do(SetCountdown(1, SYMBOL, due + 50_000))
    desk.now_ms = due + 20_000
    assert desk.do(PassTime()) == ()
    desk.now_ms = due + 60_000
    [ended] = desk.do(PassTime())

    assert (ended.order_id, ended.status) == (order.order_id, OrderStatus.CANCELED)
    assert desk.venue.open_algo_orders(1) == (stop,)
    desk.do(SetCountdown(1, SYMBOL, desk.now_ms + 10_000))
    assert desk.do(SetCountdown(1, SYMBOL, 0)) == Countdown(SYMBOL, 0)
    assert desk.venue.next_deadline_ms is None


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 20) | st.none())), st.integers(0, 20))
def test_deadlines_are_what_was_set_last(changes: list[tuple[int, int | None]], now_ms: int) -> None:
    deadlines = Deadlines()
    expected: dict[int, int] = {}
    for uid, due_ms in changes:
        if due_ms is None:
            deadlines.drop((Due.COUNTDOWN, uid, SYMBOL))
            expected.pop(uid, None)
        else:
            deadlines.set((Due.COUNTDOWN, uid, SYMBOL), due_ms)
            expected[uid] = due_ms

    assert deadlines.next_ms == min(expected.values(), default=None)
    due = [uid for _, uid, _ in deadlines.pop_due(now_ms)]
    assert due == [uid for ms, uid in sorted((ms, uid) for uid, ms in expected.items()) if ms <= now_ms]


# ---------------------------------------------------------------------------------------------------- halts, filters


def test_halted_symbol_takes_no_orders_but_cancels_and_nothing_fills_until_it_trades_again() -> None:
    desk = Desk()
    order = desk.limit(BUY, "0.1", "39000")
    other = desk.limit(BUY, "0.1", "38000")
    desk.do(HALT)

    assert desk.code(market(1, BUY, "0.1")) == -4140
    assert desk.code(limit(1, BUY, "0.1", "39000")) == -4140
    desk.move("38500")
    assert desk.venue.trades(1) == ()
    assert desk.do(CancelOrder(1, SYMBOL, other.order_id)).status is OrderStatus.CANCELED
    desk.do(TRADE)

    assert desk.order(order).average_fill_price == D("39000")


def test_change_of_filters_is_told_and_binds_new_orders_only() -> None:
    desk = Desk()
    order = desk.limit(BUY, "0.1", "39000.1")

    changed = desk.do(ChangeInstrument(SYMBOL, tick_size=D("0.5"), min_notional=D("500")))

    assert isinstance(changed, Instrument)
    assert desk.emitted == (InstrumentChanged(desk.now_ms, changed),)
    assert desk.code(limit(1, BUY, "0.1", "39000.1")) == -4014
    assert desk.code(limit(1, BUY, "0.005", "39000")) == -4164
    assert desk.venue.open_orders(1) == (order,)


@pytest.mark.parametrize(
    "change",
    [
        ChangeInstrument(SYMBOL, tick_size=D(0)),
        ChangeInstrument(SYMBOL, step_size=D("NaN")),
        ChangeInstrument(SYMBOL, step_size=D("0.000000001")),
        ChangeInstrument(SYMBOL, tick_size=D("0.1" + "0" * 40 + "1")),
        ChangeInstrument(SYMBOL, max_quantity=D("1E+400")),
        ChangeInstrument(SYMBOL, tick_size=D("100000000")),
        ChangeInstrument(SYMBOL, step_size=D("100000")),
        ChangeInstrument(SYMBOL, min_quantity=D("100000")),
        SetFillParts(SYMBOL, 0),
        SetFillParts(SYMBOL, 1_001),
    ],
)
def test_change_that_makes_no_sense_is_refused(change: ChangeInstrument | SetFillParts) -> None:
    desk = Desk()
    before = desk.venue.instruments

    assert desk.code(change) == -1130
    assert desk.venue.instruments == before
    assert desk.code(ChangeInstrument("NOPE")) == -1121


# ---------------------------------------------------------------------------------------------------- trial orders


def test_trial_order_is_refused_as_the_real_one_and_changes_nothing() -> None:
    desk = Desk()
    before, depth = desk.venue.state(), desk.venue.depth(SYMBOL)

    desk.venue.check(limit(1, BUY, "0.1", "39000"), desk.now_ms + 5_000)
    for wish, code in (
        (limit(1, BUY, "0.1", "39000.05"), -4014),
        (limit(1, BUY, "0.1", "41000", time_in_force=TimeInForce.GTX), -5022),
        (limit(1, BUY, "1000", "40001", time_in_force=TimeInForce.FOK), -2019),
        (limit(1, BUY, "0.1", "39000", symbol="NOPEUSDT"), -1121),
    ):
        with pytest.raises(VenueRefusal) as refused:
            desk.venue.check(wish, desk.now_ms)
        assert refused.value.code == code

    assert desk.venue.state() == before
    assert desk.venue.depth(SYMBOL) == depth
    assert desk.limit(BUY, "0.1", "39000").order_id == Decimal(1_000_000_001)


def test_market_order_whose_best_price_is_beyond_the_bound_around_mark_is_refused() -> None:
    desk = Desk()
    desk.move("40000", mark="37000")

    assert desk.code(market(1, BUY, "0.01")) == -4131
    assert desk.code(market(1, SELL, "0.01")) == 0
