"""Proof and page of an invoice as a client gets them; both are compared with golden files that a person has read."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from patriot.billing.commands import ApproveDraft, RecordPayment
from patriot.billing.documents import invoice_page, load_proof
from patriot.billing.verify_invoice import verify
from patriot.kernel.codec import EVENTS, encode
from tests.billing.support import ACCOUNT, HOUR, LINKED, History, World, closed_world, deposit_that_gained, on

pytestmark = pytest.mark.unit

GOLDEN = Path(__file__).parents[1] / "golden" / "billing"


async def paid_in_part() -> World:
    """A month with a deposit, a withdrawal, a gain and a first payment."""
    history = History().transfer(LINKED, "10000", "10000").hourly(LINKED + HOUR, on(1, 30, 23), "10450.5")
    history.transfer(on(1, 31), "2500", "12950.5").hourly(on(1, 31, 1), on(1, 31, 17), "13120.75")
    history.transfer(on(1, 31, 18), "-1000", "12204.31").hourly(on(1, 31, 19), on(2, 1, 12), "12345.678")
    world = await closed_world(history)
    await world.dispatch(RecordPayment(ACCOUNT, "2022-01", "SEPA-2022-0217", Decimal("100.00"), on(2, 8)))
    return world


def golden(name: str, content: str, update: bool) -> None:
    path = GOLDEN / name
    if update:
        path.write_text(content)
    assert content == path.read_text()


async def test_page_and_proof_are_the_golden_ones(update_golden: bool) -> None:
    world = await paid_in_part()
    proof = await world.proof()
    golden("invoice.json", proof.decode(), update_golden)
    golden("invoice.html", await invoice_page(world.store, ACCOUNT, "2022-01"), update_golden)
    verify(proof, (await load_proof(world.store, ACCOUNT, "2022-01")).seal)


def test_golden_proof_is_verified_for_ever(update_golden: bool) -> None:
    report = verify((GOLDEN / "invoice.json").read_bytes())
    golden("explanation.txt", "\n".join(report) + "\n", update_golden)


async def test_page_needs_nothing_from_elsewhere_and_fits_paper() -> None:
    page = await invoice_page((await paid_in_part()).store, ACCOUNT, "2022-01")
    assert "size: A4" in page
    assert all(word not in page for word in ("http://", "https://", "<script", "<img", "<link", "@import"))


async def test_page_names_the_seal_and_the_command_that_checks_it() -> None:
    world = await paid_in_part()
    proof = await load_proof(world.store, ACCOUNT, "2022-01")
    page = await invoice_page(world.store, ACCOUNT, "2022-01")
    (named,) = [event for event in [proof.invoice.issued] if event]
    assert f"python verify_invoice.py invoice-{named.number}.json --head {proof.seal}" in page


async def test_month_without_fee_is_called_a_statement() -> None:
    world = await closed_world(deposit_that_gained("1"))
    page = await invoice_page(world.store, ACCOUNT, "2022-01")
    assert "<h1>Statement</h1>" in page
    assert "No fee is due for this period" in page
    assert "<dt>Due</dt>" not in page


async def test_draft_says_that_nothing_is_owed_yet() -> None:
    gap = (
        History().transfer(LINKED, "1000", "1000").hourly(LINKED + HOUR, on(1, 31, 20), "1000").sample(on(2, 1), "1100")
    )
    world = await closed_world(gap)
    page = await invoice_page(world.store, ACCOUNT, "2022-01")
    assert "nothing is owed yet" in page
    assert "value are missing around" in page
    await world.dispatch(ApproveDraft(ACCOUNT, "2022-01", "anna", world.clock.now()))
    assert "<dt>Due</dt>" in await invoice_page(world.store, ACCOUNT, "2022-01")


async def test_final_month_says_where_the_record_ends() -> None:
    world = await closed_world(deposit_that_gained(), at=on(1, 31, 18), final=True)
    assert "ends on 31 January 2022, 18:00 UTC" in await invoice_page(world.store, ACCOUNT, "2022-01")


async def test_reference_of_a_payment_cannot_write_on_the_page() -> None:
    world = await closed_world(deposit_that_gained())
    await world.dispatch(RecordPayment(ACCOUNT, "2022-01", "<b>paid</b>", Decimal("1.00"), on(2, 8)))
    assert "<b>paid</b>" not in await invoice_page(world.store, ACCOUNT, "2022-01")


@pytest.mark.parametrize("path", sorted((GOLDEN / "events").glob("*.json")), ids=lambda path: path.stem)
def test_stored_event_decodes_for_ever(path: Path) -> None:
    name, version = path.stem.rsplit(".v", 1)
    text = path.read_text().rstrip("\n")
    assert encode(EVENTS.decode(name, int(version), text)) == text


def test_every_event_of_billing_has_a_golden_sample() -> None:
    samples = {path.stem.rsplit(".v", 1)[0] for path in (GOLDEN / "events").glob("*.json")}
    assert samples == {name for name in EVENTS.names() if name.startswith("billing.")}
