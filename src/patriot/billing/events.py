"""Facts of fees: the terms of an account (stream type BILLING_TERMS) and each closed month (BILLING).

A month's stream opens from the books that the month before left in its `PeriodClosed`; it never reads further back.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from patriot.kernel.codec import event
from patriot.kernel.eventstore import StreamKey
from patriot.kernel.ids import derived_id
from patriot.trading.terms import AccountId, UserId

STREAM_TYPE = "BILLING"  # one stream per account and month
TERMS_STREAM_TYPE = "BILLING_TERMS"  # stream id: the account id


def period_stream(account_id: AccountId, period: str) -> StreamKey:
    """Return the stream of one account's month, such as "2022-01"."""
    return StreamKey(STREAM_TYPE, derived_id("billing", account_id, period))


def terms_stream(account_id: AccountId) -> StreamKey:
    """Return the stream of an account's terms."""
    return StreamKey(TERMS_STREAM_TYPE, account_id)


class LineKind(StrEnum):
    """What made a lot's gain due."""

    PERIOD_END = "PERIOD_END"
    REDEMPTION = "REDEMPTION"


class ReviewReason(StrEnum):
    """Why a person looks at an invoice before it goes out."""

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
class Lot:
    """Units bought by one deposit. `high_water_mark` is the highest NAV per unit that a fee was charged for."""

    number: int  # 1, 2, ... over the account's life
    opened_at: datetime
    units: Decimal
    high_water_mark: Decimal  # quote asset per unit


@dataclass(frozen=True, slots=True)
class FeeLine:
    """The fee on one lot: rate x units x max(0, nav - high_water_mark), rounded once to the cent."""

    kind: LineKind
    lot: int
    at: datetime
    units: Decimal
    high_water_mark: Decimal
    nav: Decimal
    fee: Decimal


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


@event("billing.period_closed")
@dataclass(frozen=True, slots=True)
class PeriodClosed:
    """The books of one month. `lots_after`, `series`, `lots_opened` and `unsettled_flows` open the next one.

    Units: quote asset; NAV and marks in quote asset per unit. `crystallization_nav` is None when no unit was out.
    `terms_hash` and `previous_close_hash` seal the terms and the month before: whoever knows the hash of this month's
    invoice can check everything under it.
    """

    account_id: AccountId
    user_id: UserId
    period: str
    asset: str
    final: bool  # the account's record ends here (unlinked, end of a replay): the window is cut at `closed_at`
    period_end: datetime
    window_start: datetime
    window_end: datetime
    opening_equity: Decimal
    closing_equity: Decimal
    net_deposits: Decimal
    crystallization_nav: Decimal | None
    largest_gap_seconds: int
    review_reasons: tuple[ReviewReason, ...]
    lots_before: tuple[Lot, ...]
    lots_after: tuple[Lot, ...]
    lots_opened: int
    series: int
    unsettled_flows: tuple[int, ...]  # versions of transfers that no sample before the period's end contains
    facts: EventRange
    terms_hash: str
    previous_close_hash: str  # empty for the first month
    closed_at: datetime


@event("billing.fee_assessed")
@dataclass(frozen=True, slots=True)
class FeeAssessed:
    account_id: AccountId
    user_id: UserId
    period: str
    fee_rate: Decimal
    lines: tuple[FeeLine, ...]
    fee_amount: Decimal  # sum of the lines
    assessed_at: datetime


@event("billing.invoice_drafted")
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


@event("billing.invoice_issued")
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
