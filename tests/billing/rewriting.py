"""A proof of three months with everything in it, and the means of whoever rewrites a proof as a whole."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from patriot.accounts.events import TradeOrigin
from patriot.billing import verify_invoice
from patriot.billing.commands import RecordPayment
from patriot.kernel.ids import derived_id
from tests.billing.support import (
    ACCOUNT,
    ETH,
    Books,
    Document,
    charged,
    compared,
    funded,
    moved,
    on,
    position,
    sampled,
    traded,
)

CLIENTS, EXCHANGES = TradeOrigin.CLIENT, TradeOrigin.EXCHANGE


async def told() -> Books:
    """Three months: a gain that a trade known late takes back, a credit, and a month that uses it up.

    The client is 1 ETH short when he links the account, trades by hand on PATRIOT's positions, and moves money.
    """
    books = await Books(on(1, 10, 9, 7, 3, 250)).link(position("-1", ETH))
    await books.agree()
    books.prices.swing = Decimal("0.001")
    await books.book(
        traded(on(1, 12), "0.5", "19000", commission="3.8"),
        moved(on(1, 13), "5000"),
        traded(on(1, 14), "-1.5", "1600.25", symbol=ETH, commission="0.96"),
        funded(on(1, 15, 8), "-1.25"),
        funded(on(1, 15, 16), "-0.01", asset="BNB"),
        traded(on(1, 16), "0.1", "19050", origin=CLIENTS, commission="0.38"),
        funded(on(1, 15, 8, 0, 1), "-0.70", ETH),
        traded(on(1, 20), "1", "1550", symbol=ETH, origin=CLIENTS, commission="0.62"),
        charged(on(1, 21), "-2.50", ETH),
        charged(on(1, 22), "0.40"),
        sampled(on(2, 1)),
    )
    await books.close("2022-01", on(2, 1, 0, 5))
    await books.agree(Decimal("0.25"), "2022-03")
    await books.book(
        traded(on(1, 31, 12), "-0.5", "18900", commission="3.78"),  # known late
        moved(on(2, 20), "-4000"),
        traded(on(2, 25), "0.8", "1500", symbol=ETH, origin=EXCHANGES, commission="0.30"),
        compared(on(2, 26), "12"),
        compared(on(2, 27), "0"),
        sampled(on(3, 1)),
    )
    await books.close("2022-02", on(3, 1, 0, 5))
    await books.book(traded(on(3, 3), "1", "19001"), traded(on(3, 4), "-0.5", "21000"), sampled(on(4, 1)))
    await books.close("2022-03", on(4, 1, 0, 5))
    await books.dispatch(RecordPayment(ACCOUNT, "2022-03", "wire-17", Decimal("1.50"), books.clock.now()))
    return books


TOLD = asyncio.run(told())
PROOF = asyncio.run(TOLD.proof("2022-03"))


def written(document: Document) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def changed(event: Document, **fields: Any) -> None:
    event["data"] = json.dumps({**json.loads(event["data"]), **fields}, separators=(",", ":"))


def chained(events: list[Document]) -> None:
    previous = bytes(32)
    for version, event in enumerate(events, start=1):
        event["stream_version"], event["previous_hash"] = version, previous.hex()
        header = "\n".join(str(event[name]) for name in verify_invoice.EVENT_FIELDS)
        previous = hashlib.sha256(previous + header.encode()).digest()
        event["event_hash"] = previous.hex()


def rewritten(document: Document) -> bytes:
    """Write a file in which every hash and every seal fits again: only the arithmetic can tell that it was changed."""
    old_terms = [event["event_hash"] for event in document["terms"]]
    chained(document["terms"])
    new_terms = dict(zip(old_terms, (event["event_hash"] for event in document["terms"]), strict=True))
    chained(document["balance"])
    seal = ""
    for month in document["months"]:
        for event in month["events"]:
            event["stream_id"] = str(derived_id("billing", document["account_id"], month["period"]))
        closed = json.loads(month["events"][0]["data"])
        known = document["balance"][: closed["facts"]["last_version"]]
        facts = {
            "first_event_id": known[0]["event_id"],
            "last_event_id": known[-1]["event_id"],
            "head_hash": known[-1]["event_hash"],
        }
        changed(
            month["events"][0],
            facts={**closed["facts"], **facts},
            terms_hash=new_terms.get(closed["terms_hash"], closed["terms_hash"]),
            previous_close_hash=seal,
        )
        chained(month["events"])
        seal = month["events"][2]["event_hash"]
    document["invoice"] = verify_invoice.invoice_of(document["months"][-1]["events"])
    return written(document)


def dropped(document: Document, index: int) -> None:
    """Take an event out of the books, and let every month know one fewer."""
    del document["balance"][index]
    for month in document["months"]:
        facts = json.loads(month["events"][0]["data"])["facts"]
        if facts["last_version"] > index:
            changed(month["events"][0], facts={**facts, "last_version": facts["last_version"] - 1})


def trade_at(document: Document, price: str) -> int:
    found = [n for n, event in enumerate(document["balance"]) if f'"price":"{price}"' in event["data"]]
    assert len(found) == 1
    return found[0]


def closed_of(document: Document, month: int) -> tuple[Document, Document]:
    event = document["months"][month]["events"][0]
    return event, json.loads(event["data"])


def lines_of(document: Document, month: int, change: Callable[[list[Document]], object]) -> None:
    """Change a month's lines in every event that holds them, and their sum."""
    for event in document["months"][month]["events"][1:3]:
        data = json.loads(event["data"])
        change(data["lines"])
        total = str(sum(Decimal(line["fee"]) for line in data["lines"]))
        changed(event, lines=data["lines"], **{"total" if "total" in data else "fee_amount": total})


async def short_proof() -> bytes:
    """A record of half an hour, which ends between two minutes."""
    books = await Books(on(1, 31, 15, 40, 30)).link()
    await books.agree()
    await books.book(traded(on(1, 31, 15, 40, 30), "1.5", "19991.25", commission="12.5"))
    await books.book(
        traded(on(1, 31, 15, 52), "-0.5", "20010.75", origin=CLIENTS, commission="4"), funded(on(2, 1), "1")
    )
    books.prices.swing = Decimal("0.0005")
    await books.book(sampled(on(1, 31, 16)))
    await books.close("2022-01", on(1, 31, 16, 10, 20, 125), final=True)
    return await books.proof("2022-01")
