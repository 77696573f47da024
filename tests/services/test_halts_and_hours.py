"""The execution service: what events of accounts, strategies and halts set off, and what the time of day does."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from patriot.accounts.events import AccountStatus, AccountStatusChanged, SampleReason
from patriot.execution.events import CloseRequested, PositionClosed
from patriot.execution.worker import AccountWorker
from patriot.risk.commands import HaltTrading
from patriot.risk.events import HaltLevel, Scope
from patriot.services.execution import ExecutionService
from patriot.services.pace import LivePace
from patriot.sim.engine.operations import PlaceOrder, SetLeverage
from patriot.sim.engine.words import Permission
from patriot.sim.faults.rules import RestFault, RestRule, Term
from patriot.sim.faults.rules import Scope as Requests
from patriot.simulation.loop import run_virtually
from patriot.strategies.commands import StopStrategy
from patriot.strategies.events import SignalAction
from patriot.trading.terms import StrategyId
from tests.services.paper import ALICE, BOB, RANGE, SYMBOLS, TREND, Paper

pytestmark = pytest.mark.integration


def test_account_that_is_linked_while_we_run_is_put_to_work() -> None:
    async def day() -> None:
        paper = Paper()
        async with paper.running() as service:
            account_id = await paper.link(ALICE)
            await paper.settle()
            assert service.workers.keys() == {account_id}

    run_virtually(day())


def test_symbol_is_prepared_when_a_strategy_is_assigned_before_any_signal() -> None:
    async def day() -> None:
        paper = Paper()
        account_id = await paper.link(ALICE)
        async with paper.running():
            await paper.found([(ALICE, account_id)])
            await paper.settle()
            prepared = {(one.uid, one.symbol, one.leverage) for one in paper.applied if isinstance(one, SetLeverage)}
            assert prepared == {(account_id.int - 100, symbol, 5) for symbol in SYMBOLS.values()}

    run_virtually(day())


@pytest.mark.parametrize(
    ("scope", "level", "canceled", "left"),
    [
        (Scope.ACCOUNT, HaltLevel.H1, [], 4),
        (Scope.ACCOUNT, HaltLevel.H2, [(1, None)], 4),
        (Scope.ACCOUNT, HaltLevel.H3, [(1, None)], 2),
        (Scope.USER, HaltLevel.H3, [(1, None)], 2),
        (Scope.STRATEGY, HaltLevel.H2, [(1, TREND), (2, TREND)], 4),
        (Scope.STRATEGY, HaltLevel.H3, [(1, TREND), (2, TREND)], 2),
        (Scope.GLOBAL, HaltLevel.H3, [(1, None), (2, None)], 0),
    ],
)
@pytest.mark.parametrize("late", [False, True], ids=["at work", "worker comes later"])
def test_halt_cancels_entries_and_closes_positions_of_whom_it_covers(
    scope: Scope,
    level: HaltLevel,
    canceled: list[tuple[int, StrategyId | None]],
    left: int,
    late: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[int, StrategyId | None]] = []

    def noted(worker: AccountWorker, strategy_id: StrategyId | None = None) -> None:
        asked.append((worker.account_id.int - 100, strategy_id))

    async def day() -> None:
        paper = Paper()
        one, two = await paper.link(ALICE), await paper.link(BOB)
        await paper.found([(ALICE, one), (BOB, two)])
        reference = {Scope.ACCOUNT: str(one), Scope.USER: str(ALICE), Scope.STRATEGY: str(TREND), Scope.GLOBAL: ""}
        halt = HaltTrading(scope, reference[scope], level, "OPERATOR", paper.clock.now())
        async with paper.running():
            for strategy_id in (TREND, RANGE):
                await paper.signal(strategy_id)
            monkeypatch.setattr(AccountWorker, "cancel_entries", noted)
            if not late:
                await paper.tell(halt)
                await paper.settle(30)
                assert sorted(asked, key=str) == canceled
        if late:
            await paper.tell(halt)
            await paper.checkpoints.save("execution", await paper.store.feed.newest())  # handled by another process
            async with paper.running():
                await paper.settle(30)
                by_strategy = {(uid, id_) for uid, only in canceled for id_ in ([only] if only else [TREND, RANGE])}
                assert set(asked) == by_strategy
        assert len(paper.positions(one)) + len(paper.positions(two)) == left
        assert len(await paper.log(PositionClosed)) == 4 - left

    run_virtually(day())


@pytest.mark.parametrize("late", [False, True], ids=["at work", "worker comes later"])
def test_stop_of_a_strategy_closes_its_positions_and_no_other(late: bool) -> None:
    async def day() -> None:
        paper = Paper()
        account_id = await paper.link(ALICE)
        await paper.found([(ALICE, account_id)])
        async with paper.running():
            for strategy_id in (TREND, RANGE):
                await paper.signal(strategy_id)
            if not late:
                await paper.tell(StopStrategy(TREND, "OPERATOR", paper.clock.now()))
                await paper.settle(30)
        if late:
            await paper.tell(StopStrategy(TREND, "OPERATOR", paper.clock.now()))
            await paper.checkpoints.save("execution", await paper.store.feed.newest())  # handled by another process
            async with paper.running():
                await paper.settle(30)
        assert paper.positions(account_id).keys() == {SYMBOLS[RANGE]}
        assert {one.reason_code for one in await paper.log(CloseRequested)} == {"STRATEGY_STOPPED"}

    run_virtually(day())


def test_keys_are_looked_at_on_a_new_day_alone_and_samples_asked_for_once_in_an_hour(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def day() -> None:
        paper, asked = Paper(), list[SampleReason]()
        account_id = await paper.link(ALICE)
        async with paper.running() as service:
            monkeypatch.setattr(service.fleet, "sample_equity", lambda reason, *, paced: asked.append(reason))
            key = paper.venue.exchange.keys.find((await paper.vault.open(account_id)).api_key)
            assert key is not None
            paper.venue.exchange.set_permissions(key, (Permission.READ,))
            morning = paper.clock.now().replace(hour=22, minute=0, second=0, microsecond=0)
            for minutes, samples in ((0, 1), (59, 1), (60, 2), (119, 2)):
                await service.tick(morning + timedelta(minutes=minutes))
                await paper.settle()
                assert asked == [SampleReason.HOURLY] * samples
            assert (await paper.log(AccountStatusChanged), paper.alarm.names()) == ([], [])
            await service.tick(morning + timedelta(minutes=120))
            await paper.settle()
            (changed,) = await paper.log(AccountStatusChanged)
            assert (changed.account_id, changed.new_status) == (account_id, AccountStatus.SUSPENDED)
            assert paper.alarm.names() == ["account.key_unfit"]

    run_virtually(day())


@pytest.mark.parametrize(
    ("now", "paced"),
    [
        (datetime(2030, 1, 31, 11, 59, tzinfo=UTC), True),
        (datetime(2030, 1, 31, 12, tzinfo=UTC), False),
        (datetime(2030, 2, 1, 0, 30, tzinfo=UTC), False),
        (datetime(2030, 2, 1, 11, tzinfo=UTC), False),
        (datetime(2030, 2, 1, 12, tzinfo=UTC), True),
    ],
)
def test_sample_that_fees_depend_on_waits_for_no_turn(
    now: datetime, paced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def day() -> None:
        paper, asked = Paper(), list[tuple[SampleReason, bool]]()
        async with paper.plugged_in() as ports:
            service = ExecutionService(ports, paper.vault, LivePace())
            monkeypatch.setattr(service.fleet, "sample_equity", lambda reason, *, paced: asked.append((reason, paced)))
            await service.tick(now)
            assert asked == [(SampleReason.HOURLY, paced)]

    run_virtually(day())


@pytest.mark.parametrize("path", ["/fapi/v1/accountConfig", "/fapi/v1/symbolConfig"])
def test_halt_waits_for_no_entry_that_is_being_prepared(path: str) -> None:
    async def day() -> None:
        paper = Paper()
        account_id = await paper.link(ALICE)
        await paper.found([(ALICE, account_id)])
        async with paper.running():
            await paper.signal(RANGE)
            silence = RestRule(
                fault=RestFault.TIMEOUT_BEFORE, scope=Requests(method="GET", path=path), term=Term(times=None)
            )
            paper.venue.faults.add(silence)
            preparing = [asyncio.create_task(paper.signal(TREND)) for _ in range(3)]
            await asyncio.sleep(0.1)
            await paper.tell(HaltTrading(Scope.GLOBAL, "", HaltLevel.H3, "OPERATOR", paper.clock.now()))
            assert paper.positions(account_id) == {}
            await asyncio.gather(*preparing)
            paper.venue.faults.clear()
            await paper.settle(60)
            assert paper.positions(account_id) == {}
            assert {one.symbol for one in paper.applied if isinstance(one, PlaceOrder)} == {SYMBOLS[RANGE]}

    run_virtually(day())


def test_close_waits_for_no_entry_of_another_strategy_that_is_being_prepared() -> None:
    async def day() -> None:
        paper = Paper()
        account_id = await paper.link(ALICE)
        await paper.found([(ALICE, account_id)])
        async with paper.running():
            await paper.signal(RANGE)
            silence = RestRule(
                fault=RestFault.TIMEOUT_BEFORE, scope=Requests(method="GET", symbol="BTCUSDT"), term=Term(times=None)
            )
            paper.venue.faults.add(silence)
            preparing = asyncio.create_task(paper.signal(TREND))
            await asyncio.sleep(0.1)
            await paper.signal(RANGE, SignalAction.CLOSE)
            assert paper.positions(account_id) == {}
            await preparing

    run_virtually(day())
