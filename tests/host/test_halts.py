"""Halts through the services: what they stop, what they leave open, and that none is forgotten."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from patriot.execution.events import CloseRequested, Routing, SignalRouted
from patriot.kernel.errors import StoreUnavailable
from patriot.kernel.eventstore import Context
from patriot.orders.commands import PlaceOrder
from patriot.orders.events import OrderCanceled, OrderCreated
from patriot.orders.patience import DeskPatience
from patriot.risk.commands import AccountRisk, HaltTrading, ResumeTrading
from patriot.risk.events import HaltLevel, Scope
from patriot.risk.limits import GLOBAL_DEFAULTS
from patriot.services.account import LinkedAccount, put_to_work
from patriot.services.execution import ExecutionService
from patriot.services.pace import LivePace
from patriot.sim.engine import operations as sim_operations
from patriot.simulation.loop import run_virtually
from patriot.strategies.events import SignalAction
from patriot.trading.terms import AccountId, Exchange, Leg, OrderId, OrderType, Side, StrategyId
from tests.execution.kit import FREE
from tests.services.paper import ALICE, BOB, RANGE, TREND, Paper

pytestmark = pytest.mark.integration

LIMIT_ENTRY = OrderId(UUID(int=77))


def halt(paper: Paper, level: HaltLevel, scope: Scope = Scope.GLOBAL, reference: object = "") -> HaltTrading:
    return HaltTrading(scope, str(reference), level, "OPERATOR", paper.clock.now())


def resume(paper: Paper, scope: Scope = Scope.GLOBAL, reference: object = "") -> ResumeTrading:
    return ResumeTrading(scope, str(reference), "OPERATOR", paper.clock.now())


async def one_client(paper: Paper) -> AccountId:
    account_id = await paper.link(ALICE)
    await paper.found([(ALICE, account_id)])
    return account_id


async def rest_an_entry(paper: Paper, service: ExecutionService, account_id: AccountId) -> None:
    """Have a limit entry work on the exchange, below the price."""
    worker, rich = service.workers[account_id], AccountRisk(Decimal(10_000), Decimal(10_000), Decimal(10_000))
    place = PlaceOrder(
        order_id=LIMIT_ENTRY,
        user_id=ALICE,
        account_id=account_id,
        strategy_id=TREND,
        signal_id=None,
        exchange=Exchange.BINANCE,
        symbol="BTCUSDT",
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        quantity=Decimal("0.01"),
        price=Decimal(39_000),
        stop_price=Decimal(38_000),
        take_profit_price=None,
        reference_price=Decimal(39_000),
        valid_until=paper.clock.now() + timedelta(minutes=1),
        risk=rich,
        limits=GLOBAL_DEFAULTS,
        halt=None,
        at=paper.clock.now(),
    )
    worker.enter((await worker.dispatch(place, Context(correlation_id=LIMIT_ENTRY))).events)
    await paper.settle()
    assert paper.venue.engine.open_orders(1, "BTCUSDT")


def test_h1_stops_entries_and_lets_exits_pass_until_it_is_lifted() -> None:
    async def day() -> None:
        paper = Paper()
        account_id = await one_client(paper)
        async with paper.running():
            await paper.signal(TREND)
            assert paper.positions(account_id).keys() == {"BTCUSDT"}

            await paper.tell(halt(paper, HaltLevel.H1))
            assert paper.positions(account_id).keys() == {"BTCUSDT"} == paper.stops(account_id)
            await paper.signal(RANGE)
            await paper.signal(TREND, SignalAction.CLOSE)
            assert paper.positions(account_id) == {}

            await paper.tell(resume(paper))
            await paper.signal(RANGE)
            assert paper.positions(account_id).keys() == {"ETHUSDT"}
        routed = [(r.routing, r.reason_code) for s in await paper.log(SignalRouted) for r in s.accounts]
        sent = (Routing.SENT, None)
        assert routed == [sent, (Routing.DENIED, "HALTED"), sent, sent]

    run_virtually(day())


def test_h1_leaves_a_working_entry_and_h2_cancels_it() -> None:
    async def day() -> None:
        paper = Paper()
        account_id = await one_client(paper)
        async with paper.running() as service:
            await service.workers[account_id].is_ready(10)
            await rest_an_entry(paper, service, account_id)
            await paper.tell(halt(paper, HaltLevel.H1))
            assert paper.venue.engine.open_orders(1, "BTCUSDT")
            await paper.tell(halt(paper, HaltLevel.H2))
            assert not paper.venue.engine.open_orders(1, "BTCUSDT")
        assert [event.order_id for event in await paper.log(OrderCanceled)] == [LIMIT_ENTRY]

    run_virtually(day())


def test_h2_keeps_positions_and_their_stops() -> None:
    async def day() -> None:
        paper = Paper()
        account_id = await one_client(paper)
        async with paper.running():
            await paper.signal(TREND)
            await paper.tell(halt(paper, HaltLevel.H2))
            assert paper.positions(account_id).keys() == {"BTCUSDT"} == paper.stops(account_id)

    run_virtually(day())


def test_h3_flattens_the_largest_first_and_stops_stay_until_flat() -> None:
    async def day() -> None:
        paper = Paper()
        account_id = await one_client(paper)
        async with paper.running() as service:
            await paper.signal(RANGE)
            await paper.signal(TREND)
            open_brackets = service.workers[account_id].keeper.open_brackets.values()
            notional = {bracket.entry.symbol: bracket.entered_notional for bracket in open_brackets if bracket.entry}
            largest_first = sorted(notional, key=notional.__getitem__, reverse=True)
            paper.applied.clear()
            await paper.tell(halt(paper, HaltLevel.H3))
            assert paper.positions(account_id) == {}
            assert paper.stops(account_id) == set()
        closes = [order for order in paper.applied if isinstance(order, sim_operations.PlaceOrder)]
        assert [order.symbol for order in closes] == largest_first
        assert all(order.reduce_only for order in closes)
        stops = {e.client_order_id: e.symbol for e in await paper.log(OrderCreated) if e.leg is Leg.STOP}
        for close in closes:
            canceled = [o for o in paper.applied if isinstance(o, sim_operations.CancelAlgoOrder)]
            (stop,) = [o for o in canceled if stops[str(o.client_algo_id)] == close.symbol]
            assert paper.applied.index(stop) > paper.applied.index(close)

    run_virtually(day())


@pytest.mark.parametrize(
    ("scope", "reference", "flat"),
    [
        (Scope.GLOBAL, "", {(1, TREND), (1, RANGE), (2, TREND), (2, RANGE), (3, TREND), (3, RANGE)}),
        (Scope.USER, ALICE, {(1, TREND), (1, RANGE), (2, TREND), (2, RANGE)}),
        (Scope.ACCOUNT, AccountId(UUID(int=102)), {(2, TREND), (2, RANGE)}),
        (Scope.STRATEGY, RANGE, {(1, RANGE), (2, RANGE), (3, RANGE)}),
    ],
)
def test_h3_closes_what_its_scope_covers_and_nothing_else(
    scope: Scope, reference: object, flat: set[tuple[int, StrategyId]]
) -> None:
    async def day() -> None:
        paper = Paper()
        accounts = [await paper.link(user) for user in (ALICE, ALICE, BOB)]
        await paper.found(zip((ALICE, ALICE, BOB), accounts, strict=True))
        symbols = {TREND: "BTCUSDT", RANGE: "ETHUSDT"}
        everything = {(number, strategy) for number in (1, 2, 3) for strategy in symbols}

        def held() -> set[tuple[int, StrategyId]]:
            return {(n, s) for n, s in everything if symbols[s] in paper.positions(accounts[n - 1])}

        async with paper.running():
            await paper.signal(TREND)
            await paper.signal(RANGE)
            assert held() == everything
            await paper.tell(halt(paper, HaltLevel.H3, scope, reference))
            assert held() == everything - flat
            await paper.tell(resume(paper, scope, reference))
            await paper.signal(TREND)
            await paper.signal(RANGE)
            assert held() == everything

    run_virtually(day())


def test_h3_that_was_raised_while_nobody_worked_is_carried_out_at_the_start() -> None:
    async def day() -> None:
        paper = Paper()
        account_id = await one_client(paper)
        async with paper.running():
            await paper.signal(TREND)
        assert paper.positions(account_id)
        await paper.tell(halt(paper, HaltLevel.H3))
        assert paper.positions(account_id)
        async with paper.running():
            await paper.settle(60)
            assert paper.positions(account_id) == {}

    run_virtually(day())


def test_h3_reaches_an_account_whose_worker_comes_later_than_the_halt() -> None:
    async def day() -> None:
        paper = Paper()
        account_id = await one_client(paper)
        async with paper.running():
            await paper.signal(TREND)
        name = f"account:{account_id}"
        fence = await paper.leases.acquire(name, "another process")
        assert fence is not None
        await paper.tell(halt(paper, HaltLevel.H3))
        async with paper.running_soon() as service:
            for _ in range(12):
                await paper.settle(5)
                await paper.leases.renew(fence, "another process")
            assert service.started.is_set()
            assert not await service.tail.behind()  # the halt was read, and nobody was there to carry it out
            assert paper.positions(account_id)
            await paper.leases.release(fence, "another process")
            await paper.settle(60)
            assert paper.positions(account_id) == {}

    run_virtually(day())


def test_way_out_that_is_asked_for_before_the_log_was_read_is_not_forgotten() -> None:
    async def day() -> None:
        paper = Paper()
        account_id = await one_client(paper)
        async with paper.running():
            await paper.signal(TREND)
        fence = await paper.leases.acquire(f"account:{account_id}", "me")
        assert fence is not None
        key, account = await paper.vault.open(account_id), LinkedAccount(account_id, ALICE, Exchange.BINANCE)
        async with paper.plugged_in() as ports:
            worker = put_to_work(ports, account, key, fence, LivePace(), DeskPatience(), FREE).worker
            asking = asyncio.create_task(worker.flatten("HALTED"))
            await paper.settle()
            assert not asking.done()
            working = asyncio.create_task(worker.run())
            await asking
            assert len(await paper.log(CloseRequested)) == 1
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
            with pytest.raises(StoreUnavailable):  # so that the wish is left to the next worker
                await worker.flatten("HALTED")

    run_virtually(day())
