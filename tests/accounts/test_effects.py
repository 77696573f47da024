"""The books of an account over the real adapter and a real simulator: what the exchange booked, to the last digit."""

from collections.abc import AsyncIterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from patriot.accounts import streams
from patriot.accounts.effects import AccountLedger
from patriot.accounts.events import (
    EquitySampled,
    FundingPaid,
    LedgerOpened,
    SampleReason,
    TransferRecorded,
    ledger_stream,
)
from patriot.kernel.bus import CommandBus, decode_all
from patriot.kernel.clock import FakeClock
from patriot.kernel.errors import ExchangeUnavailable
from patriot.kernel.ids import Ids
from patriot.kernel.memory import MemoryEventStore
from patriot.trading.reports import AccountSnapshot, IncomeRecord, IncomeType
from patriot.trading.terms import Side, Urgency
from tests.accounts.facts import NOON, ONE, OWNER
from tests.adapters.exchanges.binance.venue_kit import Connection, bars_at, connected, market_order

pytestmark = pytest.mark.integration

EIGHT_HOURS = 8 * 60


class Books:
    """One account's ledger over an in-memory log, and what it wrote."""

    def __init__(self, exchange: Connection, store: MemoryEventStore | None = None) -> None:
        self.store = store or MemoryEventStore(exchange.clock)
        self._bus = CommandBus(self.store, exchange.clock, Ids(exchange.clock))
        streams.register(self._bus)
        self.ledger = AccountLedger(ONE, OWNER, exchange.venue.account, self._bus, exchange.clock, self.store)

    async def events(self, kind: type) -> list[object]:
        history = decode_all(await self.store.read_stream(ledger_stream(ONE)))
        return [event for event in history if isinstance(event, kind)]

    async def amounts(self, kind: type) -> list[Decimal]:
        return [event.amount for event in await self.events(kind)]  # type: ignore[attr-defined]


@pytest.fixture
async def exchange(tmp_path: Path) -> AsyncIterator[Connection]:
    async with connected(tmp_path, bars_at(*["40000"] * (EIGHT_HOURS + 10))) as connection:
        yield connection


async def deposit(exchange: Connection, amount: str) -> None:
    answer = await exchange.sim.control("POST", "/transfers", {"uid": exchange.trader.uid, "amount": amount})
    assert answer.status == 200


async def test_books_open_with_the_first_deposit_and_a_sample(exchange: Connection) -> None:
    books = Books(exchange)
    await books.ledger.sync_income()

    assert len(await books.events(LedgerOpened)) == 1
    assert await books.amounts(TransferRecorded) == [Decimal(10_000)]
    (sample,) = await books.events(EquitySampled)
    assert isinstance(sample, EquitySampled)
    assert (sample.reason, sample.equity) == (SampleReason.LINKED, Decimal(10_000))


async def test_deposit_in_the_same_instant_as_the_opening_is_booked_and_sampled(exchange: Connection) -> None:
    books = Books(exchange)
    await books.ledger.sync_income()
    await deposit(exchange, "500")
    await books.ledger.sync_income()

    assert await books.amounts(TransferRecorded) == [Decimal(10_000), Decimal(500)]
    reasons = [event.reason for event in await books.events(EquitySampled)]  # type: ignore[attr-defined]
    assert reasons == [SampleReason.LINKED, SampleReason.TRANSFER]


async def test_repeated_reading_books_nothing_twice(exchange: Connection) -> None:
    books = Books(exchange)
    for _ in range(3):
        await books.ledger.sync_income()
        await books.ledger.sample_equity(SampleReason.TRANSFER)
    await deposit(exchange, "-200")
    for _ in range(2):
        await Books(exchange, books.store).ledger.sync_income()  # another process, the same log

    assert await books.amounts(TransferRecorded) == [Decimal(10_000), Decimal(-200)]
    assert len(await books.events(EquitySampled)) == 2


async def test_wallet_is_the_sum_of_what_was_booked_and_the_fills(exchange: Connection) -> None:
    books = Books(exchange)
    await books.ledger.sync_income()
    began = exchange.now
    await exchange.venue.orders.place(market_order("m-1", Side.BUY, "0.100"), exchange.now)
    await exchange.step(EIGHT_HOURS + 5)  # over a settlement of funding
    await exchange.venue.orders.place(market_order("m-2", Side.SELL, "0.100", reduce_only=True), exchange.now)
    await deposit(exchange, "250")
    await books.ledger.sync_income()

    trades = await exchange.venue.orders.trades("BTCUSDT", began)
    funding = await books.amounts(FundingPaid)
    booked = sum(await books.amounts(TransferRecorded), Decimal(0)) + sum(funding, Decimal(0))
    booked += sum((trade.realized_pnl - trade.commission for trade in trades), Decimal(0))
    assert len(funding) == 1
    assert booked == (await exchange.venue.account.snapshot()).wallet_balance


async def test_equity_of_an_hour_is_sampled_with_open_positions(exchange: Connection) -> None:
    books = Books(exchange)
    await books.ledger.sync_income()
    await exchange.venue.orders.place(market_order("m-1", Side.BUY, "0.100"), exchange.now)
    for _ in range(2):
        await books.ledger.sample_equity(SampleReason.HOURLY)

    _, sample = await books.events(EquitySampled)
    snapshot = await exchange.venue.account.snapshot()
    assert isinstance(sample, EquitySampled)
    assert [(row.symbol, row.quantity) for row in sample.positions] == [("BTCUSDT", Decimal("0.100"))]
    assert sample.equity == snapshot.equity == sample.wallet_balance + sample.positions[0].unrealized_pnl


class RestlessVenue:
    """An account that somebody else trades on: its wallet changes while we read."""

    def __init__(self, changes: int) -> None:
        self._changes = changes
        self._income: list[IncomeRecord] = []

    def _move(self) -> None:
        if self._changes:
            self._changes -= 1
            number = len(self._income)
            record = IncomeRecord(f"T:{number}", IncomeType.TRANSFER, "TRANSFER", "", "USDT", Decimal(10), NOON)
            self._income.append(record)

    async def income(self, since: datetime, *, urgency: Urgency = Urgency.NORMAL) -> list[IncomeRecord]:
        return list(self._income)

    async def snapshot(self, *, urgency: Urgency = Urgency.NORMAL) -> AccountSnapshot:
        self._move()
        wallet = Decimal(10 * len(self._income))
        return AccountSnapshot("USDT", wallet, wallet, Decimal(0), (), NOON)


@pytest.mark.parametrize("changes", [0, 1, 3])
async def test_books_open_only_on_a_wallet_that_stood_still(changes: int) -> None:
    clock = FakeClock(NOON)
    store = MemoryEventStore(clock)
    bus = CommandBus(store, clock, Ids(clock))
    streams.register(bus)
    venue = RestlessVenue(changes)
    await AccountLedger(ONE, OWNER, venue, bus, clock, store).sync_income()  # type: ignore[arg-type]

    booked = [event for event in decode_all(await store.read_stream(ledger_stream(ONE))) if hasattr(event, "amount")]
    assert [event.record_id for event in booked] == [f"T:{number}" for number in range(changes)]


async def test_wallet_that_never_stands_still_is_read_again_later() -> None:
    clock = FakeClock(NOON)
    store = MemoryEventStore(clock)
    bus = CommandBus(store, clock, Ids(clock))
    streams.register(bus)
    ledger = AccountLedger(ONE, OWNER, RestlessVenue(100), bus, clock, store)  # type: ignore[arg-type]

    with pytest.raises(ExchangeUnavailable):
        await ledger.sync_income()
    assert await store.read_stream(ledger_stream(ONE)) == []
