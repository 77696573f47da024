"""Billing by the time of day: a month is closed once, unpaid invoices are reviewed daily, overdue ones halt entries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from patriot.accounts.events import AccountUnlinked, SampleReason, account_stream, ledger_stream
from patriot.billing.commands import RecordPayment
from patriot.billing.decider import INVOICE, OPEN
from patriot.billing.events import (
    TERMS_STREAM_TYPE,
    EntriesSuspended,
    InvoiceIssued,
    InvoiceReminded,
    PeriodClosed,
    period_stream,
)
from patriot.kernel.bus import decode_all
from patriot.kernel.clock import FakeClock
from patriot.kernel.errors import ExchangeUnavailable, StoreUnavailable
from patriot.kernel.eventstore import START, Context, Envelope, StreamKey
from patriot.kernel.memory import MemoryCheckpoints, MemoryEventStore, MemoryLeases
from patriot.kernel.projection import Recorded
from patriot.orders.events import order_stream
from patriot.risk.events import HaltLevel, ReasonCode, Scope, TradingHalted, TradingResumed
from patriot.services import reconciliation
from patriot.services.alerts import LogAlerts
from patriot.services.billing import BillingService
from patriot.services.commands import full_bus
from patriot.services.ports import Ports, Venue
from patriot.services.reconciliation import TAIL as BOOKING
from patriot.trading.steps import Step
from patriot.trading.terms import AccountId, Exchange, VenueId
from tests.billing.support import (
    ACCOUNT,
    CLIENT,
    DAY,
    HOUR,
    LINKED,
    OTHER_ACCOUNT,
    RATE,
    Story,
    World,
    linked,
    on,
    traded,
)
from tests.orders.kit import ORDER_ID, filled

pytestmark = pytest.mark.unit

DUE = on(2, 1, 12, 5) + timedelta(days=14)


class Store(MemoryEventStore):
    """A store that counts how often an account's history is read, and can go away."""

    reads = 0
    away = 0

    async def read_streams(self, streams: Sequence[StreamKey]) -> list[list[Envelope]]:
        if self.away:
            self.away -= 1
            raise StoreUnavailable("away")
        self.reads += any(stream.stream_type == TERMS_STREAM_TYPE for stream in streams)
        return await super().read_streams(streams)


class OpenInvoices:
    """The one query that the service asks, answered from the log of January."""

    def __init__(self, store: Store) -> None:
        self.asked = 0
        self.away = 0
        self._store = store

    async def fetch(self, sql: str, *arguments: object) -> list[dict[str, Any]]:
        self.asked += 1
        if self.away:
            self.away -= 1
            raise StoreUnavailable("away")
        found = []
        for account_id in (ACCOUNT, OTHER_ACCOUNT):
            events = decode_all(await self._store.read_stream(period_stream(account_id, "2022-01")))
            invoice = INVOICE.fold(events)
            if invoice.status in OPEN:
                closed = next(event for event in events if isinstance(event, PeriodClosed))
                issued = next(event for event in events if isinstance(event, InvoiceIssued))
                names = (*PeriodClosed.__slots__, *InvoiceIssued.__slots__)
                row = {name: getattr(issued, name, getattr(closed, name, None)) for name in names}
                found.append(row | {"status": invoice.status, "paid": Decimal(0), "is_final": False})
        return found

    async def execute(self, sql: str, *arguments: object) -> object:
        raise NotImplementedError(sql)

    async def executemany(self, sql: str, rows: Sequence[Sequence[object]]) -> object:
        raise NotImplementedError(sql)


class Office:
    """A billing service over the histories of billing's own tests."""

    def __init__(self) -> None:
        self.store = Store(FakeClock())
        self.world = World(LINKED, self.store)
        self.clock = self.world.clock
        self.steps: list[Step] = []
        self.exchange_away = False
        self.fills_booked = True
        self.invoices = OpenInvoices(self.store)
        self.ports = Ports(
            clock=self.clock,
            ids=self.world.ids,
            store=self.store,
            feed=self.store.feed,
            checkpoints=MemoryCheckpoints(),
            leases=MemoryLeases(self.clock),
            bus=full_bus(self.store, self.clock, self.world.ids),
            venues=cast("dict[VenueId, Venue]", {Exchange.BINANCE: SimpleNamespace(market=self)}),
            alerts=LogAlerts(),
            reached=self.steps.append,
        )
        self.service = self.start()

    async def mark_opens(self, symbol: str, first_at: datetime, minutes: int) -> list[Decimal | None]:
        """Answer as the exchange does, unless it is away."""
        if self.exchange_away:
            raise ExchangeUnavailable("away")
        return await self.world.prices.mark_opens(symbol, first_at, minutes)

    def start(self) -> BillingService:
        """Return a service as a new process has it."""
        return BillingService(self.ports, self.invoices)

    async def tick(self) -> None:
        """Let the tail read what there is, look at the time, and let the tail read what came of it."""
        await self.service.tail.drain()
        if self.fills_booked:
            await self.ports.checkpoints.save(BOOKING, await self.store.feed.newest())
        await self.service.tick(self.clock.now())
        await self.service.tail.drain()

    async def pay(self, account_id: AccountId) -> datetime:
        """Record that an account's January is paid; return when."""
        (invoice,) = [one for one in await self.log(InvoiceIssued) if one.account_id == account_id]
        command = RecordPayment(account_id, "2022-01", "bank-1", invoice.total, self.clock.now())
        await self.ports.bus.dispatch(command, Context(UUID(int=1), account_id=account_id))
        return command.at

    async def log(self, *types: type) -> list[Any]:
        recorded = [Recorded.of(envelope).event for envelope in (await self.store.feed.read(START, 10**6)).events]
        return [event for event in recorded if isinstance(event, types)]


async def office(*accounts: AccountId) -> Office:
    """Return an office whose accounts gained in January under terms of 30 %."""
    opened = Office()
    for account_id in accounts:
        await opened.world.take(january_of(account_id))
    return opened


def january_of(account_id: AccountId) -> Story:
    story = Story.of_a_client(account_id=account_id).buys(LINKED + HOUR).price(on(1, 20), "1100")
    for day in range(30):
        story.sample(on(1, 15) + day * DAY, SampleReason.HOURLY)
    return story


async def test_month_of_every_account_is_closed_when_its_window_is_over_and_asked_for_once() -> None:
    opened = await office(ACCOUNT, OTHER_ACCOUNT)
    opened.world.move_to(on(2, 1, 12, 4))
    await opened.tick()
    assert await opened.log(PeriodClosed) == []

    opened.world.move_to(on(2, 1, 12, 5))
    await opened.tick()
    closed = await opened.log(PeriodClosed)
    assert [(one.account_id, one.period) for one in closed] == [
        (account_id, "2022-01") for account_id in sorted([ACCOUNT, OTHER_ACCOUNT])
    ]
    assert opened.steps == [Step.INVOICE_ISSUED] * 2

    reads = opened.store.reads
    for moment in (on(2, 1, 12, 6), on(2, 28, 23), on(3, 1, 12, 4)):
        opened.world.move_to(moment)
        await opened.tick()
    assert opened.store.reads == reads
    opened.world.move_to(on(3, 1, 12, 5))
    await opened.tick()
    assert opened.store.reads == reads + 2
    assert [one.period for one in await opened.log(PeriodClosed)] == ["2022-01"] * 2 + ["2022-02"] * 2


async def test_account_that_is_refused_holds_up_no_other() -> None:
    first, second = sorted([ACCOUNT, OTHER_ACCOUNT])
    opened = await office(second)
    without_a_price = january_of(first).buys(on(1, 25), symbol="ETHUSDT").price(on(1, 1), None, "ETHUSDT")
    await opened.world.take(without_a_price.price(on(1, 20), "1100"))
    opened.world.move_to(on(2, 1, 12, 5))
    await opened.tick()
    assert [one.account_id for one in await opened.log(PeriodClosed)] == [second]
    assert opened.steps == [Step.INVOICE_ISSUED]


async def test_account_that_had_nothing_to_close_issues_nothing() -> None:
    opened = await office()
    await opened.world.take(Story().agrees(LINKED, RATE))
    opened.world.move_to(on(2, 1, 12, 5))
    await opened.tick()
    assert opened.steps == []


async def test_month_that_the_store_did_not_take_is_closed_by_the_next_tick() -> None:
    opened = await office(ACCOUNT)
    opened.world.move_to(on(2, 1, 12, 5))
    opened.store.away = 1
    with pytest.raises(StoreUnavailable):
        await opened.tick()
    await opened.tick()
    assert len(await opened.log(PeriodClosed)) == 1


async def test_month_that_the_exchange_had_no_answer_for_is_closed_some_minutes_later() -> None:
    opened = await office(ACCOUNT)
    opened.world.move_to(on(2, 1, 12, 5))
    opened.exchange_away = True
    await opened.tick()
    opened.exchange_away = False
    opened.world.move_to(on(2, 1, 12, 14))
    await opened.tick()
    assert await opened.log(PeriodClosed) == []
    opened.world.move_to(on(2, 1, 12, 15))
    await opened.tick()
    assert len(await opened.log(PeriodClosed)) == 1


@pytest.mark.parametrize("ended", [False, True])
async def test_month_is_not_closed_before_the_fills_are_in_the_books(
    ended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciliation, "BOOKED_SOON", (0.0,))
    opened, story = await office(), january_of(ACCOUNT)
    await opened.world.take(story.sells(on(1, 30)) if ended else story)
    if ended:
        unlinked = AccountUnlinked(ACCOUNT, CLIENT, Exchange.BINANCE, "CLIENT", on(1, 31))
        await opened.world.append(account_stream(ACCOUNT), linked(ACCOUNT), unlinked)
    await opened.world.append(order_stream(ORDER_ID), filled())
    opened.fills_booked = False
    opened.world.move_to(on(2, 1, 12, 5))
    await opened.tick()
    assert await opened.log(PeriodClosed) == []

    opened.fills_booked = True
    opened.world.move_to(on(2, 1, 12, 15))
    await opened.tick()
    assert len(await opened.log(PeriodClosed)) == 1


async def test_account_that_is_unlinked_is_closed_at_that_moment_and_not_again_until_it_is_linked_again() -> None:
    opened = await office(ACCOUNT)
    unlinked_at = on(1, 25, 13, 37)
    unlinked = AccountUnlinked(ACCOUNT, CLIENT, Exchange.BINANCE, "CLIENT", unlinked_at)
    await opened.world.append(account_stream(ACCOUNT), unlinked)
    await opened.world.append(ledger_stream(ACCOUNT), traded(unlinked_at, "-1", "1000"))
    opened.exchange_away = True
    opened.world.move_to(unlinked_at + HOUR)
    await opened.tick()
    opened.exchange_away = False
    for moment in (unlinked_at + 2 * HOUR, on(2, 1, 12, 5), on(3, 1, 12, 5)):
        opened.world.move_to(moment)
        await opened.tick()
        opened.service = opened.start()  # which accounts have ended is known from the log alone
    (closed,) = await opened.log(PeriodClosed)
    assert (closed.period, closed.final, closed.period_end) == ("2022-01", True, unlinked_at)

    await opened.world.append(account_stream(ACCOUNT), linked(ACCOUNT))
    opened.world.move_to(on(4, 1, 12, 5))
    await opened.tick()
    assert [one.period for one in await opened.log(PeriodClosed)] == ["2022-01", "2022-02", "2022-03"]


async def test_open_invoices_are_reviewed_once_on_each_day_and_again_after_an_outage() -> None:
    opened = await office(ACCOUNT)
    opened.world.move_to(on(2, 1, 12, 5))
    await opened.tick()
    assert opened.invoices.asked == 1
    opened.world.move_to(on(2, 1, 23, 59))
    await opened.tick()
    assert opened.invoices.asked == 1
    opened.world.move_to(on(2, 2))
    opened.invoices.away = 1
    with pytest.raises(StoreUnavailable):
        await opened.tick()
    await opened.tick()
    await opened.tick()
    assert opened.invoices.asked == 3
    opened.world.move_to(DUE + HOUR)
    await opened.tick()
    (reminded,) = await opened.log(InvoiceReminded)
    assert (reminded.account_id, reminded.days_from_due, reminded.reminded_at) == (ACCOUNT, 0, DUE + HOUR)


async def test_overdue_invoice_halts_its_account_and_the_payment_lets_it_go_also_after_a_restart() -> None:
    opened = await office(ACCOUNT, OTHER_ACCOUNT)
    opened.world.move_to(on(2, 1, 12, 5))
    await opened.tick()
    await opened.pay(OTHER_ACCOUNT)
    opened.world.move_to(DUE + timedelta(days=14))
    await opened.tick()
    (suspended,) = await opened.log(EntriesSuspended)
    halted = TradingHalted(Scope.ACCOUNT, str(ACCOUNT), HaltLevel.H1, ReasonCode.FEE_OVERDUE, suspended.suspended_at)
    assert await opened.log(TradingHalted, TradingResumed) == [halted]
    assert await _cause_of("trading.halted", opened) == ("billing.entries_suspended", ACCOUNT)

    opened.service = opened.start()  # what was suspended is known from the log alone
    await opened.tick()
    assert await opened.log(TradingHalted, TradingResumed) == [halted]
    paid_at = await opened.pay(ACCOUNT)
    await opened.tick()
    resumed = TradingResumed(Scope.ACCOUNT, str(ACCOUNT), ReasonCode.FEE_OVERDUE, paid_at)
    assert await opened.log(TradingHalted, TradingResumed) == [halted, resumed]
    assert await _cause_of("trading.resumed", opened) == ("billing.payment_recorded", ACCOUNT)


async def _cause_of(event_type: str, opened: Office) -> tuple[str, UUID | None]:
    """Return the type of the event that the one event of a type names as its cause, and whose account it names."""
    log = (await opened.store.feed.read(START, 10**6)).events
    (effect,) = [one for one in log if one.event_type == event_type]
    (cause,) = [one for one in log if one.event_id == effect.context.causation_id]
    return cause.event_type, effect.context.account_id
