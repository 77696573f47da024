"""Every service in one process: `patriot up`, `patriot demo`, the acceptance tests."""

import asyncio
from collections.abc import Iterable

from patriot.accounts.ports import KeyVault
from patriot.audit.ports import RootShelf
from patriot.kernel.projection import Projection
from patriot.kernel.subscription import Tail
from patriot.kernel.tasks import when_stored, without_end
from patriot.orders.patience import DeskPatience
from patriot.services.billing import BillingService
from patriot.services.execution import ExecutionService
from patriot.services.ledger import LedgerService
from patriot.services.pace import Pace
from patriot.services.ports import Ports, ReadModels
from patriot.services.reconciliation import ReconciliationService
from patriot.services.risk import RiskService
from patriot.services.strategies import StrategiesService
from patriot.services.table import PROJECTIONS
from patriot.strategies.ports import SpawnRunner

TICK_SECONDS = 1.0


class Platform:
    """The services, wired to each other by nothing but the log."""

    def __init__(
        self,
        ports: Ports,
        read_models: ReadModels,
        vault: KeyVault,
        pace: Pace,
        spawn: SpawnRunner,
        shelf: RootShelf,
        patience: DeskPatience | None = None,
        projections: Iterable[Projection] = PROJECTIONS,
    ) -> None:
        self.ports = ports
        self.execution = ExecutionService(ports, vault, pace, patience)
        self.strategies = StrategiesService(ports, pace, spawn)
        self.risk = RiskService(ports)
        self.reconciliation = ReconciliationService(ports)
        self.billing = BillingService(ports, read_models.sql)
        self.ledger = LedgerService(ports, shelf)
        self.projections = [read_models.keep(one) for one in projections]

    @property
    def tails(self) -> list[Tail]:
        """Return the tails that decide something; read models are not among them."""
        services = (self.execution, self.strategies, self.risk, self.reconciliation, self.billing)
        return [service.tail for service in services]

    async def run(self) -> None:
        """Serve until cancelled; strategies start when accounts are in step with their exchange."""
        async with asyncio.TaskGroup() as group:
            group.create_task(without_end(self.execution.run(), "execution"))
            group.create_task(without_end(self.risk.run(), "risk"))
            group.create_task(without_end(self.reconciliation.run(), "reconciliation"))
            group.create_task(without_end(self.billing.run(), "billing"))
            for projection in self.projections:
                group.create_task(without_end(projection.run(), projection.name))
            await self.execution.started.wait()
            group.create_task(without_end(self.strategies.run(), "strategies"))

    async def tick(self) -> None:
        """Do what the time asks for."""
        now = self.ports.clock.now()
        await when_stored(lambda: self.execution.tick(now))
        await when_stored(lambda: self.billing.tick(now))
        await when_stored(lambda: self.ledger.tick(now))

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
