"""Every service in one process: `patriot up`, `patriot demo`, the acceptance tests."""

import asyncio
from collections.abc import Iterable
from functools import partial
from typing import TypeVar

from patriot.kernel.projection import Projection
from patriot.kernel.subscription import Tail
from patriot.kernel.tasks import when_stored, without_end
from patriot.services.billing import BillingService
from patriot.services.engine import Engine
from patriot.services.execution import ExecutionService
from patriot.services.strategies import StrategiesService
from patriot.services.table import PROJECTIONS, TABLE, Service, Supplies

E = TypeVar("E", bound=Engine)

TICK_SECONDS = 1.0


class Platform:
    """The services, wired to each other by nothing but the log."""

    def __init__(self, given: Supplies, projections: Iterable[Projection] = PROJECTIONS) -> None:
        self.ports = given.ports
        self.engines = {name: row.build(given) for name, row in TABLE.items() if row.build is not None}
        self.execution = self._engine(ExecutionService)
        self.strategies = self._engine(StrategiesService)
        self.billing = self._engine(BillingService)
        self.projections = [given.read_models.keep(one) for one in projections]

    def _engine(self, kind: type[E]) -> E:
        return next(engine for engine in self.engines.values() if isinstance(engine, kind))

    @property
    def tails(self) -> list[Tail]:
        """Return the tails that decide something; read models are not among them."""
        return [engine.tail for engine in self.engines.values() if engine.tail is not None]

    async def run(self) -> None:
        """Serve until cancelled; strategies start when accounts are in step with their exchange."""
        async with asyncio.TaskGroup() as group:
            for name in self.engines:
                group.create_task(without_end(partial(self._run, name), name))
            for projection in self.projections:
                group.create_task(without_end(projection.run, projection.name))

    async def _run(self, name: Service) -> None:
        if TABLE[name].needs_accounts:
            await self.execution.started.wait()
        await self.engines[name].run()

    async def tick(self) -> None:
        """Do what the time asks for."""
        now = self.ports.clock.now()
        for engine in self.engines.values():
            await when_stored(partial(engine.tick, now))

    async def finish(self) -> None:
        """Do what a clean end asks for. Errors: StoreUnavailable: the next start makes up for it."""
        for engine in self.engines.values():
            await engine.finish()

    async def keep_ticking(self) -> None:
        """Tick for ever: what a platform that is not replayed does."""
        while True:
            await self.tick()
            await asyncio.sleep(TICK_SECONDS)

    async def catch_up(self) -> bool:
        """Wait until every deciding tail has handled all there is; return whether there was anything to handle."""
        worked = False
        for tail in self.tails:
            while await when_stored(tail.behind) or not tail.idle:
                worked = True
                await asyncio.sleep(0.001)
        return worked

    async def read_models_caught_up(self) -> None:
        """Return when every read model shows all there is."""
        for projection in self.projections:
            while await when_stored(projection.behind):  # noqa: ASYNC110  asked of the database
                await asyncio.sleep(0.01)
