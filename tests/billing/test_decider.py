"""The life of terms and invoices, given the facts before."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from patriot.billing.commands import (
    AgreeTerms,
    ApproveDraft,
    BillingCommand,
    ClosePeriod,
    DisputeInvoice,
    RecordPayment,
    RejectDispute,
    ReviewPayment,
    VoidInvoice,
    WriteOffInvoice,
)
from patriot.billing.decider import INVOICE, TERMS, Invoice, invoice_number
from patriot.billing.events import (
    BillingEvent,
    EntriesSuspended,
    EventRange,
    FeeAssessed,
    InvoiceIssued,
    InvoiceOverdue,
    InvoiceReminded,
    InvoiceStatus,
    PeriodClosed,
)
from patriot.kernel.errors import CommandRefused, InvalidInput
from patriot.kernel.ids import derived_id
from tests.billing.support import ACCOUNT, CLIENT, Story, gained, on, with_a_gap

pytestmark = pytest.mark.unit

ISSUED_AT = on(2, 1, 12, 5)
DUE_AT = ISSUED_AT + timedelta(days=14)
DAY = timedelta(days=1)
NAME = (ACCOUNT, CLIENT, "2022-01", invoice_number(ACCOUNT, "2022-01"))
FACTS = EventRange(1, 63, derived_id("test", 1), derived_id("test", 63), "ab" * 32)


def close(story: Story | None = None) -> ClosePeriod:
    january = (story or gained()).assess("2022-01")
    return ClosePeriod(ACCOUNT, CLIENT, january, FACTS, "cd" * 32, "", ISSUED_AT)


def after(*commands: BillingCommand) -> Invoice:
    invoice = INVOICE.initial
    for command in commands:
        invoice = INVOICE.fold(INVOICE.decide(invoice, command), invoice)
    return invoice


def pay(amount: str, reference: str = "wire-1") -> RecordPayment:
    return RecordPayment(ACCOUNT, "2022-01", reference, Decimal(amount), DUE_AT)


def review(at_days_from_due: int) -> ReviewPayment:
    return ReviewPayment(ACCOUNT, "2022-01", DUE_AT + at_days_from_due * DAY)


def dispute(at_days: int = 1) -> DisputeInvoice:
    return DisputeInvoice(ACCOUNT, "2022-01", "lot 2 is not mine", ISSUED_AT + at_days * DAY)


REJECT = RejectDispute(ACCOUNT, "2022-01", "fund manager", DUE_AT)
APPROVE = ApproveDraft(ACCOUNT, "2022-01", "fund manager", DUE_AT)
VOID = VoidInvoice(ACCOUNT, "2022-01", "wrong terms", "anna", "ben", DUE_AT)
WRITE_OFF = WriteOffInvoice(ACCOUNT, "2022-01", "client is gone", "anna", "ben", DUE_AT)


def refused(invoice: Invoice, command: BillingCommand, match: str) -> None:
    with pytest.raises(CommandRefused, match=match):
        INVOICE.decide(invoice, command)


def types(events: list[BillingEvent]) -> list[type]:
    return [type(event) for event in events]


def test_close_books_fee_and_invoice_at_once() -> None:
    events = INVOICE.decide(Invoice(), close())
    assert types(events) == [PeriodClosed, FeeAssessed, InvoiceIssued]
    issued = events[-1]
    assert isinstance(issued, InvoiceIssued)
    assert (issued.total, issued.due_at, issued.number) == (Decimal("30.00"), DUE_AT, NAME[3])
    assert after(close()).status is InvoiceStatus.ISSUED


def test_close_twice_books_once() -> None:
    assert INVOICE.decide(after(close()), close()) == []


def test_month_without_profit_is_a_statement_that_is_settled() -> None:
    invoice = after(close(gained("1000")))
    assert (invoice.status, invoice.outstanding) == (InvoiceStatus.PAID, Decimal(0))
    assert INVOICE.decide(invoice, review(30)) == []


def test_gap_makes_a_draft_that_one_person_approves_once() -> None:
    draft = after(close(with_a_gap()))
    assert draft.status is InvoiceStatus.DRAFT
    assert INVOICE.decide(draft, review(30)) == []
    refused(draft, pay("1"), "which is DRAFT")
    issued = INVOICE.decide(draft, APPROVE)
    assert types(issued) == [InvoiceIssued]
    assert isinstance(issued[0], InvoiceIssued)
    assert issued[0].due_at == DUE_AT + 14 * DAY
    assert INVOICE.decide(INVOICE.fold(issued, draft), APPROVE) == []


def test_payments_in_parts_settle_the_invoice() -> None:
    part = after(close(), pay("10.00"))
    assert (part.status, part.outstanding) == (InvoiceStatus.PARTIALLY_PAID, Decimal("20.00"))
    whole = INVOICE.fold(INVOICE.decide(part, pay("20.00", "wire-2")), part)
    assert (whole.status, whole.outstanding) == (InvoiceStatus.PAID, Decimal("0.00"))
    refused(whole, pay("1.00", "wire-3"), "which is PAID")


def test_payment_reported_twice_counts_once() -> None:
    paid = after(close(), pay("10.00"))
    assert INVOICE.decide(paid, pay("10.00")) == []
    refused(paid, pay("11.00"), "recorded with 10.00 already")


@pytest.mark.parametrize("amount", ["0", "-1", "30.01"])
def test_payment_of_another_amount_than_owed_is_refused(amount: str) -> None:
    refused(after(close()), pay(amount), "expected a payment up to 30.00")


@pytest.mark.parametrize(("days", "reminder"), [(-4, None), (-3, -3), (0, 0), (1, 0), (3, 3), (13, 7), (40, 14)])
def test_review_reminds_of_the_last_step_reached(days: int, reminder: int | None) -> None:
    events = INVOICE.decide(after(close()), review(days))
    assert [e.days_from_due for e in events if isinstance(e, InvoiceReminded)] == (
        [] if reminder is None else [reminder]
    )


def test_review_twice_says_nothing_new() -> None:
    assert INVOICE.decide(after(close(), review(20)), review(20)) == []


def test_review_after_the_due_date_makes_it_overdue_and_two_weeks_later_suspends_entries() -> None:
    late = INVOICE.decide(after(close()), review(1))
    assert types(late) == [InvoiceReminded, InvoiceOverdue]
    overdue = after(close(), review(1))
    assert overdue.status is InvoiceStatus.OVERDUE
    assert types(INVOICE.decide(overdue, review(14))) == [InvoiceReminded, EntriesSuspended]


def test_part_payment_ends_no_delay() -> None:
    assert after(close(), review(1), pay("10.00")).status is InvoiceStatus.OVERDUE


def test_dispute_stops_reminders_until_it_is_rejected() -> None:
    disputed = after(close(), dispute())
    assert disputed.status is InvoiceStatus.DISPUTED
    assert INVOICE.decide(disputed, dispute()) == []
    assert INVOICE.decide(disputed, review(20)) == []
    assert INVOICE.fold(INVOICE.decide(disputed, pay("10.00")), disputed).status is InvoiceStatus.DISPUTED
    assert after(close(), dispute(), REJECT).status is InvoiceStatus.ISSUED
    assert after(close(), pay("1.00"), dispute(), REJECT).status is InvoiceStatus.PARTIALLY_PAID
    assert types(INVOICE.decide(after(close(), dispute(), REJECT), review(20)))[-1] is EntriesSuspended


def test_dispute_after_two_weeks_is_refused() -> None:
    refused(after(close()), dispute(at_days=15), "could be disputed until 2022-02-15")


@pytest.mark.parametrize(("command", "status"), [(VOID, InvoiceStatus.VOID), (WRITE_OFF, InvoiceStatus.WRITTEN_OFF)])
def test_two_persons_forgive_an_invoice(command: VoidInvoice | WriteOffInvoice, status: InvoiceStatus) -> None:
    forgiven = after(close(), command)
    assert forgiven.status is status
    assert INVOICE.decide(forgiven, command) == []
    assert after(close(with_a_gap()), command).status is status


@pytest.mark.parametrize(
    ("requested_by", "approved_by"), [("anna", "anna"), ("anna", " Anna"), ("", "ben"), ("anna", "")]
)
def test_one_person_alone_forgives_nothing(requested_by: str, approved_by: str) -> None:
    for command in (VOID, WRITE_OFF):
        alone = replace(command, requested_by=requested_by, approved_by=approved_by)
        refused(after(close()), alone, "two persons are needed")


@pytest.mark.parametrize("command", [APPROVE, pay("1"), dispute(), REJECT, VOID, WRITE_OFF])
def test_command_on_a_month_that_is_open_is_refused(command: BillingCommand) -> None:
    refused(Invoice(), command, "not closed yet")


@pytest.mark.parametrize("command", [dispute(), REJECT, VOID, WRITE_OFF])
def test_command_on_a_paid_invoice_is_refused(command: BillingCommand) -> None:
    refused(after(close(), pay("30.00")), command, "which is PAID")


def test_draft_that_was_voided_cannot_be_approved() -> None:
    refused(after(close(with_a_gap()), VOID), APPROVE, "which is VOID")


def agree(rate: str, effective_from: str, at_month: int = 1) -> AgreeTerms:
    return AgreeTerms(ACCOUNT, CLIENT, Decimal(rate), effective_from, on(at_month, 15))


def agreed(*commands: AgreeTerms) -> Any:
    terms = TERMS.initial
    for command in commands:
        terms = TERMS.fold(TERMS.decide(terms, command), terms)
    return terms


def test_rate_of_a_month_is_the_last_one_that_holds_from_it() -> None:
    terms = agreed(agree("0.30", "2022-01"), agree("0.25", "2022-04"))
    assert [terms.rate_in(month) for month in ("2022-01", "2022-03", "2022-04", "2023-01")] == [
        Decimal("0.30"),
        Decimal("0.30"),
        Decimal("0.25"),
        Decimal("0.25"),
    ]
    with pytest.raises(CommandRefused, match="no fee terms are agreed for 2021-12"):
        terms.rate_in("2021-12")


def test_terms_agreed_twice_are_recorded_once() -> None:
    assert TERMS.decide(agreed(agree("0.30", "2022-01")), agree("0.30", "2022-01")) == []


def test_same_rate_is_agreed_to_again_from_the_running_month() -> None:
    events = TERMS.decide(agreed(agree("0.30", "2021-11")), agree("0.30", "2022-01"))
    assert [(one.fee_rate, one.effective_from) for one in events] == [(Decimal("0.30"), "2022-01")]
    with pytest.raises(CommandRefused, match="must start after 2022-01"):
        TERMS.decide(agreed(agree("0.30", "2021-11")), agree("0.30", "2021-12"))
    with pytest.raises(CommandRefused, match="must start after 2022-05"):
        TERMS.decide(agreed(agree("0.30", "2022-05")), agree("0.30", "2022-01"))


@pytest.mark.parametrize("effective_from", ["2021-12", "2022-01"])
def test_change_of_terms_never_reaches_back(effective_from: str) -> None:
    with pytest.raises(CommandRefused, match="must start after 2022-01"):
        TERMS.decide(agreed(agree("0.30", "2021-11")), agree("0.10", effective_from))


@pytest.mark.parametrize("rate", ["-0.01", "1.01", "30"])
def test_rate_that_is_no_fraction_is_refused(rate: str) -> None:
    with pytest.raises(InvalidInput, match="fee_rate: expected a fraction"):
        TERMS.decide(TERMS.initial, agree(rate, "2022-01"))
