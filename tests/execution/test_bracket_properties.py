"""One bracket, any story: whatever happens, a position is protected or on its way out."""

from __future__ import annotations

from collections.abc import Callable
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
    stop_failures,
)
from patriot.kernel.errors import CommandRefused
from patriot.orders.commands import (
    OrderCommand,
    RecordAccepted,
    RecordCanceled,
    RecordExpired,
    RecordRejected,
    RecordSubmitted,
    RecordTriggered,
    RecordUnknown,
    RequestCancel,
)
from patriot.orders.events import RejectStage
from patriot.trading.terms import Leg, OrderId
from tests.execution.play import Play
from tests.orders import kit
from tests.orders.kit import NOON

pytestmark = pytest.mark.unit

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
