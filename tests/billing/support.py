"""Accounts with a history, in memory: what the tests of billing tell their stories with."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from patriot.accounts.events import EquitySampled, LedgerEvent, SampleReason, TransferRecorded, ledger_stream
from patriot.billing.assessment import Assessment, Books, assess
from patriot.billing.commands import AgreeTerms
from patriot.billing.documents import export_invoice
from patriot.billing.effects import MonthEnd
from patriot.billing.events import BillingEvent, period_stream
from patriot.billing.nav import Facts, facts_of
from patriot.billing.streams import register
from patriot.kernel.bus import CommandBus, decode_all
from patriot.kernel.clock import FakeClock
from patriot.kernel.codec import EVENTS, encode
from patriot.kernel.eventstore import Context, EventStore, NewEvent, StreamAppend
from patriot.kernel.ids import Ids, derived_id
from patriot.kernel.memory import MemoryEventStore
from patriot.trading.terms import AccountId, UserId

ACCOUNT, OTHER_ACCOUNT = AccountId(derived_id("test", "account")), AccountId(derived_id("test", "other account"))
CLIENT = UserId(derived_id("test", "client"))
RATE = Decimal("0.30")
HOUR = timedelta(hours=1)


def on(month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2022, month, day, hour, minute, tzinfo=UTC)


LINKED, JANUARY_ENDS, FEBRUARY_ENDS = on(1, 30), on(2, 1), on(3, 1)


@dataclass
class History:
    """The BALANCE stream of one account, event by event."""

    account_id: AccountId = ACCOUNT
    events: list[LedgerEvent] = field(default_factory=list)

    def sample(self, at: datetime, equity: str | Decimal, reason: SampleReason = SampleReason.HOURLY) -> History:
        amount = Decimal(equity)
        self.events.append(EquitySampled(self.account_id, CLIENT, reason, "USDT", amount, amount, (), at))
        return self

    def hourly(self, start: datetime, end: datetime, equity: str) -> History:
        """Sample the same equity every hour, both ends included."""
        while start <= end:
            self.sample(start, equity)
            start += HOUR
        return self

    def transfer(self, at: datetime, amount: str, equity_after: str, asset: str = "USDT") -> History:
        """Move money, and sample what is there right after it."""
        return self.only_transfer(at, amount, asset).sample(at, equity_after, SampleReason.TRANSFER)

    def only_transfer(self, at: datetime, amount: str, asset: str = "USDT") -> History:
        record = f"tran-{len(self.events) + 1}"
        self.events.append(TransferRecorded(self.account_id, CLIENT, record, asset, Decimal(amount), at))
        return self

    def facts(self) -> Facts:
        return facts_of(enumerate(self.events, start=1))

    def january(self, *, at: datetime | None = None, final: bool = False) -> Assessment:
        return assess(Books(), self.facts(), "2022-01", RATE, at or on(2, 1, 12, 5), final=final)


def deposit_that_gained(nav: str = "1.10") -> History:
    """1,000 deposited at NAV 1; the NAV given holds around the end of January."""
    equity = str(Decimal(1000) * Decimal(nav))
    history = History().only_transfer(LINKED, "1000").sample(LINKED, "1000", SampleReason.LINKED)
    return history.hourly(LINKED + HOUR, on(1, 31, 11), "1000").hourly(on(1, 31, 12), on(2, 1, 12), equity)


class World:
    """One event store with billing on it, and a clock that tests move."""

    def __init__(self, store: EventStore | None = None) -> None:
        self.clock = FakeClock(LINKED)
        self.store = store or MemoryEventStore(self.clock)
        self.ids = Ids(self.clock, random.Random(7).randbytes)
        self.bus = CommandBus(self.store, self.clock, self.ids)
        register(self.bus)
        self.month_end = MonthEnd(self.store, self.bus, self.clock)

    def move_to(self, moment: datetime) -> None:
        self.clock.advance(moment - self.clock.now())

    async def record(self, history: History) -> None:
        """Append what the history has and the store has not."""
        stream = ledger_stream(history.account_id)
        known = len(await self.store.read_stream(stream))
        context = Context(derived_id("test", "ledger"), user_id=CLIENT, account_id=history.account_id)
        new = tuple(self._pack(event, context) for event in history.events[known:])
        await self.store.append([StreamAppend(stream, known, new)])

    def _pack(self, event: LedgerEvent, context: Context) -> NewEvent:
        name, version = EVENTS.name_of(event)
        return NewEvent(self.ids.new(), name, version, self.clock.now(), encode(event), context)

    async def dispatch(self, command: object) -> tuple[object, ...]:
        return (await self.bus.dispatch(command, Context(derived_id("test", "command")))).events

    async def agree(self, rate: Decimal = RATE, effective_from: str = "2022-01", account: AccountId = ACCOUNT) -> None:
        await self.dispatch(AgreeTerms(account, CLIENT, rate, effective_from, self.clock.now()))

    async def month(self, period: str = "2022-01", account: AccountId = ACCOUNT) -> list[BillingEvent]:
        return decode_all(await self.store.read_stream(period_stream(account, period)))

    async def proof(self, period: str = "2022-01") -> bytes:
        return await export_invoice(self.store, ACCOUNT, period)


async def closed_world(
    history: History, *, at: datetime | None = None, final: bool = False, store: EventStore | None = None
) -> World:
    """Record a history under terms of 30 % and close January."""
    world = World(store)
    await world.agree()
    await world.record(history)
    world.move_to(at or on(2, 1, 12, 5))
    assert await world.month_end.close_period(ACCOUNT, "2022-01", final=final) == ("2022-01",)
    return world


def fees(assessment: Assessment) -> list[str]:
    return [str(line.fee) for line in assessment.lines]


def texts(values: Sequence[Decimal | UUID]) -> list[str]:
    return [str(value) for value in values]
