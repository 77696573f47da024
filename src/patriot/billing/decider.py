"""The terms of one account, and the life of one month's invoice. Pure: what was computed and the time arrive inside.

A month is closed by one append (books, fee, invoice), so that no crash can come between them.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import assert_never

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
from patriot.billing.events import (
    BillingEvent,
    DisputeRejected,
    EntriesSuspended,
    FeeAssessed,
    FeeRule,
    InvoiceDisputed,
    InvoiceDrafted,
    InvoiceIssued,
    InvoiceOverdue,
    InvoiceReminded,
    InvoiceStatus,
    InvoiceVoided,
    InvoiceWrittenOff,
    PaymentRecorded,
    PeriodClosed,
    TermsAgreed,
    TermsEvent,
    period_stream,
)
from patriot.billing.period import period_end, period_of, period_start
from patriot.kernel.aggregate import Decider
from patriot.kernel.errors import CommandRefused, InvalidInput
from patriot.kernel.money import ZERO, plain
from patriot.kernel.two_persons import require_two_persons
from patriot.trading.terms import AccountId, UserId

PAYMENT_TERM = timedelta(days=14)
DISPUTE_TERM = timedelta(days=14)  # after the issue
SUSPENSION_GRACE = timedelta(days=14)  # overdue this long: no new entries
REMINDER_DAYS = (-3, 0, 3, 7, 14)  # from the due date
OPEN = (InvoiceStatus.ISSUED, InvoiceStatus.PARTIALLY_PAID, InvoiceStatus.OVERDUE)
CLOSED = (InvoiceStatus.PAID, InvoiceStatus.VOID, InvoiceStatus.WRITTEN_OFF)


# ---- terms


@dataclass(frozen=True, slots=True)
class Terms:
    """Every rate ever agreed, ascending by the month it holds from."""

    agreed: tuple[TermsAgreed, ...] = ()

    @property
    def begin_at(self) -> datetime:
        """Return from when the trading result counts: never before the client agreed. Errors: IndexError if never."""
        first = self.agreed[0]
        return max(first.agreed_at, period_start(first.effective_from))

    def rate_in(self, period: str) -> Decimal:
        """Return the rate of a month. Errors: CommandRefused if no terms held yet."""
        for terms in reversed(self.agreed):
            if terms.effective_from <= period:
                return terms.fee_rate
        raise CommandRefused(f"no fee terms are agreed for {period}")


def decide_terms(terms: Terms, command: AgreeTerms) -> list[TermsEvent]:
    """Accept a rate: the first from any month, another from a month that has not begun, the same also from this one."""
    if not 0 <= command.fee_rate <= 1:
        raise InvalidInput("fee_rate", f"expected a fraction from 0 to 1, found {command.fee_rate}")
    period_end(command.effective_from)  # refuses what is not a month
    last = terms.agreed[-1] if terms.agreed else None
    if last and (last.fee_rate, last.effective_from) == (command.fee_rate, command.effective_from):
        return []
    earliest = max(period_of(command.at), last.effective_from) if last else ""
    renewed = last is not None and last.fee_rate == command.fee_rate and last.effective_from < command.effective_from
    if command.effective_from <= earliest and not (renewed and command.effective_from == period_of(command.at)):
        raise CommandRefused(f"a change of terms must start after {earliest}, found {command.effective_from}")
    agreed = TermsAgreed(
        command.account_id, command.user_id, command.fee_rate, command.effective_from, agreed_at=command.at
    )
    return [agreed]


def evolve_terms(terms: Terms, event: TermsEvent) -> Terms:
    """Add what was agreed."""
    return Terms((*terms.agreed, event))


TERMS = Decider(initial=Terms(), decide=decide_terms, evolve=evolve_terms)


# ---- invoice


@dataclass(frozen=True, slots=True)
class Invoice:
    status: InvoiceStatus | None = None  # None: the month is open
    draft: InvoiceDrafted | None = None
    issued: InvoiceIssued | None = None
    payments: tuple[PaymentRecorded, ...] = ()
    outstanding: Decimal = ZERO
    last_reminder: int | None = None  # days from the due date
    suspended: bool = False


def invoice_number(account_id: AccountId, period: str) -> str:
    """Return the number of an account's invoice for a month: the same one whoever computes it."""
    return f"{period}-{period_stream(account_id, period).stream_id.hex[-12:].upper()}"


def decide(invoice: Invoice, command: BillingCommand) -> list[BillingEvent]:
    """Close the month once, then follow the money."""
    match command:
        case ClosePeriod():
            return [] if invoice.status else _close(command)
        case ApproveDraft():
            return _approve(invoice, command)
        case RecordPayment():
            return _pay(invoice, command)
        case ReviewPayment():
            return _review(invoice, command.at)
        case DisputeInvoice():
            return _dispute(invoice, command)
        case RejectDispute():
            return _reject_dispute(invoice, command)
        case VoidInvoice() | WriteOffInvoice():
            return _forgive(invoice, command)
        case _:
            assert_never(command)


def _close(c: ClosePeriod) -> list[BillingEvent]:
    a = c.assessment
    number, rate = invoice_number(c.account_id, c.period), a.cut.fee_rate
    closed = PeriodClosed(
        account_id=c.account_id,
        user_id=c.user_id,
        period=c.period,
        rule=FeeRule.RESULT,
        asset=a.asset,
        final=a.final,
        begins_at=a.cut.begins_at,
        window_start=a.cut.window_start,
        period_end=a.cut.at,
        result_at_cut=a.result.at_cut,
        mean_result=a.result.mean,
        counted_result=a.result.counted,
        high_before=a.high_before,
        high_after=a.standing.high,
        fees=a.standing.fees,
        credit_before=a.credit_before,
        credit_after=a.credit_after,
        marks=a.marks,
        largest_gap_seconds=a.result.largest_gap // timedelta(seconds=1),
        review_reasons=a.review_reasons,
        facts=c.facts,
        terms_hash=c.terms_hash,
        previous_close_hash=c.previous_close_hash,
        closed_at=c.at,
    )
    assessed = FeeAssessed(c.account_id, c.user_id, c.period, rate, a.lines, a.fee_amount, c.at)
    drafted = InvoiceDrafted(
        c.account_id, c.user_id, c.period, number, a.asset, rate, a.lines, a.fee_amount, a.review_reasons, c.at
    )
    return [closed, assessed, drafted if a.review_reasons else _issue(drafted, c.at, approved_by="")]


def _issue(draft: InvoiceDrafted, at: datetime, approved_by: str) -> InvoiceIssued:
    return InvoiceIssued(
        draft.account_id,
        draft.user_id,
        draft.period,
        draft.number,
        draft.asset,
        draft.fee_rate,
        draft.lines,
        draft.total,
        approved_by,
        issued_at=at,
        due_at=at + PAYMENT_TERM,
    )


def _approve(invoice: Invoice, c: ApproveDraft) -> list[BillingEvent]:
    if invoice.issued is not None:
        return []
    if invoice.draft is None or invoice.status is not InvoiceStatus.DRAFT:
        raise _refused(c, invoice)
    return [_issue(invoice.draft, c.at, c.approved_by)]


def _pay(invoice: Invoice, c: RecordPayment) -> list[BillingEvent]:
    for payment in invoice.payments:
        if payment.reference == c.reference:
            if payment.amount == c.amount:
                return []  # the same transfer, reported again
            raise CommandRefused(f"payment {c.reference} is recorded with {plain(payment.amount)} already")
    issued = invoice.issued
    if issued is None or invoice.status not in (*OPEN, InvoiceStatus.DISPUTED):
        raise _refused(c, invoice)
    if not 0 < c.amount <= invoice.outstanding:
        raise CommandRefused(f"expected a payment up to {plain(invoice.outstanding)}, found {plain(c.amount)}")
    left = invoice.outstanding - c.amount
    return [PaymentRecorded(*_name(issued), c.reference, c.amount, outstanding=left, paid_at=c.at)]


def _review(invoice: Invoice, at: datetime) -> list[BillingEvent]:
    issued = invoice.issued
    if issued is None or invoice.status not in OPEN:
        return []
    events: list[BillingEvent] = []
    reached = [days for days in REMINDER_DAYS if at >= issued.due_at + timedelta(days=days)]
    if reached and (invoice.last_reminder is None or reached[-1] > invoice.last_reminder):
        events.append(InvoiceReminded(*_name(issued), days_from_due=reached[-1], reminded_at=at))
    if at > issued.due_at and invoice.status is not InvoiceStatus.OVERDUE:
        events.append(InvoiceOverdue(*_name(issued), outstanding=invoice.outstanding, overdue_at=at))
    if at >= issued.due_at + SUSPENSION_GRACE and not invoice.suspended:
        events.append(EntriesSuspended(*_name(issued), suspended_at=at))
    return events


def _dispute(invoice: Invoice, c: DisputeInvoice) -> list[BillingEvent]:
    issued = invoice.issued
    if issued is not None and invoice.status is InvoiceStatus.DISPUTED:
        return []
    if issued is None or invoice.status not in OPEN:
        raise _refused(c, invoice)
    if c.at > issued.issued_at + DISPUTE_TERM:
        raise CommandRefused(f"invoice {issued.number} could be disputed until {issued.issued_at + DISPUTE_TERM}")
    return [InvoiceDisputed(*_name(issued), c.reason, c.at)]


def _reject_dispute(invoice: Invoice, c: RejectDispute) -> list[BillingEvent]:
    if invoice.issued is None or invoice.status is not InvoiceStatus.DISPUTED:
        raise _refused(c, invoice)
    return [DisputeRejected(*_name(invoice.issued), c.decided_by, c.at)]


def _forgive(invoice: Invoice, c: VoidInvoice | WriteOffInvoice) -> list[BillingEvent]:
    named = invoice.issued or invoice.draft
    done = InvoiceStatus.VOID if isinstance(c, VoidInvoice) else InvoiceStatus.WRITTEN_OFF
    if invoice.status is done:
        return []
    if named is None or invoice.status in CLOSED:
        raise _refused(c, invoice)
    require_two_persons(c.requested_by, c.approved_by)
    event = InvoiceVoided if isinstance(c, VoidInvoice) else InvoiceWrittenOff
    return [event(*_name(named), c.reason, c.requested_by, c.approved_by, c.at)]


def _name(invoice: InvoiceIssued | InvoiceDrafted) -> tuple[AccountId, UserId, str, str]:
    return invoice.account_id, invoice.user_id, invoice.period, invoice.number


def _refused(command: BillingCommand, invoice: Invoice) -> CommandRefused:
    status = invoice.status.value if invoice.status else "not closed yet"
    return CommandRefused(f"{type(command).__name__} on invoice {command.period}, which is {status}")


def evolve(invoice: Invoice, event: BillingEvent) -> Invoice:
    """Apply one fact."""
    match event:
        case PeriodClosed() | FeeAssessed():
            return invoice
        case InvoiceDrafted():
            return replace(invoice, status=InvoiceStatus.DRAFT, draft=event)
        case InvoiceIssued():
            status = InvoiceStatus.ISSUED if event.total else InvoiceStatus.PAID
            return replace(invoice, status=status, issued=event, outstanding=event.total)
        case PaymentRecorded():
            payments = (*invoice.payments, event)
            status = status_after(invoice.status, event)
            return replace(invoice, status=status, payments=payments, outstanding=event.outstanding)
        case InvoiceReminded():
            return replace(invoice, last_reminder=event.days_from_due)
        case InvoiceOverdue():
            return replace(invoice, status=InvoiceStatus.OVERDUE)
        case EntriesSuspended():
            return replace(invoice, suspended=True)
        case InvoiceDisputed():
            return replace(invoice, status=InvoiceStatus.DISPUTED, suspended=False)
        case DisputeRejected():
            status = InvoiceStatus.PARTIALLY_PAID if invoice.payments else InvoiceStatus.ISSUED
            return replace(invoice, status=status)
        case InvoiceVoided():
            return replace(invoice, status=InvoiceStatus.VOID)
        case InvoiceWrittenOff():
            return replace(invoice, status=InvoiceStatus.WRITTEN_OFF)
        case _:
            assert_never(event)


def status_after(status: InvoiceStatus | None, payment: PaymentRecorded) -> InvoiceStatus:
    """Return where an invoice stands after a payment: a part of it ends neither a dispute nor a delay."""
    if not payment.outstanding:
        return InvoiceStatus.PAID
    if status in (InvoiceStatus.OVERDUE, InvoiceStatus.DISPUTED):
        return status
    return InvoiceStatus.PARTIALLY_PAID


INVOICE = Decider(initial=Invoice(), decide=decide, evolve=evolve)
