"""Months that were closed by lots open the books of the rule by results: at their end, with the loss they left."""

import gzip
import json
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from patriot.billing.events import FeeRule, PeriodClosed
from patriot.billing.period import following, period_end
from patriot.billing.verify_invoice import verify
from tests.billing.support import Books, sampled, traded

pytestmark = pytest.mark.integration

GOLDEN = Path(__file__).parents[1] / "golden" / "billing" / "by_lots"
RANDOM = gzip.decompress((GOLDEN / "random.jsonl.gz").read_bytes()).splitlines()
MONTH = timedelta(days=32)


async def gone_on(document: dict[str, Any]) -> tuple[Books, str]:
    """Take over books that were closed by lots, and close the month after them by results; return its name."""
    last = document["months"][-1]
    closed_at = json.loads(last["events"][0]["data"])["closed_at"]
    books = Books(datetime.fromisoformat(closed_at.replace("Z", "+00:00")))
    await books.restore(document)
    period = following(last["period"])
    await books.book(traded(books.clock.now(), "0.1", "19000"), sampled(period_end(period)))
    assert await books.close(period, period_end(period)) == (period,)
    return books, period


async def first_by_result(books: Books, period: str) -> PeriodClosed:
    closed = (await books.month(period))[0]
    assert isinstance(closed, PeriodClosed)
    return closed


@pytest.mark.parametrize("number", range(len(RANDOM)))
async def test_first_month_by_results_is_verified_after_any_months_by_lots(number: int) -> None:
    books, period = await gone_on(json.loads(RANDOM[number]))
    closed = await first_by_result(books, period)
    assert closed.rule is FeeRule.RESULT
    assert closed.begins_at >= period_end(json.loads(RANDOM[number])["months"][0]["period"])
    verify(await books.proof(period))


async def test_loss_of_the_lots_is_made_good_first() -> None:
    document = json.loads((GOLDEN / "below-its-mark.json").read_bytes())
    books, period = await gone_on(document)
    left = json.loads(document["months"][-1]["events"][0]["data"])
    nav = Decimal(left["crystallization_nav"])
    below = sum(Decimal(lot["units"]) * (Decimal(lot["high_water_mark"]) - nav) for lot in left["lots_after"])
    closed = await first_by_result(books, period)
    assert below > 0
    assert abs(closed.high_before - below) < Decimal("1e-9")
    assert closed.previous_close_hash == document["months"][-1]["events"][2]["event_hash"]


async def test_terms_that_were_agreed_after_a_month_by_lots_forget_none_of_it() -> None:
    document = json.loads((GOLDEN / "below-its-mark.json").read_bytes())
    (terms,) = document["terms"]
    agreed = json.loads(terms["data"])
    late = (datetime.fromisoformat(agreed["agreed_at"].replace("Z", "+00:00")) + MONTH).isoformat()
    terms["data"] = json.dumps(agreed | {"agreed_at": late.replace("+00:00", "Z")}, separators=(",", ":"))
    books, period = await gone_on(document)
    closed = await first_by_result(books, period)
    assert closed.begins_at == period_end(document["months"][-1]["period"])
    assert closed.high_before > 0
