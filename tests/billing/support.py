"""Accounts with a history: what was traded, what moved in and out, and where the price stood."""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

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
from patriot.kernel.eventstore import Actor, ActorType, Context, EventStore, NewEvent, StreamAppend, StreamKey
from patriot.kernel.ids import Ids, derived_id
from patriot.kernel.memory import MemoryEventStore
from patriot.trading.terms import AccountId, Environment, Exchange, Side, UserId

ACCOUNT, OTHER_ACCOUNT = AccountId(derived_id("test", "account")), AccountId(derived_id("test", "other account"))
CLIENT = UserId(derived_id("test", "client"))
RATE = Decimal("0.30")
BTC, ETH = "BTCUSDT", "ETHUSDT"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
PRICE = Decimal(1_000)  # at which stories begin
Document = dict[str, Any]


def on(
    month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0, microsecond: int = 0, *, year: int = 2022
) -> datetime:
    return datetime(year, month, day, hour, minute, second, microsecond, tzinfo=UTC)


CLOSING = on(2, 1, 12, 5)
LINKED, JANUARY_ENDS, FEBRUARY_ENDS, MARCH_ENDS = on(1, 10), on(2, 1), on(3, 1), on(4, 1)


# ---- facts


def traded(
    at: datetime,
    signed: str | Decimal,
    price: str | Decimal,
    *,
    symbol: str = BTC,
    origin: TradeOrigin = TradeOrigin.PATRIOT,
    commission: str | Decimal = "0",
    asset: str = "USDT",
    worth: str | None = None,
    trade_id: str = "",
    account_id: AccountId = ACCOUNT,
) -> TradeBooked:
    quantity, paid = Decimal(signed), Decimal(commission)
    return TradeBooked(
        account_id=account_id,
        user_id=CLIENT,
        symbol=symbol,
        trade_id=trade_id or f"{at.isoformat()} {signed}",
        origin=origin,
        side=Side.BUY if quantity > 0 else Side.SELL,
        quantity=abs(quantity),
        price=Decimal(price),
        realized_pnl=Decimal(0),
        commission=paid,
        commission_asset=asset,
        commission_value=paid if worth is None else Decimal(worth),
        traded_at=at,
    )


def funded(
    at: datetime,
    amount: str | Decimal,
    symbol: str = BTC,
    asset: str = "USDT",
    record_id: str = "",
    account_id: AccountId = ACCOUNT,
) -> FundingPaid:
    record = record_id or f"funding {at.isoformat()}"
    return FundingPaid(account_id, CLIENT, record, symbol, asset, Decimal(amount), at)


def charged(
    at: datetime,
    value: str | Decimal,
    symbol: str = "",
    charge: str = "INSURANCE_CLEAR",
    record_id: str = "",
    account_id: AccountId = ACCOUNT,
) -> ChargeBooked:
    amount, record = Decimal(value), record_id or f"charge {at.isoformat()}"
    return ChargeBooked(account_id, CLIENT, record, charge, symbol, "USDT", amount, amount, at)


def moved(
    at: datetime, amount: str | Decimal, record_id: str = "", account_id: AccountId = ACCOUNT
) -> TransferRecorded:
    record = record_id or f"transfer {at.isoformat()}"
    return TransferRecorded(account_id, CLIENT, record, "USDT", Decimal(amount), at)


def sampled(
    at: datetime,
    reason: SampleReason = SampleReason.HOURLY,
    positions: Sequence[PositionSample] = (),
    account_id: AccountId = ACCOUNT,
) -> EquitySampled:
    zero = Decimal(0)  # no fee depends on it
    return EquitySampled(account_id, CLIENT, reason, "USDT", zero, zero, tuple(positions), at)


def position(quantity: str, symbol: str = BTC) -> PositionSample:
    return PositionSample(symbol, Decimal(quantity), Decimal(1), Decimal(1), Decimal(0))


def compared(at: datetime, unexplained: str, account_id: AccountId = ACCOUNT) -> AccountReconciled:
    rest = Decimal(unexplained)
    return AccountReconciled(account_id, CLIENT, rest, at if rest else None, at)


def opened(at: datetime, wallet: str = "10000", account_id: AccountId = ACCOUNT) -> LedgerOpened:
    return LedgerOpened(account_id, CLIENT, "USDT", Decimal(wallet), at, (), at)


def linked(account_id: AccountId, at: datetime = LINKED) -> AccountLinked:
    return AccountLinked(account_id, CLIENT, Exchange.BINANCE, Environment.SIM, PositionMode.ONE_WAY, "USDT", 1, at)


class Prices:
    """Mark prices as the exchange publishes them: each from a moment on; None: it has none from there on."""

    def __init__(self, **base: str) -> None:
        self.swing = Decimal(0)  # part of the price that a minute may differ by
        self.holes: set[datetime] = set()  # minutes of which there is none
        self.asked: list[MarkSpan] = []
        self._base = {symbol: Decimal(price) for symbol, price in base.items()}
        self._since: dict[str, list[tuple[datetime, Decimal | None]]] = {}

    def put(self, at: datetime, price: str | Decimal | None, symbol: str = BTC) -> None:
        steps = self._since.setdefault(symbol, [])
        steps.append((at, None if price is None else Decimal(price)))
        steps.sort(key=lambda step: step[0])

    def at(self, moment: datetime, symbol: str = BTC) -> Decimal | None:
        if moment in self.holes:
            return None
        price: Decimal | None = self._base.get(symbol, PRICE)
        for since, put in self._since.get(symbol, []):
            price = put if since <= moment else price
        if price is None or not self.swing:
            return price
        part = Decimal(zlib.crc32(f"{symbol} {moment.timestamp()}".encode()) % 19999 - 9999) / 10000
        return price * (1 + self.swing * part)

    def series(self, span: MarkSpan) -> MarkSeries:
        prices = tuple(self.at(span.first_at + n * STEP, span.symbol) for n in range(span.count))
        return MarkSeries(span.symbol, span.first_at, prices)

    async def mark_opens(self, symbol: str, first_at: datetime, minutes: int) -> list[Decimal | None]:
        assert first_at == first_at.replace(second=0, microsecond=0)
        self.asked.append(MarkSpan(symbol, first_at, minutes))
        return [self.at(first_at + n * MINUTE, symbol) for n in range(minutes)]


# ---- stories


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
        self.events.append(opened(at, wallet, self.account_id))
        self.moves(at, wallet)
        return self.sample(at, SampleReason.LINKED, positions)

    def agrees(self, at: datetime, rate: Decimal, effective_from: str | None = None) -> Story:
        period = effective_from or f"{at:%Y-%m}"
        agreed = TermsAgreed(self.account_id, CLIENT, rate, period, at)
        self.terms = TERMS.evolve(self.terms, agreed)
        return self

    def sample(self, at: datetime, reason: SampleReason, positions: Sequence[PositionSample] = ()) -> Story:
        self.events.append(sampled(at, reason, positions, self.account_id))
        return self

    def buys(self, at: datetime, quantity: str = "1", price: str | None = None, **named: Any) -> Story:
        return self._trades(at, Decimal(quantity), price, **named)

    def sells(self, at: datetime, quantity: str = "1", price: str | None = None, **named: Any) -> Story:
        return self._trades(at, -Decimal(quantity), price, **named)

    def _trades(
        self, at: datetime, signed: Decimal, price: str | None, *, by: TradeOrigin = TradeOrigin.PATRIOT,
        symbol: str = BTC, **named: Any,
    ) -> Story:  # fmt: skip
        paid = price or self.prices.at(at, symbol)
        assert paid is not None
        trade_id = str(len(self.events))
        self.events.append(
            traded(at, signed, paid, symbol=symbol, origin=by, trade_id=trade_id, account_id=self.account_id, **named)
        )
        return self

    def moves(self, at: datetime, amount: str) -> Story:
        self.events.append(moved(at, amount, f"tran-{len(self.events)}", self.account_id))
        return self

    def is_paid_funding(self, at: datetime, amount: str, symbol: str = BTC) -> Story:
        record = f"fund-{len(self.events)}"
        self.events.append(funded(at, amount, symbol, record_id=record, account_id=self.account_id))
        return self

    def is_charged(self, at: datetime, value: str, symbol: str = BTC, charge: str = "INSURANCE_CLEAR") -> Story:
        self.events.append(charged(at, value, symbol, charge, f"charge-{len(self.events)}", self.account_id))
        return self

    def is_reconciled(self, at: datetime, unexplained: str) -> Story:
        self.events.append(compared(at, unexplained, self.account_id))
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


# ---- on a store


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
        await self.append(account_stream(story.account_id), linked(story.account_id))
        await self.append(ledger_stream(story.account_id), *story.events)
        for agreed in story.terms.agreed:
            command = AgreeTerms(story.account_id, CLIENT, agreed.fee_rate, agreed.effective_from, agreed.agreed_at)
            await self.dispatch(command)

    def move_to(self, moment: datetime) -> None:
        self.clock.advance(moment - self.clock.now())

    async def dispatch(self, command: object) -> list[BillingEvent]:
        return list((await self.bus.dispatch(command, Context(self.ids.new()))).events)

    async def append(self, stream: StreamKey, *events: object) -> None:
        new = []
        for event in events:
            name, version = EVENTS.name_of(event)
            new.append(
                NewEvent(self.ids.new(), name, version, self.clock.now(), encode(event), Context(self.ids.new()))
            )
        await self.write(stream, new)

    async def write(self, stream: StreamKey, events: Sequence[NewEvent]) -> None:
        known = len(await self.store.read_stream(stream))
        if events:
            await self.store.append([StreamAppend(stream, known, tuple(events))])

    async def month(self, period: str = "2022-01", account_id: AccountId = ACCOUNT) -> list[BillingEvent]:
        return decode_all(await self.store.read_stream(period_stream(account_id, period)))

    async def proof(self, period: str = "2022-01", account_id: AccountId = ACCOUNT) -> bytes:
        return await export_invoice(self.store, account_id, period)


class Books(World):
    """One account with its books, written as time goes on; BTC stands at 20,000 and ETH at 1,500."""

    def __init__(self, now: datetime) -> None:
        super().__init__(now)
        self.prices = Prices(BTCUSDT="20000", ETHUSDT="1500")

    async def link(self, *positions: PositionSample) -> Books:
        """Link the account, and open its books with what it holds."""
        now = self.clock.now()
        await self.append(account_stream(ACCOUNT), linked(ACCOUNT, now))
        await self.book(opened(now), sampled(now, SampleReason.LINKED, positions))
        return self

    async def book(self, *events: LedgerEvent) -> None:
        await self.append(ledger_stream(ACCOUNT), *events)

    async def agree(self, rate: Decimal = RATE, effective_from: str = "2022-01") -> None:
        await self.dispatch(AgreeTerms(ACCOUNT, CLIENT, rate, effective_from, self.clock.now()))

    async def close(self, period: str, at: datetime, *, final: bool = False) -> tuple[str, ...]:
        self.move_to(at)
        return await self.month_end.close_period(ACCOUNT, period, ends_at=at if final else None)

    async def restore(self, document: Document) -> None:
        """Take in the events of a proof, as they are."""
        for chain in [document["terms"], document["balance"], *(month["events"] for month in document["months"])]:
            stream = StreamKey(chain[0]["stream_type"], UUID(chain[0]["stream_id"]))
            await self.write(stream, [_restored(event) for event in chain])
        await self.append(account_stream(ACCOUNT), linked(ACCOUNT, self.clock.now()))


def _restored(event: Document) -> NewEvent:
    context = Context(
        UUID(event["correlation_id"]),
        UUID(event["causation_id"]) if event["causation_id"] else None,
        UUID(event["user_id"]) if event["user_id"] else None,
        UUID(event["account_id"]) if event["account_id"] else None,
        Actor(ActorType(event["actor_type"]), event["actor_id"]),
    )
    occurred_at = datetime.fromisoformat(event["occurred_at"])
    return NewEvent(
        UUID(event["event_id"]), event["event_type"], event["schema_version"], occurred_at, event["data"], context
    )


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
