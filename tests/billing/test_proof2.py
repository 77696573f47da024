"""The offline verifier agrees with the engine about the trading result."""

from __future__ import annotations

import ast
import json
import os
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patriot.accounts.events import LedgerEvent, TradeOrigin
from patriot.billing import assessment, decider, verify_invoice
from patriot.billing.commands import ApproveDraft, VoidInvoice
from patriot.billing.documents import load_proof
from patriot.billing.events import InvoiceDrafted, InvoiceIssued, LineKind, PeriodClosed
from patriot.billing.verify_invoice import ProofBroken, verify
from tests.billing.rewriting import (
    CLIENTS,
    EXCHANGES,
    PROOF,
    TOLD,
    changed,
    rewritten,
    written,
)
from tests.billing.support import (
    ACCOUNT,
    BTC,
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

pytestmark = pytest.mark.integration

EXAMPLES = int(os.environ.get("PATRIOT_BILLING_EXAMPLES", "60"))  # a run of thousands is for the night
GOLDEN = Path(__file__).parents[1] / "golden" / "billing"

# ---- what a sound file says


def test_sound_proof_is_explained_and_verified() -> None:
    report = "\n".join(verify(PROOF))
    assert "2022-01: what trading brought since 2022-01-10 09:07:03 UTC" in report
    assert "H, the highest counted before: 0.00 USDT" in report
    assert "correction of 2022-01, by what is known now" in report
    assert "your credit was 0.00 USDT and is now " in report
    assert "mark prices of BTCUSDT: 289, each five minutes, from 2022-01-31T00:00:00Z on" in report
    assert "performance: 0.25 x what " in report
    assert "1.5 USDT" not in report  # the payment is taken off
    assert "total " in report.splitlines()[-1]


async def test_figures_of_a_story_are_the_ones_worked_out_by_hand() -> None:
    """1 BTC bought at 19,000 for a commission of 10, held at a constant mark price of 20,000: 990 x 0.30."""
    books = await Books(on(1, 10)).link()
    await books.agree()
    await books.book(traded(on(1, 12), "1", "19000", commission="10"), sampled(on(2, 1)))
    await books.close("2022-01", on(2, 1, 0, 5))
    report = "\n".join(verify(await books.proof("2022-01")))
    assert "R at the cut, 2022-02-01 00:00:00 UTC: 990.00 USDT" in report
    assert "mean of R since 2022-01-31 00:00:00 UTC: 990.00 USDT" in report
    assert "performance: 0.3 x what 990.00 is above 0.00 = 297.00 USDT" in report


async def test_story_has_a_correction_and_a_credit_that_is_used_up() -> None:
    kinds = []
    for period in ("2022-01", "2022-02", "2022-03"):
        issued = (await TOLD.month(period))[2]
        assert isinstance(issued, InvoiceIssued)
        kinds.append([line.kind for line in issued.lines])
    first, correction, credit = LineKind.PERFORMANCE, LineKind.CORRECTION, LineKind.CREDIT
    assert kinds == [[first], [first, correction, credit], [first, credit]]


async def test_seal_is_compared_with_the_one_that_was_brought() -> None:
    proof = await load_proof(TOLD.store, ACCOUNT, "2022-03")
    assert "this is the seal you gave" in "\n".join(verify(PROOF, proof.seal))
    with pytest.raises(ProofBroken, match="was rewritten or is another one"):
        verify(PROOF, "0" * 64)


def test_file_rewritten_without_a_change_is_the_same() -> None:
    assert rewritten(json.loads(PROOF)) == PROOF


# ---- drafts, payments, months of the old rule


async def test_draft_is_verified_before_and_after_its_approval() -> None:
    books = await Books(on(1, 10)).link()
    await books.agree()
    books.prices.holes = {on(1, 31, 20) + n * assessment.STEP for n in range(3)}
    await books.book(traded(on(1, 12), "1", "19000"), compared(on(1, 20), "7"))
    await books.close("2022-01", on(2, 1, 0, 5))
    assert isinstance((await books.month("2022-01"))[-1], InvoiceDrafted)
    report = "\n".join(verify(await books.proof("2022-01")))
    assert "a person had to review it: UNEXPLAINED_MONEY, BOOKS_BEHIND, MARK_GAP" in report
    await books.dispatch(ApproveDraft(ACCOUNT, "2022-01", "anna", books.clock.now()))
    verify(await books.proof("2022-01"))
    await books.dispatch(VoidInvoice(ACCOUNT, "2022-01", "hole", "anna", "ben", books.clock.now()))
    assert "nothing is owed: invoice voided" in "\n".join(verify(await books.proof("2022-01")))


@pytest.mark.parametrize(("holes", "drafted"), [(2, False), (3, True)])
async def test_hole_of_ten_minutes_is_still_none(holes: int, drafted: bool) -> None:
    books = await Books(on(1, 10)).link()
    await books.agree()
    books.prices.holes = {on(1, 31, 20) + n * assessment.STEP for n in range(holes)}
    await books.book(traded(on(1, 12), "1", "19000"), sampled(on(2, 1)))
    await books.close("2022-01", on(2, 1, 0, 5))
    assert isinstance((await books.month("2022-01"))[-1], InvoiceDrafted) is drafted
    verify(await books.proof("2022-01"))


def by_lots() -> Document:
    """A month that version 0.1 closed by lots: one of them stands 360 x (1.25 - 1.10) = 54 below its mark."""
    document: Document = json.loads((GOLDEN / "by_lots" / "below-its-mark.json").read_bytes())
    return document


@pytest.mark.parametrize("approved", [False, True])
async def test_month_by_lots_is_followed_by_one_by_the_result(approved: bool) -> None:
    books = Books(on(2, 1, 12, 5))
    await books.restore(by_lots())
    if approved:
        await books.dispatch(ApproveDraft(ACCOUNT, "2022-01", "anna", books.clock.now()))
    assert "lot 2: 360 units" in "\n".join(verify(await books.proof("2022-01")))
    await books.book(traded(on(1, 31, 9), "0.2", "19000"), traded(on(2, 3), "0.1", "19000"), sampled(on(3, 1)))
    books.prices.put(on(2, 1), "19500")  # what is held then counts from there on
    books.prices.put(on(2, 1, 0, 1), "20000")
    await books.close("2022-02", on(3, 1, 0, 5))
    closed = (await books.month("2022-02"))[0]
    assert isinstance(closed, PeriodClosed)
    assert (closed.high_before, closed.counted_result) == (Decimal(54), Decimal(200))
    report = "\n".join(verify(await books.proof("2022-02")))
    assert "performance: 0.3 x what 200.00 is above 54.00 = 43.80 USDT" in report
    assert "mark prices of BTCUSDT: 1, each five minutes, from 2022-02-01T00:00:00Z on" in report


async def test_file_of_months_by_lots_alone_has_the_old_format() -> None:
    document = by_lots()
    verify(written(document))
    document["format"] = verify_invoice.FORMAT
    with pytest.raises(ProofBroken, match="expected format patriot-invoice-proof/1 where every month was closed by"):
        verify(written(document))


async def test_loss_that_lots_left_cannot_be_forgotten() -> None:
    books = Books(on(2, 1, 12, 5))
    await books.restore(by_lots())
    await books.book(traded(on(2, 3), "0.1", "19000"), sampled(on(3, 1)))
    await books.close("2022-02", on(3, 1, 0, 5))
    document = json.loads(await books.proof("2022-02"))
    changed(document["months"][1]["events"][0], high_before="0")
    with pytest.raises(ProofBroken, match=r"period_closed.high_before: computed 54, the file says 0"):
        verify(rewritten(document))
    del document["months"][0]
    with pytest.raises(ProofBroken, match="expected the month 2022-01, found 2022-02"):
        verify(rewritten(document))


def test_verifier_has_the_engines_own_limits() -> None:
    assert verify_invoice.WINDOW == assessment.WINDOW
    assert verify_invoice.STEP == assessment.STEP
    assert verify_invoice.LARGEST_MARK_GAP == assessment.LARGEST_GAP
    assert verify_invoice.LARGEST_SAMPLE_AGE == assessment.LARGEST_SAMPLE_AGE
    assert verify_invoice.PAYMENT_TERM == decider.PAYMENT_TERM


def test_verifier_is_read_by_the_oldest_python_it_names() -> None:
    ast.parse(Path(verify_invoice.__file__).read_text(), feature_version=(3, 9))


# ---- any history

KINDS = ["trade"] * 5 + ["client's trade"] * 2 + ["exchange's trade", "move", "fund", "charge", "charge all", "compare"]
NEAR = st.sampled_from([-90_000, -86_400, -86_100, -3600, -301, -300, -299, -1, 0, 1, 60, 4000, 90_000])
MOMENT = st.one_of(
    st.integers(0, 21 * 24 * 3600).map(lambda s: on(1, 10, 9) + timedelta(seconds=s)),
    st.integers(0, 80 * 24 * 3600).map(lambda s: on(1, 10, 9) + timedelta(seconds=s)),
    st.tuples(st.sampled_from([on(1, 11), on(2, 1), on(3, 1)]), NEAR).map(lambda p: p[0] + timedelta(seconds=p[1])),
)
FACT = st.tuples(
    st.sampled_from(KINDS),
    st.sampled_from([BTC, BTC, ETH]),
    st.decimals(min_value="-3", max_value="3", places=3),
    st.decimals(min_value="-0.1", max_value="0.2", places=4),  # better than the mark price by this part of it
    st.decimals(min_value="-0.5", max_value="4", places=8),  # commission
    MOMENT,
    st.sampled_from([0, 0, 1, 1, 2]),  # so many closes later it is known
)


Told = tuple[str, str, Decimal, Decimal, Decimal, datetime, int]


def fact_of(number: int, told: Told) -> LedgerEvent:
    kind, symbol, quantity, better, commission, at, _ = told
    match kind:
        case "move":
            return moved(at, quantity * 1000)
        case "fund":
            return funded(at, quantity, symbol)
        case "charge":
            return charged(at, quantity, symbol)
        case "charge all":
            return charged(at, quantity)
        case "compare":
            return compared(at, str(quantity // 2))
        case _:
            origin = {"trade": TradeOrigin.PATRIOT, "client's trade": CLIENTS}.get(kind, EXCHANGES)
            price = Decimal(20000 if symbol == BTC else 1500) * (1 - better if quantity >= 0 else 1 + better)
            return traded(
                at,
                quantity or Decimal(1),
                price,
                symbol=symbol,
                origin=origin,
                commission=commission,
                trade_id=str(number),
            )


@settings(max_examples=EXAMPLES)
@given(
    story=st.lists(FACT, min_size=3, max_size=14),
    linked=st.lists(st.sampled_from(["-2.5", "0.75"]), max_size=1),
    agreed_at=st.sampled_from(
        [on(1, 10, 9), on(1, 10, 9), on(1, 10, 9, 7, 3, 250), on(1, 31, 20, 3, 11), on(2, 1), on(2, 3, 4)]
    ),
    effective_from=st.sampled_from(["2021-12", "2022-01", "2022-01", "2022-02"]),
    rates=st.tuples(*[st.decimals(min_value="0.1", max_value=1, places=4)] * 2),
    finals=st.tuples(st.booleans(), st.booleans()),
    ends=st.tuples(st.integers(0, 36_000), st.integers(0, 20 * 86_400)),
    holes=st.integers(0, 4),
    shown=st.booleans(),
)
async def test_verifier_agrees_with_the_engine_on_any_history(
    story: list[Told],
    linked: list[str],
    agreed_at: datetime,
    effective_from: str,
    rates: tuple[Decimal, Decimal],
    finals: tuple[bool, bool],
    ends: tuple[int, int],
    holes: int,
    shown: bool,
) -> None:
    books = await Books(on(1, 10, 8)).link(*(position(quantity) for quantity in linked))
    books.move_to(agreed_at)
    await books.agree(rates[0], effective_from)
    await books.agree(rates[1], "2022-03")
    books.prices.swing = Decimal("0.05")
    books.prices.holes = {on(2, 28, 20) + n * assessment.STEP for n in range(holes)}
    closes = [
        ("2022-01", max(on(2, 1), agreed_at) if not finals[0] else agreed_at + timedelta(seconds=ends[0]), finals[0]),
        ("2022-02", on(3, 1, 0, 5), False),
        ("2022-03", on(3, 3) + timedelta(seconds=ends[1], microseconds=77) if finals[1] else on(4, 1), finals[1]),
    ]
    facts: list[list[LedgerEvent]] = [[] for _ in range(len(closes) + 3)]
    for number, one in enumerate(story):
        first = next((n for n, (_, at, _) in enumerate(closes) if at >= one[5]), len(closes))
        facts[first + one[6]].append(fact_of(number, one))
    for (period, at, final), known in zip(closes, facts, strict=False):
        await books.book(*known, *([sampled(at)] if shown else []))
        await books.close(period, at, final=final)
    verify(await books.proof("2022-03"))  # which computes every month
