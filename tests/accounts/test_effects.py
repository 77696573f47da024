"""The books of an account over the real adapter and a real simulator: what the exchange booked, to the last digit."""

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from patriot.accounts import streams
from patriot.accounts.effects import STEADY_READS, AccountLedger
from patriot.accounts.events import (
    ChargeBooked,
    EquitySampled,
    FundingPaid,
    LedgerOpened,
    PositionSample,
    SampleReason,
    TradeBooked,
    TradeOrigin,
    TransferRecorded,
    ledger_stream,
)
from patriot.kernel.bus import CommandBus, decode_all
from patriot.kernel.clock import FakeClock
from patriot.kernel.errors import ExchangeRefused, ExchangeUnavailable, StoreUnavailable
from patriot.kernel.ids import Ids
from patriot.kernel.memory import MemoryEventStore
from patriot.trading.reports import (
    IncomeRecord,
    IncomeType,
    PositionReport,
)
from patriot.trading.steps import Step
from patriot.trading.terms import Side, Urgency
from tests.accounts.facts import NOON, ONE, OWNER
from tests.accounts.ledger_kit import (
    EIGHT_HOURS,
    Books,
    DepositedVenue,
    ForgetfulStore,
    NoTrades,
    OneTrade,
    RestlessVenue,
    deposit,
    kinds_in,
    ledger_over,
    others_on,
    samples_in,
    worth,
)
from tests.adapters.exchanges.binance.venue_kit import (
    Connection,
    bars_at,
    connected,
    market_order,
    stop_order,
    working_orders_have_ids_of_their_own,
)

pytestmark = pytest.mark.integration


@pytest.fixture
async def exchange(tmp_path: Path) -> AsyncIterator[Connection]:
    async with connected(tmp_path, bars_at(*["40000"] * (EIGHT_HOURS + 10))) as connection:
        yield connection


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


async def test_executions_of_others_are_booked_once_with_who_sent_them(exchange: Connection) -> None:
    books = Books(exchange)
    await books.ledger.sync_income()
    await exchange.step(1)
    await exchange.venue.orders.place(market_order("ours-1", Side.BUY, "0.200"), exchange.now)
    await exchange.venue.orders.place(market_order("web_1", Side.SELL, "0.050"), exchange.now)
    await books.ledger.sync_income()
    assert await books.events(TradeBooked) == [], "so young, it may still turn out ours"
    await exchange.step(5)
    for _ in range(2):
        await Books(exchange, books.store).ledger.sync_income()  # another process, the same log
        await books.ledger.sync_income()

    (booked,) = await books.events(TradeBooked)
    assert isinstance(booked, TradeBooked)
    assert (booked.origin, booked.side, booked.quantity) == (TradeOrigin.CLIENT, Side.SELL, Decimal("0.050"))
    assert (booked.commission_asset, booked.commission_value) == ("USDT", booked.commission)
    traded = await exchange.venue.orders.trades("BTCUSDT", NOON - timedelta(days=9_000))
    assert booked.trade_id == traded[-1].trade_id


async def test_all_else_is_booked_where_executions_of_one_symbol_are_refused(exchange: Connection) -> None:
    books = Books(exchange)
    await books.ledger.sync_income()
    await exchange.step(1)
    await exchange.venue.orders.place(market_order("web_1", Side.SELL, "0.050"), exchange.now)
    await exchange.step(20)
    await deposit(exchange, "500")
    books.orders.refuses = "BTCUSDT"
    with pytest.raises(ExchangeRefused, match="Invalid symbol"):
        await books.ledger.sync_income()
    assert (await books.amounts(TransferRecorded))[-1] == Decimal(500)
    assert await books.events(TradeBooked) == []

    books.orders.refuses = None
    await books.ledger.sync_income()
    assert len(await books.events(TradeBooked)) == 1


async def test_nobody_is_said_to_have_traded_before_the_fills_are_known(exchange: Connection) -> None:
    books = Books(exchange)
    await books.ledger.sync_income()
    await exchange.step(1)
    await exchange.venue.orders.place(market_order("web_1", Side.BUY, "0.050"), exchange.now)
    await exchange.step(20)
    books.fills_known = False
    await books.ledger.sync_income()
    assert await books.events(TradeBooked) == []

    books.fills_known = True
    await books.ledger.sync_income()
    assert len(await books.events(TradeBooked)) == 1


@pytest.fixture
async def falling(tmp_path: Path) -> AsyncIterator[Connection]:
    async with connected(tmp_path, bars_at(*["40000"] * 3, *["38000"] * 30)) as connection:
        yield connection


@pytest.mark.parametrize("lags", [False, True])
async def test_order_that_was_conditional_is_ours_under_whatever_id_it_works(
    falling: Connection, lags: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    working_orders_have_ids_of_their_own(monkeypatch)
    books = Books(falling)
    await books.ledger.sync_income()
    await falling.step(2)
    await falling.venue.orders.place(market_order("ours-1", Side.BUY, "0.100"), falling.now)
    await falling.venue.orders.place(stop_order("ours-2", Side.SELL, "0.100", "39000"), falling.now)
    await falling.step(4)
    books.orders.lags = lags
    await books.ledger.sync_income()
    books.orders.lags = False
    await falling.step(20)
    await books.ledger.sync_income()

    assert len(await falling.venue.orders.trades("BTCUSDT", NOON - timedelta(days=9_000))) == 2
    assert await books.events(TradeBooked) == [], "the fills are booked by whoever records them"


async def test_income_is_asked_for_again_for_as_long_as_an_execution_is_undecided() -> None:
    """However long nobody can tell whose it is: three days are read again, and then four."""
    clock, venue, trades = FakeClock(NOON), DepositedVenue(), OneTrade(NOON + timedelta(minutes=1))
    store, known = MemoryEventStore(clock), False

    async def fills_known() -> bool:
        return known

    ledger = ledger_over(venue, store, clock, others_on(trades, fills_known))
    await ledger.sync_income()
    venue._income.append(trades.income)
    for day in range(1, 8):
        clock.advance(timedelta(days=1))
        venue.at = clock.now()
        paid = IncomeRecord(f"F:{day}", IncomeType.FUNDING_FEE, "FUNDING_FEE", "B", "USDT", Decimal(1), venue.at)
        venue._income.append(paid)
        await ledger_over(venue, store, clock, others_on(trades, fills_known)).sync_income()
    assert await kinds_in(store, TradeBooked) == 0

    known = True
    for _ in range(2):
        await ledger.sync_income()
    assert await kinds_in(store, TradeBooked) == 1
    assert await kinds_in(store, FundingPaid) == 7


@pytest.mark.parametrize(("age", "seconds"), [(0, 180), (150, 60), (240, 60)])
async def test_undecided_execution_is_looked_at_again_when_it_can_be_told(age: int, seconds: int) -> None:
    clock, venue, trades = FakeClock(NOON), DepositedVenue(), OneTrade(NOON + timedelta(minutes=1))

    async def fills_known() -> bool:
        return False

    ledger = ledger_over(venue, MemoryEventStore(clock), clock, others_on(trades, fills_known))
    await ledger.sync_income()
    assert not ledger.is_due(clock.monotonic() + 1_000), "nothing is undecided"
    venue._income.append(trades.income)
    venue.at = trades.at + timedelta(seconds=age)
    await ledger.sync_income()

    now = clock.monotonic()
    assert [ledger.is_due(now + later) for later in (seconds - 1, seconds, seconds)] == [False, True, False]


async def test_executions_before_the_books_began_are_in_the_opening_balance(exchange: Connection) -> None:
    await exchange.venue.orders.place(market_order("web_1", Side.BUY, "0.050"), exchange.now)
    await exchange.step(1)
    books = Books(exchange)
    for _ in range(2):
        await books.ledger.sync_income()
    assert await books.events(TradeBooked) == []


async def test_charge_is_booked_once_with_its_worth() -> None:
    venue, store = DepositedVenue(), MemoryEventStore(FakeClock(NOON))
    ledger = ledger_over(venue, store, FakeClock(NOON))
    await ledger.sync_income()
    at = NOON + timedelta(minutes=1)
    venue._income.append(IncomeRecord("API_REBATE:7", IncomeType.CHARGE, "API_REBATE", "", "BNB", Decimal("0.5"), at))
    for _ in range(2):
        await ledger.sync_income()

    booked = [
        event for event in decode_all(await store.read_stream(ledger_stream(ONE))) if isinstance(event, ChargeBooked)
    ]
    assert booked == [ChargeBooked(ONE, OWNER, "API_REBATE:7", "API_REBATE", "", "BNB", Decimal("0.5"), Decimal(5), at)]


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


@pytest.mark.parametrize("changes", [0, 1, STEADY_READS - 1])
async def test_books_open_only_on_a_wallet_that_stood_still(changes: int) -> None:
    clock = FakeClock(NOON)
    store = MemoryEventStore(clock)
    bus = CommandBus(store, clock, Ids(clock))
    streams.register(bus)
    venue = RestlessVenue(changes)
    ledger = AccountLedger(ONE, OWNER, venue, bus, clock, store, others_on(NoTrades()), worth)  # type: ignore[arg-type]
    assert not ledger.opened
    await ledger.sync_income()

    booked = [event for event in decode_all(await store.read_stream(ledger_stream(ONE))) if hasattr(event, "amount")]
    assert [event.record_id for event in booked] == [f"T:{number}" for number in range(changes)]
    assert ledger.opened


async def test_wallet_that_never_stands_still_is_read_again_later() -> None:
    clock = FakeClock(NOON)
    store = MemoryEventStore(clock)
    bus = CommandBus(store, clock, Ids(clock))
    streams.register(bus)
    venue = RestlessVenue(STEADY_READS)
    ledger = AccountLedger(ONE, OWNER, venue, bus, clock, store, others_on(NoTrades()), worth)  # type: ignore[arg-type]

    with pytest.raises(ExchangeUnavailable):
        await ledger.sync_income()
    assert await store.read_stream(ledger_stream(ONE)) == []


async def test_sample_whose_commit_was_not_answered_is_known_the_next_time() -> None:
    clock, venue = FakeClock(NOON), DepositedVenue()
    store = ForgetfulStore(clock)
    ledger = ledger_over(venue, store, clock)
    await ledger.sync_income()
    venue._income.append(IncomeRecord("T:1", IncomeType.TRANSFER, "TRANSFER", "", "USDT", Decimal(5), NOON))
    read = venue.read

    for _ in range(4):
        store.answers_to_lose = 1
        with suppress(StoreUnavailable):
            await ledger.sync_income()

    assert [sample.reason for sample in await samples_in(store)] == [SampleReason.LINKED, SampleReason.TRANSFER]
    assert venue.read == read + 1, "what is recorded is not asked for again"


async def test_hour_that_the_exchange_has_not_reached_is_sampled_when_it_is_tried_again() -> None:
    """Our clock may be ahead: the sample would count for the hour before, which has one."""
    clock, venue = FakeClock(NOON), DepositedVenue()
    store = MemoryEventStore(clock)
    ledger = ledger_over(venue, store, clock)
    await ledger.sync_income()
    await ledger.sample_equity(SampleReason.HOURLY)
    clock.advance(timedelta(hours=1))
    venue.at = clock.now() - timedelta(seconds=1)

    with pytest.raises(ExchangeUnavailable):
        await ledger.sample_equity(SampleReason.HOURLY)
    venue.at = clock.now() + timedelta(seconds=1)
    for _ in range(2):
        assert await ledger.sample_equity(SampleReason.HOURLY) is not None

    hours = [sample.sampled_at for sample in await samples_in(store) if sample.reason is SampleReason.HOURLY]
    assert hours == [NOON, venue.at]


async def test_sample_holds_every_position_with_its_mark_by_symbol() -> None:
    clock, venue = FakeClock(NOON), DepositedVenue()
    rows = (
        PositionReport("ETHUSDT", Decimal(-2), Decimal(3_000), Decimal(2_900), Decimal(200), 5, isolated=True),
        PositionReport("BTCUSDT", Decimal("0.1"), Decimal(40_000), Decimal(39_000), Decimal(-100), 3, isolated=False),
    )
    venue.held = rows
    store = MemoryEventStore(clock)
    await ledger_over(venue, store, clock).sync_income()

    (sample,) = await samples_in(store)
    assert sample.positions == (
        PositionSample("BTCUSDT", Decimal("0.1"), Decimal(40_000), Decimal(39_000), Decimal(-100)),
        PositionSample("ETHUSDT", Decimal(-2), Decimal(3_000), Decimal(2_900), Decimal(200)),
    )
    assert (sample.wallet_balance, sample.equity) == (Decimal(10), Decimal(110))


async def test_history_waits_for_everything_else_unless_the_month_ends() -> None:
    clock = FakeClock(NOON)
    store = MemoryEventStore(clock)
    bus = CommandBus(store, clock, Ids(clock))
    streams.register(bus)
    venue = RestlessVenue(0)
    ledger = AccountLedger(ONE, OWNER, venue, bus, clock, store, others_on(NoTrades()), worth)  # type: ignore[arg-type]
    await ledger.sync_income()  # opens the books
    assert venue.urgencies == {Urgency.BACKGROUND}
    venue.urgencies.clear()
    await ledger.sync_income()
    assert venue.urgencies == {Urgency.BACKGROUND}
    venue.urgencies.clear()
    await ledger.sync_income(urgency=Urgency.NORMAL)
    assert venue.urgencies == {Urgency.NORMAL}


async def test_each_sample_that_is_recorded_is_a_step_of_the_run() -> None:
    clock, steps = FakeClock(NOON), list[Step]()
    store = MemoryEventStore(clock)
    bus = CommandBus(store, clock, Ids(clock))
    streams.register(bus)
    venue = DepositedVenue()
    ledger = AccountLedger(
        ONE,
        OWNER,
        venue,  # type: ignore[arg-type]
        bus,
        clock,
        store,
        others_on(NoTrades()),
        worth,
        steps.append,
    )
    await ledger.sync_income()
    assert await ledger.sample_equity(SampleReason.LINKED) is None
    await ledger.sample_equity(SampleReason.HOURLY)

    assert steps == [Step.EQUITY_SAMPLED] * len(await samples_in(store)) == [Step.EQUITY_SAMPLED] * 2
