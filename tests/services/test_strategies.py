"""Strategies at work: bars from the venue's stream to runners, and their wishes to the log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

import pytest

from patriot.kernel.clock import to_epoch_ms
from patriot.kernel.errors import EndedByItself, NotFound, StoreUnavailable
from patriot.kernel.eventstore import Appended, StreamAppend
from patriot.market.events import Bar, MarkPrice
from patriot.services.strategies import StrategiesService, VenuePast
from patriot.sim.engine.operations import CloseBar
from patriot.sim.engine.records import Bar as VenueBar
from patriot.simulation.loop import START, run_virtually
from patriot.simulation.venue import PRICES
from patriot.strategies.commands import ConfigureStrategy, PauseStrategy, ResumeStrategy, StopStrategy
from patriot.strategies.events import SignalAction, SignalGenerated, StrategyAssigned, StrategyCreated
from patriot.strategies.interface import StrategySpec, Wish
from patriot.strategies.ports import Runner, RunnerBroken
from patriot.strategies.protocol import BARS, CONFIGURATIONS, Answer, lines_of
from patriot.trading.terms import Exchange, Instrument, StrategyId
from tests.services.paper import ALICE, RANGE, TREND, Paper

pytestmark = pytest.mark.integration

D = Decimal
MINUTE = timedelta(minutes=1)
OVER_THERE = StrategyId(UUID(int=23))


@dataclass
class Script:
    """`SpawnRunner` whose runners buy at the close of every live bar, and remember what they were told."""

    seconds: float = 0.0  # that an answer takes
    specs: list[StrategySpec] = field(default_factory=list)
    bars: dict[StrategyId, list[Bar]] = field(default_factory=dict)
    alive: set[StrategyId] = field(default_factory=set)
    breaks: int = 0  # runners from now on that end at their first bar

    async def __call__(self) -> Runner:
        return ScriptedRunner(self)


class ScriptedRunner:
    pid = 0

    def __init__(self, script: Script) -> None:
        self._script = script
        self._id = StrategyId(UUID(int=0))
        self._spec: StrategySpec
        self._answers: list[Answer] = []
        self._history = -1

    async def send(self, lines: bytes) -> None:
        script = self._script
        for line in lines.splitlines():
            if self._history < 0:
                configuration = CONFIGURATIONS.decode(line)
                self._spec, self._history = configuration.spec, configuration.history
                self._id = StrategyId(UUID(configuration.spec.strategy_id))
                script.specs.append(configuration.spec)
                script.alive.add(self._id)
                if not self._history:
                    self._answers.append(Answer())
                continue
            bar = BARS.decode(line).bar
            script.bars.setdefault(self._id, []).append(bar)
            self._history = max(0, self._history - 1)
            if not self._history:
                wish = Wish(SignalAction.BUY, bar.close, bar.close * D("0.98"), None, D(1), {})
                live = bar.closed_at > self._spec.active_from
                self._answers.append(Answer(bar.closed_at, [wish] if live else []))

    async def receive(self) -> bytes:
        answer = self._answers.pop(0)
        if answer.bar_closed_at is not None:
            if self._script.breaks:
                self._script.breaks -= 1
                raise RunnerBroken("ended without an answer")
            await asyncio.sleep(self._script.seconds)
        return lines_of([answer])

    async def end(self) -> None:
        self._script.alive.discard(self._id)


class Paced:
    """A `Pace` that keeps what it is told, and holds bars back while it is told to."""

    def __init__(self) -> None:
        self.said: list[datetime] = []
        self.may_look = asyncio.Event()
        self.may_look.set()

    def venue_said(self, at: datetime) -> None:
        self.said.append(at)

    async def before_bar(self) -> None:
        await self.may_look.wait()

    async def settle(self) -> None:
        raise AssertionError("strategies send nothing that could come to rest")


class Elsewhere:
    """Another exchange: its bars come from a queue."""

    def __init__(self) -> None:
        self.market = self
        self.asked: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
        self.records: asyncio.Queue[Bar | MarkPrice] = asyncio.Queue()
        self.listening = 0
        self.ends = False

    async def instruments(self) -> list[Instrument]:
        return [
            Instrument(
                Exchange.BYBIT, "XRPUSDT", "XRP", "USDT", D("0.0001"), D("0.1"), D("0.1"), D(10**6), D(10**5), D(5)
            )
        ]

    async def bars_since(self, symbol: str, interval: str, opened_from: datetime) -> list[Bar]:
        return []

    async def stream(self, symbols: tuple[str, ...], intervals: tuple[str, ...]) -> AsyncIterator[Bar | MarkPrice]:
        self.asked.append((symbols, intervals))
        self.listening += 1
        try:
            while not self.ends:
                yield await self.records.get()
        finally:
            self.listening -= 1


@dataclass
class Desk:
    """The strategies service of one process over the exchange's face."""

    paper: Paper
    script: Script
    pace: Paced
    elsewhere: Elsewhere
    service: StrategiesService
    task: asyncio.Task[None]

    async def minute(self, *symbols: str) -> datetime:
        """Let the minute pass and its bars close; return when it closed."""
        now = self.paper.clock.now()
        closes_at = now.replace(second=0, microsecond=0) + MINUTE
        await self.paper.settle((closes_at - now).total_seconds())
        for symbol in symbols:
            price = PRICES[symbol]
            bar = VenueBar(to_epoch_ms(closes_at - MINUTE), price, price, price, price, D(1))
            self.paper.venue.exchange.apply(CloseBar(symbol, bar))
        await self.paper.settle(1)
        return closes_at

    async def signals(self) -> list[tuple[StrategyId, datetime]]:
        """Return whose signals the log has, and at which bar."""
        return [(one.strategy_id, one.bar_closed_at) for one in await self.paper.log(SignalGenerated)]


def created(strategy_id: StrategyId, symbol: str, exchange: Exchange = Exchange.BINANCE) -> StrategyCreated:
    return StrategyCreated(strategy_id, "s", "ema_cross", exchange, symbol, "1m", {}, D("0.01"), D(5), D("0.3"), START)


@asynccontextmanager
async def at_work(paper: Paper, script: Script) -> AsyncIterator[Desk]:
    async with paper.plugged_in() as ports:
        pace, elsewhere = Paced(), Elsewhere()
        ports = replace(ports, venues={**ports.venues, Exchange.BYBIT: cast("Any", elsewhere)})
        service = StrategiesService(ports, pace, script)
        task = asyncio.create_task(service.run())
        try:
            await paper.settle(1)
            yield Desk(paper, script, pace, elsewhere, service, task)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def two_strategies() -> Paper:
    paper = Paper()
    await paper.write("STRATEGY", TREND, created(TREND, "BTCUSDT"))
    await paper.write("STRATEGY", RANGE, created(RANGE, "ETHUSDT"))
    return paper


def test_bar_of_a_market_makes_the_signal_of_its_strategy_and_a_restart_repeats_none() -> None:
    async def day() -> None:
        paper = await two_strategies()
        async with at_work(paper, Script()) as desk:
            first = await desk.minute("BTCUSDT")
            assert await desk.signals() == [(TREND, first)]
            second = await desk.minute("BTCUSDT", "ETHUSDT")
            seen = [(TREND, first), (TREND, second), (RANGE, second)]
            assert await desk.signals() == seen
            assert desk.service.bars_seen == 3
            assert {spec.tick_size for spec in desk.script.specs} == {D("0.1"), D("0.01")}
            assert {first, second} <= set(desk.pace.said)
        assert desk.script.alive == set()
        async with at_work(paper, Script()) as desk:
            assert await desk.signals() == seen
            third = await desk.minute("ETHUSDT")
            assert await desk.signals() == [*seen, (RANGE, third)]

    run_virtually(day())


def test_each_venue_is_asked_for_the_markets_of_its_own_strategies() -> None:
    async def day() -> None:
        paper = await two_strategies()
        async with at_work(paper, Script()) as desk:
            assert desk.elsewhere.asked == []
            await paper.write("STRATEGY", OVER_THERE, created(OVER_THERE, "XRPUSDT", Exchange.BYBIT))
            await paper.settle()
            assert desk.elsewhere.asked == [(("XRPUSDT",), ("1m",))]
            at = paper.clock.now()
            said = MarkPrice(Exchange.BYBIT, "XRPUSDT", D(1), D(1), datetime(2030, 1, 2, 15, tzinfo=UTC))
            bar = Bar(Exchange.BYBIT, "XRPUSDT", "1m", at - MINUTE, at, D(1), D(1), D(1), D(1), D(1))
            desk.elsewhere.records.put_nowait(said)
            desk.elsewhere.records.put_nowait(bar)
            await paper.settle(1)
            assert await desk.signals() == [(OVER_THERE, at)]
            assert said.at in desk.pace.said
            assert at in desk.pace.said
            closed_at = await desk.minute("BTCUSDT")
            assert await desk.signals() == [(OVER_THERE, at), (TREND, closed_at)]
            assert desk.elsewhere.listening == 1
        assert desk.elsewhere.listening == 0

    run_virtually(day())


def test_strategy_that_is_paused_or_stopped_is_silent_and_one_resumed_speaks_again() -> None:
    async def day() -> None:
        paper = await two_strategies()
        async with at_work(paper, Script()) as desk:
            await paper.tell(PauseStrategy(TREND, "OPERATOR", paper.clock.now()))
            assert desk.script.alive == {RANGE}
            paused_at = await desk.minute("BTCUSDT", "ETHUSDT")
            assert await desk.signals() == [(RANGE, paused_at)]
            resumed_at = paper.clock.now()
            await paper.tell(ResumeStrategy(TREND, resumed_at))
            await paper.tell(StopStrategy(RANGE, "OPERATOR", paper.clock.now()))
            assert desk.script.alive == {TREND}
            assert desk.script.specs[-1].active_from == resumed_at
            again_at = await desk.minute("BTCUSDT", "ETHUSDT")
            assert await desk.signals() == [(RANGE, paused_at), (TREND, again_at)]
        async with at_work(paper, Script()) as desk:
            assert desk.script.alive == {TREND}  # a new process knows the same from the log

    run_virtually(day())


def test_change_of_parameters_starts_the_strategy_anew_and_disturbs_no_other() -> None:
    async def day() -> None:
        paper = await two_strategies()
        async with at_work(paper, Script()) as desk:
            changed_at = paper.clock.now()
            await paper.tell(ConfigureStrategy(TREND, {"fast_period": "3"}, D("0.02"), changed_at))
            *_, spec = desk.script.specs
            assert len(desk.script.specs) == 3
            assert (spec.strategy_id, spec.parameters["fast_period"]) == (str(TREND), "3")
            assert (spec.symbol, spec.interval, spec.active_from) == ("BTCUSDT", "1m", changed_at)

    run_virtually(day())


def test_follower_of_a_strategy_disturbs_no_stream() -> None:
    async def day() -> None:
        paper = Paper()
        await paper.write("STRATEGY", OVER_THERE, created(OVER_THERE, "XRPUSDT", Exchange.BYBIT))
        async with at_work(paper, Script()) as desk:
            account_id = await paper.link(ALICE)
            await paper.write(
                "STRATEGY",
                OVER_THERE,
                StrategyAssigned(OVER_THERE, UUID(int=3), ALICE, account_id, D("0.5"), D(1), START, START),
            )
            await paper.settle()
            assert len(desk.elsewhere.asked) == 1

    run_virtually(day())


def test_runner_that_ends_is_replaced_and_its_bar_asked_again() -> None:
    async def day() -> None:
        paper = await two_strategies()
        async with at_work(paper, Script()) as desk:
            first = await desk.minute("BTCUSDT")
            desk.script.breaks = 2
            second = await desk.minute("BTCUSDT", "ETHUSDT")
            assert sorted(await desk.signals()) == [(TREND, first), (TREND, second), (RANGE, second)]
            desk.script.breaks = 4  # as many as there are attempts: this bar gives nothing, the next one does
            await desk.minute("BTCUSDT")
            third = await desk.minute("BTCUSDT")
            assert (await desk.signals())[3:] == [(TREND, third)]

    run_virtually(day())


def test_busy_counts_bars_that_wait_that_are_asked_about_and_runners_that_owe_an_answer() -> None:
    async def day() -> None:
        paper = await two_strategies()
        async with at_work(paper, Script(seconds=5)) as desk:
            assert desk.service.busy == 0
            desk.pace.may_look.clear()
            await desk.minute("BTCUSDT", "ETHUSDT")
            assert desk.service.busy == 2  # one is looked at, one waits
            desk.pace.may_look.set()
            await paper.settle(1)
            assert desk.service.busy == 1 + 1 + 1
            await paper.settle(30)
            assert desk.service.busy == 0
            assert len(await desk.signals()) == 2

    run_virtually(day())


def test_bar_is_asked_again_when_the_store_was_away(monkeypatch: pytest.MonkeyPatch) -> None:
    async def day() -> None:
        paper = await two_strategies()
        append, away = paper.store.append, [3]

        async def unsteady(appends: Sequence[StreamAppend], **more: Any) -> Appended:
            if away[0]:
                away[0] -= 1
                raise StoreUnavailable("away")
            return await append(appends, **more)

        async with at_work(paper, Script()) as desk:
            monkeypatch.setattr(paper.store, "append", unsteady)
            closed_at = await desk.minute("BTCUSDT")
            await paper.settle()
            assert await desk.signals() == [(TREND, closed_at)]

    run_virtually(day())


def test_stream_of_a_venue_that_ends_is_the_end_of_the_service() -> None:
    async def day() -> None:
        paper = await two_strategies()
        await paper.write("STRATEGY", OVER_THERE, created(OVER_THERE, "XRPUSDT", Exchange.BYBIT))
        async with at_work(paper, Script()) as desk:
            desk.elsewhere.ends = True
            price = MarkPrice(Exchange.BYBIT, "XRPUSDT", D(1), D(1), paper.clock.now())
            desk.elsewhere.records.put_nowait(price)
            await paper.settle()
            assert desk.task.done()
            found = desk.task.exception()
            assert isinstance(found, ExceptionGroup)
            assert [str(one) for one in found.exceptions if isinstance(one, EndedByItself)] == [
                "the stream of BYBIT ended by itself"
            ]
            assert desk.script.alive == set()

    run_virtually(day())


def test_price_grid_comes_from_the_venue_once_and_an_unknown_symbol_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    async def day() -> None:
        paper = Paper()
        async with paper.plugged_in() as ports:
            past = VenuePast(ports)
            assert await past.tick_size(Exchange.BINANCE, "ETHUSDT") == D("0.01")
            with pytest.raises(NotFound, match="BINANCE does not trade DOGEUSDT"):
                await past.tick_size(Exchange.BINANCE, "DOGEUSDT")
            monkeypatch.setattr(ports.venues[Exchange.BINANCE].market, "instruments", None)
            assert await past.tick_size(Exchange.BINANCE, "BTCUSDT") == D("0.1")
            with pytest.raises(NotFound, match="BYBIT"):
                await past.tick_size(Exchange.BYBIT, "BTCUSDT")

    run_virtually(day())
