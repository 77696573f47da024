"""What the contract suites of the event store and of the log feed stand on."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from patriot.kernel.clock import FakeClock
from patriot.kernel.eventstore import Actor, ActorType, Context, EventStore, NewEvent, StreamAppend, StreamKey
from patriot.kernel.feed import LogFeed
from patriot.kernel.ids import Ids
from patriot.kernel.lease import Leases


@dataclass(frozen=True)
class Stored:
    """A store under test, the feed of its log, the leases that it checks fences against, and what makes ids."""

    store: EventStore
    feed: LogFeed
    leases: Leases
    ids: Ids
    clock: FakeClock
    let_expire: Callable[[str], Awaitable[object]]  # a lease, by its name

    def stream(self, stream_type: str = "ORDER") -> StreamKey:
        return StreamKey(stream_type, self.ids.new())

    def event(self, data: str = "{}", event_type: str = "order.created") -> NewEvent:
        context = Context(self.ids.new(), self.ids.new(), self.ids.new(), None, Actor(ActorType.USER, "u-1"))
        return NewEvent(self.ids.new(), event_type, 1, self.clock.now(), data, context)

    def events(self, count: int) -> tuple[NewEvent, ...]:
        return tuple(self.event(f'{{"n":{n}}}') for n in range(count))

    async def append(self, stream: StreamKey, expected_version: int, *events: NewEvent) -> tuple[int, ...]:
        return (await self.store.append([StreamAppend(stream, expected_version, events)])).versions

    async def events_in_log(self) -> int:
        return sum([len(page) async for page in self.feed.scan()])
