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
    InvoiceStatus,
    LineKind,
    PeriodClosed,
    period_stream,
    terms_stream,
)
from patriot.billing.nav import facts_of
from patriot.billing.period import following, period_end, period_of
from patriot.kernel.bus import decode_all
from patriot.kernel.errors import NotFound
from patriot.kernel.eventstore import Envelope, EventStore
from patriot.kernel.money import plain
from patriot.trading.terms import AccountId

PROOF_FORMAT = "patriot-invoice-proof/1"
SHOWN_PLACES = 6  # decimals of units and NAV on the page; the proof has all 18

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
    known = balance[: closed.facts.last_version]
    facts = facts_of((e.stream_version, event) for e, event in zip(known, decode_all(known), strict=True))
    names = [period_of(facts.samples[0].at)]
    while names[-1] != period:
        names.append(following(names[-1]))
    months = await store.read_streams([period_stream(account_id, name) for name in names])
    sealed = [envelope.event_hash.hex() for envelope in terms].index(closed.terms_hash)
    return Proof(account_id, period, terms[: sealed + 1], known, tuple(zip(names, months, strict=True)))


def proof_document(proof: Proof) -> bytes:
    """Return the proof as JSON that has one way to be written: sorted keys, no spaces, one line."""
    invoice = proof.invoice
    named = invoice.issued or invoice.draft
    document = {
        "format": PROOF_FORMAT,
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
        result=closed.closing_equity - closed.opening_equity - closed.net_deposits,
        seal=proof.seal,
        redemption=LineKind.REDEMPTION,
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
    environment.filters.update(amount=_amount, units=_units, day=_day, time=_time)
    return environment.get_template("invoice.html")


def _amount(value: Decimal) -> str:
    return f"{value:,.2f}"


def _units(value: Decimal) -> str:
    return plain(round(value, SHOWN_PLACES))


def _day(moment: datetime) -> str:
    return f"{moment:%d %B %Y}"


def _time(moment: datetime) -> str:
    return f"{moment:%d %B %Y, %H:%M} UTC"
