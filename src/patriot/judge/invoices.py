"""Exports every invoice of a log and has each file checked by the offline verifier, as a client's accountant would."""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from patriot.billing.documents import export_invoice, invoice_page
from patriot.judge.ports import VerifyInvoice
from patriot.kernel.errors import PatriotError
from patriot.kernel.eventstore import EventStore
from patriot.trading.terms import AccountId


async def verify_invoices(
    store: EventStore, invoices: Iterable[tuple[AccountId, str]], folder: Path, verify: VerifyInvoice
) -> dict[str, str]:
    """Write proof and page of each invoice into a folder; return the verifier's complaint by name, "" for none."""
    _make(folder)
    said: dict[str, str] = {}
    for account_id, period in invoices:
        try:
            proof = await export_invoice(store, account_id, period)
            page = await invoice_page(store, account_id, period)
        except (PatriotError, LookupError, ArithmeticError, ValueError) as error:
            said[f"{period} of {account_id}"] = f"cannot be exported from this log: {error}"
            continue
        name = f"invoice-{msgspec.json.decode(proof)['invoice']['number']}"  # as the page tells the client
        (folder / f"{name}.json").write_bytes(proof)
        (folder / f"{name}.html").write_text(page)
        said[name] = await verify(folder / f"{name}.json")
    return said


def _make(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
