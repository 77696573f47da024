"""Publishes a root over what the log holds since the last one: as an event, and as a line kept beside the log."""

from collections.abc import AsyncIterator

from patriot.audit.commands import PublishRoot
from patriot.audit.events import ROOTS, RootPublished
from patriot.audit.ports import RootShelf
from patriot.kernel.bus import CommandBus, decode_all
from patriot.kernel.clock import Clock
from patriot.kernel.codec import encode
from patriot.kernel.eventstore import START, Context, Envelope, EventStore
from patriot.kernel.feed import LogFeed
from patriot.kernel.ids import derived_id
from patriot.kernel.integrity import NO_ROOT, Span


class RootPublisher:
    """Closes spans of one log."""

    def __init__(self, store: EventStore, feed: LogFeed, bus: CommandBus, shelf: RootShelf, clock: Clock) -> None:
        self._store = store
        self._feed = feed
        self._bus = bus
        self._shelf = shelf
        self._clock = clock

    async def newest(self) -> RootPublished | None:
        """Return the root that was published last."""
        envelopes = await self._store.read_stream(ROOTS)
        newest: RootPublished | None = decode_all(envelopes[-1:])[0] if envelopes else None
        return newest

    async def publish(self) -> RootPublished | None:
        """Close the span that is open; None when nothing has happened in it."""
        newest = await self.newest()
        if newest is not None:
            self._complete_shelf(newest)
        span = Span(bytes.fromhex(newest.root) if newest is not None else NO_ROOT)
        eventful, last = False, None
        async for last in self._since(newest):
            span.add(last)
            eventful = eventful or last.stream != ROOTS
        if last is None or not eventful:
            return None
        command = PublishRoot(
            number=newest.number + 1 if newest is not None else 1,
            events=span.events,
            last_stream_type=last.stream.stream_type,
            last_stream_id=last.stream.stream_id,
            last_stream_version=last.stream_version,
            previous_root=span.previous.hex(),
            root=span.root().hex(),
            at=self._clock.now(),
        )
        decided = await self._bus.dispatch(command, Context(derived_id("root", command.number)))
        published: RootPublished | None = next(iter(decided.events), None)
        if published is not None:  # else another process was faster
            self._shelf.add(encode(published))
        return published

    async def _since(self, newest: RootPublished | None) -> AsyncIterator[Envelope]:
        place = START
        if newest is not None:
            stream, version = newest.last_event
            (last, *_) = await self._store.read_stream(stream, version - 1)
            place = last.place
        while (page := await self._feed.read(place)).events:
            for envelope in page.events:
                yield envelope
            place = page.next

    def _complete_shelf(self, newest: RootPublished) -> None:
        """Add the line that a crash between event and line left out: one at most, so that a lost shelf stays lost."""
        if len(self._shelf.lines()) == newest.number - 1:
            self._shelf.add(encode(newest))
