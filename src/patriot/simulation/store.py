"""The shared store as one process reaches it: over a line that may be slow, full or down, and that a kill cuts off.

What is asked for runs beside the process: a commit that was under way when it died stands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from patriot.kernel.clock import Clock
from patriot.kernel.errors import StoreUnavailable
from patriot.kernel.eventstore import Appended, Envelope, Fence, IdempotentResult, Place, StreamAppend, StreamKey
from patriot.kernel.feed import PAGE_EVENTS, Page
from patriot.kernel.memory import MemoryCheckpoints, MemoryEventStore, MemoryFeed, MemoryLeases
from patriot.simulation.loop import Life

T = TypeVar("T")
DELAY_SECONDS = 0.002
COMMAND_SECONDS = 30.0  # a command without an answer is given up after it, as on PostgreSQL


@dataclass(slots=True)
class Weather:
    """How the store is just now, for everybody."""

    away_until: float = 0.0
    full_until: float = 0.0
    slow_until: float = 0.0
    slow_seconds: float = 0.0


Doom = Callable[[str, bool], bool]  # what is appended, whether it is committed: dies the process now?


class StoreLine:
    """The way of one process to the store."""

    def __init__(
        self, life: Life, world: Context, weather: Weather, random: Random, doom: Doom, kill: Callable[[], None]
    ) -> None:
        self._life = life
        self._world = world
        self._weather = weather
        self._random = random
        self._doom = doom
        self._kill = kill
        self.cut_until = 0.0  # this process alone does not reach the store
        self.renewals_lost_until = 0.0  # it hears nothing of its leases
        self.renewals_hang = False

    async def renew(self, work: Callable[[], Awaitable[None]]) -> None:
        """Have a lease renewed. Errors: as `ask`."""
        if asyncio.get_running_loop().time() < self.renewals_lost_until:
            await asyncio.sleep(COMMAND_SECONDS if self.renewals_hang else DELAY_SECONDS)
            raise StoreUnavailable("no answer")
        await self.ask(work)

    async def ask(self, work: Callable[[], Awaitable[T]], appended: str = "") -> T:
        """Return what the store answers. Errors: StoreUnavailable before or after it was done; those of the store."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        if appended and self._doom(appended, False):
            self._kill()
        task = loop.create_task(self._serve(work, answer, appended), context=self._world.copy())
        answer.add_done_callback(lambda _: task.done())  # keeps the task
        return await answer

    async def _serve(self, work: Callable[[], Awaitable[T]], answer: asyncio.Future[T], appended: str) -> None:
        try:
            result = await self._carry_out(work, appended)
        except Exception as error:  # noqa: BLE001  whatever it is, it is the answer
            if not answer.done():
                answer.set_exception(error)
        else:
            if not answer.done():
                answer.set_result(result)

    async def _carry_out(self, work: Callable[[], Awaitable[T]], appended: str) -> T:
        loop, weather = asyncio.get_running_loop(), self._weather
        slow = weather.slow_seconds if loop.time() < weather.slow_until else 0.0
        await asyncio.sleep(DELAY_SECONDS + slow)
        away = loop.time() < max(weather.away_until, self.cut_until)
        if away and not (appended and self._random.random() < 0.3):
            raise StoreUnavailable("the store is away")
        if appended and loop.time() < weather.full_until:
            raise StoreUnavailable("no space left on device")
        if not self._life.alive:
            raise StoreUnavailable("nobody is there any more")  # it never went out
        result = await work()
        if appended and self._doom(appended, True):
            self._kill()
        if away:
            raise StoreUnavailable("the store went away with its answer")
        await asyncio.sleep(DELAY_SECONDS)
        return result


class StoreView(MemoryEventStore):
    """`EventStore` through a line."""

    def __init__(self, store: MemoryEventStore, line: StoreLine, unfenced: Callable[[set[str]], None]) -> None:
        self.feed = FeedView(store.feed, line)
        self._store = store
        self._unfenced = unfenced
        self._line = line

    async def append(
        self, appends: Sequence[StreamAppend], *, result: IdempotentResult | None = None, fence: Fence | None = None
    ) -> Appended:
        """See `EventStore.append`."""
        name = next((event.event_type for append in appends for event in append.events), "nothing")
        if fence is None:
            self._unfenced({append.stream.stream_type for append in appends})
        return await self._line.ask(lambda: self._store.append(appends, result=result, fence=fence), name)

    async def read_stream(self, stream: StreamKey, after_version: int = 0) -> list[Envelope]:
        """See `EventStore.read_stream`."""
        return await self._line.ask(lambda: self._store.read_stream(stream, after_version))

    async def read_streams(self, streams: Sequence[StreamKey]) -> list[list[Envelope]]:
        """See `EventStore.read_streams`."""
        return await self._line.ask(lambda: self._store.read_streams(streams))

    async def find_result(self, scope: str, key: str) -> IdempotentResult | None:
        """See `EventStore.find_result`."""
        return await self._line.ask(lambda: self._store.find_result(scope, key))


class FeedView(MemoryFeed):
    """`LogFeed` through a line."""

    def __init__(self, feed: MemoryFeed, line: StoreLine) -> None:
        self._feed = feed
        self._line = line

    async def read(self, after: Place, limit: int = PAGE_EVENTS, event_types: frozenset[str] | None = None) -> Page:
        """See `LogFeed.read`."""
        return await self._line.ask(lambda: self._feed.read(after, limit, event_types))

    async def wait(self, after: Place, timeout_seconds: float) -> None:
        """See `LogFeed.wait`."""
        await self._line.ask(lambda: self._feed.wait(after, timeout_seconds))

    async def newest(self) -> Place:
        """See `LogFeed.newest`."""
        return await self._line.ask(self._feed.newest)


class CheckpointsView(MemoryCheckpoints):
    """`Checkpoints` through a line."""

    def __init__(self, checkpoints: MemoryCheckpoints, line: StoreLine) -> None:
        self._checkpoints = checkpoints
        self._line = line

    async def load(self, name: str) -> Place:
        """See `Checkpoints.load`."""
        return await self._line.ask(lambda: self._checkpoints.load(name))

    async def save(self, name: str, place: Place) -> None:
        """See `Checkpoints.save`."""
        await self._line.ask(lambda: self._checkpoints.save(name, place), "checkpoint")


class MovableLeases(MemoryLeases):
    """Leases that somebody can take away; known is who got each of them last, and when."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.given: dict[str, tuple[str, float]] = {}

    async def give(self, name: str, owner: str, holder: str) -> Fence | None:
        """Let somebody acquire a lease, and take note of it."""
        known = self._leases.get(name)
        fence = await self.acquire(name, owner)
        if fence is not None and (known is None or known.token != fence.token):
            self.given[name] = (holder, self._clock.monotonic())
        return fence

    def take_away(self, name: str) -> None:
        """Let a lease run out now, although its owner lives; whoever asks next gets it, with a new token."""
        held = self._leases.get(name)
        if held is not None:
            held.expires_at = float("-inf")


class LeasesView(MemoryLeases):
    """`Leases` through a line."""

    def __init__(self, leases: MovableLeases, line: StoreLine, holder: str) -> None:
        self._shared = leases
        self._line = line
        self._holder = holder

    async def acquire(self, name: str, owner: str) -> Fence | None:
        """See `Leases.acquire`."""
        return await self._line.ask(lambda: self._shared.give(name, owner, self._holder))

    async def renew(self, fence: Fence, owner: str) -> None:
        """See `Leases.renew`."""
        await self._line.renew(lambda: self._shared.renew(fence, owner))

    async def is_held(self, name: str) -> bool:
        """See `Leases.is_held`."""
        return await self._line.ask(lambda: self._shared.is_held(name))

    async def release(self, fence: Fence, owner: str) -> None:
        """See `Leases.release`."""
        await self._line.ask(lambda: self._shared.release(fence, owner))
