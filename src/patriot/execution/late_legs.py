"""What an owner sent that did not know yet that another has its account: looked for once it must have heard of it.

Such a leg need not have been told, since the stream may have been away, and its bracket may have ended since.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from patriot.execution.ports import Desk
from patriot.kernel.clock import Clock
from patriot.trading.terms import Urgency

DEPOSED_SECONDS = 21.0  # until a lost lease is noticed, and what was sent before has arrived or is refused
AGAIN_SECONDS = 60.0  # after an exchange refused to tell
LOOK_BACK = timedelta(seconds=60)  # two owners ago, and clocks that differ


class LateLegs:
    """The one look, once it is answered, of an account's owner for what its predecessors sent after it began."""

    def __init__(self, desk: Desk, load_traded: Callable[[datetime], Awaitable[list[str]]], clock: Clock) -> None:
        self.done = False
        self._desk = desk
        self._load_traded = load_traded
        self._since = clock.now() - LOOK_BACK
        self._clock = clock
        self._due_at: float | None = clock.monotonic() + DEPOSED_SECONDS

    def is_due(self, now: float) -> bool:
        """Return whether it is time to look: once for each time that it is due."""
        due = self._due_at is not None and now >= self._due_at
        if due:
            self._due_at = None
        return due

    async def look(self) -> None:
        """Find lost orders on every symbol that was traded lately. Errors: StoreUnavailable."""
        symbols = await self._load_traded(self._since)
        searches = (self._desk.search(symbol, Urgency.NORMAL, strays=True) for symbol in symbols)
        self.done = all(await asyncio.gather(*searches))
        if self.done:
            self._desk.inherit_no_more()
        else:
            self._due_at = self._clock.monotonic() + AGAIN_SECONDS
