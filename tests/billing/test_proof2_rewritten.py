"""The offline verifier finds what does not add up, though whoever rewrote the file made every hash fit again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from patriot.billing import verify_invoice
from patriot.billing.verify_invoice import ProofBroken, verify
from patriot.kernel.ids import derived_id
from tests.billing.rewriting import (
    PROOF,
    changed,
    closed_of,
    dropped,
    lines_of,
    rewritten,
    short_proof,
    trade_at,
    written,
)
from tests.billing.support import (
    BTC,
    Document,
)

pytestmark = pytest.mark.integration


def price(document: Document) -> None:
    changed(document["balance"][trade_at(document, "19000")], price="18000")


def price_of_a_late_trade(document: Document) -> None:
    changed(document["balance"][trade_at(document, "18900")], price="19000")


def origin(document: Document) -> None:
    changed(document["balance"][trade_at(document, "19050")], origin="PATRIOT")


def linked_position(document: Document) -> None:
    data = json.loads(document["balance"][1]["data"])
    data["positions"][0]["quantity"] = "-0.25"
    changed(document["balance"][1], positions=data["positions"])


def funding_of_another_symbol(document: Document) -> None:
    (event,) = [event for event in document["balance"] if '"amount":"-0.70"' in event["data"]]
    changed(event, symbol=BTC)


def charge(document: Document) -> None:
    (event,) = [event for event in document["balance"] if '"value":"0.40"' in event["data"]]
    changed(event, value="0.41")


def drop_trade(document: Document) -> None:
    dropped(document, trade_at(document, "1500"))


def drop_last_trade(document: Document) -> None:
    dropped(document, trade_at(document, "21000"))


def drop_last_sample(document: Document) -> None:
    dropped(document, len(document["balance"]) - 1)


def drop_comparison(document: Document) -> None:
    (index,) = [n for n, event in enumerate(document["balance"]) if '"unexplained":"0"' in event["data"]]
    dropped(document, index)


def mark_price(document: Document) -> None:
    event, closed = closed_of(document, 0)
    closed["marks"][0]["prices"][100] = "20000.01"
    changed(event, marks=closed["marks"])


def mark_price_that_is_none(document: Document) -> None:
    event, closed = closed_of(document, 0)
    closed["marks"][0]["prices"][100] = None
    changed(event, marks=closed["marks"])


def first_mark_price_that_is_none(document: Document) -> None:
    event, closed = closed_of(document, 0)
    closed["marks"][0]["prices"][0] = None
    changed(event, marks=closed["marks"])


def needless_marks(document: Document) -> None:
    event, closed = closed_of(document, 2)
    closed["marks"].append({**closed["marks"][0], "symbol": "XRPUSDT"})
    changed(event, marks=closed["marks"])


def marks_said_twice(document: Document) -> None:
    event, closed = closed_of(document, 2)
    changed(event, marks=[closed["marks"][0], *closed["marks"]])


def missing_marks(document: Document) -> None:
    event, closed = closed_of(document, 2)
    changed(event, marks=closed["marks"][1:])


def marks_one_too_many(document: Document) -> None:
    event, closed = closed_of(document, 0)
    closed["marks"][0]["prices"].append("20000")
    changed(event, marks=closed["marks"])


def marks_five_minutes_later(document: Document) -> None:
    event, closed = closed_of(document, 0)
    closed["marks"][0]["first_at"] = "2022-01-31T00:05:00Z"
    changed(event, marks=closed["marks"])


def fee_of_a_line(document: Document) -> None:
    def more(lines: list[Document]) -> None:
        lines[0]["fee"] = str(Decimal(lines[0]["fee"]) + Decimal("0.01"))

    lines_of(document, 2, more)


def line_of_another_month(document: Document) -> None:
    lines_of(document, 1, lambda lines: lines[1].update(period="2022-02"))


def correction_left_out(document: Document) -> None:
    lines_of(document, 1, lambda lines: lines.pop(1))


def credit(document: Document) -> None:
    """Forget a part of a credit, in every event that tells of it."""
    for month, name in ((1, "credit_after"), (2, "credit_before")):
        event, closed = closed_of(document, month)
        changed(event, **{name: str(Decimal(closed[name]) - 1)})

    def less(lines: list[Document]) -> None:
        lines[-1]["fee"] = str(Decimal(lines[-1]["fee"]) - 1)

    lines_of(document, 1, less)


def credit_forgotten(document: Document) -> None:
    event, _ = closed_of(document, 2)
    changed(event, credit_before="0.00", credit_after="0.00")
    lines_of(document, 2, lambda lines: lines.pop())


def rename_month(document: Document) -> None:
    document["period"] = document["months"][2]["period"] = "2022-04"
    for event in document["months"][2]["events"][:3]:
        event["data"] = event["data"].replace('"period":"2022-03"', '"period":"2022-04"')


def fewer_facts_than_the_month_before(document: Document) -> None:
    event, closed = closed_of(document, 1)
    changed(event, facts={**closed["facts"], "last_version": 3})


def first_month_left_out(document: Document) -> None:
    del document["months"][0]


def rate(document: Document) -> None:
    changed(document["terms"][1], fee_rate="0.35")


def terms_that_began_earlier(document: Document) -> None:
    changed(document["terms"][0], agreed_at="2022-01-09T09:07:03.000250Z")


def field_of(month: int, name: str, value: object) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        event, closed = closed_of(document, month)
        assert closed[name] != value
        changed(event, **{name: value})

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (price, r"period_closed.result_at_cut: computed"),
        (price_of_a_late_trade, r"period_closed\.\w+: computed"),
        (origin, r"computed|mark prices"),
        (linked_position, r"computed"),
        (funding_of_another_symbol, r"period_closed.result_at_cut: computed"),
        (charge, r"period_closed.result_at_cut: computed"),
        (drop_trade, r"period_closed.result_at_cut: computed"),
        (drop_last_trade, r"period_closed.result_at_cut: computed"),
        (drop_last_sample, r"period_closed.review_reasons: computed 1 entries, the file says 0"),
        (drop_comparison, r"period_closed.review_reasons: computed 1 entries, the file says 0"),
        (mark_price, r"period_closed.mean_result: computed"),
        (mark_price_that_is_none, r"period_closed.mean_result: computed"),
        (first_mark_price_that_is_none, r"no mark price of BTCUSDT is known at 2022-01-31T00:00:00"),
        (needless_marks, r"2022-03 has needless mark prices of XRPUSDT: 289 from 2022-03-31T00:00:00"),
        (marks_said_twice, r"mark prices of 2022-03 are repeated or in another order"),
        (missing_marks, r"2022-03 lacks mark prices of BTCUSDT: 289 from 2022-03-31T00:00:00"),
        (marks_one_too_many, r"2022-01 lacks mark prices of BTCUSDT: 289 from"),
        (marks_five_minutes_later, r"2022-01 lacks mark prices of BTCUSDT: 289 from"),
        (fee_of_a_line, r"fee_assessed.lines\[1\].fee: computed"),
        (line_of_another_month, r"fee_assessed.lines\[2\].period: computed '2022-01', the file says '2022-02'"),
        (correction_left_out, r"fee_assessed.lines: computed 3 entries, the file says 2"),
        (credit, r"period_closed.credit_after: computed"),
        (credit_forgotten, r"period_closed.credit_before: computed"),
        (rename_month, r"expected the month 2022-03, found 2022-04"),
        (first_month_left_out, r"expected the month 2022-01, found 2022-02"),
        (rate, r"fee_rate: computed|fees: computed"),
        (terms_that_began_earlier, r"period_closed.begins_at: computed"),
        (field_of(0, "rule", "LOTS"), r"period_closed.rule: computed 'RESULT', the file says 'LOTS'"),
        (field_of(0, "asset", "USDC"), r"period_closed.asset: computed"),
        (field_of(1, "window_start", "2022-02-28T00:05:00Z"), r"period_closed.window_start: computed"),
        (field_of(1, "period_end", "2022-02-28T23:55:00Z"), r"period_closed.period_end: computed"),
        (field_of(1, "counted_result", "1"), r"period_closed.counted_result: computed"),
        (field_of(1, "high_before", "1"), r"period_closed.high_before: computed"),
        (field_of(1, "high_after", "1"), r"period_closed.high_after: computed"),
        (field_of(1, "fees", "1"), r"period_closed.fees: computed"),
        (field_of(1, "largest_gap_seconds", 300), r"period_closed.largest_gap_seconds: computed 0"),
        (field_of(1, "closed_at", "2022-02-28T23:55:00Z"), r"month 2022-02 was closed before its time"),
        (fewer_facts_than_the_month_before, r"month 2022-02 was closed before its time"),
    ],
    ids=lambda one: getattr(one, "__name__", None),
)
def test_rewritten_history_that_does_not_add_up_is_found(change: Callable[[Document], None], reason: str) -> None:
    document = json.loads(PROOF)
    change(document)
    with pytest.raises(ProofBroken, match=reason):
        verify(rewritten(document))


def test_changed_price_is_found_by_its_hash() -> None:
    document = json.loads(PROOF)
    price(document)
    with pytest.raises(ProofBroken, match=r"BALANCE event 3 \(account.trade_booked\) was changed: its hash"):
        verify(written(document))


def other_kind(document: Document) -> None:
    document["balance"][3]["event_type"] = "account.gift_recorded"


def other_account(document: Document) -> None:
    changed(document["balance"][3], account_id=str(derived_id("test", "other account")))


def other_version(document: Document) -> None:
    document["balance"][3]["schema_version"] = 2


def trade_twice(document: Document) -> None:
    data = json.loads(document["balance"][trade_at(document, "19000")]["data"])
    changed(document["balance"][trade_at(document, "18900")], trade_id=data["trade_id"])


def unknown_origin(document: Document) -> None:
    changed(document["balance"][2], origin="NOBODY")


def months_version(document: Document) -> None:
    document["months"][1]["events"][1]["schema_version"] = 1


def payments_version(document: Document) -> None:
    document["months"][2]["events"][3]["schema_version"] = 2


def format_of_old(document: Document) -> None:
    document["format"] = verify_invoice.OLD_FORMAT


def format_unknown(document: Document) -> None:
    document["format"] = "patriot-invoice-proof/3"


def old_month_after_a_new_one(document: Document) -> None:
    for event in document["months"][1]["events"]:
        event["schema_version"] = 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (other_kind, r"BALANCE event 4 \(account.gift_recorded\) is of a kind unknown to this program"),
        (other_account, "BALANCE event 4 is of another account, or of a version unknown to this program"),
        (other_version, "BALANCE event 4 is of another account, or of a version unknown to this program"),
        (trade_twice, "of BTCUSDT is booked twice"),
        (unknown_origin, "nobody is known by the name 'NOBODY'"),
        (months_version, "month 2022-02 holds an event of a version unknown to this program"),
        (payments_version, "month 2022-03 holds an event of a version unknown to this program"),
        (format_of_old, "month 2022-01 holds an event of a version unknown to this program|malformed"),
        (format_unknown, "expected format patriot-invoice-proof/2 or patriot-invoice-proof/1, found"),
        (old_month_after_a_new_one, "was closed by the old rule, and one before it by the new rule"),
    ],
)
def test_what_this_program_does_not_know_is_refused(change: Callable[[Document], None], reason: str) -> None:
    document = json.loads(PROOF)
    change(document)
    with pytest.raises(ProofBroken, match=reason):
        verify(rewritten(document))


async def test_every_digit_of_a_rewritten_month_matters() -> None:
    """Whatever digit of a month's books, fee or invoice is another one: the figures no longer agree."""
    content = await short_proof()
    assert "the record ends at 2022-01-31 16:10:20.000125" in "\n".join(verify(content))
    unseen = []
    for index in range(3):
        text = json.loads(content)["months"][0]["events"][index]["data"]
        for match in re.finditer(r"\d", text):
            at, document = match.start(), json.loads(content)
            event = document["months"][0]["events"][index]
            event["data"] = text[:at] + str((int(match[0]) + 1) % 10) + text[at + 1 :]
            resealed = rewritten(document)
            if resealed == content:
                continue  # a hash, which was made to fit again
            try:
                verify(resealed)
            except ProofBroken:
                continue
            unseen.append(text[max(0, at - 40) : at + 10])
    assert unseen == []


@pytest.mark.parametrize("fields", [{"final": False}, {"closed_at": "2022-01-31T15:40:29Z"}])
async def test_record_that_ends_early_must_say_so_and_not_end_before_the_terms(fields: dict[str, Any]) -> None:
    document = json.loads(await short_proof())
    changed(document["months"][0]["events"][0], **fields)
    with pytest.raises(ProofBroken, match="month 2022-01 was closed before its time"):
        verify(rewritten(document))
