"""The strategies service: bars from the exchange to the runners of active strategies, their wishes to the log."""

import asyncio
from datetime import datetime
from decimal import Decimal
from functools import partial

import structlog

from patriot.kernel.codec import EVENTS
from patriot.kernel.errors import NotFound
from patriot.kernel.policy import PolicyRunner
from patriot.kernel.projection import Recorded
from patriot.kernel.tasks import Background, when_stored, without_end
from patriot.market.events import Bar
from patriot.services.engine import Engine
from patriot.services.pace import Pace
from patriot.services.ports import Ports
from patriot.strategies.effects import StrategyHost
from patriot.strategies.events import (
    StrategyConfigChanged,
    StrategyCreated,
    StrategyEvent,
    StrategyPaused,
    StrategyResumed,
    StrategyStopped,
)
from patriot.strategies.interface import ActiveStrategy
from patriot.strategies.ports import SpawnRunner
from patriot.strategies.supervisor import PATIENCE, Incident, RunnerPatience
from patriot.trading.terms import Exchange, StrategyId, VenueId

log = structlog.get_logger()
TAIL = "strategies"
EVENT_TYPES = frozenset(EVENTS.name_of_class(cls) for cls in StrategyEvent.__args__)


class ActiveStrategies:
    """Which strategies are to run: a fold of their events."""

    def __init__(self) -> None:
        self._known: dict[StrategyId, ActiveStrategy] = {}
        self.active: dict[StrategyId, ActiveStrategy] = {}

    def apply(self, event: object) -> bool:
        """Take in an event; return whether what is to run changed."""
        match event:
            case StrategyCreated():
                self._run(event.strategy_id, event, event.parameters, event.created_at)
            case StrategyConfigChanged():
                self._run(event.strategy_id, None, event.parameters, event.changed_at)
            case StrategyResumed():
                self._run(event.strategy_id, None, None, event.resumed_at)
            case StrategyPaused() | StrategyStopped():
                self.active.pop(event.strategy_id, None)
            case _:
                return False
        return True

    def _run(
        self, id_: StrategyId, created: StrategyCreated | None, parameters: dict[str, str] | None, since: datetime
    ) -> None:
        known = self._known.get(id_)
        if created is not None:
            known = ActiveStrategy(
                id_, created.kind, created.exchange, created.symbol, created.interval, created.parameters, since
            )
        if known is None:
            raise NotFound(f"strategy {id_} was never created")
        known = ActiveStrategy(
            id_, known.kind, known.exchange, known.symbol, known.interval, parameters or known.parameters, since
        )
        self._known[id_] = self.active[id_] = known


class VenuePast:
    """`MarketPast` over the exchanges' own history."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._ticks: dict[tuple[VenueId, str], Decimal] = {}

    async def tick_size(self, exchange: Exchange, symbol: str) -> Decimal:
        """Return the price grid of a symbol."""
        if (exchange, symbol) not in self._ticks:
            for known in await self._ports.venue(exchange).market.instruments():
                self._ticks[exchange, known.symbol] = known.tick_size
        if (exchange, symbol) not in self._ticks:
            raise NotFound(f"symbol: {exchange} does not trade {symbol}")
        return self._ticks[exchange, symbol]

    async def bars_since(self, exchange: Exchange, symbol: str, interval: str, opened_from: datetime) -> list[Bar]:
        """Return every closed bar that opened at or after a moment."""
        return await self._ports.venue(exchange).market.bars_since(symbol, interval, opened_from)


class StrategiesService(Engine):
    """Asks every active strategy at the close of its bars."""

    tail: PolicyRunner[bool]

    def __init__(self, ports: Ports, pace: Pace, spawn: SpawnRunner, patience: RunnerPatience = PATIENCE) -> None:
        self._ports = ports
        self._pace = pace
        self._strategies = ActiveStrategies()
        self._bars: asyncio.Queue[Bar] = asyncio.Queue()
        self._asking = 0
        self._following: list[asyncio.Task[None]] = []
        self._tasks = Background()
        self.host = StrategyHost(ports.bus, ports.clock, VenuePast(ports), spawn, _report, patience, ports.reached)
        self.tail = PolicyRunner(ports.feed, ports.checkpoints, TAIL, EVENT_TYPES, self._fold, self._react)
        self.bars_seen = 0

    @property
    def busy(self) -> int:
        """Return how many bars wait for their answer."""
        return self._bars.qsize() + self._asking + self.host.busy

    async def run(self) -> None:
        """Serve until cancelled."""
        await when_stored(self.tail.begin)
        try:
            await when_stored(self._follow)
            async with asyncio.TaskGroup() as group:
                group.create_task(without_end(self.tail.run, "the tail of strategies"))
                group.create_task(without_end(self._look_at_bars, "the look at bars"))
                group.create_task(without_end(self._tasks.failed, "what strategies listen to"))
        finally:
            await self._tasks.close()
            await self.host.close()

    def _fold(self, recorded: Recorded) -> bool:
        return self._strategies.apply(recorded.event)

    async def _react(self, recorded: Recorded, changed: bool) -> None:
        if changed:
            await self._follow()

    async def _follow(self) -> None:
        """Run what is active, and listen to its markets."""
        active = list(self._strategies.active.values())
        await self.host.follow(active)
        for listening in self._following:
            listening.cancel()
        self._following = []
        for venue_id in sorted({one.exchange for one in active}):
            here = [one for one in active if one.exchange is venue_id]
            symbols = tuple(sorted({one.symbol for one in here}))
            intervals = tuple(sorted({one.interval for one in here}))
            listen = partial(self._listen, venue_id, symbols, intervals)
            self._following.append(self._tasks.start(without_end(listen, f"the stream of {venue_id}")))

    async def _listen(self, venue_id: VenueId, symbols: tuple[str, ...], intervals: tuple[str, ...]) -> None:
        async for record in self._ports.venue(venue_id).market.stream(symbols, intervals):
            if isinstance(record, Bar):
                self._bars.put_nowait(record)
            else:
                self._pace.venue_said(record.at)

    async def _look_at_bars(self) -> None:
        while True:
            bar = await self._bars.get()
            self._asking = 1
            try:
                await self._pace.before_bar()
                self._pace.venue_said(bar.closed_at)
                await when_stored(partial(self.host.on_bar, bar))
                self.bars_seen += 1
            finally:
                self._asking = 0


def _report(incident: Incident) -> None:
    log.warning("strategy.incident", strategy_id=incident.strategy_id, problem=incident.problem)
