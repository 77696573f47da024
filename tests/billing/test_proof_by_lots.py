"""Files of format 1, of months that were closed by lots, are verified for ever, and whatever was changed is found.

They are golden: written by the engine of their time, which is gone.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.billing import verify_invoice
from patriot.billing.verify_invoice import ProofBroken, verify
from patriot.kernel.ids import derived_id

pytestmark = pytest.mark.integration

Document = dict[str, Any]
MONEY = ("account.equity_sampled", "account.transfer_recorded")
SCRIPT = Path(verify_invoice.__file__)
GOLDEN = Path(__file__).parents[1] / "golden" / "billing" / "by_lots"
NOON = datetime(2022, 1, 31, 12, tzinfo=UTC)
SHORT_PROOF = (GOLDEN / "final.json").read_bytes()


def golden(name: str) -> bytes:
    return gzip.decompress((GOLDEN / f"{name}.gz").read_bytes())


def written(document: Document) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def rehash(document: Document) -> bytes:
    """Write a file whose chains fit again, as somebody would who rewrites the whole history."""
    for chain in [document["terms"], document["balance"], *(month["events"] for month in document["months"])]:
        previous = bytes(32)
        for event in chain:
            header = "\n".join(str(event[name]) for name in verify_invoice.EVENT_FIELDS)
            event["previous_hash"] = previous.hex()
            previous = hashlib.sha256(previous + header.encode()).digest()
            event["event_hash"] = previous.hex()
    return written(document)


def test_sound_proof_is_explained_and_verified() -> None:
    document = json.loads(SHORT_PROOF)
    report = "\n".join(verify(SHORT_PROOF))
    assert "lot 1: 799.545454545454545455 units, NAV 1.090868391131324616, mark 1" in report
    assert "units redeemed, NAV 1.1, mark 1: 0.3 x units x gain above the mark = 6.01 USDT" in report
    assert "history rewritten as a whole would pass" in report
    assert "the record ends at 2022-01-31 16:00:00+00:00" in report
    seal = document["months"][-1]["events"][2]["event_hash"]
    assert "this is the seal you gave" in "\n".join(verify(SHORT_PROOF, seal))
    assert "these were not rewritten" in "\n".join(verify(SHORT_PROOF, document["balance"][-1]["event_hash"].upper()))


@pytest.mark.parametrize("number", range(24))
def test_months_of_any_history_are_verified(number: int) -> None:
    verify(golden("random.jsonl").splitlines(keepends=True)[number])


def test_every_changed_digit_is_found() -> None:
    text = SHORT_PROOF.decode()
    verify(SHORT_PROOF)
    unseen = []
    for match in re.finditer(r"\d", text):
        at = match.start()
        changed = text[:at] + str((int(match[0]) + 1) % 10) + text[at + 1 :]
        try:
            verify(changed.encode())
        except ProofBroken:
            continue
        unseen.append(text[max(0, at - 40) : at + 10])
    assert unseen == []


@given(st.integers(0), st.sampled_from('0123456789abcdefZ-.:,{}[]"\\ \nx'))
def test_any_other_changed_character_is_found(position: int, character: str) -> None:
    text = SHORT_PROOF.decode()
    at = position % len(text)
    if text[at] != character:
        with pytest.raises(ProofBroken):
            verify((text[:at] + character + text[at + 1 :]).encode())


@given(st.integers(0))
def test_truncated_file_is_found(position: int) -> None:
    with pytest.raises(ProofBroken):
        verify(SHORT_PROOF[: position % len(SHORT_PROOF)])


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_give_a_reason(content: bytes) -> None:
    with pytest.raises(ProofBroken):
        verify(content)


def drop(events: list[Document], at: int) -> None:
    del events[at]


def repeat(events: list[Document], at: int) -> None:
    events.insert(at, dict(events[at]))


def move(events: list[Document], at: int) -> None:
    other = at - 1 if at else len(events) - 1
    events[at], events[other] = events[other], events[at]


@pytest.mark.parametrize("change", [drop, repeat, move])
@pytest.mark.parametrize("part", ["terms", "balance", "months"])
def test_dropped_added_or_moved_event_is_found(part: str, change: Callable[[list[Document], int], None]) -> None:
    original = json.loads(SHORT_PROOF)
    chain = original["months"][0]["events"] if part == "months" else original[part]
    for at in range(len(chain)):
        document = json.loads(SHORT_PROOF)
        events = document["months"][0]["events"] if part == "months" else document[part]
        if change is move and len(events) == 1:
            continue
        if change is drop and part == "months" and at == len(events) - 1:
            continue  # a payment that came after: the file is an older export of the same invoice
        change(events, at)
        with pytest.raises(ProofBroken):
            verify(written(document))


def test_dropped_month_is_found() -> None:
    content = golden("two-months.json")
    assert "fee 60.00 USDT" in "\n".join(verify(content))
    document = json.loads(content)
    del document["months"][0]
    with pytest.raises(ProofBroken, match="expected the month 2022-01, found 2022-02"):
        verify(written(document))


@pytest.mark.parametrize(
    ("part", "event", "old", "new", "reason"),
    [
        ("balance", 2, '"equity":"1100"', '"equity":"1900"', r"computed"),
        ("balance", 3, '"amount":"-220.50"', '"amount":"-320.50"', r"computed"),
        ("terms", 0, '"fee_rate":"0.30"', '"fee_rate":"0.31"', r"the terms that 2022-01 was closed with are not in"),
        (
            "months",
            1,
            '"fee":"6.01"',
            '"fee":"7.01"',
            r"fee_assessed.lines\[1\].fee: computed 6.01, the file says 7.01",
        ),
        (
            "months",
            1,
            '{"kind":"PERIOD_END"',
            '{"kind":"PERIOD_END"},{"kind":"PERIOD_END"',
            r"fee_assessed.lines: computed 2",
        ),
        ("months", 0, '"final":true', '"final":false', r"closed before its time"),
        ("months", 0, '"series":1', '"series":2', r"period_closed.series: computed 1, the file says 2"),
        ("months", 2, '"due_at":"2022-02-14', '"due_at":"2022-02-13', r"invoice_issued.due_at"),
        ("months", 3, '"outstanding":"', '"outstanding":"9', r"is left, the file says otherwise"),
    ],
)
def test_rewritten_history_that_does_not_add_up_is_found(
    part: str, event: int, old: str, new: str, reason: str
) -> None:
    document = json.loads(SHORT_PROOF)
    events = document["months"][0]["events"] if part == "months" else document[part]
    assert old in events[event]["data"]
    events[event]["data"] = events[event]["data"].replace(old, new)
    if event == 2 and part == "months":
        document["invoice"] = json.loads(events[event]["data"])
    with pytest.raises(ProofBroken, match=reason):
        verify(rehash(document))


@pytest.mark.parametrize("part", ["terms", "balance", "months"])
@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("stream_version", 7, "says that it is number 7: one is missing, added or moved"),
        ("schema_version", 2, "of a version unknown to this program"),
        ("stream_type", "OTHER", "belongs to another stream"),
    ],
)
def test_event_that_claims_another_number_version_or_stream_is_refused(
    part: str, name: str, value: object, reason: str
) -> None:
    """Though every hash fits: whoever rewrites the whole file can make them fit."""
    original = json.loads(SHORT_PROOF)
    for at in range(len(original["months"][0]["events"] if part == "months" else original[part])):
        document = json.loads(SHORT_PROOF)
        events = document["months"][0]["events"] if part == "months" else document[part]
        events[at][name] = value
        if (part, name) == ("balance", "schema_version") and events[at]["event_type"] not in MONEY:
            continue  # what the fee does not come from may have any version
        with pytest.raises(ProofBroken, match=re.escape(reason)):
            verify(rehash(document))


def test_history_rewritten_as_a_whole_is_found_by_its_seal_alone() -> None:
    forged = golden("paid-in-part.json")
    verify(forged)
    with pytest.raises(ProofBroken, match="rewritten"):
        verify(forged, json.loads(SHORT_PROOF)["months"][-1]["events"][2]["event_hash"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": "patriot-invoice-proof/3"}, "expected format"),
        ({"more": 1}, "other parts than expected"),
        ({"period": "2022-02"}, "the invoice is for 2022-02"),
        ({"account_id": str(derived_id("test", "other account"))}, "another stream"),
        ({"invoice": {}}, "not the one in its events"),
        ({"balance": []}, "malformed"),
        ({"months": []}, "malformed"),
        ({"terms": []}, "are not in the file"),
        ({"months": [{"period": "2022-01"}]}, "a month has other parts"),
        ({"period": 1.5}, "whole numbers only"),
    ],
)
def test_part_that_does_not_belong_is_named(change: Document, reason: str) -> None:
    with pytest.raises(ProofBroken, match=reason):
        verify(written({**json.loads(SHORT_PROOF), **change}))


def test_events_the_invoice_did_not_know_are_refused() -> None:
    document = json.loads(SHORT_PROOF)
    last = document["balance"][-1]
    document["balance"].append({**last, "stream_version": last["stream_version"] + 1})
    with pytest.raises(ProofBroken, match="the invoice knew 6 account events, the file has 7"):
        verify(rehash(document))


def test_draft_is_verified_before_and_after_its_approval() -> None:
    assert "a person had to review it: SAMPLE_GAP" in "\n".join(verify(golden("draft.json")))
    verify(golden("approved.json"))
    assert "nothing is owed: invoice voided" in "\n".join(verify(golden("voided.json")))


@pytest.mark.parametrize("microseconds", [1, 2])
def test_value_that_stood_for_the_shortest_time_counts(microseconds: int) -> None:
    window = (NOON, NOON + timedelta(microseconds=microseconds))
    curve = [verify_invoice.Point(NOON, Fraction(3), 0)]

    assert verify_invoice.average_nav(curve, verify_invoice.Account(), window) == 3
