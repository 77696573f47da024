"""Accounts with a history, told as stories: what was traded, what moved in and out, and where the price stood."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from patriot.accounts.events import (
    AccountLinked,
    AccountReconciled,
    ChargeBooked,
    EquitySampled,
    FundingPaid,
    LedgerEvent,
    LedgerOpened,
    PositionMode,
    PositionSample,
    SampleReason,
    TradeBooked,
    TradeOrigin,
    TransferRecorded,
    account_stream,
    ledger_stream,
)
from patriot.billing.assessment import STEP, Assessment, ClosedMonth, Cut, MarkSpan, assess, missing_marks
from patriot.billing.commands import AgreeTerms, ClosePeriod
from patriot.billing.decider import INVOICE, TERMS, Terms
from patriot.billing.documents import export_invoice
from patriot.billing.effects import MonthEnd, cut_of
from patriot.billing.events import (
    BillingEvent,
    EventRange,
    FeeAssessed,
    MarkSeries,
    PeriodClosed,
    TermsAgreed,
    period_stream,
)
from patriot.billing.streams import register
from patriot.kernel.bus import CommandBus, decode_all
from patriot.kernel.clock import FakeClock
from patriot.kernel.codec import EVENTS, encode
from patriot.kernel.eventstore import Context, EventStore, NewEvent, StreamAppend, StreamKey
from patriot.kernel.ids import Ids, derived_id
from patriot.kernel.memory import MemoryEventStore
from patriot.trading.terms import AccountId, Environment, Exchange, Side, UserId

ACCOUNT, OTHER_ACCOUNT = AccountId(derived_id("test", "account")), AccountId(derived_id("test", "other account"))
CLIENT = UserId(derived_id("test", "client"))
RATE = Decimal("0.30")
BTC = "BTCUSDT"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
PRICE = Decimal(1_000)  # at which stories begin


def on(month: int, day: int, hour: int = 0, minute: int = 0, *, year: int = 2022) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


CLOSING = on(2, 1, 12, 5)
LINKED, JANUARY_ENDS, FEBRUARY_ENDS, MARCH_ENDS = on(1, 10), on(2, 1), on(3, 1), on(4, 1)


class Prices:
    """Mark prices as the exchange publishes them: each from a moment on; None: it has none from there on."""

    def __init__(self) -> None:
        self._since: dict[str, list[tuple[datetime, Decimal | None]]] = {}
        self.asked: list[MarkSpan] = []

    def put(self, at: datetime, price: str | Decimal | None, symbol: str = BTC) -> None:
        steps = self._since.setdefault(symbol, [(on(1, 1, year=2020), PRICE)])
        steps.append((at, None if price is None else Decimal(price)))
        steps.sort(key=lambda step: step[0])

    def at(self, moment: datetime, symbol: str = BTC) -> Decimal | None:
        steps = self._since.get(symbol, [(on(1, 1, year=2020), PRICE)])
        return [price for since, price in steps if since <= moment][-1]

    def series(self, span: MarkSpan) -> MarkSeries:
        prices = tuple(self.at(span.first_at + n * STEP, span.symbol) for n in range(span.count))
        return MarkSeries(span.symbol, span.first_at, prices)

    async def mark_opens(self, symbol: str, first_at: datetime, minutes: int) -> list[Decimal | None]:
        self.asked.append(MarkSpan(symbol, first_at, minutes))
        return [self.at(first_at + n * MINUTE, symbol) for n in range(minutes)]


@dataclass
class Story:
    """The books of one account (its BALANCE stream), its terms and the months that were closed."""

    account_id: AccountId = ACCOUNT
    events: list[LedgerEvent] = field(default_factory=list)
    prices: Prices = field(default_factory=Prices)
    terms: Terms = field(default_factory=Terms)
    closed: list[ClosedMonth] = field(default_factory=list)

    @staticmethod
    def of_a_client(at: datetime = LINKED, rate: Decimal = RATE, account_id: AccountId = ACCOUNT) -> Story:
        """Link an account with 10,000 and agree on the rate at the same moment."""
        story = Story(account_id).links(at, "10000")
        return story.agrees(at, rate)

    def links(self, at: datetime, wallet: str, *positions: PositionSample) -> Story:
        self.events.append(LedgerOpened(self.account_id, CLIENT, "USDT", Decimal(wallet), at, (), at))
        self.moves(at, wallet)
        return self.sample(at, SampleReason.LINKED, positions)

    def agrees(self, at: datetime, rate: Decimal, effective_from: str | None = None) -> Story:
        period = effective_from or f"{at:%Y-%m}"
        agreed = TermsAgreed(self.account_id, CLIENT, rate, period, at)
        self.terms = TERMS.evolve(self.terms, agreed)
        return self

    def sample(self, at: datetime, reason: SampleReason, positions: Sequence[PositionSample] = ()) -> Story:
        zero = Decimal(0)
        self.events.append(EquitySampled(self.account_id, CLIENT, reason, "USDT", zero, zero, tuple(positions), at))
        return self

    def buys(self, at: datetime, quantity: str = "1", price: str | None = None, **named: Any) -> Story:
        return self._trades(at, Side.BUY, quantity, price, **named)

    def sells(self, at: datetime, quantity: str = "1", price: str | None = None, **named: Any) -> Story:
        return self._trades(at, Side.SELL, quantity, price, **named)

    def _trades(
        self, at: datetime, side: Side, quantity: str, price: str | None, *,
        by: TradeOrigin = TradeOrigin.PATRIOT, commission: str = "0", asset: str = "USDT", worth: str | None = None,
        symbol: str = BTC,
    ) -> Story:  # fmt: skip
        paid_at = Decimal(price) if price is not None else self.prices.at(at, symbol)
        assert paid_at is not None
        self.events.append(
            TradeBooked(
                self.account_id, CLIENT, symbol, f"{len(self.events)}", by, side, Decimal(quantity), paid_at,
                Decimal(0), Decimal(commission), asset, Decimal(commission if worth is None else worth), at,
            )
        )  # fmt: skip
        return self

    def moves(self, at: datetime, amount: str) -> Story:
        record = f"tran-{len(self.events)}"
        self.events.append(TransferRecorded(self.account_id, CLIENT, record, "USDT", Decimal(amount), at))
        return self

    def is_paid_funding(self, at: datetime, amount: str, symbol: str = BTC) -> Story:
        record = f"fund-{len(self.events)}"
        self.events.append(FundingPaid(self.account_id, CLIENT, record, symbol, "USDT", Decimal(amount), at))
        return self

    def is_charged(self, at: datetime, value: str, symbol: str = BTC, charge: str = "INSURANCE_CLEAR") -> Story:
        record, amount = f"charge-{len(self.events)}", Decimal(value)
        self.events.append(ChargeBooked(self.account_id, CLIENT, record, charge, symbol, "USDT", amount, amount, at))
        return self

    def is_reconciled(self, at: datetime, unexplained: str) -> Story:
        rest = Decimal(unexplained)
        self.events.append(AccountReconciled(self.account_id, CLIENT, rest, at if rest else None, at))
        return self

    def price(self, at: datetime, price: str | None, symbol: str = BTC) -> Story:
        self.prices.put(at, price, symbol)
        return self

    def assess(self, period: str, *, final_at: datetime | None = None, sampled: bool = True) -> Assessment:
        """Compute a month as the month-end run does; nothing is closed by it."""
        cut = cut_of(self.terms, self.closed, period, final_at)
        if sampled:
            self.sample(cut.at, SampleReason.HOURLY)
        history = list(enumerate(self.events, start=1))
        missing = missing_marks(history, "USDT", self.closed, cut)
        marks = tuple(self.prices.series(span) for span in missing)
        return assess(history, "USDT", self.closed, cut, marks, final=final_at is not None)

    def closes(self, *periods: str, final_at: datetime | None = None) -> list[Assessment]:
        """Close months one after the other; `final_at` is of the last one."""
        done = []
        for period in periods:
            assessment = self.assess(period, final_at=final_at if period == periods[-1] else None)
            at = assessment.cut.at
            facts = EventRange(1, len(self.events), ACCOUNT, ACCOUNT, "")
            command = ClosePeriod(self.account_id, CLIENT, assessment, facts, "", "", at)
            closed, assessed, *_ = INVOICE.decide(INVOICE.initial, command)
            assert isinstance(closed, PeriodClosed)
            assert isinstance(assessed, FeeAssessed)
            self.closed.append(ClosedMonth(closed, assessed))
            done.append(assessment)
        return done

    def fees(self, *periods: str, final_at: datetime | None = None) -> list[str]:
        """Close months; return what each of them costs."""
        return [str(one.fee_amount) for one in self.closes(*periods, final_at=final_at)]


def long_one() -> Story:
    """Let PATRIOT buy 1 BTC at 1,000 right after linking."""
    return Story.of_a_client().buys(LINKED + HOUR)


def gained(price: str = "1100") -> Story:
    """One BTC bought at 1,000 by PATRIOT, and where its price stands in the last days of January."""
    return long_one().price(on(1, 20), price)


def with_a_gap() -> Story:
    """The same with half an hour without a mark price in the last day: a draft."""
    return gained().price(on(1, 31, 12), None).price(on(1, 31, 12, 30), "1100")


def linked(account_id: AccountId) -> AccountLinked:
    return AccountLinked(account_id, CLIENT, Exchange.BINANCE, Environment.SIM, PositionMode.ONE_WAY, "USDT", 1, LINKED)


class World:
    """The month-end run on a store in memory, with accounts whose books are stories."""

    def __init__(self, now: datetime, store: EventStore | None = None) -> None:
        self.clock = FakeClock(now)
        self.store = store or MemoryEventStore(self.clock)
        self.ids = Ids(self.clock, random.Random(7).randbytes)
        self.bus = CommandBus(self.store, self.clock, self.ids)
        register(self.bus)
        self.prices = Prices()
        self.month_end = self.restarted()

    def restarted(self) -> MonthEnd:
        return MonthEnd(self.store, self.bus, self.clock, lambda _exchange: self.prices)

    async def take(self, story: Story) -> None:
        """Write an account's link, books and terms."""
        self.prices = story.prices
        await self.append(account_stream(story.account_id), [linked(story.account_id)])
        await self.append(ledger_stream(story.account_id), story.events)
        for agreed in story.terms.agreed:
            command = AgreeTerms(story.account_id, CLIENT, agreed.fee_rate, agreed.effective_from, agreed.agreed_at)
            await self.dispatch(command)

    def move_to(self, moment: datetime) -> None:
        self.clock.advance(moment - self.clock.now())

    async def dispatch(self, command: object) -> list[BillingEvent]:
        return list((await self.bus.dispatch(command, Context(self.ids.new()))).events)

    async def append(self, stream: StreamKey, events: Sequence[object]) -> None:
        known = await self.store.read_stream(stream)
        new = []
        for event in events[len(known) :]:
            name, version = EVENTS.name_of(event)
            new.append(
                NewEvent(self.ids.new(), name, version, self.clock.now(), encode(event), Context(self.ids.new()))
            )
        if new:
            await self.store.append([StreamAppend(stream, len(known), tuple(new))])

    async def month(self, period: str = "2022-01", account_id: AccountId = ACCOUNT) -> list[BillingEvent]:
        return decode_all(await self.store.read_stream(period_stream(account_id, period)))

    async def proof(self, period: str = "2022-01", account_id: AccountId = ACCOUNT) -> bytes:
        return await export_invoice(self.store, account_id, period)


async def closed_world(
    story: Story, *, at: datetime = CLOSING, period: str = "2022-01", final: bool = False,
    store: EventStore | None = None,
) -> World:  # fmt: skip
    """Close a month of an account whose books are complete up to then."""
    world = World(LINKED, store)
    await world.take(story.sample(at, SampleReason.HOURLY))
    world.move_to(at)
    await world.month_end.close_period(story.account_id, period, ends_at=at if final else None)
    return world


def cut_at(story: Story, period: str) -> Cut:
    return cut_of(story.terms, story.closed, period, None)
