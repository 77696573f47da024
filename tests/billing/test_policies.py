"""An invoice far overdue halts its account's entries, and settling it ends the halt."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from patriot.billing.commands import ReviewPayment
from patriot.billing.events import (
    EntriesSuspended,
    InvoiceDisputed,
    InvoiceOverdue,
    InvoiceVoided,
    InvoiceWrittenOff,
    PaymentRecorded,
)
from patriot.billing.policies import EVENT_TYPES, Suspensions, halt_overdue
from patriot.kernel.codec import EVENTS
from patriot.risk.commands import HaltTrading, ResumeTrading
from patriot.risk.events import HaltLevel, Scope
from patriot.trading.terms import AccountId, UserId
from tests.billing.support import ACCOUNT, CLIENT, OTHER_ACCOUNT, closed_world, gained, on

pytestmark = pytest.mark.unit

AT = on(3, 20)
ONE, TWO = (ACCOUNT, CLIENT, "2022-01", "inv-1"), (ACCOUNT, CLIENT, "2022-02", "inv-2")
ELSEWHERE = (OTHER_ACCOUNT, CLIENT, "2022-01", "inv-3")
HALT = HaltTrading(Scope.ACCOUNT, str(ACCOUNT), HaltLevel.H1, "FEE_OVERDUE", AT)
RESUME = ResumeTrading(Scope.ACCOUNT, str(ACCOUNT), "FEE_OVERDUE", AT)


def paid(name: tuple[AccountId, UserId, str, str], left: str = "0.00") -> PaymentRecorded:
    return PaymentRecorded(*name, "wire", Decimal(1), Decimal(left), AT)


def commands(*events: Any) -> list[Any]:
    """Return what the last event calls for, after the ones before it."""
    state = Suspensions()
    for event in events[:-1]:
        state = state.after(event)
    return list(halt_overdue(state, events[-1]))


SETTLED = [
    paid(ONE),
    InvoiceDisputed(*ONE, "no", AT),
    InvoiceVoided(*ONE, "wrong", "anna", "ben", AT),
    InvoiceWrittenOff(*ONE, "gone", "anna", "ben", AT),
]


def test_long_overdue_invoice_halts_entries_of_its_account() -> None:
    assert commands(EntriesSuspended(*ONE, AT)) == [HALT]


@pytest.mark.parametrize("event", SETTLED)
def test_settling_the_invoice_resumes(event: Any) -> None:
    assert commands(EntriesSuspended(*ONE, AT), event) == [RESUME]


@pytest.mark.parametrize("event", [paid(ONE, "3.00"), paid(ELSEWHERE), InvoiceOverdue(*ONE, Decimal(1), AT)])
def test_anything_else_does_not(event: Any) -> None:
    assert commands(EntriesSuspended(*ONE, AT), event) == []


def test_two_suspensions_need_two_settlements() -> None:
    both = (EntriesSuspended(*ONE, AT), EntriesSuspended(*TWO, AT), EntriesSuspended(*ELSEWHERE, AT))
    assert commands(*both, paid(ONE)) == []
    assert commands(*both, paid(ONE), paid(TWO)) == [RESUME]


def test_payment_of_an_invoice_that_held_nothing_back_resumes_nothing() -> None:
    assert commands(paid(ONE)) == []


def test_policy_listens_to_every_event_it_acts_on() -> None:
    acted_on = {EVENTS.name_of(event)[0] for event in [EntriesSuspended(*ONE, AT), *SETTLED]}
    assert acted_on == EVENT_TYPES


async def test_invoice_two_weeks_overdue_ends_in_a_halt() -> None:
    world = await closed_world(gained())
    world.move_to(on(3, 1, 12, 5))  # issued on February 1, due on the 15th
    events = await world.dispatch(ReviewPayment(ACCOUNT, "2022-01", world.clock.now()))
    (halt,) = [command for event in events for command in halt_overdue(Suspensions(), event)]
    assert isinstance(halt, HaltTrading)
    assert (halt.level, halt.reason_code, halt.reference) == (HaltLevel.H1, "FEE_OVERDUE", str(ACCOUNT))
