"""Drives a stepped simulator: moves the venue's clock only when everything that it set off has come to rest.

The wire has no acknowledgement, so quiet is found in two ways at once: the simulator's barrier (every stream has taken
all its messages) and the platform's own count of work under way.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

from patriot.adapters.simulator.control import SimControl
from patriot.kernel.clock import ReplayClock
from patriot.kernel.errors import PatriotError

QUIET_SECONDS = 120.0  # nothing on loopback takes that long: the replay is stuck, and says so
_POLL_SECONDS = 0.001


class StuckReplay(PatriotError):
    """Something never came to rest: the message says what."""


class Quiet:
    """Finds out when a platform and its simulator have come to rest."""

    def __init__(self, control: SimControl) -> None:
        self._control = control

    async def wait(self, **busy: Callable[[], object]) -> None:
        """Return when nothing is under way and a barrier changed nothing.

        Errors: StuckReplay, saying what is under way, after two minutes.
        """
        try:
            async with asyncio.timeout(QUIET_SECONDS):
                await self._wait(busy)
        except TimeoutError:
            waiting = ", ".join(f"{name}: {count()}" for name, count in busy.items() if count())
            waiting = waiting or "the exchange stays active"
            raise StuckReplay(f"no rest within {QUIET_SECONDS:.0f} s ({waiting})") from None

    async def _wait(self, busy: dict[str, Callable[[], object]]) -> None:
        activity = -1
        while True:
            await _until_idle(busy)
            reached = await self._control.barrier()
            if reached == activity and not any(count() for count in busy.values()):
                return
            activity = reached


async def _until_idle(busy: dict[str, Callable[[], object]]) -> None:
    calm = 0
    while calm < 2:
        calm = 0 if any(count() for count in busy.values()) else calm + 1
        await asyncio.sleep(_POLL_SECONDS if calm == 0 else 0)


class ReplayPace:
    """Time is the venue's. Bars wait until accounts are quiet; each signal is carried out before the next."""

    def __init__(self, clock: ReplayClock) -> None:
        self._clock = clock
        self._bars_may_pass = asyncio.Event()
        self.settled: Callable[[], Any] | None = None

    def venue_said(self, at: datetime) -> None:
        """Move the clock to the venue's time."""
        self._clock.move_to(at)

    async def before_bar(self) -> None:
        """Wait until what happened before the bar has been dealt with."""
        await self._bars_may_pass.wait()

    async def settle(self) -> None:
        """Wait until the accounts are quiet."""
        if self.settled is not None:
            await self.settled()

    def hold_bars(self) -> None:
        """Keep bars back until `pass_bars`."""
        self._bars_may_pass.clear()

    def pass_bars(self) -> None:
        """Let bars through."""
        self._bars_may_pass.set()
