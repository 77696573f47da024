"""Proof and page of an invoice as a client gets them; both are compared with golden files that a person has read."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from patriot.accounts.events import SampleReason, TradeOrigin
from patriot.billing.commands import ApproveDraft, RecordPayment
from patriot.billing.documents import invoice_page, load_proof
from patriot.billing.events import period_stream
from patriot.billing.verify_invoice import verify
from patriot.kernel.codec import EVENTS, encode
from patriot.kernel.errors import NotFound
from tests.billing.support import ACCOUNT, HOUR, LINKED, Story, World, closed_world, gained, on, with_a_gap

pytestmark = pytest.mark.unit

GOLDEN = Path(__file__).parents[1] / "golden" / "billing"


async def paid_in_part() -> World:
    """A month with trades, money in and out, funding, a client's own trade, and a first payment."""
    story = Story.of_a_client().buys(LINKED + HOUR, "0.250", commission="0.10").moves(on(1, 12), "2500")
    story.is_paid_funding(on(1, 13, 8), "-0.42").price(on(1, 18), "1240.5")
    story.sells(on(1, 19), "0.100", commission="0.0496").buys(on(1, 20), "0.300", by=TradeOrigin.CLIENT)
    story.moves(on(1, 25), "-1000").price(on(1, 31, 18), "1310").price(on(1, 31, 22), "1302.75")
    world = await closed_world(story)
    await world.dispatch(RecordPayment(ACCOUNT, "2022-01", "SEPA-2022-0217", Decimal("10.00"), on(2, 8)))
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
    world = await closed_world(gained("1000"))
    page = await invoice_page(world.store, ACCOUNT, "2022-01")
    assert "<h1>Statement</h1>" in page
    assert "No fee is due for this period" in page
    assert "<dt>Due</dt>" not in page


async def test_draft_says_that_nothing_is_owed_yet() -> None:
    world = await closed_world(with_a_gap())
    page = await invoice_page(world.store, ACCOUNT, "2022-01")
    assert "nothing is owed yet" in page
    assert "a hole of more than ten minutes" in page
    await world.dispatch(ApproveDraft(ACCOUNT, "2022-01", "anna", world.clock.now()))
    assert "<dt>Due</dt>" in await invoice_page(world.store, ACCOUNT, "2022-01")


async def test_final_month_says_where_the_record_ends() -> None:
    world = await closed_world(gained(), at=on(1, 31, 18), final=True)
    assert "ends on 31 January 2022, 18:00 UTC" in await invoice_page(world.store, ACCOUNT, "2022-01")


async def test_reference_of_a_payment_cannot_write_on_the_page() -> None:
    world = await closed_world(gained())
    await world.dispatch(RecordPayment(ACCOUNT, "2022-01", "<b>paid</b>", Decimal("1.00"), on(2, 8)))
    assert "<b>paid</b>" not in await invoice_page(world.store, ACCOUNT, "2022-01")


@pytest.mark.parametrize("path", sorted((GOLDEN / "events").glob("*.json")), ids=lambda path: path.stem)
def test_stored_event_decodes_for_ever(path: Path) -> None:
    name, version = path.stem.rsplit(".v", 1)
    text = path.read_text().rstrip("\n")
    event = EVENTS.decode(name, int(version), text)
    if EVENTS.name_of(event)[1] == int(version):
        assert encode(event) == text


def test_every_event_of_billing_has_a_golden_sample() -> None:
    samples = {path.stem for path in (GOLDEN / "events").glob("*.json")}
    classes = [EVENTS.class_of(name) for name in EVENTS.names() if name.startswith("billing.")]
    assert {"{}.v{}".format(*EVENTS.name_of(object.__new__(cls))) for cls in classes} <= samples


async def test_proof_of_a_month_that_is_open_is_not_found() -> None:
    with pytest.raises(NotFound, match="no invoice of 2022-02"):
        await (await closed_world(gained())).proof("2022-02")


async def test_proof_whose_earlier_month_is_gone_or_another_one_is_refused() -> None:
    whole = await closed_world(gained().sample(on(3, 1), SampleReason.HOURLY), at=on(3, 1, 12, 5), period="2022-02")
    lost = World(LINKED)
    await lost.take(gained())
    await lost.append(period_stream(ACCOUNT, "2022-02"), *await whole.month("2022-02"))
    with pytest.raises(NotFound, match=r"month 2022-01 of account .* is not the one that 2022-02 was closed on"):
        await lost.proof("2022-02")
    await lost.append(period_stream(ACCOUNT, "2022-01"), *await whole.month("2022-01"))  # other hashes
    with pytest.raises(NotFound, match="is not the one"):
        await lost.proof("2022-02")
