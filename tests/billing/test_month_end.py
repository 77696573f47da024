"""Closing months over an event store: once, in order, whatever crashes or runs beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal

import pytest

from patriot.billing.commands import AgreeTerms
from patriot.billing.effects import MonthEnd
from patriot.billing.events import InvoiceIssued, PeriodClosed
from patriot.kernel.clock import FakeClock
from patriot.kernel.errors import CommandRefused, InvalidInput, StoreUnavailable
from patriot.kernel.eventstore import Appended, Fence, IdempotentResult, StreamAppend
from patriot.kernel.memory import MemoryEventStore
from tests.billing.support import ACCOUNT, CLIENT, RATE, World, closed_world, deposit_that_gained, on

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


async def invoices(world: World, *periods: str) -> list[InvoiceIssued]:
    months = [await world.month(period) for period in periods or ("2022-01",)]
    return [event for month in months for event in month if isinstance(event, InvoiceIssued)]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_crash_around_the_close_leaves_one_invoice_with_one_number(when: str) -> None:
    store = Crash(FakeClock())
    world = World(store)
    await world.agree()
    await world.record(deposit_that_gained())
    world.move_to(on(2, 1, 12, 5))
    store.broken = when
    with pytest.raises(StoreUnavailable):
        await world.month_end.close_period(ACCOUNT, "2022-01")
    restarted = MonthEnd(world.store, world.bus, world.clock)
    await restarted.close_period(ACCOUNT, "2022-01")
    (invoice,) = await invoices(world)
    assert invoice.total == Decimal("30.00")
    assert invoice.number.startswith("2022-01-")


async def test_scheduler_that_runs_twice_issues_one_invoice() -> None:
    world = await closed_world(deposit_that_gained())
    world.move_to(on(2, 3))
    assert await world.month_end.close_period(ACCOUNT, "2022-01") == ()
    assert len(await world.month()) == 3


async def test_two_schedulers_at_once_issue_one_invoice() -> None:
    world = World()
    await world.agree()
    await world.record(deposit_that_gained())
    world.move_to(on(2, 1, 12, 5))
    await asyncio.gather(*(world.month_end.close_period(ACCOUNT, "2022-01") for _ in range(5)))
    assert len(await invoices(world)) == 1


async def test_months_that_were_missed_are_closed_first_each_from_the_books_before() -> None:
    world = World()
    await world.agree()
    history = (
        deposit_that_gained("1.10").hourly(on(2, 1, 13), on(3, 1, 12), "1050").hourly(on(3, 2), on(4, 1, 12), "1300")
    )
    await world.record(history)
    world.move_to(on(4, 1, 12, 5))
    assert await world.month_end.close_period(ACCOUNT, "2022-03") == ("2022-01", "2022-02", "2022-03")
    issued = await invoices(world, "2022-01", "2022-02", "2022-03")
    assert [str(invoice.total) for invoice in issued] == ["30.00", "0.00", "60.00"]


async def test_months_closed_in_time_or_late_are_charged_the_same() -> None:
    history = deposit_that_gained("1.10")
    world = await closed_world(history)
    await world.record(history.hourly(on(2, 1, 13), on(3, 1, 12), "1300"))
    world.move_to(on(3, 1, 12, 5))
    assert await world.month_end.close_period(ACCOUNT, "2022-02") == ("2022-02",)
    (second,) = await invoices(world, "2022-02")
    assert second.total == Decimal("60.00")
    closed = (await world.month("2022-02"))[0]
    assert isinstance(closed, PeriodClosed)
    assert closed.opening_equity == 1100
    assert closed.previous_close_hash


async def test_account_without_a_sample_has_nothing_to_close() -> None:
    world = World()
    await world.agree()
    world.move_to(on(2, 1, 12, 5))
    assert await world.month_end.close_period(ACCOUNT, "2022-01") == ()


async def test_month_before_the_account_began_has_nothing_to_close() -> None:
    world = World()
    await world.agree()
    await world.record(deposit_that_gained())
    assert await world.month_end.close_period(ACCOUNT, "2021-12") == ()


async def test_month_without_terms_is_refused_and_nothing_is_booked() -> None:
    world = World()
    await world.record(deposit_that_gained())
    world.move_to(on(2, 1, 12, 5))
    with pytest.raises(CommandRefused, match="no fee terms are agreed for 2022-01"):
        await world.month_end.close_period(ACCOUNT, "2022-01")
    assert await world.month() == []


async def test_close_before_its_time_is_refused_and_nothing_is_booked() -> None:
    world = World()
    await world.agree()
    await world.record(deposit_that_gained())
    world.move_to(on(2, 1, 11))
    with pytest.raises(CommandRefused, match="can be closed from"):
        await world.month_end.close_period(ACCOUNT, "2022-01")
    assert await world.month() == []


async def test_period_that_is_no_month_is_refused() -> None:
    with pytest.raises(InvalidInput, match="period"):
        await World().month_end.close_period(ACCOUNT, "2022-00")


async def test_new_rate_holds_from_the_next_month() -> None:
    history = deposit_that_gained("1.10")
    world = await closed_world(history)
    await world.dispatch(AgreeTerms(ACCOUNT, CLIENT, Decimal("0.20"), "2022-03", world.clock.now()))
    history.hourly(on(2, 1, 13), on(3, 1, 12), "1200").hourly(on(3, 1, 13), on(4, 1, 12), "1300")
    await world.record(history)
    world.move_to(on(4, 1, 12, 5))
    await world.month_end.close_period(ACCOUNT, "2022-03")
    issued = await invoices(world, "2022-02", "2022-03")
    assert [(invoice.fee_rate, str(invoice.total)) for invoice in issued] == [
        (RATE, "30.00"),
        (Decimal("0.20"), "20.00"),
    ]
