"""Following the log: everything that reacts to events is a tail with a place in it, at least once and in order.

A tail survives a database that goes away. What its handler raises otherwise stops it: the caller supervises.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable

from patriot.kernel.errors import StoreUnavailable
from patriot.kernel.eventstore import START, Envelope, Place
from patriot.kernel.feed import Checkpoints, LogFeed, Page
from patriot.kernel.projection import Recorded

BATCH_EVENTS = 500
WAIT_SECONDS = 10.0  # a wake-up comes sooner; this only bounds what a lost one costs
FIRST_BACKOFF_SECONDS = 0.05
MAX_BACKOFF_SECONDS = 2.0
SAVE_AFTER_SKIPPED = 1_000  # events of other types: cheap to skip again, so their checkpoint can wait


class Tail(ABC):
    """One follower of the log. `place` moves only after what stands there has been handled."""

    def __init__(self, feed: LogFeed, name: str, event_types: frozenset[str] | None) -> None:
        self.name = name
        self._feed = feed
        self._event_types = event_types
        self._loaded: Place | None = None
        self._skipped = 0
        self._step_lock = asyncio.Lock()

    @property
    def place(self) -> Place:
        """How far this tail has come; the start of the log until it has loaded its checkpoint."""
        return START if self._loaded is None else self._loaded

    @property
    def idle(self) -> bool:
        """Whether no batch is being read or handled at this moment."""
        return not self._step_lock.locked()

    async def behind(self) -> bool:
        """Tell whether any committed event waits to be handled."""
        return not self._feed.reached(self.place, await self._feed.newest())

    async def run(self) -> None:
        """Follow for ever. Errors: whatever the handler raises, StoreUnavailable excepted: that is tried again."""
        backoff = FIRST_BACKOFF_SECONDS
        while True:
            try:
                if await self._step() < BATCH_EVENTS:
                    await self._feed.wait(self.place, WAIT_SECONDS)
                backoff = FIRST_BACKOFF_SECONDS
            except StoreUnavailable:
                await asyncio.sleep(backoff)
                backoff = min(2 * backoff, MAX_BACKOFF_SECONDS)

    async def drain(self) -> int:
        """Handle everything readable now; return how many events of the log were passed."""
        passed = 0
        while count := await self._step():
            passed += count
        return passed

    async def _step(self) -> int:
        async with self._step_lock:
            if self._loaded is None:
                self._loaded = await self._load()
            page = await self._feed.read(self._loaded, BATCH_EVENTS)
            if page.events:
                await self._pass(page)
            return len(page.events)

    def _wanted(self, batch: list[Envelope]) -> list[Recorded]:
        types = self._event_types
        wanted = batch if types is None else [envelope for envelope in batch if envelope.event_type in types]
        return [Recorded.of(envelope) for envelope in wanted]

    @abstractmethod
    async def _load(self) -> Place:
        """Return the stored checkpoint."""

    @abstractmethod
    async def _pass(self, page: Page) -> None:
        """Handle a page and move the place to its end."""


class Subscription(Tail):
    """Hand every event of some types to a handler, one by one: for policies and effects, which must bear repeats.

    The checkpoint is stored after each batch that held work; a crash repeats at most that batch.
    """

    def __init__(
        self,
        feed: LogFeed,
        checkpoints: Checkpoints,
        name: str,
        handler: Callable[[Recorded], Awaitable[None]],
        event_types: frozenset[str] | None = None,
    ) -> None:
        super().__init__(feed, name, event_types)
        self._checkpoints = checkpoints
        self._handler = handler
        self._unsaved = False

    async def _load(self) -> Place:
        return await self._checkpoints.load(self.name)

    async def _pass(self, page: Page) -> None:
        for recorded in self._wanted(page.events):
            await self._handler(recorded)
            self._loaded = recorded.envelope.place  # a retry after an error goes on behind it
            self._unsaved = True
        self._loaded = page.next
        self._skipped += len(page.events)
        if self._unsaved or self._skipped >= SAVE_AFTER_SKIPPED:
            await self._checkpoints.save(self.name, self._loaded)
            self._unsaved, self._skipped = False, 0


async def at_rest(feed: LogFeed, tails: Iterable[Tail]) -> bool:
    """Tell whether every tail has handled everything, and nothing came of it that is still to be handled.

    What a handler appends is committed before its place moves, so a log that did not grow while all stood at its end
    has no more to give. A stepped replay asks this before it moves the clock.
    """
    newest = await feed.newest()
    if not all(feed.reached(tail.place, newest) for tail in tails):
        return False
    return await feed.newest() == newest
