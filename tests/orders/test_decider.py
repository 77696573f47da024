"""The life of one order: wishes may be refused, reports never are, and nothing happens twice."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.kernel.errors import CommandRefused
from patriot.orders.commands import OrderCommand, RecordSubmitted
from patriot.orders.decider import ORDER, OVER, PROVEN_ABSENT, Order, Status
from patriot.orders.events import (
    CancelReason,
    OrderAccepted,
    OrderApproved,
    OrderCanceled,
    OrderCancelRequested,
    OrderCreated,
    OrderDenied,
    OrderEvent,
    OrderExpired,
    OrderRejected,
    OrderSubmissionUnknown,
    OrderSubmitted,
    OrderTriggered,
    RejectStage,
)
from patriot.risk.events import ExposureRefused, ReasonCode
from patriot.trading.terms import Leg, Side
from tests.orders import kit
from tests.orders.kit import ACCOUNT, NOON, ORDER_ID, D, at
from tests.scenario import Scenario

pytestmark = pytest.mark.unit

CREATED, APPROVED = kit.created(), OrderApproved(ORDER_ID)
SUBMITTED = OrderSubmitted(ORDER_ID, CREATED.client_order_id, 1, NOON)
UNKNOWN = OrderSubmissionUnknown(ORDER_ID, CREATED.client_order_id, "OutcomeUnknown", NOON)
ACCEPTED = OrderAccepted(ORDER_ID, ACCOUNT, "v-1", NOON)
CANCELED = OrderCanceled(ORDER_ID, ACCOUNT, CancelReason.EXCHANGE, D(0), NOON)
REJECTED = OrderRejected(ORDER_ID, ACCOUNT, RejectStage.EXCHANGE, "EXCHANGE_REFUSED", -2019, "no", NOON)
ABSENT = OrderRejected(ORDER_ID, ACCOUNT, RejectStage.EXCHANGE, PROVEN_ABSENT, None, None, NOON)
SENT = (CREATED, APPROVED, SUBMITTED)
WORKING = (*SENT, ACCEPTED)

# spec: SUBMITTED and UNKNOWN lead to whatever is observed; what is over stays over, but for a fill that came late
ALLOWED = {
    Status.NONE: {Status.APPROVED, Status.DENIED},
    Status.APPROVED: {Status.SUBMITTED, *OVER, Status.ACCEPTED, Status.PARTIALLY_FILLED} - {Status.DENIED},
    Status.SUBMITTED: {Status.UNKNOWN, Status.ACCEPTED, Status.PARTIALLY_FILLED, *OVER} - {Status.DENIED},
    Status.UNKNOWN: {Status.SUBMITTED, Status.ACCEPTED, Status.PARTIALLY_FILLED, *OVER} - {Status.DENIED},
    Status.ACCEPTED: {Status.UNKNOWN, Status.PARTIALLY_FILLED, Status.FILLED, Status.CANCELED, Status.EXPIRED},
    Status.PARTIALLY_FILLED: {Status.UNKNOWN, Status.FILLED, Status.CANCELED, Status.EXPIRED},
    Status.CANCELED: {Status.FILLED},
    Status.EXPIRED: {Status.FILLED},
    Status.REJECTED: {Status.FILLED},
    Status.DENIED: {Status.FILLED},
    Status.FILLED: set[Status](),
}


# Placing --------------------------------------------------------------------------------------------------------------


def test_entry_within_limits_is_created_and_approved() -> None:
    Scenario(ORDER).when(kit.place()).then(CREATED, APPROVED)


def test_entry_that_risk_refuses_is_denied_with_its_reason() -> None:
    verdict = ExposureRefused(ACCOUNT, ORDER_ID, None, "BTCUSDT", ReasonCode.LEVERAGE, D(6), D(5))

    denied = OrderDenied(ORDER_ID, ACCOUNT, ReasonCode.LEVERAGE, D(6), D(5))
    Scenario(ORDER).when(kit.place(verdict=verdict)).then(CREATED, denied)


def test_entry_placed_twice_is_one_order() -> None:
    Scenario(ORDER).when(kit.place(), kit.place()).then(CREATED, APPROVED)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"quantity": D(0)}, "quantity: expected above 0"),
        ({"stop_price": D(40_000)}, "stop_price: .* wrong side"),
        ({"side": Side.SELL}, "stop_price: .* wrong side"),
        ({"verdict": None}, "risk gave no verdict"),
    ],
)
def test_entry_that_makes_no_sense_is_refused(changes: dict[str, object], problem: str) -> None:
    Scenario(ORDER).when(kit.place(**changes)).then_refused(problem)


def test_leg_is_reduce_only_and_approved_whatever_risk_says() -> None:
    command = kit.open_leg(Leg.STOP, 2, "0.5")

    leg, approved = ORDER.decide(ORDER.initial, command)

    assert isinstance(leg, OrderCreated)
    assert leg.reduce_only
    assert (leg.side, leg.trigger_price, leg.quantity) == (Side.SELL, D(39_000), D("0.5"))
    assert leg.client_order_id == f"{CREATED.client_id_prefix}s2"
    assert approved == OrderApproved(command.order_id)
    assert ORDER.decide(ORDER.fold([leg, approved]), command) == []


# Sending --------------------------------------------------------------------------------------------------------------


def test_submission_is_noted_before_the_wire() -> None:
    Scenario(ORDER, CREATED, APPROVED).when(kit.submitted()).then(SUBMITTED)


def test_same_submission_noted_again_changes_nothing() -> None:
    Scenario(ORDER, *SENT).when(kit.submitted()).then()
    Scenario(ORDER, *WORKING).when(kit.submitted()).then()


@pytest.mark.parametrize("command", [kit.submitted(1, 3), kit.submitted(3, 3)])
def test_submission_out_of_turn_is_refused(command: RecordSubmitted) -> None:
    Scenario(ORDER, *SENT).when(command).then_refused("submission")


def test_submission_of_a_working_order_is_refused() -> None:
    Scenario(ORDER, *WORKING).when(kit.submitted(2, 3)).then_refused("accepted")


def test_next_attempt_follows_an_unknown_one() -> None:
    again = OrderSubmitted(ORDER_ID, CREATED.client_order_id, 2, at(7))
    Scenario(ORDER, *SENT, UNKNOWN).when(kit.submitted(2, 7)).then(again)


def test_unknown_outcome_is_noted_once_and_only_of_what_was_sent() -> None:
    Scenario(ORDER, *SENT).when(kit.unknown(), kit.unknown()).then(UNKNOWN)
    Scenario(ORDER, CREATED, APPROVED).when(kit.unknown()).then()
    Scenario(ORDER, *WORKING, kit.filled()).when(kit.unknown()).then()


def test_order_that_worked_and_is_gone_without_a_word_is_of_unknown_outcome() -> None:
    Scenario(ORDER, *WORKING).when(kit.unknown(), kit.unknown()).then(UNKNOWN)
    Scenario(ORDER, *WORKING, UNKNOWN).when(kit.accepted()).then(ACCEPTED)


# Reports --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("past", [SENT, (*SENT, UNKNOWN), (CREATED, APPROVED)])
def test_acceptance_is_recorded_once(past: tuple[OrderEvent, ...]) -> None:
    Scenario(ORDER, *past).when(kit.accepted(), kit.accepted()).then(ACCEPTED)


def test_rejection_is_final_and_recorded_once() -> None:
    Scenario(ORDER, *SENT).when(kit.rejected(), kit.rejected(), kit.accepted(), kit.canceled()).then(REJECTED)


def test_rejection_of_a_working_order_answers_a_repeat_and_is_nothing() -> None:
    Scenario(ORDER, *WORKING).when(kit.rejected()).then()


def test_trigger_gives_the_order_a_second_venue_id_once() -> None:
    fired = OrderTriggered(ORDER_ID, ACCOUNT, "v-2", NOON)
    after = Scenario(ORDER, *WORKING).when(kit.triggered(), kit.triggered()).then(fired)
    assert after.state.venue_order_ids == ("v-1", "v-2")


def test_cancel_is_asked_for_once_and_its_reason_is_kept() -> None:
    requested = OrderCancelRequested(ORDER_ID, CancelReason.USER, NOON)
    over = OrderCanceled(ORDER_ID, ACCOUNT, CancelReason.USER, D(0), NOON)
    Scenario(ORDER, *WORKING).when(kit.cancel(), kit.cancel(), kit.canceled(), kit.cancel()).then(requested, over)


def test_cancel_of_an_order_never_placed_is_refused() -> None:
    Scenario(ORDER).when(kit.cancel()).then_refused("order that is none")


@pytest.mark.parametrize("report", [kit.accepted(), kit.fill(), kit.submitted(), kit.unknown(), kit.expired()])
def test_report_of_an_order_never_placed_is_refused(report: OrderCommand) -> None:
    Scenario(ORDER).when(report).then_refused("order that is none")


def test_end_of_an_order_is_recorded_once() -> None:
    gone = OrderExpired(ORDER_ID, ACCOUNT, D(0), NOON)
    Scenario(ORDER, *WORKING).when(kit.canceled(), kit.expired(), kit.canceled()).then(CANCELED)
    Scenario(ORDER, *WORKING).when(kit.expired(), kit.canceled(), kit.expired()).then(gone)


# Fills ----------------------------------------------------------------------------------------------------------------


def test_fill_reported_twice_is_recorded_once() -> None:
    Scenario(ORDER, *WORKING).when(kit.fill(), kit.fill()).then(kit.filled())


def test_fill_before_any_answer_is_recorded_and_names_the_order() -> None:
    after = Scenario(ORDER, *SENT).when(kit.fill("t-1", "0.4", "v-9")).then(kit.filled("t-1", "0.4", venue_id="v-9"))
    assert (after.state.status, after.state.venue_order_ids) == (Status.PARTIALLY_FILLED, ("v-9",))


@pytest.mark.parametrize("end", [CANCELED, OrderExpired(ORDER_ID, ACCOUNT, D(0), NOON), REJECTED])
def test_fill_that_arrives_after_the_end_is_still_recorded(end: OrderEvent) -> None:
    after = Scenario(ORDER, *WORKING, end).when(kit.fill("t-1", "0.4")).then(kit.filled("t-1", "0.4"))
    assert after.state.status in OVER


def test_overfill_is_a_fact() -> None:
    first, second = kit.filled("t-1", "1"), kit.filled("t-2", "0.5", "1.5")
    after = Scenario(ORDER, *WORKING).when(kit.fill("t-1", "1"), kit.fill("t-2", "0.5")).then(first, second)
    assert (after.state.filled, after.state.status) == (D("1.5"), Status.FILLED)


# Properties -----------------------------------------------------------------------------------------------------------

TRADES = {"t-1": "0.2", "t-2": "0.3", "t-3": "0.5", "t-4": "0.1"}
reports = st.one_of(
    st.sampled_from(sorted(TRADES)).map(lambda trade_id: kit.fill(trade_id, TRADES[trade_id])),
    st.sampled_from([kit.accepted(), kit.rejected(), kit.unknown(), kit.canceled(), kit.expired(), kit.triggered()]),
    st.builds(kit.submitted, st.integers(1, 3), st.integers(0, 3)),
    st.just(kit.cancel()),
)


@given(st.lists(reports, max_size=25))
def test_filled_quantity_counts_each_trade_once_in_any_interleaving(commands: list[OrderCommand]) -> None:
    order, told = ORDER.fold([CREATED, APPROVED]), set[str]()

    for command in commands:
        order = after(order, command)
        if hasattr(command, "trade_id"):
            told.add(command.trade_id)

    assert order.filled == sum((D(TRADES[trade_id]) for trade_id in told), Decimal(0))


@given(st.lists(st.one_of(reports, st.just(kit.place())), max_size=25))
def test_status_moves_only_along_the_graph(commands: list[OrderCommand]) -> None:
    order = ORDER.initial

    for command in commands:
        before = order.status
        order = after(order, command)
        assert order.status is before or order.status in ALLOWED[before]


@given(st.lists(reports, max_size=15), reports)
def test_report_told_twice_in_a_row_is_told_once(commands: list[OrderCommand], command: OrderCommand) -> None:
    order = ORDER.fold([CREATED, APPROVED])
    for earlier in commands:
        order = after(order, earlier)

    once = after(order, command)

    assert after(once, command) == once


def after(order: Order, command: OrderCommand) -> Order:
    """Return the order after a command, refused or not."""
    try:
        return ORDER.fold(ORDER.decide(order, command), order)
    except CommandRefused:
        return order


def test_order_held_for_absent_works_when_the_exchange_tells_of_it() -> None:
    Scenario(ORDER, *SENT, UNKNOWN, ABSENT).when(kit.accepted()).then(ACCEPTED)
    working = ORDER.fold((*SENT, UNKNOWN, ABSENT, ACCEPTED))
    assert working.status is Status.ACCEPTED
    assert ORDER.decide(working, kit.accepted()) == []
    assert ORDER.fold((*SENT, UNKNOWN, ABSENT, kit.filled(quantity="0.4"))).status is Status.PARTIALLY_FILLED


def test_order_given_up_here_works_when_the_exchange_tells_of_it() -> None:
    """Another owner, who lives and does not know that it lost its lease, sends under the same id."""
    given_up = OrderRejected(ORDER_ID, ACCOUNT, RejectStage.LOCAL, "EXCHANGE_UNAVAILABLE", None, None, NOON)
    Scenario(ORDER, *SENT, given_up).when(kit.accepted()).then(ACCEPTED)


LEG = dataclasses.replace(CREATED, leg=Leg.STOP, reduce_only=True)
EXPIRED = OrderExpired(ORDER_ID, ACCOUNT, D(0), NOON)
ASKED = OrderCancelRequested(ORDER_ID, CancelReason.RESIZED, NOON)


@pytest.mark.parametrize("end", [CANCELED, EXPIRED])
def test_leg_that_another_owner_sends_again_under_an_id_that_is_over_works(end: OrderEvent) -> None:
    ended = (LEG, *WORKING[1:], ASKED, end)
    again = OrderAccepted(ORDER_ID, ACCOUNT, "v-2", NOON)
    Scenario(ORDER, *ended).when(kit.accepted("v-2")).then(again)
    order = ORDER.fold((*ended, again))
    assert (order.status, order.cancel_reason, order.superseded) == (Status.ACCEPTED, None, ("v-1",))


@pytest.mark.parametrize(
    "ended",
    [
        (LEG, *WORKING[1:], CANCELED, "v-1"),  # told again, late
        (LEG, *SENT[1:], CANCELED, "v-2"),  # its answer, overtaken by its end
        (*WORKING, CANCELED, "v-2"),  # an entry
        (LEG, *WORKING[1:], kit.filled("t-1", "0.4"), CANCELED, "v-2"),
    ],
)
def test_order_that_is_over_stays_over_whatever_else_is_told(ended: tuple[Any, ...]) -> None:
    *past, venue_id = ended
    Scenario(ORDER, *past).when(kit.accepted(venue_id)).then()


def test_order_that_the_exchange_itself_refused_stays_refused() -> None:
    Scenario(ORDER, *SENT, REJECTED).when(kit.accepted()).then()


def test_order_that_has_executed_in_part_works_until_nothing_is_known_of_it() -> None:
    begun = (kit.created(), OrderApproved(ORDER_ID), kit.filled("t-1", "0.4"))
    Scenario(ORDER, *begun).when(kit.rejected(), kit.accepted("v-2")).then()
    (gone,) = ORDER.decide(ORDER.fold(begun), kit.unknown())
    assert isinstance(gone, OrderSubmissionUnknown)


def test_denied_order_is_over() -> None:
    denied = (kit.created(), OrderDenied(ORDER_ID, ACCOUNT, "HALTED", None, None))
    Scenario(ORDER, *denied).when(kit.cancel(), kit.canceled(), kit.expired(), kit.rejected(), kit.accepted()).then()
