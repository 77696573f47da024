"""One bracket: whatever happens, the next steps lead to a protected position, or to none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.execution.bracket import (
    LIVE,
    MAX_STOP_FAILURES,
    Bracket,
    Cancel,
    LegState,
    Open,
    evolve,
    next_steps,
    stop_failures,
    with_executed,
)
from patriot.kernel.errors import CommandRefused
from patriot.orders.client_ids import leg_order_id
from patriot.orders.commands import (
    OrderCommand,
    RecordAccepted,
    RecordCanceled,
    RecordExpired,
    RecordFill,
    RecordRejected,
    RecordSubmitted,
    RecordTriggered,
    RecordUnknown,
    RequestCancel,
)
from patriot.orders.decider import ORDER, PROVEN_ABSENT, Order, Status
from patriot.orders.events import CancelReason, RejectStage
from patriot.trading.terms import Leg, OrderId
from tests.orders import kit
from tests.orders.kit import NOON, ORDER_ID, D

pytestmark = pytest.mark.unit


@dataclass
class Play:
    """A bracket and its orders, driven by commands as the desk drives them."""

    bracket: Bracket = field(default_factory=Bracket)
    orders: dict[OrderId, Order] = field(default_factory=dict)
    trades: int = 0

    def tell(self, command: OrderCommand) -> None:
        order = self.orders.get(command.order_id, ORDER.initial)
        for event in ORDER.decide(order, command):
            order = ORDER.evolve(order, event)
            self.bracket = evolve(self.bracket, event)
        self.orders[command.order_id] = order

    def enter(self, quantity: str = "1") -> None:
        self.tell(kit.place(quantity=D(quantity)))
        self.tell(kit.submitted())

    def fill(self, order_id: OrderId, quantity: Decimal) -> None:
        self.trades += 1
        self.tell(RecordFill(order_id, f"t{self.trades}", "v", quantity, D(1), D(0), "USDT", D(0), False, NOON))

    def pay(self, commission: str, asset: str) -> None:
        """Fill a little of the entry for a commission."""
        self.trades += 1
        paid = D(commission)
        self.tell(RecordFill(ORDER_ID, f"t{self.trades}", "v", D("0.1"), D(1), paid, asset, D(0), False, NOON))

    def open(self, leg: Leg, quantity: Decimal, state: LegState = LegState.SENDING) -> OrderId:
        """Open the next order of a leg and bring it to a state."""
        command = kit.open_leg(leg, self.bracket.next_sequence(leg), str(quantity))
        order_id = command.order_id
        self.tell(command)
        self.tell(RecordSubmitted(order_id, 1, NOON))
        reports: dict[LegState, OrderCommand] = {
            LegState.RESTING: RecordAccepted(order_id, f"algo:{order_id}", NOON),
            LegState.UNKNOWN: RecordUnknown(order_id, "OutcomeUnknown", NOON),
            LegState.FAILED: RecordRejected(order_id, RejectStage.EXCHANGE, "NO", None, None, NOON),
            LegState.OVER: RecordExpired(order_id, NOON),
        }
        if state in reports:
            self.tell(reports[state])
        return order_id

    @property
    def steps(self) -> list[Open | Cancel]:
        return next_steps(self.bracket)


def held(quantity: str = "1") -> Play:
    play = Play()
    play.enter(quantity)
    play.fill(ORDER_ID, D(quantity))
    return play


def protected(quantity: str = "1") -> Play:
    play = held(quantity)
    play.open(Leg.STOP, D(quantity), LegState.RESTING)
    play.open(Leg.TARGET, D(quantity), LegState.RESTING)
    return play


def test_position_gets_a_stop_first_and_then_a_target() -> None:
    play = held()
    assert play.steps == [Open(Leg.STOP, D(1))]

    play.open(Leg.STOP, D(1), LegState.RESTING)
    assert play.steps == [Open(Leg.TARGET, D(1))]


def test_position_without_a_target_price_asks_for_none() -> None:
    play = Play()
    play.tell(kit.place(take_profit_price=None))
    play.fill(ORDER_ID, D(1))
    play.open(Leg.STOP, D(1), LegState.RESTING)
    assert play.steps == []


def test_bracket_before_its_first_fill_does_nothing() -> None:
    play = Play()
    play.enter()
    assert play.steps == []
    assert not play.bracket.over


def test_entry_that_came_to_nothing_is_over() -> None:
    play = Play()
    play.enter()
    play.tell(kit.rejected())
    assert play.bracket.over


def test_entry_held_for_absent_that_works_after_all_is_not_over() -> None:
    play = Play()
    play.enter()
    play.tell(RecordRejected(ORDER_ID, RejectStage.EXCHANGE, PROVEN_ABSENT, None, None, NOON))
    assert play.bracket.over
    play.tell(RecordAccepted(ORDER_ID, "v-1", NOON))
    assert not play.bracket.over


def test_stop_held_for_absent_that_rests_after_all_is_canceled_when_flat() -> None:
    play = held()
    stop = play.open(Leg.STOP, D(1))
    play.tell(RecordRejected(stop, RejectStage.EXCHANGE, PROVEN_ABSENT, None, None, NOON))
    play.tell(RecordAccepted(stop, "algo:1", NOON))
    close = play.open(Leg.CLOSE, D(1), LegState.RESTING)
    play.fill(close, D(1))
    assert [step.created.order_id for step in play.steps if isinstance(step, Cancel)] == [stop]


def test_grown_position_gets_its_new_stop_before_the_old_one_goes() -> None:
    play = Play()
    play.enter("2")
    play.fill(ORDER_ID, D(1))
    play.open(Leg.STOP, D(1), LegState.RESTING)
    play.fill(ORDER_ID, D(1))
    assert play.steps == [Open(Leg.STOP, D(2))]

    play.open(Leg.STOP, D(2), LegState.RESTING)
    assert [step.created.quantity for step in play.steps if isinstance(step, Cancel)] == [D(1)]
    assert all(isinstance(step, Cancel) and step.reason is CancelReason.RESIZED for step in play.steps)


def test_three_failed_stops_lead_out_at_market() -> None:
    play = held()
    for state in (LegState.FAILED, LegState.UNKNOWN, LegState.FAILED):
        assert play.steps == [Open(Leg.STOP, D(1))]
        play.open(Leg.STOP, D(1), state)
    assert play.steps == [Open(Leg.EMERGENCY, D(1))]


def test_stop_that_rested_in_between_starts_the_count_anew() -> None:
    play = held()
    play.open(Leg.STOP, D(1), LegState.FAILED)
    play.open(Leg.STOP, D(1), LegState.FAILED)
    play.open(Leg.STOP, D(1), LegState.OVER)
    assert stop_failures(play.bracket) == 0
    assert play.steps == [Open(Leg.STOP, D(1))]


def test_lost_emergency_is_followed_by_the_next_at_once() -> None:
    play = held()
    play.open(Leg.EMERGENCY, D(1))
    assert play.steps == []

    play = held()
    play.open(Leg.EMERGENCY, D(1), LegState.UNKNOWN)
    assert play.steps == [Open(Leg.EMERGENCY, D(1))]


def test_close_waits_for_its_answer_under_a_stop() -> None:
    play = protected()
    play.open(Leg.CLOSE, D(1))
    assert play.bracket.closing
    assert play.steps == []


def test_close_of_unknown_fate_is_followed_by_the_next() -> None:
    play = protected()
    play.open(Leg.CLOSE, D(1), LegState.UNKNOWN)
    assert play.steps == [Open(Leg.CLOSE, D(1))]


def test_target_of_unknown_fate_is_followed_by_the_next_until_three_are_lost() -> None:
    play = held()
    play.open(Leg.STOP, D(1), LegState.RESTING)
    for _ in range(2):
        play.open(Leg.TARGET, D(1), LegState.UNKNOWN)
        assert play.steps == [Open(Leg.TARGET, D(1))]
    play.open(Leg.TARGET, D(1), LegState.UNKNOWN)
    assert play.steps == []


def test_second_stop_that_turns_up_is_canceled() -> None:
    play = held()
    lost = play.open(Leg.STOP, D(1), LegState.UNKNOWN)
    second = play.open(Leg.STOP, D(1), LegState.RESTING)
    play.tell(RecordAccepted(lost, "algo:lost", NOON))
    assert [step.created.order_id for step in play.steps if isinstance(step, Cancel)] == [lost]
    assert play.orders[second].status is Status.ACCEPTED

    play = protected()
    play.open(Leg.CLOSE, D(1), LegState.FAILED)
    assert play.steps == [Open(Leg.CLOSE, D(1))]


def test_target_that_fails_three_times_is_given_up() -> None:
    play = held()
    play.open(Leg.STOP, D(1), LegState.RESTING)
    for _ in range(3):
        assert play.steps == [Open(Leg.TARGET, D(1))]
        play.open(Leg.TARGET, D(1), LegState.FAILED)
    assert play.steps == []


def test_partly_reached_target_resizes_stop_and_target() -> None:
    play = protected("2")
    play.fill(leg_order_id(ORDER_ID, Leg.TARGET, 1), D(1))
    assert play.steps == [Open(Leg.STOP, D(1))]


def test_stop_that_has_begun_to_execute_is_waited_for() -> None:
    play = protected("2")
    play.fill(leg_order_id(ORDER_ID, Leg.STOP, 1), D(1))
    assert Open(Leg.STOP, D(1)) not in play.steps


def test_stop_that_ended_half_done_is_replaced_whenever_the_rest_of_it_is_told() -> None:
    play = held("2")
    stop = play.open(Leg.STOP, D(2), LegState.RESTING)
    play.tell(RecordCanceled(stop, NOON))
    play.fill(stop, D("0.5"))
    assert play.steps == [Open(Leg.STOP, D("1.5"))]


def test_flat_bracket_cancels_what_rests_once() -> None:
    play = protected()
    play.fill(leg_order_id(ORDER_ID, Leg.STOP, 1), D(1))
    (step,) = play.steps
    assert isinstance(step, Cancel)
    assert (step.created.leg, step.reason) == (Leg.TARGET, CancelReason.OCO_SIBLING)

    play.tell(RequestCancel(step.created.order_id, step.reason, NOON))
    assert play.steps == []
    play.tell(RecordCanceled(step.created.order_id, NOON))
    assert play.bracket.over


def test_stop_that_fired_into_nothing_is_replaced() -> None:
    play = held()
    stop = play.open(Leg.STOP, D(1), LegState.RESTING)
    play.tell(RecordTriggered(stop, "v-2", NOON))
    assert Open(Leg.STOP, D(1)) not in play.steps

    play.tell(RecordCanceled(stop, NOON))
    play.tell(RecordTriggered(stop, "v-3", NOON))  # told late
    assert play.steps == [Open(Leg.STOP, D(1))]


# Properties -----------------------------------------------------------------------------------------------------------

happenings = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 20), st.integers(1, 4)), max_size=40)
REPORTS: tuple[Callable[[OrderId], OrderCommand], ...] = (
    lambda o: RecordAccepted(o, f"algo:{o}", NOON),
    lambda o: RecordRejected(o, RejectStage.EXCHANGE, "NO", None, None, NOON),
    lambda o: RecordUnknown(o, "OutcomeUnknown", NOON),
    lambda o: RecordCanceled(o, NOON),
    lambda o: RecordExpired(o, NOON),
    lambda o: RecordTriggered(o, f"w:{o}", NOON),
    lambda o: RecordSubmitted(o, 2, NOON),
)


def happen(play: Play, kind: int, which: int, amount: int) -> None:
    """Let something happen: a report on any order, a fill, or what the bracket itself asks for."""
    ids = list(play.orders)
    order_id = ids[which % len(ids)]
    try:
        if kind < len(REPORTS):
            play.tell(REPORTS[kind](order_id))
        elif kind == len(REPORTS):
            play.fill(order_id, Decimal(amount) / 4)
        else:
            carry_out(play)
    except CommandRefused:
        return


def carry_out(play: Play) -> None:
    for step in play.steps:
        if isinstance(step, Open):
            play.open(step.leg, step.quantity)
        else:
            play.tell(RequestCancel(step.created.order_id, step.reason, NOON))


def covering(bracket: Bracket) -> list[OrderId]:
    return [
        stop.created.order_id
        for stop in bracket.of(Leg.STOP)
        if stop.state is LegState.RESTING and stop.created.quantity == bracket.position
    ]


@given(happenings)
def test_held_position_has_a_stop_or_a_step_that_makes_one(story: list[tuple[int, int, int]]) -> None:
    play = Play()
    play.enter("2")
    for happening in story:
        happen(play, *happening)
        bracket, steps = play.bracket, play.steps
        if bracket.position <= 0:
            continue
        waits = any(s.state in (LegState.SENDING, LegState.TRIGGERED) for s in bracket.of(Leg.STOP))
        leaves = any(leg.state in LIVE for leg in bracket.of(Leg.EMERGENCY))
        acts = any(isinstance(s, Open) and s.leg in (Leg.STOP, Leg.EMERGENCY) for s in steps)
        assert covering(bracket) or waits or leaves or acts


@given(happenings)
def test_last_covering_stop_of_a_position_is_never_canceled(story: list[tuple[int, int, int]]) -> None:
    play = Play()
    play.enter("2")
    for happening in story:
        happen(play, *happening)
        if play.bracket.position > 0 and (good := covering(play.bracket)):
            gone = {step.created.order_id for step in play.steps if isinstance(step, Cancel)}
            assert not set(good) <= gone


@given(happenings)
def test_three_failures_in_a_row_always_lead_out(story: list[tuple[int, int, int]]) -> None:
    play = Play()
    play.enter("2")
    for happening in story:
        happen(play, *happening)
        bracket = play.bracket
        waits = any(s.state in (LegState.SENDING, LegState.TRIGGERED) for s in bracket.of(Leg.STOP))
        if bracket.position > 0 and stop_failures(bracket) >= MAX_STOP_FAILURES and not covering(bracket) and not waits:
            leaves = any(order.state in LIVE for order in bracket.of(Leg.EMERGENCY))
            assert leaves or Open(Leg.EMERGENCY, bracket.position) in play.steps


@given(happenings)
def test_flat_bracket_comes_to_rest_with_nothing_on_the_exchange(story: list[tuple[int, int, int]]) -> None:
    play = Play()
    play.enter("2")
    for happening in story:
        happen(play, *happening)

    for _ in range(20):  # a venue that answers everything: what is sent rests, what is canceled goes, closes fill
        if play.bracket.position > 0 and not play.bracket.closing:
            play.open(Leg.CLOSE, play.bracket.position)
        carry_out(play)
        settle(play)

    assert play.bracket.position <= 0
    assert play.bracket.over


def settle(play: Play) -> None:
    """Let the exchange answer what is under way."""
    if not play.bracket.entry_over:
        play.tell(kit.canceled())
    for leg in list(play.bracket.legs.values()):
        order_id, kind = leg.created.order_id, leg.created.leg
        if leg.state not in LIVE:
            continue
        if leg.cancel_requested or leg.state is LegState.TRIGGERED:
            play.tell(RecordCanceled(order_id, NOON))
        elif kind in (Leg.CLOSE, Leg.EMERGENCY):
            if play.bracket.position > 0:
                play.fill(order_id, min(leg.created.quantity - leg.filled, play.bracket.position))
            play.tell(RecordExpired(order_id, NOON))
        else:
            play.tell(RecordAccepted(order_id, f"algo:{order_id}", NOON))
            if leg.filled:
                play.tell(RecordCanceled(order_id, NOON))


def test_what_a_state_says_was_executed_is_held_and_protected_before_its_trades_are_known() -> None:
    play = Play()
    play.enter()
    play.bracket = with_executed(play.bracket, ORDER_ID, D("0.4"), over=False)
    assert (play.bracket.position, play.steps) == (D("0.4"), [Open(Leg.STOP, D("0.4"))])
    assert not play.bracket.entry_over

    play.fill(ORDER_ID, D("0.3"))
    play.fill(ORDER_ID, D("0.3"))
    assert (play.bracket.position, play.bracket.details_missing) == (D("0.6"), False)


def test_bracket_is_not_over_before_the_trades_of_its_exit_are_known() -> None:
    play = held()
    stop = play.open(Leg.STOP, D(1), LegState.RESTING)
    play.bracket = with_executed(play.bracket, stop, D(1), over=True)
    assert (play.bracket.position, play.steps, play.bracket.over) == (D(0), [], False)

    play.fill(stop, D(1))
    assert play.bracket.over


def test_way_out_that_ended_half_done_is_followed_by_another_at_once() -> None:
    play = held()
    way_out = play.open(Leg.EMERGENCY, D(1), LegState.RESTING)
    play.bracket = with_executed(play.bracket, way_out, D("0.4"), over=True)
    assert play.steps == [Open(Leg.EMERGENCY, D("0.6"))]


def test_entry_proven_absent_takes_back_what_seemed_to_be_executed() -> None:
    play = Play()
    play.enter()
    play.bracket = with_executed(play.bracket, ORDER_ID, D(1), over=False)
    play.tell(RecordUnknown(ORDER_ID, "OutcomeUnknown", NOON))
    play.tell(RecordRejected(ORDER_ID, RejectStage.EXCHANGE, PROVEN_ABSENT, None, None, NOON))
    assert (play.bracket.position, play.bracket.over) == (D(0), True)


def test_commissions_of_two_assets_are_kept_apart() -> None:
    play = Play()
    play.enter()
    for commission, asset in (("0.1", "USDT"), ("0.002", "BNB"), ("-0.03", "USDT"), ("0.001", "BNB"), ("0", "")):
        play.pay(commission, asset)
    assert play.bracket.commissions == {"USDT": D("0.07"), "BNB": D("0.003")}
