"""An invoice as its owner gets it: a JSON proof that the offline verifier checks, and a page that prints well."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from patriot.accounts.events import ledger_stream
from patriot.billing.decider import INVOICE, Invoice
from patriot.billing.effects import seal_of
from patriot.billing.events import (
    FeeAssessed,
    FeeRule,
    InvoiceStatus,
    LineKind,
    PeriodClosed,
    ReviewReason,
    period_stream,
    terms_stream,
)
from patriot.billing.period import period_end, preceding
from patriot.kernel.bus import decode_all
from patriot.kernel.errors import NotFound
from patriot.kernel.eventstore import Envelope, EventStore
from patriot.trading.terms import AccountId

PROOF_FORMATS = {FeeRule.LOTS: "patriot-invoice-proof/1", FeeRule.RESULT: "patriot-invoice-proof/2"}

STATUS_WORDS = {
    InvoiceStatus.DRAFT: "Draft: waits for a review, nothing is owed yet",
    InvoiceStatus.ISSUED: "Open",
    InvoiceStatus.PARTIALLY_PAID: "Paid in part",
    InvoiceStatus.PAID: "Paid",
    InvoiceStatus.OVERDUE: "Overdue",
    InvoiceStatus.DISPUTED: "Disputed: waits for a decision",
    InvoiceStatus.VOID: "Void: nothing is owed",
    InvoiceStatus.WRITTEN_OFF: "Written off: nothing is owed",
}


LINE_WORDS = {
    LineKind.PERFORMANCE: "Result above the highest one charged",
    LineKind.CORRECTION: "Correction, by what became known since",
    LineKind.CREDIT: "Credit of earlier corrections",
    LineKind.PERIOD_END: "Gain of a deposit above its mark",
    LineKind.REDEMPTION: "Gain of a deposit, withdrawn",
}
REVIEW_WORDS = {
    ReviewReason.UNEXPLAINED_MONEY: "money moved on the account and no record says why",
    ReviewReason.BOOKS_BEHIND: "nothing shows that the account's records are complete up to the period's end",
    ReviewReason.MARK_GAP: "the exchange's mark prices have a hole of more than ten minutes",
    ReviewReason.SAMPLE_GAP: "samples of the account's value are missing around the period's end",
    ReviewReason.LATE_TRANSFER: "a transfer of an earlier period became known late",
}


@dataclass(frozen=True, slots=True)
class Proof:
    """Every event that one invoice rests on: whole streams, from their first event on."""

    account_id: AccountId
    period: str
    terms: Sequence[Envelope]
    balance: Sequence[Envelope]
    months: tuple[tuple[str, Sequence[Envelope]], ...]

    @property
    def seal(self) -> str:
        """Return the hash that whoever published it can be held to."""
        return seal_of(self.months[-1][1])

    @property
    def closed(self) -> PeriodClosed:
        """Return the books of the month."""
        closed = decode_all(list(self.months[-1][1][:1]))[0]
        assert isinstance(closed, PeriodClosed)  # noqa: S101  the first event of every month's stream
        return closed

    @property
    def invoice(self) -> Invoice:
        """Return where the invoice stands."""
        return INVOICE.fold(decode_all(list(self.months[-1][1])))


async def load_proof(store: EventStore, account_id: AccountId, period: str) -> Proof:
    """Gather what an invoice rests on.

    Errors: NotFound if the account has no closed month of that name.
    """
    period_end(period)  # refuses what is not a month
    streams = [ledger_stream(account_id), terms_stream(account_id), period_stream(account_id, period)]
    balance, terms, month = await store.read_streams(streams)
    if not month:
        raise NotFound(f"no invoice of {period} for account {account_id}")
    closed = decode_all(month[:1])[0]
    months: list[tuple[str, Sequence[Envelope]]] = [(period, month)]
    while before := decode_all(list(months[0][1][:1]))[0].previous_close_hash:
        months.insert(0, await _month_sealed(store, account_id, months[0][0], before))
    sealed = [envelope.event_hash.hex() for envelope in terms].index(closed.terms_hash)
    return Proof(account_id, period, terms[: sealed + 1], balance[: closed.facts.last_version], tuple(months))


async def _month_sealed(
    store: EventStore, account_id: AccountId, period: str, seal: str
) -> tuple[str, Sequence[Envelope]]:
    """Return the month before one, which that one names by its seal."""
    name = preceding(period)
    events = await store.read_stream(period_stream(account_id, name))
    if not events or seal_of(events) != seal:
        raise NotFound(f"month {name} of account {account_id} is not the one that {period} was closed on")
    return name, events


def proof_document(proof: Proof) -> bytes:
    """Return the proof as JSON that has one way to be written: sorted keys, no spaces, one line."""
    invoice = proof.invoice
    named = invoice.issued or invoice.draft
    document = {
        "format": PROOF_FORMATS[proof.closed.rule],
        "account_id": str(proof.account_id),
        "period": proof.period,
        "invoice": next(json.loads(e.data) for e in reversed(proof.months[-1][1]) if decode_all([e])[0] == named),
        "terms": [_event(envelope) for envelope in proof.terms],
        "balance": [_event(envelope) for envelope in proof.balance],
        "months": [{"period": name, "events": [_event(e) for e in events]} for name, events in proof.months],
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n"


async def export_invoice(store: EventStore, account_id: AccountId, period: str) -> bytes:
    """Return the proof of one invoice, for `verify_invoice.py`.

    Errors: NotFound if the account has no closed month of that name.
    """
    return proof_document(await load_proof(store, account_id, period))


async def invoice_page(store: EventStore, account_id: AccountId, period: str) -> str:
    """Return one invoice as a page of HTML that needs nothing else and fits A4 paper.

    Errors: NotFound if the account has no closed month of that name.
    """
    proof = await load_proof(store, account_id, period)
    closed, invoice = proof.closed, proof.invoice
    named = invoice.issued or invoice.draft
    assessed = decode_all(list(proof.months[-1][1][1:2]))[0]
    assert isinstance(assessed, FeeAssessed)  # noqa: S101  the second event of every month's stream
    page: str = _template().render(
        closed=closed,
        invoice=invoice,
        named=named,
        fee_rate=f"{assessed.fee_rate * 100:f}".rstrip("0").rstrip("."),
        status=STATUS_WORDS[invoice.status or InvoiceStatus.DRAFT],
        seal=proof.seal,
        by_lots=closed.rule is FeeRule.LOTS,
        what=LINE_WORDS,
        why=REVIEW_WORDS,
    )
    return page


def _event(envelope: Envelope) -> dict[str, Any]:
    """Write what the hash covers, as the hash covers it; nothing else, so that nothing in the file goes unchecked."""
    context = envelope.context
    return {
        "stream_type": envelope.stream.stream_type,
        "stream_id": str(envelope.stream.stream_id),
        "stream_version": envelope.stream_version,
        "event_id": str(envelope.event_id),
        "event_type": envelope.event_type,
        "schema_version": envelope.schema_version,
        "occurred_at": envelope.occurred_at.astimezone(UTC).isoformat(timespec="microseconds"),
        "correlation_id": str(context.correlation_id),
        "causation_id": str(context.causation_id or ""),
        "user_id": str(context.user_id or ""),
        "account_id": str(context.account_id or ""),
        "actor_type": context.actor.type.value,
        "actor_id": context.actor.id,
        "data": envelope.data,
        "previous_hash": envelope.previous_hash.hex(),
        "event_hash": envelope.event_hash.hex(),
    }


@cache
def _template() -> Any:
    environment = Environment(
        loader=PackageLoader("patriot.billing", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters.update(amount=_amount, day=_day, time=_time)
    return environment.get_template("invoice.html")


def _amount(value: Decimal) -> str:
    return f"{value:,.2f}"


def _day(moment: datetime) -> str:
    return f"{moment:%d %B %Y}"


def _time(moment: datetime) -> str:
    return f"{moment:%d %B %Y, %H:%M} UTC"
