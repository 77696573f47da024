"""Money that nothing explains, through the services: found, alarmed, halted; explained, and let go."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

import pytest

from patriot.accounts.commands import OpenLedger, RecordEquity, RecordFunding
from patriot.accounts.events import AccountReconciled, SampleReason, TradeBooked, TradeOrigin
from patriot.kernel.errors import StoreUnavailable
from patriot.kernel.eventstore import START, Context, Place
from patriot.orders.events import OrderFilled
from patriot.risk.commands import HaltTrading
from patriot.risk.events import HaltLevel, Scope, TradingHalted, TradingResumed
from patriot.services.execution import ExecutionService
from patriot.services.reconciliation import EVENT_TYPES, ReconciliationService, fills_booked
from patriot.sim.engine import operations as sim_operations
from patriot.sim.engine import words as sim_words
from patriot.simulation.loop import run_virtually
from patriot.trading.terms import AccountId
from tests.services.paper import ALICE, RANGE, TREND, Paper

pytestmark = pytest.mark.integration

HOUR_SECONDS = 3600
ACCOUNT = AccountId(UUID(int=101))


async def hours(paper: Paper, service: ExecutionService, number: int) -> None:
    """Sample the equity of every account, once an hour."""
    for _ in range(number):
        await paper.settle(HOUR_SECONDS)
        service.fleet.sample_equity(SampleReason.HOURLY)
        await paper.settle(1)
    await paper.settle()


async def one_client(paper: Paper) -> AccountId:
    account_id = await paper.link(ALICE)
    await paper.found([(ALICE, account_id)])
    return account_id


def theirs(side: sim_words.Side, quantity: str, name: str, symbol: str = "SOLUSDT") -> sim_operations.PlaceOrder:
    order_type = sim_words.OrderType.MARKET
    return sim_operations.PlaceOrder(1, symbol, side, order_type, Decimal(quantity), client_order_id=f"web_{name}")


def test_trade_of_the_client_is_told_and_booked_as_his_and_explains_his_wallet() -> None:
    async def day() -> None:
        paper = Paper()
        account_id = await one_client(paper)
        async with paper.running() as service:
            await paper.signal(RANGE)
            await hours(paper, service, 2)
            before = paper.venue.engine.account(1).wallet
            paper.venue.exchange.apply(theirs(sim_words.Side.BUY, "40", "in"))
            paper.venue.exchange.apply(sim_operations.MovePrice("SOLUSDT", Decimal(90)))
            paper.venue.exchange.apply(theirs(sim_words.Side.SELL, "30", "out"))
            await hours(paper, service, 2)

            assert paper.venue.engine.account(1).wallet - before < -250
            assert [event.unexplained for event in await paper.log(AccountReconciled)] == [0]
            assert await paper.log(TradingHalted) == []
            seen = [fields["client_ids"] for name, fields in paper.alarm.raised if name == "order.foreign"]
            assert seen == [["web_in"], ["web_out"]]
            assert paper.positions(account_id)["SOLUSDT"] == 10

            booked = await paper.log(TradeBooked)
            on_the_exchange = {(trade.symbol, str(trade.trade_id)) for trade in paper.venue.engine.trades(1)}
            assert {(one.symbol, one.trade_id) for one in booked} == on_the_exchange
            assert len(booked) == len(on_the_exchange)
            whose = {one.symbol: one.origin for one in booked}
            assert whose == {"ETHUSDT": TradeOrigin.PATRIOT, "SOLUSDT": TradeOrigin.CLIENT}
            assert {fill.symbol for fill in await paper.log(OrderFilled)} == {"ETHUSDT"}

    run_virtually(day())


def test_own_trades_transfers_and_funding_leave_nothing_unexplained() -> None:
    async def day() -> None:
        paper = Paper()
        await one_client(paper)
        async with paper.running() as service:
            await paper.signal(TREND)
            await hours(paper, service, 1)
            paper.venue.exchange.apply(sim_operations.Transfer(1, Decimal(500)))
            paper.venue.exchange.apply(sim_operations.SettleFunding("BTCUSDT", Decimal("0.0001")))
            await paper.tell(HaltTrading(Scope.GLOBAL, "", HaltLevel.H3, "OPERATOR", paper.clock.now()))
            await hours(paper, service, 3)
        assert [event.unexplained for event in await paper.log(AccountReconciled)] == [0]
        assert "money.unexplained" not in paper.alarm.names()
        assert await paper.log(OrderFilled)

    run_virtually(day())


async def told(paper: Paper, command: object) -> None:
    await paper.bus.dispatch(command, Context(correlation_id=UUID(int=6)))


async def sampled(paper: Paper, wallet: str) -> None:
    await paper.settle(HOUR_SECONDS)
    amount = Decimal(wallet)
    await told(paper, RecordEquity(ACCOUNT, ALICE, SampleReason.HOURLY, "USDT", amount, amount, (), paper.clock.now()))


@pytest.mark.parametrize("kept_after", [1, 20_000])  # folded events: what services know is kept, or read again
def test_late_record_explains_the_money_lifts_the_halt_and_outlasts_a_restart(
    kept_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("patriot.kernel.policy.KEEP_AFTER_FOLDED", kept_after)

    async def day() -> None:
        paper = Paper()
        async with paper.running():
            await told(paper, OpenLedger(ACCOUNT, ALICE, "USDT", Decimal(10_000), (), paper.clock.now()))
            await sampled(paper, "10000")
            paid_at = paper.clock.now()
            await sampled(paper, "9940")
            await sampled(paper, "9940")
        async with paper.running():
            await sampled(paper, "9940")
            (_, found) = await paper.log(AccountReconciled)
            assert found.unexplained == -60
            await told(paper, RecordFunding(ACCOUNT, ALICE, "F:1", "BTCUSDT", "USDT", Decimal(-60), paper.clock.now()))
            await sampled(paper, "9940")
        async with paper.running():
            await sampled(paper, "9940")
            await paper.settle()
        events = await paper.log(AccountReconciled)
        assert [event.unexplained for event in events] == [0, -60, 0]
        assert events[1].unexplained_since > paid_at
        assert [type(event) for event in await paper.log(TradingHalted, TradingResumed)] == [
            TradingHalted,
            TradingResumed,
        ]

    run_virtually(day())


def test_judgment_is_not_lost_when_the_store_goes_away() -> None:
    async def day() -> None:
        paper = Paper()
        away, dispatch = 2, paper.bus.dispatch

        async def unsteady(command: Any, context: Context) -> object:
            nonlocal away
            if away:
                away -= 1
                raise StoreUnavailable("away")
            return await dispatch(command, context)

        await told(paper, OpenLedger(ACCOUNT, ALICE, "USDT", Decimal(1000), (), paper.clock.now()))
        for _ in range(2):
            await sampled(paper, "1003")
        cast("Any", paper.bus).dispatch = unsteady
        async with paper.plugged_in() as ports:
            running = asyncio.create_task(ReconciliationService(ports).run())
            await paper.settle()
            running.cancel()
        assert [event.unexplained for event in await paper.log(AccountReconciled)] == [3]

    run_virtually(day())


def test_fills_are_known_to_be_booked_whatever_came_after_them(monkeypatch: pytest.MonkeyPatch) -> None:
    async def day() -> None:
        paper = Paper()
        await one_client(paper)
        async with paper.running(), paper.plugged_in() as ports:
            await paper.signal(RANGE)
            last = [envelope.event_type for envelope in (await paper.store.feed.read(START, 10**6)).events][-1]
            assert last not in EVENT_TYPES, "its tail does not save how far it has come for such an event"
            assert await fills_booked(ports)
        async with paper.plugged_in() as ports:
            entry, *_ = await paper.log(OrderFilled)
            asked_at = await ports.feed.newest()

            async def newest(_feed: object) -> Place:
                return asked_at

            await paper.write("ORDER", entry.order_id, entry)
            assert not await fills_booked(ports)
            monkeypatch.setattr(type(ports.feed), "newest", newest)
            assert await fills_booked(ports), "what is filled after the question does not count"

    run_virtually(day())
