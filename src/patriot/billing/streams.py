"""How billing's commands reach their streams."""

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
from patriot.billing.decider import INVOICE, TERMS
from patriot.billing.events import period_stream, terms_stream
from patriot.kernel.bus import CommandBus, Handler


def register(bus: CommandBus) -> None:
    """Give the bus a handler for every command of billing."""
    terms: Handler[AgreeTerms] = Handler(lambda c: terms_stream(c.account_id), TERMS, occurred_at=lambda c: c.at)
    bus.handle(AgreeTerms, terms)
    invoice: Handler[BillingCommand] = Handler(
        lambda c: period_stream(c.account_id, c.period), INVOICE, occurred_at=lambda c: c.at
    )
    for command_type in (
        ClosePeriod,
        ApproveDraft,
        RecordPayment,
        ReviewPayment,
        DisputeInvoice,
        RejectDispute,
        VoidInvoice,
        WriteOffInvoice,
    ):
        bus.handle(command_type, invoice)
