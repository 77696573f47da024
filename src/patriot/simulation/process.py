"""One process's worth of services, as they are assembled for production, with a clock of its own and a life to lose."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

import aiohttp

from patriot.accounts.ports import KeyVault
from patriot.adapters.exchanges.binance.budget import WEIGHT_PER_MINUTE, RateBudget
from patriot.adapters.exchanges.binance.venue import BinanceVenue
from patriot.execution.worker import AccountWorker
from patriot.kernel.ids import Ids
from patriot.kernel.memory import MemoryCheckpoints, MemoryEventStore
from patriot.kernel.tasks import when_stored
from patriot.services.commands import full_bus
from patriot.services.execution import ExecutionService
from patriot.services.pace import LivePace
from patriot.services.plugged_in import ExchangeAddress
from patriot.services.ports import Ports
from patriot.services.reconciliation import ReconciliationService
from patriot.services.risk import RiskService
from patriot.simulation.loop import LIFE, START, Life
from patriot.simulation.network import open_session
from patriot.simulation.store import CheckpointsView, LeasesView, MovableLeases, StoreLine, StoreView
from patriot.trading.terms import AccountId, Exchange

TICK_SECONDS = 1.0


class MachineClock:
    """A `Clock` that may be wrong about the time, never about how much of it passes."""

    def __init__(self) -> None:
        self.wrong_by = timedelta()

    def now(self) -> datetime:
        return START + timedelta(seconds=self.monotonic()) + self.wrong_by

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


class Alarms:
    """`Alerts` that are told in the trace; of one about a failure, the judge hears what failed."""

    def __init__(self, note: Callable[[str], None], crashed: Callable[[str, BaseException], None]) -> None:
        self._note = note
        self._crashed = crashed

    def critical(self, name: str, **fields: object) -> None:
        """Tell of an alert."""
        self._note(f"alert {name} {fields}")
        if isinstance(error := fields.get("error"), BaseException):
            self._crashed(name, error)


@dataclass(slots=True)
class Shared:
    """What every process of a run reaches."""

    store: MemoryEventStore
    checkpoints: MemoryCheckpoints
    leases: MovableLeases
    vault: KeyVault
    address: ExchangeAddress
    line_to_store: Callable[[Life], StoreLine]
    note: Callable[[str], None]
    crashed: Callable[[str, BaseException], None]  # is told which alert told of a failure, and the failure
    unfenced: Callable[[set[str]], None]  # is told the types of streams that were written to without a fence
    chance_of: Callable[[Life], Random]


class Process:
    """Execution, risk and reconciliation in one process."""

    def __init__(self, life: Life, shared: Shared, service_type: type[ExecutionService] = ExecutionService) -> None:
        self.life = life
        self.clock = MachineClock()
        self.alarms = Alarms(lambda text: shared.note(f"{life.name} {text}"), shared.crashed)
        self.started_at = asyncio.get_running_loop().time()
        self.acting_since: dict[AccountId, float] = {}
        self._shared = shared
        self._service_type = service_type
        self.execution: ExecutionService | None = None
        self._context = copy_context()
        self._context.run(LIFE.set, life)
        self.task = self._start(self._run())

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        context: Context = self._context
        return asyncio.get_running_loop().create_task(work, context=context)

    @property
    def alive(self) -> bool:
        return self.life.alive and not self.task.done()

    def worker(self, account_id: AccountId) -> AccountWorker | None:
        """Return who works for an account here and now."""
        return self.execution.workers.get(account_id) if self.execution is not None and self.alive else None

    async def _run(self) -> None:
        async with open_session() as http:
            ports = self._ports(http)
            self.execution = self._service_type(ports, self._shared.vault, LivePace())
            async with asyncio.TaskGroup() as group:
                group.create_task(self.execution.run())
                group.create_task(RiskService(ports).run())
                group.create_task(ReconciliationService(ports).run())
                group.create_task(self._keep_ticking(self.execution))

    def _ports(self, http: aiohttp.ClientSession) -> Ports:
        shared, clock = self._shared, self.clock
        line, chance = shared.line_to_store(self.life), shared.chance_of(self.life)
        store, ids = StoreView(shared.store, line, shared.unfenced), Ids(clock, chance.randbytes)
        address, budget = shared.address, RateBudget(clock, WEIGHT_PER_MINUTE)
        return Ports(
            clock=clock,
            ids=ids,
            store=store,
            feed=store.feed,
            checkpoints=CheckpointsView(shared.checkpoints, line),
            leases=LeasesView(shared.leases, line, self.life.name),
            bus=full_bus(store, clock, ids),
            venues={
                Exchange.BINANCE: BinanceVenue(address.base_url, address.ws_url, http, clock, budget, chance=chance)
            },
            alerts=self.alarms,
        )

    async def _keep_ticking(self, execution: ExecutionService) -> None:
        while True:
            await when_stored(lambda: execution.tick(self.clock.now()))
            await asyncio.sleep(TICK_SECONDS)
