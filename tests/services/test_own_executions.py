"""Whose is an execution that the exchange shows under an id that nobody here has chosen? Through the services."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

import pytest

from patriot.accounts.events import AccountReconciled, TradeBooked, TradeOrigin
from patriot.execution.worker import AccountWorker
from patriot.orders.client_ids import client_id_prefix, client_order_id
from patriot.orders.events import OrderCreated, OrderFilled
from patriot.risk.events import TradingHalted
from patriot.services.account import belongs_to
from patriot.sim.engine import operations as sim_operations
from patriot.sim.engine import words as sim_words
from patriot.sim.faults.rules import Scope, StreamFault, StreamRule, Term
from patriot.simulation.loop import run_virtually
from patriot.simulation.venue import PRICES
from patriot.trading.terms import AccountId, Leg
from tests.adapters.exchanges.binance.venue_kit import working_orders_have_ids_of_their_own
from tests.services.paper import RANGE, Paper
from tests.services.test_reconciliation import HOUR_SECONDS, hours, one_client

pytestmark = pytest.mark.integration

ETH = "ETHUSDT"


@pytest.fixture(autouse=True)
def own_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    working_orders_have_ids_of_their_own(monkeypatch)


def fire_the_stop(paper: Paper) -> None:
    paper.venue.exchange.apply(sim_operations.MovePrice(ETH, PRICES[ETH] * Decimal("0.97")))


def say_nothing_of_conditional_orders(paper: Paper) -> None:
    scope = Scope(event="ALGO_UPDATE")
    paper.venue.faults.add(StreamRule(fault=StreamFault.DROP, scope=scope, term=Term(times=None)))


async def all_are_ours(paper: Paper) -> None:
    booked = await paper.log(TradeBooked)
    on_the_exchange = {str(trade.trade_id) for trade in paper.venue.engine.trades(1)}
    assert len(on_the_exchange) > 1
    assert sorted(one.trade_id for one in booked) == sorted(on_the_exchange)
    assert {one.origin for one in booked} == {TradeOrigin.PATRIOT}
    assert {fill.trade_id for fill in await paper.log(OrderFilled)} == on_the_exchange
    assert [event.unexplained for event in await paper.log(AccountReconciled)] == [0]


def test_stop_that_fires_under_another_id_unannounced_is_ours() -> None:
    async def day() -> None:
        paper = Paper()
        await one_client(paper)
        async with paper.running() as service:
            await paper.signal(RANGE)
            say_nothing_of_conditional_orders(paper)
            fire_the_stop(paper)
            paper.venue.exchange.apply(sim_operations.Transfer(1, Decimal(50)))  # its income is read at once
            await hours(paper, service, 3)
        await all_are_ours(paper)

    run_virtually(day())


def test_stop_that_fires_while_nobody_is_there_is_ours() -> None:
    async def day() -> None:
        paper = Paper()
        await one_client(paper)
        async with paper.running():
            await paper.signal(RANGE)
        fire_the_stop(paper)
        async with paper.running() as service:
            await hours(paper, service, 3)
        await all_are_ours(paper)

    run_virtually(day())


def by_hand(name: str, quantity: str = "0.5") -> sim_operations.PlaceOrder:
    order_type = sim_words.OrderType.MARKET
    return sim_operations.PlaceOrder(1, ETH, sim_words.Side.BUY, order_type, Decimal(quantity), client_order_id=name)


def test_order_with_an_id_of_our_kind_that_no_order_here_has_is_the_clients() -> None:
    """Of an account that was linked before, or of another platform: the log is what tells."""

    async def day() -> None:
        paper = Paper()
        await one_client(paper)
        async with paper.running() as service:
            await paper.signal(RANGE)
            name = client_order_id(client_id_prefix(UUID(int=77)), Leg.ENTRY, 1)
            paper.venue.exchange.apply(by_hand(name))
            await hours(paper, service, 3)
        booked = {one.quantity: one.origin for one in await paper.log(TradeBooked)}
        assert booked.pop(Decimal("0.5")) == TradeOrigin.CLIENT
        assert set(booked.values()) == {TradeOrigin.PATRIOT}
        assert [event.unexplained for event in await paper.log(AccountReconciled)] == [0]

    run_virtually(day())


def test_order_of_one_account_is_not_anothers() -> None:
    async def day() -> None:
        paper = Paper()
        account_id = await one_client(paper)
        async with paper.running():
            await paper.signal(RANGE)
        (entry, *_) = await paper.log(OrderCreated)
        async with paper.plugged_in() as ports:
            assert await belongs_to(ports, account_id, entry.client_order_id)
            assert not await belongs_to(ports, AccountId(UUID(int=77)), entry.client_order_id)

    run_virtually(day())


def test_trade_by_hand_is_booked_within_minutes_and_a_deposit_after_it_raises_no_alarm() -> None:
    async def day() -> None:
        paper = Paper()
        await one_client(paper)
        async with paper.running():
            await paper.settle(HOUR_SECONDS)
            paper.venue.exchange.apply(by_hand("web_1"))
            for _ in range(2):
                paper.venue.exchange.apply(sim_operations.Transfer(1, Decimal(50)))
                await paper.settle(80)
            assert await paper.log(TradeBooked) == []
            await paper.settle(80)
            paper.venue.exchange.apply(sim_operations.Transfer(1, Decimal(50)))
            await paper.settle(HOUR_SECONDS)
            paper.venue.exchange.apply(sim_operations.Transfer(1, Decimal(50)))
            await paper.settle(100)
        assert [one.origin for one in await paper.log(TradeBooked)] == [TradeOrigin.CLIENT]
        assert {event.unexplained for event in await paper.log(AccountReconciled)} == {0}
        assert await paper.log(TradingHalted) == []

    run_virtually(day())


def test_execution_that_could_not_be_told_is_looked_at_again_though_nothing_else_happens() -> None:
    async def day() -> None:
        paper = Paper()
        await one_client(paper)
        async with paper.running():
            await paper.settle(HOUR_SECONDS)
            paper.venue.exchange.apply(by_hand("web_1"))
            paper.venue.exchange.apply(sim_operations.Transfer(1, Decimal(50)))
            await paper.settle(80)
            assert await paper.log(TradeBooked) == []
            await paper.settle(240)
            assert [one.origin for one in await paper.log(TradeBooked)] == [TradeOrigin.CLIENT]

    run_virtually(day())


def test_execution_that_nobody_can_tell_is_unexplained_until_it_is_booked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So that a cut before it makes a draft. Nobody knows while executions cannot be asked for, whoever restarts."""

    async def unknown(_worker: AccountWorker) -> bool:
        return False

    async def day() -> None:
        paper = Paper()
        await one_client(paper)
        with monkeypatch.context() as patch:
            patch.setattr(AccountWorker, "fetch_fills", unknown)
            async with paper.running() as service:
                paper.venue.exchange.apply(by_hand("web_1"))
                await hours(paper, service, 3)
            async with paper.running() as service:
                await hours(paper, service, 1)
            assert await paper.log(TradeBooked) == []
            assert (await paper.log(AccountReconciled))[-1].unexplained < 0
        async with paper.running() as service:
            await hours(paper, service, 2)
        assert [one.origin for one in await paper.log(TradeBooked)] == [TradeOrigin.CLIENT]
        assert (await paper.log(AccountReconciled))[-1].unexplained == 0

    run_virtually(day())
