"""Accounts with executions, funding and charges, in memory: what the tests of the trading result tell stories with."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterable, Sequence
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
from patriot.billing.commands import AgreeTerms
from patriot.billing.documents import export_invoice
from patriot.billing.effects import MonthEnd
from patriot.billing.events import BillingEvent, period_stream
from patriot.billing.streams import register
from patriot.kernel.bus import CommandBus, decode_all
from patriot.kernel.clock import FakeClock
from patriot.kernel.codec import EVENTS, encode
from patriot.kernel.eventstore import Actor, ActorType, Context, NewEvent, StreamAppend, StreamKey
from patriot.kernel.ids import Ids, derived_id
from patriot.kernel.memory import MemoryEventStore
from patriot.trading.terms import AccountId, Environment, Exchange, Side, UserId

ACCOUNT = AccountId(derived_id("test", "account"))
CLIENT = UserId(derived_id("test", "client"))
RATE = Decimal("0.30")
BTC, ETH = "BTCUSDT", "ETHUSDT"
Document = dict[str, Any]


def on(month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0, microsecond: int = 0) -> datetime:
    return datetime(2022, month, day, hour, minute, second, microsecond, tzinfo=UTC)


class Prices:
    """An exchange's mark prices: constant but for what a test sets, or any course."""

    def __init__(self) -> None:
        self.base = {BTC: Decimal(20000), ETH: Decimal(1500)}
        self.swing = Decimal(0)  # part of the price that a minute may differ by
        self.holes: set[datetime] = set()
        self.of_minute: dict[datetime, Decimal] = {}

    async def mark_opens(self, symbol: str, first_at: datetime, minutes: int) -> list[Decimal | None]:
        assert first_at == first_at.replace(second=0, microsecond=0)
        return [self.at(symbol, first_at + timedelta(minutes=n)) for n in range(minutes)]

    def at(self, symbol: str, minute: datetime) -> Decimal | None:
        if minute in self.holes:
            return None
        part = Decimal(zlib.crc32(f"{symbol} {minute.timestamp()}".encode()) % 19999 - 9999) / 10000
        return self.of_minute.get(minute, self.base[symbol] * (1 + self.swing * part))


class Books:
    """One account with its books and its invoices on an event store, and a clock that tests move."""

    def __init__(self, now: datetime) -> None:
        self.clock = FakeClock(now)
        self.store = MemoryEventStore(self.clock)
        self.ids = Ids(self.clock, random.Random(7).randbytes)
        self.bus = CommandBus(self.store, self.clock, self.ids)
        register(self.bus)
        self.prices = Prices()
        self.month_end = MonthEnd(self.store, self.bus, self.clock, lambda _: self.prices)
        self.booked = 0

    def move_to(self, moment: datetime) -> None:
        self.clock.advance(moment - self.clock.now())

    async def link(self, *positions: PositionSample, equity: str = "10000") -> Books:
        """Link the account, and open its books with what it holds."""
        now = self.clock.now()
        linked = AccountLinked(
            ACCOUNT, CLIENT, Exchange.BINANCE, Environment.SIM, PositionMode.ONE_WAY, "USDT", 1, linked_at=now
        )
        await self.append(account_stream(ACCOUNT), [linked])
        opened = LedgerOpened(ACCOUNT, CLIENT, "USDT", Decimal(equity), now, (), now)
        await self.book(opened, sampled(now, SampleReason.LINKED, equity, positions))
        return self

    async def book(self, *events: LedgerEvent) -> Books:
        await self.append(ledger_stream(ACCOUNT), events)
        return self

    async def append(self, stream: StreamKey, events: Iterable[object]) -> None:
        known = len(await self.store.read_stream(stream))
        context = Context(derived_id("test", "ledger"), user_id=CLIENT, account_id=ACCOUNT)
        new = []
        for event in events:
            name, version = EVENTS.name_of(event)
            new.append(NewEvent(self.ids.new(), name, version, self.clock.now(), encode(event), context))
        if new:
            await self.store.append([StreamAppend(stream, known, tuple(new))])

    async def dispatch(self, command: object) -> None:
        await self.bus.dispatch(command, Context(derived_id("test", "command")))

    async def agree(self, rate: Decimal = RATE, effective_from: str = "2022-01") -> Books:
        await self.dispatch(AgreeTerms(ACCOUNT, CLIENT, rate, effective_from, self.clock.now()))
        return self

    async def close(self, period: str, at: datetime, *, final: bool = False) -> tuple[str, ...]:
        self.move_to(at)
        return await self.month_end.close_period(ACCOUNT, period, ends_at=at if final else None)

    async def month(self, period: str) -> list[BillingEvent]:
        return decode_all(await self.store.read_stream(period_stream(ACCOUNT, period)))

    async def proof(self, period: str) -> bytes:
        return await export_invoice(self.store, ACCOUNT, period)

    async def restore(self, document: Document) -> None:
        """Take in the events of a proof, as they are."""
        for chain in [document["terms"], document["balance"], *(month["events"] for month in document["months"])]:
            stream = StreamKey(chain[0]["stream_type"], UUID(chain[0]["stream_id"]))
            await self.store.append([StreamAppend(stream, 0, tuple(_restored(event) for event in chain))])
        found = decode_all(await self.store.read_stream(account_stream(ACCOUNT)))
        assert not found
        linked = AccountLinked(
            ACCOUNT, CLIENT, Exchange.BINANCE, Environment.SIM, PositionMode.ONE_WAY, "USDT", 1, self.clock.now()
        )
        await self.append(account_stream(ACCOUNT), [linked])


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


# ---- facts


def traded(
    at: datetime,
    signed: str | Decimal,
    price: str | Decimal,
    *,
    symbol: str = BTC,
    origin: TradeOrigin = TradeOrigin.PATRIOT,
    commission: str | Decimal = "0",
    trade_id: str = "",
) -> TradeBooked:
    quantity, paid = Decimal(signed), Decimal(commission)
    side = Side.BUY if quantity > 0 else Side.SELL
    return TradeBooked(
        account_id=ACCOUNT,
        user_id=CLIENT,
        symbol=symbol,
        trade_id=trade_id or f"{at.isoformat()} {signed}",
        origin=origin,
        side=side,
        quantity=abs(quantity),
        price=Decimal(price),
        realized_pnl=Decimal(0),
        commission=paid,
        commission_asset="USDT",
        commission_value=paid,
        traded_at=at,
    )


def funded(at: datetime, amount: str | Decimal, symbol: str = BTC, asset: str = "USDT") -> FundingPaid:
    return FundingPaid(ACCOUNT, CLIENT, f"funding {at.isoformat()}", symbol, asset, Decimal(amount), at)


def charged(at: datetime, value: str | Decimal, symbol: str = "") -> ChargeBooked:
    amount = Decimal(value)
    return ChargeBooked(
        ACCOUNT, CLIENT, f"charge {at.isoformat()}", "INSURANCE_CLEAR", symbol, "USDT", amount, amount, at
    )


def moved(at: datetime, amount: str | Decimal, asset: str = "USDT") -> TransferRecorded:
    return TransferRecorded(ACCOUNT, CLIENT, f"transfer {at.isoformat()}", asset, Decimal(amount), at)


def sampled(
    at: datetime,
    reason: SampleReason = SampleReason.HOURLY,
    equity: str = "10000",
    positions: Sequence[PositionSample] = (),
) -> EquitySampled:
    return EquitySampled(ACCOUNT, CLIENT, reason, "USDT", Decimal(equity), Decimal(equity), tuple(positions), at)


def position(quantity: str, symbol: str = BTC) -> PositionSample:
    return PositionSample(symbol, Decimal(quantity), Decimal(1), Decimal(1), Decimal(0))


def compared(at: datetime, unexplained: str) -> AccountReconciled:
    return AccountReconciled(ACCOUNT, CLIENT, Decimal(unexplained), at if Decimal(unexplained) else None, at)
