"""Closing months over an event store: once, in order, whatever crashes or runs beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from patriot.accounts.events import AccountUnlinked, SampleReason, account_stream, ledger_stream
from patriot.billing.assessment import MarkSpan
from patriot.billing.commands import AgreeTerms
from patriot.billing.events import InvoiceIssued, PeriodClosed
from patriot.billing.verify_invoice import verify
from patriot.kernel.clock import FakeClock
from patriot.kernel.errors import CommandRefused, InvalidInput, StoreUnavailable
from patriot.kernel.eventstore import Appended, Fence, IdempotentResult, StreamAppend
from patriot.kernel.memory import MemoryEventStore
from patriot.trading.terms import Exchange
from tests.billing.support import (
    ACCOUNT,
    BTC,
    CLIENT,
    DAY,
    HOUR,
    JANUARY_ENDS,
    LINKED,
    Story,
    World,
    linked,
    long_one,
    on,
    traded,
)

pytestmark = pytest.mark.unit


class Crash(MemoryEventStore):
    """A store whose connection breaks around an append: before it, or after it was committed."""

    broken: str = ""

    async def append(
        self,
        appends: Sequence[StreamAppend],
        *,
        result: IdempotentResult | None = None,
        fence: Fence | None = None,
    ) -> Appended:
        when, self.broken = self.broken, ""
        if when == "before":
            raise StoreUnavailable("the line broke before the commit")
        appended = await super().append(appends, result=result, fence=fence)
        if when == "after":
            raise StoreUnavailable("the line broke after the commit")
        return appended


JANUARY, FEBRUARY, MARCH = "2022-01", "2022-02", "2022-03"
CLOSING = JANUARY_ENDS + timedelta(hours=12, minutes=5)


def gained() -> Story:
    """One BTC bought at 1,000 that is worth 1,100 at the end of January, 1,050 of February and 1,300 of March."""
    story = Story.of_a_client().buys(LINKED + HOUR)
    return story.price(on(1, 20), "1100").price(on(2, 20), "1050").price(on(3, 20), "1300")


async def world_with(story: Story, *, at: datetime = CLOSING, store: MemoryEventStore | None = None) -> World:
    world = World(LINKED, store)
    for day in range(90):
        story.sample(LINKED + day * DAY, SampleReason.HOURLY)
    await world.take(story)
    world.move_to(at)
    return world


async def invoices(world: World, *periods: str) -> list[InvoiceIssued]:
    months = [await world.month(period) for period in periods or (JANUARY,)]
    return [event for month in months for event in month if isinstance(event, InvoiceIssued)]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_crash_around_the_close_leaves_one_invoice_with_one_number(when: str) -> None:
    store = Crash(FakeClock())
    world = await world_with(gained(), store=store)
    store.broken = when
    with pytest.raises(StoreUnavailable):
        await world.month_end.close_period(ACCOUNT, JANUARY)
    await world.restarted().close_period(ACCOUNT, JANUARY)
    (invoice,) = await invoices(world)
    assert str(invoice.total) == "30.00"
    assert invoice.number.startswith("2022-01-")


async def test_scheduler_that_runs_twice_issues_one_invoice() -> None:
    world = await world_with(gained())
    assert await world.month_end.close_period(ACCOUNT, JANUARY) == (JANUARY,)
    world.move_to(on(2, 3))
    assert await world.month_end.close_period(ACCOUNT, JANUARY) == ()
    assert len(await world.month(JANUARY)) == 3


async def test_two_schedulers_at_once_issue_one_invoice() -> None:
    world = await world_with(gained())
    await asyncio.gather(*(world.month_end.close_period(ACCOUNT, JANUARY) for _ in range(5)))
    assert len(await invoices(world)) == 1


async def test_months_that_were_missed_are_closed_first_each_on_the_ones_before() -> None:
    world = await world_with(gained(), at=on(4, 1, 12, 5))
    assert await world.month_end.close_period(ACCOUNT, MARCH) == (JANUARY, FEBRUARY, MARCH)
    issued = await invoices(world, JANUARY, FEBRUARY, MARCH)
    assert [str(invoice.total) for invoice in issued] == ["30.00", "0.00", "60.00"]


async def test_months_closed_in_time_or_late_are_charged_the_same() -> None:
    world = await world_with(gained())
    for period, at in ((JANUARY, CLOSING), (FEBRUARY, on(3, 1, 12, 5)), (MARCH, on(4, 1, 12, 5))):
        world.move_to(at)
        assert await world.month_end.close_period(ACCOUNT, period) == (period,)
    issued = await invoices(world, JANUARY, FEBRUARY, MARCH)
    assert [str(invoice.total) for invoice in issued] == ["30.00", "0.00", "60.00"]
    closed = (await world.month(FEBRUARY))[0]
    assert isinstance(closed, PeriodClosed)
    assert closed.previous_close_hash
    assert str(closed.high_before) == "100"


async def test_mark_prices_are_asked_for_once_and_only_of_what_was_held() -> None:
    story = gained().buys(on(1, 12), symbol="ETHUSDT").sells(on(1, 13), symbol="ETHUSDT")
    world = await world_with(story)
    await world.month_end.close_period(ACCOUNT, JANUARY)
    assert world.prices.asked == [MarkSpan(BTC, JANUARY_ENDS - DAY, 1_441)]
    world.move_to(on(3, 1, 12, 5))
    await world.month_end.close_period(ACCOUNT, FEBRUARY)
    assert world.prices.asked[1:] == [MarkSpan(BTC, on(2, 28), 1_441)]


async def test_position_that_was_held_when_the_terms_began_is_valued_then() -> None:
    story = Story().links(LINKED, "10000").buys(LINKED + HOUR).price(on(1, 20, 10, 17), "1040")
    world = await world_with(story.agrees(on(1, 20, 10, 17), Decimal("0.30")).price(on(1, 25), "1100"))
    await world.month_end.close_period(ACCOUNT, JANUARY)
    assert world.prices.asked == [MarkSpan(BTC, on(1, 20, 10, 17), 1), MarkSpan(BTC, JANUARY_ENDS - DAY, 1_441)]
    assert [str(invoice.total) for invoice in await invoices(world)] == ["18.00"]


async def test_month_that_ends_early_is_cut_there() -> None:
    world = await world_with(gained(), at=on(1, 26))  # the exchange did not answer at once
    await world.month_end.close_period(ACCOUNT, JANUARY, ends_at=on(1, 25, 13, 37))
    verify(await world.proof())
    closed = (await world.month(JANUARY))[0]
    assert isinstance(closed, PeriodClosed)
    assert (closed.final, closed.period_end) == (True, on(1, 25, 13, 37))
    assert (closed.window_start, closed.counted_result) == (on(1, 24, 13, 37), Decimal(100))


async def test_account_that_was_unlinked_is_closed_once_its_books_hold_nothing_either() -> None:
    """The exchange held nothing: an execution that may still turn out ours, or was not told yet, is missing."""
    ended_at = on(1, 25, 13, 37)
    world = await world_with(gained(), at=on(1, 26))
    unlinked = AccountUnlinked(ACCOUNT, CLIENT, Exchange.BINANCE, "CLIENT", ended_at)
    await world.append(account_stream(ACCOUNT), linked(ACCOUNT), unlinked)
    with pytest.raises(CommandRefused, match="executions of BTCUSDT are not booked"):
        await world.month_end.close_period(ACCOUNT, JANUARY, ends_at=ended_at)
    assert await world.month(JANUARY) == []

    await world.append(ledger_stream(ACCOUNT), traded(ended_at - timedelta(minutes=1), "-1", "1010"))
    await world.month_end.close_period(ACCOUNT, JANUARY, ends_at=ended_at)
    closed = (await world.month(JANUARY))[0]
    assert isinstance(closed, PeriodClosed)
    assert (closed.final, closed.result_at_cut) == (True, Decimal(10))


async def test_account_that_comes_back_goes_on_with_its_result_once_its_client_agreed_again() -> None:
    ended_at, back_at = on(1, 25), on(2, 10)
    story = long_one().sells(ended_at - 2 * DAY, "1", "1100").buys(back_at + DAY).price(back_at + 2 * DAY, "1150")
    world = await world_with(story, at=ended_at)
    unlinked = AccountUnlinked(ACCOUNT, CLIENT, Exchange.BINANCE, "CLIENT", ended_at)
    back = replace(linked(ACCOUNT), linked_at=back_at)
    await world.append(account_stream(ACCOUNT), linked(ACCOUNT), unlinked)
    await world.month_end.close_period(ACCOUNT, JANUARY, ends_at=ended_at)
    await world.append(account_stream(ACCOUNT), back)
    world.move_to(on(3, 1, 12, 5))
    assert await world.month_end.close_period(ACCOUNT, FEBRUARY) == ()

    await world.dispatch(AgreeTerms(ACCOUNT, CLIENT, Decimal("0.30"), MARCH, world.clock.now()))
    assert await world.month_end.close_period(ACCOUNT, FEBRUARY) == (FEBRUARY,)
    assert [str(one.total) for one in await invoices(world, JANUARY, FEBRUARY)] == ["30.00", "45.00"]
    verify(await world.proof(FEBRUARY))


async def test_account_without_books_has_nothing_to_close() -> None:
    world = World(LINKED)
    await world.take(Story().agrees(LINKED, Decimal("0.30")))
    world.move_to(CLOSING)
    assert await world.month_end.close_period(ACCOUNT, JANUARY) == ()


async def test_month_before_the_terms_has_nothing_to_close() -> None:
    world = await world_with(gained())
    assert await world.month_end.close_period(ACCOUNT, "2021-12") == ()


async def test_account_without_terms_is_not_closed() -> None:
    world = await world_with(Story().links(LINKED, "10000").buys(LINKED + HOUR))
    assert await world.month_end.close_period(ACCOUNT, JANUARY) == ()
    assert await world.month(JANUARY) == []


async def test_close_before_its_time_is_refused_and_nothing_is_booked() -> None:
    world = await world_with(gained(), at=JANUARY_ENDS - timedelta(seconds=1))
    with pytest.raises(CommandRefused, match="can be closed from"):
        await world.month_end.close_period(ACCOUNT, JANUARY)
    assert await world.month(JANUARY) == []


async def test_period_that_is_no_month_is_refused() -> None:
    with pytest.raises(InvalidInput, match="period"):
        await World(LINKED).month_end.close_period(ACCOUNT, "2022-00")


async def test_new_rate_holds_from_the_next_month() -> None:
    story = gained().agrees(on(2, 2), Decimal("0.20"), MARCH)
    world = await world_with(story, at=on(4, 1, 12, 5))
    await world.month_end.close_period(ACCOUNT, MARCH)
    issued = await invoices(world, JANUARY, FEBRUARY, MARCH)
    assert [(str(invoice.fee_rate), str(invoice.total)) for invoice in issued] == [
        ("0.30", "30.00"),
        ("0.30", "0.00"),
        ("0.20", "40.00"),
    ]
