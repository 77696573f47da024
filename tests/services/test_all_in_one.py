"""All services in one process: who starts when, what a tick does, and that nothing ends unseen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from patriot.accounts.events import AccountLinked, EquitySampled, SampleReason
from patriot.adapters.runners import InProcessRunners
from patriot.audit.events import RootPublished
from patriot.kernel.errors import EndedByItself
from patriot.kernel.projection import Projection, Recorded
from patriot.kernel.subscription import Subscription, Tail
from patriot.services.all_in_one import Platform
from patriot.services.engine import Engine
from patriot.services.pace import LivePace
from patriot.services.ports import Ports
from patriot.services.table import TABLE, Service, Supplies
from patriot.simulation.loop import START, run_virtually
from patriot.strategies.events import StrategyCreated
from patriot.strategies.ports import Runner
from patriot.trading.terms import Exchange
from tests.audit.kit import Shelf
from tests.services.paper import ALICE, TREND, Paper

pytestmark = pytest.mark.integration

D = Decimal


class Rows:
    """A read model that notes how many events it was shown."""

    tables: tuple[str, ...] = ()
    event_types: frozenset[str] = frozenset({"account.linked"})

    def __init__(self, name: str) -> None:
        self.name = name
        self.shown = 0

    async def apply(self, sql: object, batch: list[Recorded]) -> None:
        raise NotImplementedError("who keeps it shows it events one by one")

    async def show(self, recorded: Recorded) -> None:
        await asyncio.sleep(1)  # longer than a deciding tail takes
        self.shown += 1


class Screens:
    """`ReadModels` that keep `Rows`; no invoice is open."""

    def __init__(self, ports: Ports) -> None:
        self.sql = self
        self.asked = 0
        self._ports = ports

    def keep(self, projection: Projection) -> Tail:
        assert isinstance(projection, Rows)
        ports = self._ports
        return Subscription(ports.feed, ports.checkpoints, projection.name, projection.show, projection.event_types)

    async def fetch(self, sql: str, *arguments: object) -> list[dict[str, Any]]:
        self.asked += 1
        return []

    async def execute(self, sql: str, *arguments: object) -> object:
        raise NotImplementedError(sql)

    async def executemany(self, sql: str, rows: Sequence[Sequence[object]]) -> object:
        raise NotImplementedError(sql)


class Runners(InProcessRunners):
    """Runners that are counted."""

    started = 0

    async def __call__(self) -> Runner:
        self.started += 1
        return await super().__call__()


class Plant:
    """A platform over the exchange's face, with a strategy and an account."""

    def __init__(self, paper: Paper, ports: Ports) -> None:
        self.paper = paper
        self.screens, self.shelf, self.runners = Screens(ports), Shelf(), Runners()
        self.rows = [Rows("one"), Rows("two")]
        given = Supplies(ports, self.screens, lambda: paper.vault, self.shelf, self.runners, LivePace())
        self.platform = Platform(given, projections=self.rows)


@asynccontextmanager
async def plant() -> AsyncIterator[Plant]:
    paper = Paper()
    await paper.link(ALICE)
    binance, interval = Exchange.BINANCE, "1m"
    created = StrategyCreated(
        TREND, "s", "ema_cross", binance, "BTCUSDT", interval, {}, D("0.01"), D(5), D("0.3"), START
    )
    await paper.write("STRATEGY", TREND, created)
    async with paper.plugged_in() as ports:
        yield Plant(paper, ports)


@asynccontextmanager
async def running(one: Plant) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(one.platform.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_strategies_start_when_accounts_are_at_work_or_have_had_their_time() -> None:
    async def day() -> None:
        async with plant() as one:
            paper = one.paper
            await paper.checkpoints.save("execution", await paper.store.feed.newest())
            (linked,) = await paper.log(AccountLinked)
            async with paper.owned_elsewhere(linked.account_id), running(one):
                await paper.settle(9)
                assert not one.platform.execution.started.is_set()
                assert one.runners.started == 0
                await paper.settle(2)
                assert one.platform.execution.started.is_set()
                assert one.runners.started == 1
                assert [rows.shown for rows in one.rows] == [1, 1]

    run_virtually(day())


ENGINES = [name for name, row in TABLE.items() if row.build is not None]


@pytest.mark.parametrize("name", [*ENGINES, "one", "two"])
def test_service_that_ends_is_an_error_of_the_platform(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ended() -> None:
        await asyncio.sleep(10)

    async def day() -> None:
        async with plant() as one:
            run = {tail.name: tail for tail in one.platform.projections} | one.platform.engines
            monkeypatch.setattr(run[name], "run", ended)
            async with running(one) as task:
                await one.paper.settle(20)
                assert task.done()
                found = task.exception()
                assert isinstance(found, ExceptionGroup)
                assert [str(error) for error in found.exceptions] == [f"{name} ended by itself"]
                assert isinstance(found.exceptions[0], EndedByItself)

    run_virtually(day())


class Spare(Engine):
    """A service that is in the table and nowhere else."""

    def __init__(self, ports: Ports) -> None:
        self.told: list[str] = []
        self.tail = Subscription(ports.feed, ports.checkpoints, "spare", self._take)

    async def _take(self, _recorded: Recorded) -> None:
        raise NotImplementedError("it never follows")

    async def run(self) -> None:
        self.told.append("run")
        await asyncio.Event().wait()

    async def tick(self, now: datetime) -> None:
        self.told.append(f"tick {now:%H:%M}")

    async def finish(self) -> None:
        self.told.append("finish")


def test_every_service_of_the_table_is_run_followed_ticked_and_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    spares = {
        name: replace(TABLE[name], build=lambda given: Spare(given.ports)) for name in (Service.IDENTITY, Service.SIM)
    }
    for name, row in spares.items():
        monkeypatch.setitem(TABLE, name, row)

    async def day() -> None:
        async with plant() as one:
            platform = one.platform
            assert platform.engines.keys() == {*ENGINES, *spares}
            async with running(one):
                await one.paper.settle()
                await platform.tick()
                await platform.finish()
            for name in spares:
                spare = platform.engines[name]
                assert isinstance(spare, Spare)
                assert spare.told == ["run", f"tick {one.paper.clock.now():%H:%M}", "finish"]
                assert spare.tail in platform.tails

    run_virtually(day())


def test_tick_samples_reviews_and_publishes_and_is_repeated_each_second() -> None:
    async def day() -> None:
        async with plant() as one, running(one):
            await one.paper.settle()
            before = one.paper.clock.now()
            ticking = asyncio.create_task(one.platform.keep_ticking())
            await one.paper.settle(1)
            hourly = [event for event in await one.paper.log(EquitySampled) if event.reason is SampleReason.HOURLY]
            assert len(hourly) == 1
            assert one.screens.asked == 1
            assert len(await one.paper.log(RootPublished)) == len(one.shelf.kept) == 1
            await one.paper.settle(3_600)
            ticking.cancel()
            hourly = [event for event in await one.paper.log(EquitySampled) if event.reason is SampleReason.HOURLY]
            assert [event.sampled_at.hour - before.hour for event in hourly] == [0, 1]
            assert hourly[1].sampled_at.minute == hourly[1].sampled_at.second // 5 == 0

    run_virtually(day())


def test_catching_up_waits_for_every_tail_that_decides_and_tells_whether_there_was_anything() -> None:
    async def day() -> None:
        async with plant() as one, running(one):
            await one.paper.settle()
            began = one.paper.clock.monotonic()
            assert not await one.platform.catch_up()
            assert one.paper.clock.monotonic() == began
            await one.paper.link(ALICE)
            assert await one.platform.catch_up()
            assert one.paper.clock.monotonic() - began < 0.9  # the screens have not come so far
            assert [rows.shown for rows in one.rows] == [1, 1]
            assert not any([await tail.behind() for tail in one.platform.tails])
            await one.platform.read_models_caught_up()
            assert [rows.shown for rows in one.rows] == [2, 2]
            assert len(one.platform.tails) == len({tail.name for tail in one.platform.tails}) == 5

    run_virtually(day())
