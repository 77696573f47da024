"""All active strategies at once: recorded signals are the same through kills, restarts and repeated bars."""

import asyncio
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patriot.adapters.runners import InProcessRunners, SubprocessRunners
from patriot.kernel.bus import CommandBus, decode_all
from patriot.kernel.clock import FakeClock
from patriot.kernel.errors import ExchangeUnavailable, StoreUnavailable
from patriot.kernel.eventstore import START, Appended, Fence, IdempotentResult, StreamAppend
from patriot.kernel.ids import Ids
from patriot.kernel.memory import MemoryEventStore, MemoryLeases
from patriot.market.events import Bar
from patriot.strategies.effects import StrategyHost, signal_id_of
from patriot.strategies.events import SignalGenerated
from patriot.strategies.interface import ActiveStrategy
from patriot.strategies.ports import SpawnRunner
from patriot.strategies.streams import register
from patriot.strategies.supervisor import RunnerPatience
from patriot.trading.terms import Exchange, StrategyId
from tests.strategies.test_supervisor import BARS, HANGS, InTurn, Told
from tests.support import eventually

pytestmark = pytest.mark.integration

QUICK = RunnerPatience(first_backoff=0.001, longest_backoff=0.01)


def active(number: int, kind: str, **changes: object) -> ActiveStrategy:
    strategy = ActiveStrategy(
        StrategyId(UUID(int=number)), kind, Exchange.BINANCE, "BTCUSDT", "15m", {}, BARS[0].opened_at
    )
    return replace(strategy, **changes)  # type: ignore[arg-type]


EMA, DONCHIAN = active(1, "ema_cross"), active(2, "donchian")


class Market:
    """The past of a market that is being replayed: what has been played is known."""

    def __init__(self) -> None:
        self.played: list[Bar] = []
        self.away = False

    async def tick_size(self, exchange: Exchange, symbol: str) -> Decimal:
        if self.away:
            raise ExchangeUnavailable("maintenance")
        return Decimal("0.1")

    async def bars_since(self, exchange: Exchange, symbol: str, interval: str, opened_from: datetime) -> list[Bar]:
        return [bar for bar in self.played if bar.opened_at >= opened_from]


class Store(MemoryEventStore):
    """A store that can go away."""

    away = False

    async def append(
        self, appends: Sequence[StreamAppend], *, result: IdempotentResult | None = None, fence: Fence | None = None
    ) -> Appended:
        if self.away:
            raise StoreUnavailable("connection refused")
        return await super().append(appends, result=result, fence=fence)


class World:
    """A log and a market that outlive the hosts on them."""

    def __init__(self) -> None:
        self.clock = FakeClock(BARS[0].opened_at)
        self.store = Store(self.clock, MemoryLeases(self.clock))
        self.market = Market()
        self.told = Told()

    def host(self, spawn: SpawnRunner, patience: RunnerPatience = QUICK) -> StrategyHost:
        bus = CommandBus(self.store, self.clock, Ids(self.clock))
        register(bus)
        return StrategyHost(bus, self.clock, self.market, spawn, self.told, patience)

    def play(self, bar: Bar) -> None:
        self.clock.advance(bar.closed_at - self.clock.now())
        self.market.played.append(bar)

    async def recorded(self) -> list[SignalGenerated]:
        return decode_all((await self.store.feed.read(START, 100_000)).events)


async def undisturbed() -> list[SignalGenerated]:
    world = World()
    host = world.host(InProcessRunners())
    await host.follow([EMA, DONCHIAN])
    for bar in BARS:
        world.play(bar)
        await host.on_bar(bar)
    await host.close()
    recorded = await world.recorded()
    assert {one.strategy_id for one in recorded} == {EMA.strategy_id, DONCHIAN.strategy_id}
    return recorded


async def test_signals_are_returned_as_they_are_recorded() -> None:
    world = World()
    host = world.host(InProcessRunners())
    signals = await host.follow([EMA, DONCHIAN])
    for bar in BARS:
        world.play(bar)
        new = await host.on_bar(bar)
        assert [one.strategy_id for one in new] == sorted(one.strategy_id for one in new)
        assert all(one.generated_at == bar.closed_at for one in new)
        assert all(one.valid_until == bar.closed_at + timedelta(seconds=10) for one in new)
        signals += new
    await host.close()
    assert signals == await world.recorded()


async def test_runners_killed_in_the_middle_give_the_signals_of_runners_never_killed() -> None:
    world = World()
    host = world.host(SubprocessRunners())
    await host.follow([EMA, DONCHIAN])
    for number, bar in enumerate(BARS):
        if number % 50 == 25:
            for pid in host.runner_pids().values():
                os.kill(pid, signal.SIGKILL)
        world.play(bar)
        await host.on_bar(bar)
    await host.close()
    assert await world.recorded() == await undisturbed()
    assert len(world.told.incidents) == 12


@settings(max_examples=10)
@given(st.sets(st.integers(0, len(BARS) - 1), max_size=6), st.booleans())
async def test_platform_restarted_before_or_after_any_bar_gives_the_same_signals(ends: set[int], heard: bool) -> None:
    world = World()
    host = world.host(InProcessRunners())
    await host.follow([EMA, DONCHIAN])
    for number, bar in enumerate(BARS):
        world.play(bar)
        if number not in ends or heard:
            await host.on_bar(bar)
        if number in ends:  # with `heard` false, the process died between the bar and its signals
            await host.close()
            host = world.host(InProcessRunners())
            await host.follow([EMA, DONCHIAN])
    await host.close()
    assert await world.recorded() == await undisturbed()


async def test_bar_that_comes_twice_records_nothing_twice() -> None:
    world = World()
    host = world.host(InProcessRunners())
    await host.follow([EMA])
    for bar in BARS:
        world.play(bar)
        await host.on_bar(bar)
        assert await host.on_bar(bar) == []
    await host.close()


async def test_signal_is_recorded_when_the_store_is_back_and_the_bar_comes_again() -> None:
    world = World()
    host = world.host(InProcessRunners())
    await host.follow([EMA, DONCHIAN])
    lost = 0
    for bar in BARS:
        world.play(bar)
        world.store.away = True
        with suppress(StoreUnavailable):
            assert await host.on_bar(bar) == []
            lost -= 1
        lost += 1
        world.store.away = False
        await host.on_bar(bar)
    await host.close()
    assert lost > 10
    assert await world.recorded() == await undisturbed()


async def test_bars_missed_by_the_stream_are_asked_of_the_exchange() -> None:
    world = World()
    host = world.host(InProcessRunners())
    await host.follow([EMA])
    for number, bar in enumerate(BARS):
        world.play(bar)
        if number % 7 != 3:
            await host.on_bar(bar)
    await host.close()
    seen = {one.signal_id for one in await world.recorded()}
    missed = {signal_id_of(EMA.strategy_id, "BTCUSDT", BARS[number].closed_at) for number in range(3, len(BARS), 7)}
    assert seen == {one.signal_id for one in await undisturbed() if one.strategy_id == EMA.strategy_id} - missed


async def test_signal_that_an_outage_made_old_is_not_recorded() -> None:
    world = World()
    signals = await undisturbed()
    wished = next(number for number, bar in enumerate(BARS) if bar.closed_at == signals[0].bar_closed_at)
    for bar in BARS[: wished + 1]:
        world.play(bar)
    world.clock.advance(timedelta(seconds=61))
    host = world.host(InProcessRunners())
    assert await host.follow([EMA, DONCHIAN]) == []
    await host.close()
    assert await world.recorded() == []


async def test_strategy_that_never_starts_harms_no_other() -> None:
    world = World()
    broken = active(0, "hindsight", parameters={"data_file": "/nonexistent.csv"})
    host = world.host(SubprocessRunners(), RunnerPatience(first_backoff=0.001, longest_backoff=0.01, attempts=1))
    signals = await undisturbed()
    first = next(number for number, bar in enumerate(BARS) if bar.closed_at == signals[0].bar_closed_at)
    for bar in BARS[:first]:
        world.play(bar)
    await host.follow([broken, EMA, DONCHIAN])
    for bar in BARS[first : first + 3]:
        world.play(bar)
        await host.on_bar(bar)
    assert host.runner_pids().keys() == {EMA.strategy_id, DONCHIAN.strategy_id}
    await host.close()
    assert await world.recorded() == [one for one in signals if one.bar_closed_at <= BARS[first + 2].closed_at]
    assert {incident.strategy_id for incident in world.told.incidents} == {str(broken.strategy_id)}
    assert any("data_file: expected a readable kline CSV" in problem for problem in world.told.problems)


async def test_strategy_that_hangs_does_not_hold_up_the_signals_of_another() -> None:
    world = World()
    spawn = InTurn(InProcessRunners(), InProcessRunners(), HANGS)
    host = world.host(spawn, RunnerPatience(answer=60, grace=0.05, first_backoff=0.001))
    await host.follow([EMA, DONCHIAN])
    expected = [one for one in await undisturbed() if one.strategy_id == DONCHIAN.strategy_id]
    first = next(number for number, bar in enumerate(BARS) if bar.closed_at == expected[0].bar_closed_at)
    for bar in BARS[:first]:
        world.play(bar)
        await host.on_bar(bar)
    await spawn.runners[0].end()  # the runner of EMA; the next one hangs
    world.play(BARS[first])
    async with asyncio.timeout(5):
        assert await host.on_bar(BARS[first]) == expected[:1]
    assert host.busy
    await host.close()
    assert not host.busy


async def test_strategy_stopped_while_it_is_asked_gives_no_signal() -> None:
    world = World()
    spawn = InTurn(InProcessRunners(), InProcessRunners(), HANGS)
    host = world.host(spawn, RunnerPatience(answer=60, grace=30, first_backoff=0.001))
    await host.follow([EMA, DONCHIAN])
    signals = await undisturbed()
    first = next(number for number, bar in enumerate(BARS) if bar.closed_at == signals[0].bar_closed_at)
    for bar in BARS[:first]:
        world.play(bar)
        await host.on_bar(bar)
    asked, other = spawn.runners if signals[0].strategy_id == EMA.strategy_id else reversed(spawn.runners)
    assert asked is not other
    await other.end()  # the next one hangs, so the signal of the first waits for its turn
    world.play(BARS[first])
    asking = asyncio.create_task(host.on_bar(BARS[first]))
    await eventually(lambda: len(spawn.runners) == 3 and host.busy == 1)
    await host.follow([])
    assert await asking == []
    await host.close()
    assert await world.recorded() == []


async def test_slow_answer_is_recorded_when_it_comes() -> None:
    world = World()
    host = world.host(SubprocessRunners(), RunnerPatience(grace=0.0))
    assert await host.follow([EMA, DONCHIAN]) == []
    for bar in BARS[:50]:
        world.play(bar)
        assert await host.on_bar(bar) == []
        await eventually(lambda: not host.busy)
    await host.close()
    expected = [one for one in await undisturbed() if one.bar_closed_at <= BARS[49].closed_at]
    assert {one.signal_id for one in await world.recorded()} == {one.signal_id for one in expected} != set()


async def test_strategy_that_could_not_start_starts_with_the_next_bar() -> None:
    world = World()
    host = world.host(InProcessRunners())
    world.market.away = True
    await host.follow([EMA, DONCHIAN])
    world.play(BARS[0])
    await host.on_bar(BARS[0])
    assert [incident.problem for incident in world.told.incidents] == ["maintenance"] * 4
    world.market.away = False
    for bar in BARS[1:]:
        world.play(bar)
        await host.on_bar(bar)
    await host.close()
    assert await world.recorded() == await undisturbed()


async def test_follow_ends_runners_no_longer_wanted_and_leaves_the_others_alone() -> None:
    world = World()
    host = world.host(SubprocessRunners())
    await host.follow([EMA, DONCHIAN])
    before = host.runner_pids()
    await host.follow([DONCHIAN])
    assert host.runner_pids() == {DONCHIAN.strategy_id: before[DONCHIAN.strategy_id]}
    with pytest.raises(ProcessLookupError):
        os.kill(before[EMA.strategy_id], 0)
    await host.close()
    assert host.runner_pids() == {}


async def test_strategy_configured_anew_gets_a_new_runner() -> None:
    world = World()
    host = world.host(SubprocessRunners())
    await host.follow([EMA])
    before = host.runner_pids()
    await host.follow([replace(EMA, parameters={"fast_period": "5"})])
    assert host.runner_pids().keys() == before.keys()
    assert host.runner_pids() != before
    await host.close()


async def test_bar_of_another_market_asks_nobody() -> None:
    world = World()
    host = world.host(InProcessRunners())
    await host.follow([EMA])
    for bar in BARS:
        world.play(bar)
        assert await host.on_bar(replace(bar, symbol="ETHUSDT")) == []
        assert await host.on_bar(replace(bar, interval="1h")) == []
    await host.close()
    assert await world.recorded() == []
