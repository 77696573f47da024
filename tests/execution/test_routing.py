"""Every follower of a signal gets an order, or a reason why not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from patriot.accounts.events import AccountLinked, AccountStatus, AccountStatusChanged, PositionMode
from patriot.execution.events import PositionClosed, RoutedAccount, Routing, SignalRouted
from patriot.kernel.memory import MemoryCheckpoints
from patriot.orders.events import entry_order_id
from patriot.risk.commands import HaltTrading
from patriot.risk.events import HaltLevel, ReasonCode, Scope
from patriot.services.execution import ExecutionService
from patriot.sim.engine.operations import PlaceOrder, Transfer
from patriot.sim.engine.words import Side
from patriot.simulation.loop import run_virtually
from patriot.strategies.events import SignalAction, StrategyPaused
from patriot.trading.terms import AccountId, Environment, Exchange
from tests.services.paper import ALICE, TREND, Paper

pytestmark = pytest.mark.integration

D = Decimal
Prepare = Callable[[Paper, ExecutionService, AccountId], Awaitable[None]]


async def nothing(_paper: Paper, _service: ExecutionService, _account_id: AccountId) -> None:
    """Change nothing."""


async def suspend(paper: Paper, _service: ExecutionService, account_id: AccountId) -> None:
    change = (AccountStatus.ACTIVE, AccountStatus.SUSPENDED, "OPERATOR", paper.clock.now())
    await paper.write("ACCOUNT", account_id, AccountStatusChanged(account_id, ALICE, *change))


async def pause(paper: Paper, _service: ExecutionService, _account_id: AccountId) -> None:
    await paper.write("STRATEGY", TREND, StrategyPaused(TREND, "OPERATOR", paper.clock.now()))


async def halt(paper: Paper, _service: ExecutionService, _account_id: AccountId) -> None:
    await paper.tell(HaltTrading(Scope.GLOBAL, "", HaltLevel.H1, "MANUAL", paper.clock.now()))


async def lose_step(_paper: Paper, service: ExecutionService, account_id: AccountId) -> None:
    service.workers[account_id].ready.clear()


async def lose_money(paper: Paper, _service: ExecutionService, _account_id: AccountId) -> None:
    paper.venue.exchange.apply(Transfer(1, D(-9_950)))


def routed(prepare: Prepare, **signal: Any) -> RoutedAccount:
    """Route one signal on a prepared account, and return its record."""

    async def run() -> RoutedAccount:
        paper = Paper()
        account_id = await paper.link(ALICE)
        await paper.found([(ALICE, account_id)])
        async with paper.running() as service:
            await prepare(paper, service, account_id)
            signal_id = await paper.signal(TREND, **signal)
            (record,) = await paper.log(SignalRouted)
            assert record.signal_id == signal_id
            (share,) = record.accounts
            assert isinstance(share, RoutedAccount)
            if share.routing is Routing.SENT:
                assert share.order_id == entry_order_id(signal_id, account_id)
            return share

    return run_virtually(run())


def test_follower_gets_its_order() -> None:
    account = routed(nothing, stop_price=D("39500"))
    assert account.routing is Routing.SENT
    assert account.quantity == D("0.100")  # 10,000 x 50 % x 1 % / 500


@pytest.mark.parametrize(
    ("prepare", "signal", "reason"),
    [
        (suspend, {}, ReasonCode.ACCOUNT_NOT_ACTIVE),
        (pause, {}, ReasonCode.HALTED),
        (lose_step, {}, ReasonCode.EQUITY_UNKNOWN),
        (nothing, {"age": 11.0}, ReasonCode.SIGNAL_EXPIRED),
        (nothing, {"action": SignalAction.CLOSE}, ReasonCode.NO_POSITION),
        (nothing, {"symbol": "NOSUCHUSDT"}, ReasonCode.SYMBOL_NOT_TRADED),
        (lose_money, {"stop_price": D(1_000)}, ReasonCode.BELOW_MIN_NOTIONAL),
    ],
)
def test_follower_left_out_is_told_why(prepare: Prepare, signal: dict[str, Any], reason: ReasonCode) -> None:
    account = routed(prepare, **signal)
    assert (account.routing, account.order_id, account.reason_code) == (Routing.SKIPPED, None, reason)


def test_entry_during_a_halt_is_denied_by_risk_and_never_sent() -> None:
    account = routed(halt)
    assert (account.routing, account.reason_code) == (Routing.DENIED, ReasonCode.HALTED)


def test_signal_that_comes_late_is_denied_by_a_halt_that_came_after_it() -> None:
    async def run() -> None:
        paper = Paper()
        account_id = await one_client(paper)
        async with paper.running() as service:
            worker = service.workers[account_id]
            worker.ready.clear()
            signal = asyncio.create_task(paper.signal(TREND))
            await paper.settle(0.5)
            halt = HaltTrading(Scope.USER, str(ALICE), HaltLevel.H1, "MANUAL", paper.clock.now())
            halted = asyncio.create_task(paper.tell(halt))
            await paper.settle(1.0)
            worker.ready.set()
            await asyncio.gather(signal, halted)
            (share,) = (await paper.log(SignalRouted))[-1].accounts
            assert (share.routing, share.reason_code) == (Routing.DENIED, ReasonCode.HALTED)
            assert paper.venue.engine.orders(1) == ()

    run_virtually(run())


def test_signal_from_before_a_start_is_denied_by_a_halt_after_it_whatever_the_clock_says() -> None:
    async def run() -> None:
        paper = Paper()
        await one_client(paper)
        async with paper.running():
            pass
        await paper.signal(TREND, age=-10)
        await paper.tell(HaltTrading(Scope.USER, str(ALICE), HaltLevel.H1, "MANUAL", paper.clock.now()))
        async with paper.running():
            (share,) = (await paper.log(SignalRouted))[-1].accounts
            assert (share.routing, share.reason_code) == (Routing.DENIED, ReasonCode.HALTED)

    run_virtually(run())


async def one_client(paper: Paper) -> AccountId:
    account_id = await paper.link(ALICE)
    await paper.found([(ALICE, account_id)])
    return account_id


def test_signal_routed_twice_is_one_order() -> None:
    async def run() -> None:
        paper = Paper()
        await one_client(paper)
        async with paper.running():
            await paper.signal(TREND)
        paper.checkpoints = MemoryCheckpoints()  # everything comes again
        async with paper.running():
            orders = [o for o in paper.applied if isinstance(o, PlaceOrder)]
            assert [o.side for o in orders] == [Side.BUY]
            assert len(await paper.log(SignalRouted)) == 1

    run_virtually(run())


def test_way_out_is_open_while_all_entries_are_halted() -> None:
    async def run() -> None:
        paper = Paper()
        account_id = await one_client(paper)
        async with paper.running() as service:
            await paper.signal(TREND)
            assert paper.positions(account_id)
            await halt(paper, service, account_id)
            await paper.signal(TREND, SignalAction.CLOSE)
            (share,) = (await paper.log(SignalRouted))[-1].accounts
            assert share.routing is Routing.SENT
            assert paper.positions(account_id) == {}

    run_virtually(run())


def test_close_while_the_lease_is_lost_is_left_to_the_next_worker() -> None:
    async def run() -> None:
        paper = Paper()
        account_id = await one_client(paper)
        lease = f"account:{account_id}"
        async with paper.running():
            await paper.signal(TREND)
            paper.leases._leases[lease].expires_at = 0.0
            theirs = await paper.leases.acquire(lease, "another process")
            assert theirs is not None
            await paper.signal(TREND, SignalAction.CLOSE)
            (share,) = (await paper.log(SignalRouted))[-1].accounts
            assert share.routing is Routing.SENT
            assert await paper.log(PositionClosed) == []
            await paper.leases.release(theirs, "another process")
            await paper.settle(30)
            assert len(await paper.log(PositionClosed)) == 1
            assert paper.positions(account_id) == {}

    run_virtually(run())


def test_share_left_to_an_owner_that_died_before_it_told_is_told_of_after_the_next_start() -> None:
    async def run() -> None:
        paper = Paper()
        account_id = await one_client(paper)
        async with paper.running():
            paper.leases._leases[f"account:{account_id}"].expires_at = 0.0
            theirs = await paper.leases.acquire(f"account:{account_id}", "another process")
            assert theirs is not None
            signal_id = await paper.signal(TREND)
            await paper.settle(1)  # every process dies meanwhile
        assert await paper.log(SignalRouted) == []
        async with paper.running():
            await paper.settle(5)
            (record,) = await paper.log(SignalRouted)
            assert record.signal_id == signal_id
            (share,) = record.accounts
            assert (share.account_id, share.routing) == (account_id, Routing.SKIPPED)
            assert share.reason_code == ReasonCode.SIGNAL_EXPIRED
        async with paper.running():
            await paper.settle(40)
            assert len(await paper.log(SignalRouted)) == 1

    run_virtually(run())


def test_second_entry_on_a_held_symbol_is_denied() -> None:
    async def run() -> None:
        paper = Paper()
        await one_client(paper)
        async with paper.running():
            await paper.signal(TREND)
            await paper.signal(TREND)
            (share,) = (await paper.log(SignalRouted))[-1].accounts
            assert (share.routing, share.reason_code) == (Routing.DENIED, ReasonCode.POSITION_OPEN)

    run_virtually(run())


def test_close_that_is_older_than_the_position_does_not_mean_it() -> None:
    async def run() -> None:
        paper = Paper()
        account_id = await one_client(paper)
        async with paper.running():
            await paper.signal(TREND)
            handled = await paper.store.feed.newest()
            await paper.signal(TREND, SignalAction.CLOSE)
            await paper.signal(TREND)
            held = paper.positions(account_id)
            assert held
        await paper.checkpoints.save("execution", handled)  # the close comes once more
        async with paper.running():
            assert paper.positions(account_id) == held

    run_virtually(run())


def test_account_on_an_exchange_that_is_not_plugged_in_is_left_out_and_holds_up_nobody() -> None:
    async def run() -> None:
        paper = Paper()
        account_id, stranger = await paper.link(ALICE), AccountId(UUID(int=999))
        linked = (Exchange.BYBIT, Environment.SIM, PositionMode.ONE_WAY, "USDT", 1, paper.clock.now())
        await paper.vault.store(stranger, 1, await paper.vault.open(account_id))
        await paper.write("ACCOUNT", stranger, AccountLinked(stranger, ALICE, *linked))
        await paper.found([(ALICE, account_id), (ALICE, stranger)])
        async with paper.running():
            assert paper.clock.monotonic() < 30
            await paper.signal(TREND)
            shares = {share.account_id: share for record in await paper.log(SignalRouted) for share in record.accounts}
            assert shares[account_id].routing is Routing.SENT
            assert shares[stranger].reason_code == ReasonCode.ACCOUNT_NOT_ACTIVE
            assert paper.positions(account_id).keys() == {"BTCUSDT"}

    run_virtually(run())


def test_close_is_left_to_whoever_works_next_where_nobody_does() -> None:
    async def run() -> None:
        paper = Paper()
        account_id = await one_client(paper)
        async with paper.running():
            await paper.signal(TREND)
        fence = await paper.leases.acquire(f"account:{account_id}", "another process")
        assert fence is not None
        async with paper.running_soon() as service:
            for _ in range(7):  # the start waits for accounts for half a minute
                await paper.settle()
                await paper.leases.renew(fence, "another process")
            assert service.workers == {}
            await paper.signal(TREND, SignalAction.CLOSE)
            assert (await paper.log(SignalRouted))[-1].accounts[0].routing is Routing.SENT

    run_virtually(run())
