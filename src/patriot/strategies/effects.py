"""Bars in, recorded signals out: each active strategy is asked by its own runner; one that fails harms no other."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime, timedelta

from patriot.kernel.bus import CommandBus
from patriot.kernel.clock import Clock
from patriot.kernel.errors import CommandRefused, ExchangeError, InvalidInput, NotFound, StoreUnavailable
from patriot.kernel.eventstore import Actor, ActorType, Context
from patriot.kernel.ids import derived_id
from patriot.kernel.tasks import Background
from patriot.market.events import Bar
from patriot.strategies.catalogue import warm_up_bars
from patriot.strategies.commands import RecordSignal
from patriot.strategies.events import SignalGenerated
from patriot.strategies.interface import INTERVALS, ActiveStrategy, StrategySpec, Wish
from patriot.strategies.ports import MarketPast, SpawnRunner
from patriot.strategies.supervisor import PATIENCE, Incident, Report, RunnerFailed, RunnerPatience, RunnerSupervisor
from patriot.trading.steps import Reached, Step, pass_by
from patriot.trading.terms import SignalId, StrategyId

SIGNAL_LIFE = timedelta(seconds=10)  # an entry that is not on its way by then is dropped
MAX_SIGNAL_AGE = timedelta(seconds=60)  # since the bar's close: what an outage made us miss longer ago is not traded


def signal_id_of(strategy_id: StrategyId, symbol: str, bar_closed_at: datetime) -> SignalId:
    """Return the id of the one signal that a strategy can give at a bar."""
    return SignalId(derived_id("signal", strategy_id, symbol, bar_closed_at.isoformat()))


class HostedStrategy:
    """One active strategy with its supervisor: started when first needed, brought up to a bar when one comes."""

    def __init__(self, strategy: ActiveStrategy, past: MarketPast, supervisor: RunnerSupervisor) -> None:
        self.strategy = strategy
        self.supervisor = supervisor
        self._past = past
        self._started = False
        self._turn = asyncio.Lock()

    def trades(self, bar: Bar) -> bool:
        """Return whether the bar is one of this strategy's."""
        own = self.strategy
        return (own.exchange, own.symbol, own.interval) == (bar.exchange, bar.symbol, bar.interval)

    async def advance(self, bar: Bar | None) -> None:
        """Start if needed, then take in the bar and those missed before it; `supervisor.wishes` are of the newest.

        Errors: RunnerFailed; ExchangeError, NotFound, InvalidInput from the start. All may be tried again.
        """
        async with self._turn:
            if not self._started:
                await self._start()
            newest = self.supervisor.newest
            if bar is None or (newest is not None and bar.closed_at < newest.closed_at):
                return
            if newest is not None and newest.closed_at < bar.opened_at:
                for missed in await self._bars_since(newest.closed_at):
                    if missed.closed_at < bar.closed_at:
                        await self.supervisor.on_bar(missed)
            await self.supervisor.on_bar(bar)

    async def _start(self) -> None:
        own = self.strategy
        tick_size = await self._past.tick_size(own.exchange, own.symbol)
        warm_up = warm_up_bars(own.kind, own.parameters) * INTERVALS[own.interval]
        history = await self._bars_since(own.active_from - warm_up)
        spec = StrategySpec(
            strategy_id=str(own.strategy_id),
            kind=own.kind,
            symbol=own.symbol,
            interval=own.interval,
            parameters=own.parameters,
            tick_size=tick_size,
            active_from=own.active_from,
        )
        await self.supervisor.start(spec, history)
        self._started = True

    async def _bars_since(self, opened_from: datetime) -> list[Bar]:
        own = self.strategy
        return await self._past.bars_since(own.exchange, own.symbol, own.interval, opened_from)


class StrategyHost:
    """The runners of all active strategies. `follow` says which those are; `on_bar` asks them."""

    def __init__(
        self,
        bus: CommandBus,
        clock: Clock,
        past: MarketPast,
        spawn: SpawnRunner,
        report: Report,
        patience: RunnerPatience = PATIENCE,
        reached: Reached = pass_by,
    ) -> None:
        self._bus = bus
        self._clock = clock
        self._past = past
        self._spawn = spawn
        self._report = report
        self._patience = patience
        self._reached = reached
        self._hosted: dict[StrategyId, HostedStrategy] = {}
        self._background = Background()

    @property
    def busy(self) -> int:
        """Return how many runners still owe an answer; a replay waits for 0."""
        return self._background.busy

    def runner_pids(self) -> dict[StrategyId, int]:
        """Return the process ids of the runners that live at this moment."""
        pids = {id_: hosted.supervisor.pid for id_, hosted in self._hosted.items()}
        return {id_: pid for id_, pid in pids.items() if pid is not None}

    async def follow(self, strategies: Iterable[ActiveStrategy]) -> list[SignalGenerated]:
        """Run exactly these strategies from now on; those that run unchanged go on undisturbed.

        A strategy that starts is given its history. If the last bar of it closed just now and its signal was lost with
        the process before us, the signal is recorded now and returned.
        Errors: StoreUnavailable: call again.
        """
        wanted = {strategy.strategy_id: strategy for strategy in strategies}
        for id_ in [id_ for id_, hosted in self._hosted.items() if wanted.get(id_) != hosted.strategy]:
            await self._hosted.pop(id_).supervisor.close()
        for id_, strategy in wanted.items():
            if id_ not in self._hosted:
                supervisor = RunnerSupervisor(self._spawn, self._clock, self._report, self._patience)
                self._hosted[id_] = HostedStrategy(strategy, self._past, supervisor)
        return await self._advance([self._hosted[id_] for id_ in sorted(wanted)], None)

    async def on_bar(self, bar: Bar) -> list[SignalGenerated]:
        """Ask every strategy of this market, all at once; record and return the signals that are new, by strategy id.

        A strategy that answers later than the grace is recorded when it does, and reaches others through the log.
        A bar that comes twice records nothing twice. Errors: StoreUnavailable: call again with the bar.
        """
        return await self._advance([one for _, one in sorted(self._hosted.items()) if one.trades(bar)], bar)

    async def close(self) -> None:
        """End every runner."""
        while self._hosted:
            await self._hosted.popitem()[1].supervisor.close()
        await self._background.close()

    async def _advance(self, asked: Sequence[HostedStrategy], bar: Bar | None) -> list[SignalGenerated]:
        asking = {self._background.start(self._ask(one, bar)): one for one in asked}
        if not asking:
            return []
        done, late = await asyncio.wait(asking, timeout=self._patience.grace)
        if late:
            self._background.start(self._record_late([(task, one) for task, one in asking.items() if task in late]))
        for task in done:
            task.result()
        return await self._record([one for task, one in asking.items() if task in done])

    async def _ask(self, one: HostedStrategy, bar: Bar | None) -> None:
        try:
            await one.advance(bar)
        except (RunnerFailed, ExchangeError, NotFound, InvalidInput) as error:
            if self._hosted.get(one.strategy.strategy_id) is one:  # not when it was closed meanwhile
                self._incident(one, str(error))

    async def _record_late(self, late: Sequence[tuple[asyncio.Task[None], HostedStrategy]]) -> None:
        for task, one in late:
            await asyncio.wait([task])
            try:
                await self._record([one])
            except StoreUnavailable as error:  # `follow` tries once more while the signal is fresh
                self._incident(one, f"signal not recorded yet: {error}")

    async def _record(self, strategies: Sequence[HostedStrategy]) -> list[SignalGenerated]:
        new: list[SignalGenerated] = []
        for one in strategies:
            bar = one.supervisor.newest
            if bar is None or self._hosted.get(one.strategy.strategy_id) is not one:
                continue  # nothing seen yet, or closed while it was being asked
            for wish in one.supervisor.wishes:
                new += await self._record_wish(one, bar, wish)
        return new

    async def _record_wish(self, one: HostedStrategy, bar: Bar, wish: Wish) -> Sequence[SignalGenerated]:
        own, now = one.strategy, self._clock.now()
        if now - bar.closed_at > MAX_SIGNAL_AGE:
            return ()
        signal_id = signal_id_of(own.strategy_id, own.symbol, bar.closed_at)
        command = RecordSignal(
            signal_id=signal_id,
            strategy_id=own.strategy_id,
            exchange=own.exchange,
            symbol=own.symbol,
            bar_closed_at=bar.closed_at,
            generated_at=now,
            valid_until=now + SIGNAL_LIFE,
            **{field.name: getattr(wish, field.name) for field in fields(wish)},
        )
        try:
            decided = await self._bus.dispatch(
                command, Context(signal_id, actor=Actor(ActorType.STRATEGY, str(own.strategy_id)))
            )
        except CommandRefused as error:
            self._incident(one, f"signal refused: {error}")
            return ()
        if decided.events:
            self._reached(Step.SIGNAL_RECORDED)
        return decided.events

    def _incident(self, one: HostedStrategy, problem: str) -> None:
        self._report(Incident(str(one.strategy.strategy_id), problem, self._clock.now()))
