"""What a live platform keeps alive: its simulator, its PostgreSQL, its services. Each comes back from what it wrote.

A part that fails in a way that was not foreseen ends the process: that is a bug to be seen, not to be retried.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

import structlog

from patriot.host.embedded import EmbeddedPostgres
from patriot.host.sim_process import SimProcess, SimSpec
from patriot.kernel.errors import PatriotError, StartupError
from patriot.kernel.tasks import while_serving
from patriot.services.all_in_one import Platform

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
            with suppress(StartupError):  # died() returns at once for the old process, and the next pause is longer
                self.sim = await SimProcess.start(self._spec)
                await came_back()


async def keep_postgres(server: EmbeddedPostgres) -> None:
    """Start the folder's server again when it was killed; what it had committed is still there."""
    backoff = Backoff()
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        if await server.running() is None:
            log.error("postgres.ended", restarts=backoff.failures)
            await backoff.pause()
            await server.start()


class PlatformKeeper:
    """Builds the services anew from the log when one of them met an error that it could not mend by itself."""

    def __init__(self, build: Callable[[], Platform]) -> None:
        self._build = build
        self._backoff = Backoff()
        self.platform = build()

    @property
    def restarts(self) -> int:
        """Return how often the services had to be built anew."""
        return self._backoff.failures

    async def run(self) -> None:
        """Serve until cancelled. Errors: whatever is not a `PatriotError`."""
        while True:
            try:
                await while_serving(self.platform.run(), self.platform.keep_ticking())
            except PatriotError:
                log.exception("platform.failed")
            except ExceptionGroup as group:
                if group.split(PatriotError)[1] is not None:
                    raise
                log.exception("platform.failed")
            await self._backoff.pause()
            self.platform = self._build()
