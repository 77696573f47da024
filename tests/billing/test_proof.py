"""The offline verifier agrees with the engine, and finds whatever was changed."""

from __future__ import annotations

import ast
import asyncio
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patriot.accounts.events import SampleReason
from patriot.billing import assessment, nav, verify_invoice
from patriot.billing.commands import ApproveDraft, RecordPayment, VoidInvoice
from patriot.billing.documents import load_proof
from patriot.billing.events import InvoiceDrafted, InvoiceIssued
from patriot.billing.verify_invoice import ProofBroken, verify
from patriot.kernel.errors import NotFound
from patriot.kernel.ids import derived_id
from tests.billing.support import ACCOUNT, HOUR, LINKED, History, World, closed_world, deposit_that_gained, on

pytestmark = pytest.mark.integration

Document = dict[str, Any]
MONEY = ("account.equity_sampled", "account.transfer_recorded")
SCRIPT = Path(verify_invoice.__file__)


def short_history() -> History:
    """A handful of events with a deposit, a withdrawal and a gain; closed as final at 18:00."""
    history = History().only_transfer(on(1, 31, 12), "1000").sample(on(1, 31, 12), "1000", SampleReason.LINKED)
    return (
        history.sample(on(1, 31, 13), "1100")
        .transfer(on(1, 31, 14), "-220.50", "879.50")
        .sample(on(1, 31, 15), "930.25")
    )


async def short_proof() -> tuple[World, bytes]:
    world = await closed_world(short_history(), at=on(1, 31, 16), final=True)
    await world.dispatch(RecordPayment(ACCOUNT, "2022-01", "wire-17", Decimal("1.50"), world.clock.now()))
    return world, await world.proof()


SHORT_PROOF = asyncio.run(short_proof())[1]


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


async def test_sound_proof_is_explained_and_verified() -> None:
    world, content = await short_proof()
    report = "\n".join(verify(content))
    assert "lot 1: 799.545454545454545455 units, NAV 1.090868391131324616, mark 1" in report
    assert "units redeemed, NAV 1.1, mark 1: 0.3 x units x gain above the mark = 6.01 USDT" in report
    assert "history rewritten as a whole would pass" in report
    assert "the record ends at 2022-01-31 16:00:00+00:00" in report
    proof = await load_proof(world.store, ACCOUNT, "2022-01")
    assert "this is the seal you gave" in "\n".join(verify(content, proof.seal))
    assert "these were not rewritten" in "\n".join(verify(content, proof.closed.facts.head_hash.upper()))


async def test_every_changed_digit_is_found() -> None:
    _, content = await short_proof()
    text = content.decode()
    verify(content)
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
async def test_any_other_changed_character_is_found(position: int, character: str) -> None:
    text = SHORT_PROOF.decode()
    at = position % len(text)
    if text[at] != character:
        with pytest.raises(ProofBroken):
            verify((text[:at] + character + text[at + 1 :]).encode())


@given(st.integers(0))
async def test_truncated_file_is_found(position: int) -> None:
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
async def test_dropped_added_or_moved_event_is_found(part: str, change: Callable[[list[Document], int], None]) -> None:
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


async def test_dropped_month_is_found() -> None:
    history = deposit_that_gained("1.10")
    world = await closed_world(history)
    await world.record(history.hourly(on(2, 1, 13), on(3, 1, 12), "1300"))
    world.move_to(on(3, 1, 12, 5))
    await world.month_end.close_period(ACCOUNT, "2022-02")
    content = await world.proof("2022-02")
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
async def test_rewritten_history_that_does_not_add_up_is_found(
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
async def test_event_that_claims_another_number_version_or_stream_is_refused(
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


async def test_history_rewritten_as_a_whole_is_found_by_its_seal_alone() -> None:
    honest = await closed_world(short_history(), at=on(1, 31, 16), final=True)
    seal = (await load_proof(honest.store, ACCOUNT, "2022-01")).seal
    forged_history = short_history().sample(on(1, 31, 15, 30), "2000")
    forged = await (await closed_world(forged_history, at=on(1, 31, 16), final=True)).proof()
    verify(forged)
    with pytest.raises(ProofBroken, match="rewritten"):
        verify(forged, seal)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": "patriot-invoice-proof/2"}, "expected format"),
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
async def test_part_that_does_not_belong_is_named(change: Document, reason: str) -> None:
    with pytest.raises(ProofBroken, match=reason):
        verify(written({**json.loads(SHORT_PROOF), **change}))


async def test_events_the_invoice_did_not_know_are_refused() -> None:
    document = json.loads(SHORT_PROOF)
    last = document["balance"][-1]
    document["balance"].append({**last, "stream_version": last["stream_version"] + 1})
    with pytest.raises(ProofBroken, match="the invoice knew 6 account events, the file has 7"):
        verify(rehash(document))


async def test_draft_is_verified_before_and_after_its_approval() -> None:
    gap = (
        History().transfer(LINKED, "1000", "1000").hourly(LINKED + HOUR, on(1, 31, 20), "1000").sample(on(2, 1), "1100")
    )
    world = await closed_world(gap)
    assert isinstance((await world.month())[-1], InvoiceDrafted)
    assert "a person had to review it: SAMPLE_GAP" in "\n".join(verify(await world.proof()))
    await world.dispatch(ApproveDraft(ACCOUNT, "2022-01", "anna", world.clock.now()))
    assert isinstance((await world.month())[-1], InvoiceIssued)
    verify(await world.proof())
    await world.dispatch(VoidInvoice(ACCOUNT, "2022-01", "gap", "anna", "ben", world.clock.now()))
    assert "nothing is owed: invoice voided" in "\n".join(verify(await world.proof()))


async def test_proof_of_a_month_that_is_open_is_not_found() -> None:
    with pytest.raises(NotFound, match="no invoice of 2022-01"):
        await World().proof()


WHAT = ["sample", "sample", "sample", "deposit", "withdraw", "withdraw all", "nearly ruined", "late", "unsampled"]
STEP = st.tuples(
    st.sampled_from(WHAT),
    st.decimals(min_value="-50", max_value="9000", places=8),
    st.decimals(min_value="0.00000001", max_value="3000", places=8),
    st.sampled_from([0, 1, 20, 60, 200]),  # minutes after the step before
)


def told(story: list[tuple[str, Decimal, Decimal, int]]) -> History:
    at = on(1, 31, 6)
    history = History().transfer(at, "1000", "1000")
    for what, equity, amount, minutes in story:
        at += timedelta(minutes=minutes)
        match what:
            case "sample":
                history.sample(at, equity)
            case "deposit":
                history.transfer(at, str(amount), str(equity + amount))
            case "withdraw":
                history.transfer(at, str(-amount), str(equity))
            case "withdraw all":
                history.transfer(at, str(-amount), "0")
            case "nearly ruined":
                history.transfer(at, str(amount), str(amount + equity / 10**6))
            case "late":
                history.only_transfer(at - timedelta(hours=3), str(amount)).sample(at, equity, SampleReason.TRANSFER)
            case _:
                history.only_transfer(at, str(amount))
    return history


@settings(max_examples=150)
@given(st.lists(STEP, min_size=1, max_size=40), st.integers(0, 80), st.decimals(min_value=0, max_value=1, places=4))
async def test_verifier_agrees_with_the_engine_on_any_history(
    story: list[tuple[str, Decimal, Decimal, int]], known_in_january: int, rate: Decimal
) -> None:
    world, history = World(), told(story)
    await world.agree(rate)
    for known, at, period in ((known_in_january, on(2, 1, 12, 5), "2022-01"), (None, on(3, 1, 12, 5), "2022-02")):
        await world.record(History(events=history.events[:known]))
        world.move_to(at)
        for closed in await world.month_end.close_period(ACCOUNT, period):
            verify(await world.proof(closed))


async def test_verifier_runs_alone_with_nothing_but_python(tmp_path: Path) -> None:
    _, content = await short_proof()
    file = tmp_path / "invoice.json"
    file.write_bytes(content)
    script = tmp_path / "verify_invoice.py"
    script.write_bytes(SCRIPT.read_bytes())
    command = [sys.executable, "-I", "-S", str(script)]
    sound = subprocess.run([*command, str(file)], capture_output=True, text=True, check=False)
    assert (sound.returncode, sound.stdout.splitlines()[-1], sound.stderr) == (0, "VERIFIED", "")
    file.write_bytes(content.replace(b"wire-17", b"wire-18"))
    broken = subprocess.run([*command, str(file)], capture_output=True, text=True, check=False)
    assert broken.returncode == 1
    assert broken.stdout.startswith("NOT VERIFIED: BILLING event 4 (billing.payment_recorded) was changed")


def test_verifier_of_a_file_that_is_not_there_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify_invoice.main([str(tmp_path / "none.json")]) == 1
    assert "NOT VERIFIED: " in capsys.readouterr().out


def test_verifier_imports_the_standard_library_alone() -> None:
    tree = ast.parse(SCRIPT.read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert names <= sys.stdlib_module_names | {"__future__"}


@pytest.mark.parametrize("microseconds", [1, 2])
def test_value_that_stood_for_the_shortest_time_counts(microseconds: int) -> None:
    window = (LINKED, LINKED + timedelta(microseconds=microseconds))
    curve = [verify_invoice.Point(LINKED, Fraction(3), 0)]

    assert verify_invoice.average_nav(curve, verify_invoice.Account(), window) == 3


def test_verifier_has_the_engines_own_limits() -> None:
    assert verify_invoice.LARGEST_SAMPLE_GAP == assessment.LARGEST_SAMPLE_GAP
    assert verify_invoice.HALF_WINDOW == assessment.HALF_WINDOW
    assert Fraction(nav.WORTHLESS_NAV) == verify_invoice.WORTHLESS_NAV
