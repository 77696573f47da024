from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from patriot.accounts.events import TradeOrigin
from patriot.adapters.postgres.database import Database
from patriot.adapters.postgres.eventstore import PostgresEventStore
from patriot.adapters.postgres.projections import ProjectionRunner
from patriot.adapters.postgres.shadow import compare, rebuild
from patriot.kernel.clock import FakeClock
from patriot.kernel.money import Money
from patriot.kernel.projection import Projection
from patriot.portfolio import queries
from patriot.portfolio.projections import ClosedPositionsProjection, EquityProjection, LedgerProjection
from patriot.portfolio.queries import BalanceView, EarningsView
from patriot.portfolio.valuation import AccountBook, MoneyEvent
from patriot.trading.terms import AccountId, Side
from tests.portfolio.facts import (
    ALICE,
    ALICES,
    BOB,
    BOBS,
    BREAKOUT,
    NOON,
    TREND,
    History,
    apply,
    booked,
    charged,
    closed,
    empty,
    filled,
    funding,
    linked,
    rows,
    sampled,
    transfer,
)
from tests.portfolio.venue import Venue

pytestmark = pytest.mark.integration

PROJECTIONS: tuple[Projection, ...] = (LedgerProjection(), EquityProjection(), ClosedPositionsProjection())


@pytest.fixture
async def sql(database: str) -> AsyncIterator[Database]:
    connected = await Database.connect(database, max_connections=3)
    yield connected
    await connected.close()


async def project(sql: Database, *events: Any) -> None:
    recorded = History(list(events)).recorded()
    for projection in PROJECTIONS:
        await apply(sql, projection, [recorded])


def random_history(seed: int, length: int = 60) -> History:
    """Trade at random on two accounts at an exact venue."""
    chance = Random(seed)
    events: list[Any] = [linked(ALICES), linked(BOBS)]
    venues = {ALICES: Venue(), BOBS: Venue()}
    for number in range(length):
        account = chance.choice([ALICES, BOBS])
        at = NOON + number * timedelta(minutes=1)
        amount = Decimal(chance.randrange(-(10**9), 10**9)).scaleb(-8)
        match chance.randrange(7):
            case 6:
                events.append(charged(amount, f"c-{number}", account=account, at=at))
            case 0:
                events.append(transfer(amount, f"in-{number}", account=account, at=at))
            case 1:
                events.append(funding(amount, f"f-{number}", account=account, at=at))
            case 2:
                events.append(sampled(str(amount), account=account, at=at))
            case _:
                side = chance.choice(list(Side))
                quantity = Decimal(chance.randrange(1, 5000)).scaleb(-3)
                price = Decimal(chance.randrange(1, 10**9)).scaleb(-6)
                symbol = chance.choice(["BTCUSDT", "ETHUSDT"])
                paid = abs(amount) / 100
                realized = venues[account].trade(symbol, quantity * side.sign, price, paid)
                fill = filled(
                    number,
                    quantity,
                    price,
                    realized,
                    account=account,
                    symbol=symbol,
                    side=side,
                    commission=paid,
                    strategy=chance.choice([TREND, BREAKOUT, None]),
                    at=at,
                )
                if chance.randrange(4):
                    events += [fill, booked(fill, TradeOrigin.PATRIOT)]
                else:
                    events.append(booked(fill, chance.choice([TradeOrigin.CLIENT, TradeOrigin.EXCHANGE])))
    return History([*events, closed(1), closed(2, account=BOBS)])


async def test_ledger_adds_up_per_account_and_asset(sql: Database) -> None:
    await project(
        sql,
        linked(),
        transfer("1000"),
        transfer("-200", "out-1"),
        filled(1, "2", "100", commission="0.1"),
        filled(2, "1", "110", "10", side=Side.SELL, commission="0.001", commission_asset="BNB"),
        funding("-0.5"),
    )
    bnb, usdt = await queries.balances(sql, ALICE)
    assert bnb == BalanceView(ALICES, ALICE, "BNB", Decimal(0), Decimal(0), Decimal("0.001"), Decimal(0))
    assert usdt.wallet_balance == Decimal("809.4")
    assert (usdt.transfers, usdt.realized_pnl, usdt.commission, usdt.funding) == (
        Decimal(800),
        Decimal(10),
        Decimal("0.1"),
        Decimal("-0.5"),
    )


async def test_position_carries_its_cost_as_notional_and_is_hidden_when_flat(sql: Database) -> None:
    await project(sql, linked(), filled(1, "2", "100"))
    (position,) = await queries.positions(sql, ALICE)
    assert (position.quantity, position.cost_basis, position.strategy_id) == (Decimal(2), Decimal(200), TREND)
    await project(sql, filled(2, "2", "90", "-20", side=Side.SELL))
    assert await queries.positions(sql, ALICE) == []
    (flat,) = await queries.positions(sql, ALICE, open_only=False)
    assert (flat.quantity, flat.cost_basis, flat.realized_pnl) == (Decimal(0), Decimal(0), Decimal(-20))


async def test_earnings_of_a_strategy_hold_the_funding_of_its_positions(sql: Database) -> None:
    await project(
        sql,
        linked(),
        linked(BOBS),
        transfer("1000"),
        filled(1, "1", "100", commission="0.1"),
        funding("-0.5"),
        filled(2, "1", "112", "12", side=Side.SELL, commission="0.1"),
        filled(3, "1", "100", strategy=BREAKOUT, commission="1", account=BOBS),
    )
    trend, breakout = await queries.strategy_earnings(sql, None)
    assert trend == EarningsView(TREND, "USDT", Decimal(0), Decimal(12), Decimal("0.2"), Decimal("-0.5"))
    assert trend.net == Decimal("11.3")
    assert breakout.net == -1
    assert await queries.strategy_earnings(sql, ALICE) == [trend]
    alice, bob = await queries.user_earnings(sql, None)
    assert (alice.reference, alice.transfers, alice.net) == (ALICE, Decimal(1000), Decimal("11.3"))
    assert (bob.reference, bob.net) == (BOB, Decimal(-1))


async def test_equity_series_is_ascending_and_within_its_bounds(sql: Database) -> None:
    hours = [NOON + n * timedelta(hours=1) for n in range(3)]
    await project(sql, *(sampled(str(1000 + n), at=at) for n, at in enumerate(hours)), sampled("7", account=BOBS))
    series = await queries.equity_series(sql, ALICE, ALICES, since=hours[1], until=hours[2])
    assert [sample.equity for sample in series] == [Decimal(1001)]
    portfolio = await queries.account_portfolio(sql, ALICE, ALICES)
    assert portfolio.newest_sample is not None
    assert portfolio.newest_sample.equity == 1002
    assert [sample.equity for sample in await queries.newest_samples(sql, None)] == [Decimal(1002), Decimal(7)]


async def test_closed_positions_are_listed(sql: Database) -> None:
    await project(sql, closed(1), closed(2, account=BOBS))
    (view,) = await queries.closed_positions(sql, ALICE)
    assert (view.account_id, view.realized_pnl, view.close_reason) == (ALICES, Decimal(20), "STOP")
    assert view.commissions == (Money(Decimal("0.001"), "BNB"), Money(Decimal("0.1"), "USDT"))


async def test_client_who_asks_for_the_account_of_another_sees_nothing(sql: Database) -> None:
    await project(
        sql, linked(BOBS), transfer("5", account=BOBS), filled(1, "1", "9", account=BOBS), sampled("5", account=BOBS)
    )
    portfolio = await queries.account_portfolio(sql, ALICE, BOBS)
    assert (portfolio.balances, portfolio.positions, portfolio.newest_sample) == ((), (), None)
    assert await queries.equity_series(sql, ALICE, BOBS) == []
    assert await queries.strategy_earnings(sql, ALICE) == []
    assert len((await queries.account_portfolio(sql, BOB, BOBS)).positions) == 1


@pytest.mark.parametrize("seed", range(4))
async def test_rows_are_what_the_account_book_says(sql: Database, seed: int) -> None:
    history = random_history(seed)
    await apply(sql, LedgerProjection(), [history.recorded()])
    books: dict[AccountId, AccountBook] = {ALICES: AccountBook("USDT"), BOBS: AccountBook("USDT")}
    for event in history.events:
        if isinstance(event, MoneyEvent):
            books[event.account_id].apply(event)
    for view in await queries.balances(sql, None):
        assert view.wallet_balance == books[view.account_id].balances[view.asset].wallet
    for position in await queries.positions(sql, None, open_only=False):
        held = books[position.account_id].holdings[position.symbol]
        assert (position.quantity, position.cost_basis) == (held.quantity, held.cost_basis)
        assert (position.realized_pnl, position.funding) == (held.realized_pnl, held.funding)
    entries = await sql.fetch("SELECT account_id, asset, sum(amount) AS wallet FROM read.ledger_entries GROUP BY 1, 2")
    assert {(row["account_id"], row["asset"]): row["wallet"] for row in entries} == {
        (view.account_id, view.asset): view.wallet_balance for view in await queries.balances(sql, None)
    }


@pytest.mark.parametrize("seed", range(4))
async def test_neither_batches_nor_repeats_change_a_row(sql: Database, seed: int) -> None:
    recorded = random_history(seed).recorded()
    chance = Random(seed)
    for projection in PROJECTIONS:
        await apply(sql, projection, [recorded])
        expected = await rows(sql, projection)
        await empty(sql, projection)
        at = 0
        while at < len(recorded):
            size = chance.randrange(1, 8)
            again = recorded[max(0, at - chance.randrange(10)) : at + size]
            await apply(sql, projection, [again, again[-1:]] if size > 4 else [again + again[-1:]])
            at += size
        assert await rows(sql, projection) == expected
        assert all(expected.values())


async def test_rebuilt_rows_are_the_live_rows(sql: Database) -> None:
    history = random_history(11, length=150)
    async with PostgresEventStore(sql, FakeClock()) as store:
        await history.append_to(store)
        for projection in PROJECTIONS:
            await ProjectionRunner(sql, store.feed, projection).drain()
            live = await rows(sql, projection)
            assert await compare(sql, store.feed, projection) == []
            assert await rebuild(sql, store.feed, projection) == len(history.events)
            assert await rows(sql, projection) == live
            assert all(live.values())


async def test_one_digit_changed_in_a_row_is_found(sql: Database) -> None:
    async with PostgresEventStore(sql, FakeClock()) as store:
        await History([linked(), transfer("1000")]).append_to(store)
        await ProjectionRunner(sql, store.feed, LedgerProjection()).drain()
        await sql.execute("UPDATE read.ledger SET transfers = transfers + 0.00000001")
        (difference,) = await compare(sql, store.feed, LedgerProjection())
    assert (difference.table, difference.column) == ("ledger", "transfers")
