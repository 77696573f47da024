"""Facts of fees: the terms of an account (stream type BILLING_TERMS) and each closed month (BILLING).

A month's stream opens from the books that the month before left in its `PeriodClosed`; it never reads further back.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, localcontext
from enum import StrEnum
from typing import Any
from uuid import UUID

from patriot.kernel.codec import EVENTS, event
from patriot.kernel.eventstore import StreamKey
from patriot.kernel.ids import derived_id
from patriot.kernel.money import EXACT, ZERO, plain
from patriot.trading.terms import AccountId, UserId

STREAM_TYPE = "BILLING"  # one stream per account and month
TERMS_STREAM_TYPE = "BILLING_TERMS"  # stream id: the account id


def period_stream(account_id: AccountId, period: str) -> StreamKey:
    """Return the stream of one account's month, such as "2022-01"."""
    return StreamKey(STREAM_TYPE, derived_id("billing", account_id, period))


def terms_stream(account_id: AccountId) -> StreamKey:
    """Return the stream of an account's terms."""
    return StreamKey(TERMS_STREAM_TYPE, account_id)


class FeeRule(StrEnum):
    """How a month was closed."""

    RESULT = "RESULT"  # the trading result above the highest one charged: ADR 18
    LOTS = "LOTS"  # the NAV of each deposit above its mark: ADR 7, until then


class LineKind(StrEnum):
    """What a line of an invoice is for. The last two are of months that were closed by the rule of ADR 7, by lots."""

    PERFORMANCE = "PERFORMANCE"
    CORRECTION = "CORRECTION"  # of an earlier month, by what became known since
    CREDIT = "CREDIT"  # that earlier corrections left over
    PERIOD_END = "PERIOD_END"
    REDEMPTION = "REDEMPTION"


class ReviewReason(StrEnum):
    """Why a person looks at an invoice before it goes out. The last two are of the rule of ADR 7."""

    UNEXPLAINED_MONEY = "UNEXPLAINED_MONEY"
    BOOKS_BEHIND = "BOOKS_BEHIND"  # nothing shows that the account's books are complete up to the cut
    MARK_GAP = "MARK_GAP"
    SAMPLE_GAP = "SAMPLE_GAP"
    LATE_TRANSFER = "LATE_TRANSFER"


class InvoiceStatus(StrEnum):
    """Where an invoice stands. A statement (total 0) is PAID from the start."""

    DRAFT = "DRAFT"
    ISSUED = "ISSUED"
    PARTIALLY_PAID = "PARTIALLY_PAID"
    PAID = "PAID"
    OVERDUE = "OVERDUE"
    DISPUTED = "DISPUTED"
    VOID = "VOID"
    WRITTEN_OFF = "WRITTEN_OFF"


@dataclass(frozen=True, slots=True)
class FeeLine:
    """What is owed for one month: fee = rate x what `counted_result` stands above `high_before`, see ADR 18.

    A correction and a credit say of which month and how much; their other figures are those that hold now.
    """

    kind: LineKind
    period: str
    counted_result: Decimal  # R_c
    high_before: Decimal  # H, the highest result charged so far
    fee_rate: Decimal
    fee: Decimal


@dataclass(frozen=True, slots=True)
class MarkSeries:
    """Mark prices of a symbol as the exchange publishes them: the open of the minute, each five minutes.

    None where the exchange has none.
    """

    symbol: str
    first_at: datetime
    prices: tuple[Decimal | None, ...]


@dataclass(frozen=True, slots=True)
class EventRange:
    """The part of the account's BALANCE stream that a month was computed from, and the chain's hash at its end."""

    first_version: int
    last_version: int
    first_event_id: UUID
    last_event_id: UUID
    head_hash: str


@event("billing.terms_agreed")
@dataclass(frozen=True, slots=True)
class TermsAgreed:
    """The client signed this rate (a fraction of profit); it holds from the period named, until the next terms."""

    account_id: AccountId
    user_id: UserId
    fee_rate: Decimal
    effective_from: str
    agreed_at: datetime


TermsEvent = TermsAgreed


@event("billing.period_closed", version=2)
@dataclass(frozen=True, slots=True)
class PeriodClosed:
    """One month of one account: its trading result at the cut, and what of it is charged.

    Units: quote asset. Results count from `begins_at`. `counted_result` is the lower of the result at the cut and of
    its mean since `window_start`; `high_after` the highest one counted so far, at least 0. `fees` is what all months
    up to this one owe, not rounded: the invoices' sum is that, rounded once. `terms_hash` and `previous_close_hash`
    seal the terms and the month before: whoever knows the hash of this month's invoice can check everything under it.
    """

    account_id: AccountId
    user_id: UserId
    period: str
    rule: FeeRule
    asset: str
    final: bool  # the account's record ends here: it is unlinked, or a replay ends
    begins_at: datetime
    window_start: datetime
    period_end: datetime  # the cut
    result_at_cut: Decimal
    mean_result: Decimal
    counted_result: Decimal
    high_before: Decimal
    high_after: Decimal
    fees: Decimal
    credit_before: Decimal
    credit_after: Decimal
    marks: tuple[MarkSeries, ...]
    largest_gap_seconds: int
    review_reasons: tuple[ReviewReason, ...]
    facts: EventRange
    terms_hash: str
    previous_close_hash: str  # empty for the first month
    closed_at: datetime


@event("billing.fee_assessed", version=2)
@dataclass(frozen=True, slots=True)
class FeeAssessed:
    account_id: AccountId
    user_id: UserId
    period: str
    fee_rate: Decimal
    lines: tuple[FeeLine, ...]
    fee_amount: Decimal  # sum of the lines
    assessed_at: datetime


@event("billing.invoice_drafted", version=2)
@dataclass(frozen=True, slots=True)
class InvoiceDrafted:
    """The fee is computed, and a person must approve it before it is owed."""

    account_id: AccountId
    user_id: UserId
    period: str
    number: str
    asset: str
    fee_rate: Decimal
    lines: tuple[FeeLine, ...]
    total: Decimal
    review_reasons: tuple[ReviewReason, ...]
    drafted_at: datetime


@event("billing.invoice_issued", version=2)
@dataclass(frozen=True, slots=True)
class InvoiceIssued:
    """The client owes `total` by `due_at`; with a total of 0 it is a statement."""

    account_id: AccountId
    user_id: UserId
    period: str
    number: str
    asset: str
    fee_rate: Decimal
    lines: tuple[FeeLine, ...]
    total: Decimal
    approved_by: str  # empty unless a draft had to be approved
    issued_at: datetime
    due_at: datetime


@event("billing.payment_recorded")
@dataclass(frozen=True, slots=True)
class PaymentRecorded:
    """Money for an invoice arrived outside PATRIOT."""

    account_id: AccountId
    user_id: UserId
    period: str
    number: str
    reference: str  # the payer's or the bank's: recorded once
    amount: Decimal
    outstanding: Decimal  # still owed after this payment
    paid_at: datetime


@event("billing.invoice_reminded")
@dataclass(frozen=True, slots=True)
class InvoiceReminded:
    account_id: AccountId
    user_id: UserId
    period: str
    number: str
    days_from_due: int  # negative: before
    reminded_at: datetime


@event("billing.invoice_overdue")
@dataclass(frozen=True, slots=True)
class InvoiceOverdue:
    account_id: AccountId
    user_id: UserId
    period: str
    number: str
    outstanding: Decimal
    overdue_at: datetime


@event("billing.entries_suspended")
@dataclass(frozen=True, slots=True)
class EntriesSuspended:
    """The invoice is so long overdue that the account opens nothing new until it is settled; its exits run."""

    account_id: AccountId
    user_id: UserId
    period: str
    number: str
    suspended_at: datetime


@event("billing.invoice_disputed")
@dataclass(frozen=True, slots=True)
class InvoiceDisputed:
    account_id: AccountId
    user_id: UserId
    period: str
    number: str
    reason: str
    disputed_at: datetime


@event("billing.dispute_rejected")
@dataclass(frozen=True, slots=True)
class DisputeRejected:
    account_id: AccountId
    user_id: UserId
    period: str
    number: str
    decided_by: str
    rejected_at: datetime


@event("billing.invoice_voided")
@dataclass(frozen=True, slots=True)
class InvoiceVoided:
    account_id: AccountId
    user_id: UserId
    period: str
    number: str
    reason: str
    requested_by: str
    approved_by: str
    voided_at: datetime


@event("billing.invoice_written_off")
@dataclass(frozen=True, slots=True)
class InvoiceWrittenOff:
    account_id: AccountId
    user_id: UserId
    period: str
    number: str
    reason: str
    requested_by: str
    approved_by: str
    written_off_at: datetime


@EVENTS.upcast("billing.period_closed", 1)
def _by_lots(fields: dict[str, Any]) -> dict[str, Any]:
    """Let a month that was closed by lots open the new books: what its lots stood below their marks is still a loss."""
    nav = Decimal(fields["crystallization_nav"] or 0)
    with localcontext(EXACT):
        below = sum(
            (Decimal(lot["units"]) * max(ZERO, Decimal(lot["high_water_mark"]) - nav) for lot in fields["lots_after"]),
            ZERO,
        )
    kept = {
        key: fields[key]
        for key in ("account_id", "user_id", "period", "asset", "final", "window_start", "period_end", "facts")
    }
    nothing = dict.fromkeys(
        ("result_at_cut", "mean_result", "counted_result", "high_before", "fees", "credit_before", "credit_after"), "0"
    )
    return {
        **kept,
        **nothing,
        "rule": FeeRule.LOTS.value,
        "begins_at": fields["period_end"],
        "high_after": plain(below),
        "marks": [],
        "largest_gap_seconds": fields["largest_gap_seconds"],
        "review_reasons": fields["review_reasons"],
        "terms_hash": fields["terms_hash"],
        "previous_close_hash": fields["previous_close_hash"],
        "closed_at": fields["closed_at"],
    }


@EVENTS.upcast("billing.fee_assessed", 1)
@EVENTS.upcast("billing.invoice_drafted", 1)
@EVENTS.upcast("billing.invoice_issued", 1)
def _lines_of_lots(fields: dict[str, Any]) -> dict[str, Any]:
    """Show a lot's line by its worth and its mark, both of all its units."""
    with localcontext(EXACT):
        lines = [
            {
                "kind": line["kind"],
                "period": fields["period"],
                "counted_result": plain(Decimal(line["units"]) * Decimal(line["nav"])),
                "high_before": plain(Decimal(line["units"]) * Decimal(line["high_water_mark"])),
                "fee_rate": fields["fee_rate"],
                "fee": line["fee"],
            }
            for line in fields["lines"]
        ]
    return {**fields, "lines": lines}


BillingEvent = (
    PeriodClosed
    | FeeAssessed
    | InvoiceDrafted
    | InvoiceIssued
    | PaymentRecorded
    | InvoiceReminded
    | InvoiceOverdue
    | EntriesSuspended
    | InvoiceDisputed
    | DisputeRejected
    | InvoiceVoided
    | InvoiceWrittenOff
)
