"""Event store, log feed, checkpoints, snapshots, leases in memory: what PostgreSQL does, for tests and for simulation.

One append is one step of the event loop, so it is atomic and every event is readable as soon as it is written.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from patriot.kernel.clock import Clock
from patriot.kernel.errors import IdempotencyMismatch, InvalidInput, LeaseLost
from patriot.kernel.eventstore import (
    GENESIS_HASH,
    START,
    Appended,
    ChainedEvent,
    Envelope,
    Fence,
    IdempotentResult,
    Place,
    StreamAppend,
    StreamKey,
)
from patriot.kernel.feed import PAGE_EVENTS, Page
from patriot.kernel.lease import LEASE_TTL
from patriot.kernel.policy import Snapshot


@dataclass(slots=True)
class _Lease:
    owner: str
    token: int
    expires_at: float  # monotonic seconds


class MemoryLeases:
    """`Leases` by the clock's monotonic time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._leases: dict[str, _Lease] = {}

    async def acquire(self, name: str, owner: str) -> Fence | None:
        """See `Leases.acquire`."""
        now = self._clock.monotonic()
        held = self._leases.get(name)
        running = held is not None and held.expires_at > now
        if held is not None and running and held.owner != owner:
            return None
        token = held.token + (not running) if held is not None else 1
        self._leases[name] = _Lease(owner, token, now + LEASE_TTL.total_seconds())
        return Fence(name, token)

    async def renew(self, fence: Fence, owner: str) -> None:
        """See `Leases.renew`. A lease that ran out and that nobody took is simply extended."""
        held = self._leases.get(fence.name)
        if held is None or (held.owner, held.token) != (owner, fence.token):
            raise LeaseLost(f"{fence.name}: {owner} no longer holds token {fence.token}")
        held.expires_at = self._clock.monotonic() + LEASE_TTL.total_seconds()

    async def release(self, fence: Fence, owner: str) -> None:
        """See `Leases.release`."""
        held = self._leases.get(fence.name)
        if held is not None and (held.owner, held.token) == (owner, fence.token):
            held.expires_at = float("-inf")

    async def is_held(self, name: str) -> bool:
        """See `Leases.is_held`."""
        held = self._leases.get(name)
        return held is not None and held.expires_at > self._clock.monotonic()

    def is_newest(self, fence: Fence) -> bool:
        """Tell whether no newer token was given for the fence's name."""
        held = self._leases.get(fence.name)
        return held is not None and held.token == fence.token


class MemoryCheckpoints:
    """`Checkpoints` in a dictionary."""

    def __init__(self) -> None:
        self._places: dict[str, Place] = {}

    async def load(self, name: str) -> Place:
        """See `Checkpoints.load`."""
        return self._places.get(name, START)

    async def save(self, name: str, place: Place) -> None:
        """See `Checkpoints.save`."""
        self._places[name] = place


class MemorySnapshots:
    """`Snapshots` in a dictionary, which this code alone has filled."""

    def __init__(self) -> None:
        self._snapshots: dict[str, Snapshot] = {}

    async def load(self, name: str) -> Snapshot | None:
        """See `Snapshots.load`."""
        return self._snapshots.get(name)

    async def save(self, name: str, snapshot: Snapshot) -> None:
        """See `Snapshots.save`."""
        self._snapshots[name] = snapshot


class MemoryFeed:
    """`LogFeed` over events in memory; a place is the number of events up to it."""

    def __init__(self) -> None:
        self._log: list[Envelope] = []
        self._grown = asyncio.Condition()

    async def read(self, after: Place, limit: int = PAGE_EVENTS, event_types: frozenset[str] | None = None) -> Page:
        """See `LogFeed.read`."""
        index = _number(after)
        if event_types is None:
            found = self._log[index : index + limit]
            return Page(found, _place(index + len(found)))
        found = []
        while index < len(self._log) and len(found) < limit:
            if self._log[index].event_type in event_types:
                found.append(self._log[index])
            index += 1
        return Page(found, _place(index))

    async def scan(self, after: Place = START, page: int = PAGE_EVENTS) -> AsyncIterator[list[Envelope]]:
        """See `LogFeed.scan`."""
        while (read := await self.read(after, page)).events:
            yield read.events
            after = read.next

    async def wait(self, after: Place, timeout_seconds: float) -> None:
        """See `LogFeed.wait`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds), self._grown:
                await self._grown.wait_for(lambda: len(self._log) > _number(after))

    async def newest(self) -> Place:
        """See `LogFeed.newest`."""
        return _place(len(self._log))

    def reached(self, place: Place, target: Place) -> bool:
        """See `LogFeed.reached`."""
        return _number(place) >= _number(target)

    def distance(self, place: Place, newest: Place) -> int:
        """See `LogFeed.distance`."""
        return max(0, _number(newest) - _number(place))

    def next_place(self) -> Place:
        """Return the place that the next event will have."""
        return _place(len(self._log) + 1)

    def add(self, envelope: Envelope) -> None:
        """Take an event into the log, at the place that was given for it."""
        self._log.append(envelope)

    async def wake(self) -> None:
        """Tell waiting readers that the log has grown."""
        async with self._grown:
            self._grown.notify_all()


def _place(number: int) -> Place:
    return Place(str(number)) if number else START


def _number(place: Place) -> int:
    return int(place) if place else 0


class MemoryEventStore:
    """`EventStore` in memory, and the `feed` of what it holds; fences are checked against `leases`."""

    def __init__(self, clock: Clock, leases: MemoryLeases | None = None) -> None:
        self._clock = clock
        self._leases = leases or MemoryLeases(clock)
        self.feed = MemoryFeed()
        self._streams: dict[StreamKey, list[Envelope]] = {}
        self._event_ids: set[UUID] = set()
        self._results: dict[tuple[str, str], IdempotentResult] = {}

    async def append(
        self,
        appends: Sequence[StreamAppend],
        *,
        result: IdempotentResult | None = None,
        fence: Fence | None = None,
    ) -> Appended:
        """See `EventStore.append`."""
        if fence is not None and not self._leases.is_newest(fence):
            raise LeaseLost(f"{fence.name}: token {fence.token} is not the newest")
        if result is not None:
            known = self._results.get((result.scope, result.key))
            if known is not None:
                answer = result.replayed(known)
                if isinstance(answer, IdempotencyMismatch):
                    raise answer
                return answer
        self._check(appends)
        for append in appends:
            self._write(append)
        if result is not None:
            self._results[result.scope, result.key] = result
        await self.feed.wake()
        return Appended(tuple(append.expected_version + len(append.events) for append in appends))

    async def read_stream(self, stream: StreamKey, after_version: int = 0) -> list[Envelope]:
        """See `EventStore.read_stream`."""
        return self._streams.get(stream, [])[after_version:]

    async def read_streams(self, streams: Sequence[StreamKey]) -> list[list[Envelope]]:
        """See `EventStore.read_streams`."""
        return [list(self._streams.get(stream, [])) for stream in streams]

    async def find_result(self, scope: str, key: str) -> IdempotentResult | None:
        """See `EventStore.find_result`."""
        return self._results.get((scope, key))

    def _check(self, appends: Sequence[StreamAppend]) -> None:
        for append in appends:
            found = len(self._streams.get(append.stream, ()))
            if found != append.expected_version:
                raise append.conflict(found)
        ids = [event.event_id for append in appends for event in append.events]
        if len(set(ids)) < len(ids) or not self._event_ids.isdisjoint(ids):
            raise InvalidInput("event_id", "every event needs its own")

    def _write(self, append: StreamAppend) -> None:
        history = self._streams.setdefault(append.stream, [])
        for event in append.events:
            previous = history[-1].event_hash if history else GENESIS_HASH
            chained = ChainedEvent(previous, append.stream, len(history) + 1, event)
            envelope = Envelope(
                event_id=event.event_id,
                event_type=event.event_type,
                schema_version=event.schema_version,
                stream=append.stream,
                stream_version=chained.stream_version,
                occurred_at=event.occurred_at,
                recorded_at=self._clock.now(),
                data=event.data,
                context=event.context,
                previous_hash=previous,
                event_hash=chained.digest(),
                place=self.feed.next_place(),
            )
            history.append(envelope)
            self.feed.add(envelope)
            self._event_ids.add(event.event_id)
