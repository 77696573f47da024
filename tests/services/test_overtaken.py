"""What is decided while an entry is on its way, or while nobody works: it counts, whoever comes to it first."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from uuid import UUID

import pytest

from patriot.accounts.events import AccountStatus, AccountStatusChanged
from patriot.execution.events import Routing, SignalRouted
from patriot.kernel.errors import StoreUnavailable
from patriot.kernel.eventstore import Context, Envelope, StreamKey
from patriot.orders.events import OrderCreated
from patriot.orders.sending import OrderSender
from patriot.risk.commands import HaltTrading
from patriot.risk.events import HaltLevel, Scope
from patriot.sim.faults.rules import RestFault, RestRule, Term
from patriot.sim.faults.rules import Scope as Requests
from patriot.simulation.loop import run_virtually
from patriot.strategies.commands import ChangeAllocation, UnassignStrategy
from patriot.strategies.events import SignalAction, StrategyPaused
from patriot.trading.terms import AccountId
from tests.services.paper import ALICE, TREND, Paper

pytestmark = pytest.mark.integration

D = Decimal


class Day(Paper):
    """One account that follows one strategy."""

    async def begun(self) -> AccountId:
        self.one = await self.link(ALICE)
        await self.found([(ALICE, self.one)])
        return self.one

    def prepare_slowly(self, seconds: float) -> None:
        """Let the exchange take its time to tell how the symbol is set."""
        milliseconds = int(seconds * 1000)
        self.venue.faults.add(
            RestRule(
                fault=RestFault.DELAY,
                min_ms=milliseconds,
                max_ms=milliseconds,
                scope=Requests(method="GET", path="/fapi/v1/symbolConfig"),
                term=Term(times=None),
            )
        )

    async def do(self, command: object) -> None:
        """Dispatch a command, and wait for nothing."""
        await self.bus.dispatch(command, Context(UUID(int=5)))

    async def unassign(self) -> None:
        await self.do(UnassignStrategy(TREND, self.one, "USER", self.clock.now()))

    async def halt(self, level: HaltLevel) -> None:
        await self.do(HaltTrading(Scope.ACCOUNT, str(self.one), level, "CLIENT", self.clock.now()))

    @contextmanager
    def nothing_sent(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Let entries stay where they are: placed, and not on the wire."""

        async def never(_sender: OrderSender, _created: OrderCreated) -> None:
            await asyncio.sleep(3_600)

        with monkeypatch.context() as patch:
            patch.setattr(OrderSender, "submit", never)
            yield

    async def killed_before_the_wire(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async with self.running():
            with self.nothing_sent(monkeypatch):
                signalled = asyncio.create_task(self.signal(TREND))
                await asyncio.sleep(0.5)
        signalled.cancel()


@pytest.mark.parametrize("act", ["H1", "H2", "H3", "paused", "unassigned", "suspended", "nothing"])
def test_entry_that_was_placed_before_a_kill_goes_out_only_if_nothing_forbids_it_now(
    act: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        day = Day()
        one = await day.begun()
        await day.killed_before_the_wire(monkeypatch)
        if act.startswith("H"):
            await day.halt(HaltLevel(act))
        elif act == "unassigned":
            await day.unassign()
        elif act == "paused":
            await day.write("STRATEGY", TREND, StrategyPaused(TREND, "OPERATOR", day.clock.now()))
        elif act == "suspended":
            states = AccountStatus.ACTIVE, AccountStatus.SUSPENDED
            await day.write("ACCOUNT", one, AccountStatusChanged(one, ALICE, *states, "OPERATOR", day.clock.now()))
        async with day.running():
            await day.settle(60)
            assert bool(day.positions(one)) is (act == "nothing")

    run_virtually(run())


@pytest.mark.parametrize("level", [HaltLevel.H1, HaltLevel.H3])
def test_entry_whose_record_was_not_answered_goes_out_only_if_no_halt_came_meanwhile(
    level: HaltLevel, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        day = Day()
        one = await day.begun()
        async with day.running() as service:
            worker, away_until = service.workers[one], list[float]()
            dispatch = worker.dispatch

            async def lossy(command: object, context: Context) -> object:
                if away_until and day.clock.monotonic() < away_until[0]:
                    raise StoreUnavailable("away")
                decided = await dispatch(command, context)  # type: ignore[arg-type]
                if not away_until:
                    away_until.append(day.clock.monotonic() + 3)
                    raise StoreUnavailable("the answer is lost")
                return decided

            monkeypatch.setattr(worker, "dispatch", lossy)
            signalled = asyncio.create_task(day.signal(TREND))
            await asyncio.sleep(1)
            await day.halt(level)
            await signalled
            await day.settle(60)
            assert day.positions(one) == {}

    run_virtually(run())


@pytest.mark.parametrize("closed_at_once", [False, True])
def test_account_that_leaves_while_its_entry_is_prepared_does_not_enter(*, closed_at_once: bool) -> None:
    async def run() -> None:
        day = Day()
        one = await day.begun()
        async with day.running():
            day.prepare_slowly(0.9)
            signalled = asyncio.create_task(day.signal(TREND))
            await asyncio.sleep(0.3)
            await day.unassign()
            if closed_at_once:
                await day.signal(TREND, SignalAction.CLOSE)
            await signalled
            await day.settle(20)
            assert day.positions(one) == {}
            assert {share.routing for told in await day.log(SignalRouted) for share in told.accounts} == {
                Routing.SKIPPED
            }

    run_virtually(run())


def test_allocation_that_is_lowered_while_an_entry_is_prepared_is_that_of_the_entry() -> None:
    async def run() -> None:
        day = Day()
        one = await day.begun()
        async with day.running():
            day.prepare_slowly(0.9)
            signalled = asyncio.create_task(day.signal(TREND))
            await asyncio.sleep(0.3)
            await day.do(ChangeAllocation(TREND, one, D("0.05"), D(1), day.clock.now()))
            await signalled
            assert day.positions(one) == {"BTCUSDT": D("0.006")}

    run_virtually(run())


@pytest.mark.parametrize("nobody_works", ["restarting", "owned elsewhere", "down"])
def test_account_that_left_and_holds_is_closed_whoever_works_for_it_next(nobody_works: str) -> None:
    async def run() -> None:
        day = Day()
        one = await day.begun()
        async with day.running() as service:
            await day.signal(TREND)
            await day.unassign()
            await day.settle()
            assert day.positions(one)
            if nobody_works == "restarting":
                service.workers[one].stop()
                await asyncio.sleep(0.1)
                await day.signal(TREND, SignalAction.CLOSE)
                await day.settle(60)
                assert day.positions(one) == {}
                return
        if nobody_works == "down":
            await day.signal(TREND, SignalAction.CLOSE)
            read = day.store.read_stream

            async def slowly(stream: StreamKey, after: int = 0) -> list[Envelope]:
                await asyncio.sleep(0.02)
                return await read(stream, after)

            day.store.read_stream = slowly  # type: ignore[assignment, method-assign]
        async with day.running_soon() as service:
            if nobody_works == "owned elsewhere":
                async with day.owned_elsewhere(one):
                    await service.started.wait()
                    await day.signal(TREND, SignalAction.CLOSE)
            await day.settle(120)
            assert one in service.workers
            assert day.positions(one) == {}

    run_virtually(run())


@pytest.mark.parametrize("gap", [0.0, 0.3])
def test_entry_that_a_kill_left_behind_does_not_go_in_after_the_close_that_came_after_it(gap: float) -> None:
    async def run() -> None:
        day = Day()
        one = await day.begun()
        async with day.running():
            day.prepare_slowly(4)
            signalled = asyncio.create_task(day.signal(TREND))
            await asyncio.sleep(1)
        signalled.cancel()
        day.venue.faults.clear()
        closed = asyncio.create_task(day.signal(TREND, SignalAction.CLOSE))
        await asyncio.sleep(gap)
        async with day.running():
            await day.settle(120)
            assert day.positions(one) == {}
            assert {share.routing for told in await day.log(SignalRouted) for share in told.accounts} == {
                Routing.SKIPPED
            }
        await closed

    run_virtually(run())


def test_prices_of_a_signal_are_on_the_ticks_of_the_follower() -> None:
    async def run() -> None:
        day = Day()
        one = await day.begun()
        async with day.running():
            await day.signal(TREND, stop_price=D("39200.123456789"), take_profit_price=D("40900.00001"))
            assert day.stops(one) == {"BTCUSDT"}
            assert day.positions(one)
            assert day.alarm.names() == []

    run_virtually(run())
