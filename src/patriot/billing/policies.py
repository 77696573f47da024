"""An invoice far overdue stops an account's new entries, never its exits; settling it lets them go on."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from patriot.billing.events import (
    EntriesSuspended,
    InvoiceDisputed,
    InvoiceVoided,
    InvoiceWrittenOff,
    PaymentRecorded,
)
from patriot.risk.commands import HaltCommand, HaltTrading, ResumeTrading
from patriot.risk.events import HaltLevel, ReasonCode, Scope
from patriot.trading.terms import AccountId

EVENT_TYPES = frozenset(
    {
        "billing.entries_suspended",
        "billing.payment_recorded",
        "billing.invoice_disputed",
        "billing.invoice_voided",
        "billing.invoice_written_off",
    }
)


@dataclass(frozen=True, slots=True)
class Suspensions:
    """The invoices (account, number) that hold entries back."""

    invoices: frozenset[tuple[AccountId, str]] = frozenset()

    def after(self, event: Any) -> "Suspensions":
        """Return the state with one more event of the log in it."""
        match event:
            case EntriesSuspended():
                return replace(self, invoices=self.invoices | {(event.account_id, event.number)})
            case _ if (settled := _settled_by(event)) is not None:
                return replace(self, invoices=self.invoices - {settled[0]})
            case _:
                return self


def halt_overdue(state: Suspensions, event: Any) -> list[HaltCommand]:
    """Return the halt or the release that an event calls for; `state` holds everything before the event."""
    reason = ReasonCode.FEE_OVERDUE
    match event:
        case EntriesSuspended():
            reference = str(event.account_id)
            return [HaltTrading(Scope.ACCOUNT, reference, HaltLevel.H1, reason, event.suspended_at)]
        case _ if (settled := _settled_by(event)) is not None:
            invoice, at = settled
            others = {other for other in state.invoices - {invoice} if other[0] == invoice[0]}
            if invoice in state.invoices and not others:
                return [ResumeTrading(Scope.ACCOUNT, str(invoice[0]), reason, at)]
            return []
        case _:
            return []


def _settled_by(event: Any) -> tuple[tuple[AccountId, str], datetime] | None:
    match event:
        case PaymentRecorded() if not event.outstanding:
            return (event.account_id, event.number), event.paid_at
        case InvoiceDisputed():
            return (event.account_id, event.number), event.disputed_at
        case InvoiceVoided():
            return (event.account_id, event.number), event.voided_at
        case InvoiceWrittenOff():
            return (event.account_id, event.number), event.written_off_at
        case _:
            return None
