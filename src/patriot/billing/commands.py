"""Wishes about terms and invoices. Amounts in the account's quote asset; rates are fractions."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from patriot.billing.assessment import Assessment
from patriot.billing.events import EventRange
from patriot.trading.terms import AccountId, UserId


@dataclass(frozen=True, slots=True)
class AgreeTerms:
    """The client consents to a rate. A change holds from a later month than the one it is agreed in."""

    account_id: AccountId
    user_id: UserId
    fee_rate: Decimal
    effective_from: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ClosePeriod:
    """Book one month, computed by `assessment.assess` from the events of `facts`."""

    account_id: AccountId
    user_id: UserId
    assessment: Assessment
    facts: EventRange
    terms_hash: str
    previous_close_hash: str
    at: datetime

    @property
    def period(self) -> str:
        """Return the month that is closed."""
        return self.assessment.cut.period


@dataclass(frozen=True, slots=True)
class ApproveDraft:
    account_id: AccountId
    period: str
    approved_by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class RecordPayment:
    account_id: AccountId
    period: str
    reference: str
    amount: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class ReviewPayment:
    """Look at an open invoice: is a reminder due, is it overdue? Asked by the scheduler, as often as it likes."""

    account_id: AccountId
    period: str
    at: datetime


@dataclass(frozen=True, slots=True)
class DisputeInvoice:
    account_id: AccountId
    period: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class RejectDispute:
    account_id: AccountId
    period: str
    decided_by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class VoidInvoice:
    account_id: AccountId
    period: str
    reason: str
    requested_by: str
    approved_by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class WriteOffInvoice:
    account_id: AccountId
    period: str
    reason: str
    requested_by: str
    approved_by: str
    at: datetime


BillingCommand = (
    ClosePeriod
    | ApproveDraft
    | RecordPayment
    | ReviewPayment
    | DisputeInvoice
    | RejectDispute
    | VoidInvoice
    | WriteOffInvoice
)
