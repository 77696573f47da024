"""One bracket: whatever happens, the next steps lead to a protected position, or to none."""

from __future__ import annotations

import pytest

from patriot.execution.bracket import (
    MAX_STOP_FAILURES,
    Cancel,
    LegState,
    Open,
    stop_failures,
    with_executed,
    with_presumed,
)
from patriot.orders.client_ids import leg_order_id
from patriot.orders.commands import (
    RecordAccepted,
    RecordCanceled,
    RecordRejected,
    RecordTriggered,
    RecordUnknown,
    RequestCancel,
)
from patriot.orders.decider import PROVEN_ABSENT, Status
from patriot.orders.events import CancelReason, RejectStage
from patriot.trading.terms import Leg
from tests.execution.play import Play, held, protected
from tests.orders import kit
from tests.orders.kit import NOON, ORDER_ID, D

pytestmark = pytest.mark.unit


def unprotected() -> Play:
    """Return a position of 1 whose three stops failed."""
    play = held()
    for _ in range(MAX_STOP_FAILURES):
        play.open(Leg.STOP, D(1), LegState.FAILED)
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
    play = unprotected()
    play.open(Leg.EMERGENCY, D(1))
    assert play.steps == []

    play = unprotected()
    play.open(Leg.EMERGENCY, D(1), LegState.UNKNOWN)
    assert play.steps == [Open(Leg.STOP, D(1)), Open(Leg.EMERGENCY, D(1))]


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
    play = unprotected()
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


def test_entry_of_which_nobody_says_what_became_has_a_stop_and_nothing_else() -> None:
    play = Play()
    play.enter()
    play.bracket = with_presumed(play.bracket)
    assert play.steps == [Open(Leg.STOP, D(1))]
    assert play.bracket.position == 0

    stop = play.open(Leg.STOP, D(1), LegState.RESTING)
    assert play.steps == []
    play.fill(ORDER_ID, D("0.4"))
    assert play.steps == [Open(Leg.TARGET, D("0.4"))]
    play.open(Leg.TARGET, D("0.4"), LegState.RESTING)
    play.bracket = with_executed(play.bracket, ORDER_ID, D("0.4"), over=True)
    assert play.steps == [Open(Leg.STOP, D("0.4"))]
    play.open(Leg.STOP, D("0.4"), LegState.RESTING)
    assert [step.created.order_id for step in play.steps if isinstance(step, Cancel)] == [stop]


def test_stop_of_an_entry_that_never_was_is_canceled() -> None:
    play = Play()
    play.enter()
    play.bracket = with_presumed(play.bracket)
    stop = play.open(Leg.STOP, D(1), LegState.RESTING)
    play.tell(RecordRejected(ORDER_ID, RejectStage.EXCHANGE, PROVEN_ABSENT, None, None, NOON))
    assert [step.created.order_id for step in play.steps if isinstance(step, Cancel)] == [stop]


def test_stop_that_was_presumed_and_fired_is_not_followed_by_another() -> None:
    play = Play()
    play.enter()
    play.bracket = with_presumed(play.bracket)
    play.fill(play.open(Leg.STOP, D(1), LegState.RESTING), D(1))
    assert play.steps == []


def test_stops_that_fail_ahead_of_their_position_never_lead_out_at_market() -> None:
    play = Play()
    play.enter()
    play.bracket = with_presumed(play.bracket)
    for state in (LegState.FAILED, LegState.UNKNOWN, LegState.FAILED, LegState.FAILED):
        play.open(Leg.STOP, D(1), state)
        assert play.steps == [Open(Leg.STOP, D(1))]
    play.bracket = with_executed(play.bracket, ORDER_ID, D(1), over=False)
    for state in (LegState.FAILED, LegState.UNKNOWN, LegState.FAILED):
        assert play.steps == [Open(Leg.STOP, D(1))]
        play.open(Leg.STOP, D(1), state)
    assert play.steps == [Open(Leg.EMERGENCY, D(1))]


def test_stop_goes_out_ahead_of_the_rest_of_an_entry_of_which_a_part_was_led_out() -> None:
    play = Play()
    play.enter()
    play.bracket = with_presumed(with_executed(play.bracket, ORDER_ID, D("0.5"), over=False))
    for _ in range(MAX_STOP_FAILURES):
        play.open(Leg.STOP, D(1), LegState.FAILED)
    play.open(Leg.EMERGENCY, D("0.5"), LegState.RESTING)
    play.fill(leg_order_id(ORDER_ID, Leg.EMERGENCY, 1), D("0.5"))
    assert play.steps == [Open(Leg.STOP, D("0.5"))]


def test_commissions_of_two_assets_are_kept_apart() -> None:
    play = Play()
    play.enter()
    for commission, asset in (("0.1", "USDT"), ("0.002", "BNB"), ("-0.03", "USDT"), ("0.001", "BNB"), ("0", "")):
        play.pay(commission, asset)
    assert play.bracket.commissions == {"USDT": D("0.07"), "BNB": D("0.003")}


@pytest.mark.parametrize("outcome", [LegState.FAILED, LegState.UNKNOWN])
def test_each_way_out_that_fails_is_followed_by_one_more_try_for_a_stop(outcome: LegState) -> None:
    play = unprotected()
    for _ in range(3):
        play.open(Leg.EMERGENCY, D(1), outcome)
        assert play.steps == [Open(Leg.STOP, D(1)), Open(Leg.EMERGENCY, D(1))]
        play.open(Leg.STOP, D(1), LegState.FAILED)
        assert play.steps == [Open(Leg.EMERGENCY, D(1))]
    play.open(Leg.EMERGENCY, D(1), outcome)
    play.open(Leg.STOP, D(1), LegState.RESTING)
    assert play.steps == [Open(Leg.EMERGENCY, D(1))]  # it was decided to leave, and is


def test_no_stop_is_tried_beside_a_way_out_that_fails_while_the_fate_of_one_is_unknown() -> None:
    play = unprotected()
    play.open(Leg.STOP, D(1), LegState.UNKNOWN)
    play.open(Leg.EMERGENCY, D(1), LegState.FAILED)
    play.open(Leg.EMERGENCY, D(1), LegState.FAILED)
    assert play.steps == [Open(Leg.EMERGENCY, D(1))]


def test_stop_that_was_replaced_is_canceled_though_a_way_out_is_under_way() -> None:
    play = unprotected()
    leaving = play.open(Leg.EMERGENCY, D(1), LegState.UNKNOWN)
    replaced = play.open(Leg.STOP, D(1), LegState.RESTING)
    play.fill(leaving, D("0.6"))
    play.open(Leg.STOP, D("0.4"), LegState.RESTING)
    canceled = [step.created.order_id for step in play.steps if isinstance(step, Cancel)]
    assert canceled == [replaced]


def test_stop_whose_cancel_is_on_its_way_covers_nothing() -> None:
    play = Play()
    play.enter("1")
    play.fill(ORDER_ID, D("0.6"))
    play.open(Leg.STOP, D("0.6"), LegState.RESTING)
    play.fill(ORDER_ID, D("0.4"))
    play.open(Leg.STOP, D(1), LegState.RESTING)
    play.tell(RequestCancel(leg_order_id(ORDER_ID, Leg.STOP, 1), CancelReason.RESIZED, NOON))
    play.open(Leg.TARGET, D(1), LegState.RESTING)
    play.fill(leg_order_id(ORDER_ID, Leg.TARGET, 1), D("0.4"))
    assert play.steps == [Open(Leg.STOP, D("0.6"))]


def test_target_whose_cancel_is_on_its_way_counts_for_nothing() -> None:
    play = Play()
    play.enter("1")
    play.fill(ORDER_ID, D("0.6"))
    smaller = play.open(Leg.TARGET, D("0.6"), LegState.RESTING)
    play.fill(ORDER_ID, D("0.4"))
    play.open(Leg.TARGET, D(1), LegState.RESTING)
    play.tell(RequestCancel(smaller, CancelReason.RESIZED, NOON))
    play.fill(play.open(Leg.STOP, D(1), LegState.RESTING), D("0.4"))
    assert play.steps == [Open(Leg.TARGET, D("0.6"))]
