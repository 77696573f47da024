"""What a live platform keeps alive: its simulator, its PostgreSQL, its services. Each comes back from what it wrote.

A part that fails in a way that was not foreseen comes back too: positions must not stay without anybody because of a
bug. It is an alert each time, and `/ready` says what is being started again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Generic, Protocol, TypeVar

import structlog

from patriot.execution.ports import Alerts
from patriot.host.embedded import EmbeddedPostgres
from patriot.host.sim_process import SimProcess, SimSpec
from patriot.kernel.errors import EndedByItself, StartupError, in_words
from patriot.kernel.tasks import while_serving

log = structlog.get_logger()
BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0, 15.0)
STEADY_SECONDS = 60.0  # after so long without a failure the next one counts as the first
LOOK_SECONDS = 2.0


class Backoff:
    """How long to wait before the next try: longer each time, from the start again after a steady minute."""

    def __init__(self) -> None:
        self.failures = 0
        self._last = 0.0

    async def pause(self) -> None:
        """Wait as long as the failures so far ask for."""
        now = asyncio.get_running_loop().time()
        recent = now - self._last < STEADY_SECONDS
        self._last = now
        self._row = self._row + 1 if recent else 0
        self.failures += 1
        await asyncio.sleep(BACKOFF_SECONDS[min(self._row, len(BACKOFF_SECONDS) - 1)])

    _row = 0


class Kept(Protocol):
    """The services of one process, built anew for each try."""

    async def run(self) -> None:
        """Serve until cancelled."""
        ...

    async def keep_ticking(self) -> None:
        """Do for ever what the time asks for."""
        ...


KeptPlatform = TypeVar("KeptPlatform", bound=Kept)


class SimKeeper:
    """One simulator that is started again on the same ports whenever it ends."""

    def __init__(self, spec: SimSpec, sim: SimProcess) -> None:
        self._spec = replace(spec, binance_port=sim.binance_port, control_port=sim.control_port)
        self._backoff = Backoff()
        self.sim = sim

    @property
    def restarts(self) -> int:
        """Return how often it had to be started again."""
        return self._backoff.failures

    async def run(self, came_back: Callable[[], Awaitable[None]]) -> None:
        """Keep it alive until cancelled; `came_back` is called after each restart."""
        while True:
            try:
                await self.sim.died()
            except StartupError as error:
                log.error("sim.ended", error=str(error), restarts=self.restarts)
            await self._backoff.pause()
            with suppress(
                StartupError, OSError
            ):  # died() returns at once for the old process; the next pause is longer
                self.sim = await SimProcess.start(self._spec)
                await came_back()


class PostgresKeeper:
    """The folder's server, started again when it was killed; what it had committed is still there."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self._server = server
        self._backoff = Backoff()

    @property
    def restarts(self) -> int:
        """Return how often it had to be started again."""
        return self._backoff.failures

    async def run(self) -> None:
        """Keep it alive until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if await self._server.running() is None:
                log.error("postgres.ended", restarts=self.restarts)
                await self._backoff.pause()
                try:
                    await self._server.start()
                except (StartupError, OSError) as error:  # a full disk may be freed; the exchange holds the stops
                    log.error("postgres.not_started", error=str(error))


class PlatformKeeper(Generic[KeptPlatform]):
    """Builds the services anew from the log when one of them met an error that it could not mend by itself."""

    def __init__(self, build: Callable[[], KeptPlatform], alerts: Alerts) -> None:
        self._build = build
        self._alerts = alerts
        self._backoff = Backoff()
        self.platform = build()
        self.restarting = ""  # why, while it is

    @property
    def restarts(self) -> int:
        """Return how often the services had to be built anew."""
        return self._backoff.failures

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            error: Exception
            try:
                await while_serving(self.platform.run(), self.platform.keep_ticking())
                error = EndedByItself("the services ended by themselves")
            except Exception as failure:  # noqa: BLE001  told to a person, and nobody's positions are left alone
                error = failure
            self.restarting = in_words(error)
            log.error("platform.failed", exc_info=error, restarts=self.restarts)
            self._alerts.critical("platform.failed", error=self.restarting)
            await self._backoff.pause()
            self.platform = self._build()
            self.restarting = ""
