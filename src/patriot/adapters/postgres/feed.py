"""Reading history: streams, and the log of all streams in the order (transaction id, position).

A reader stops below the oldest transaction still running, so a transaction that commits late is never skipped. The
newest part of the log is kept in memory: all tails of the process read the same rows once. That is safe because neither
events nor their order ever change; `scan` goes around it, to see what the disk says.
"""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

from patriot.adapters.postgres.database import Database, Listener, kernel_errors
from patriot.kernel.errors import StoreUnavailable
from patriot.kernel.eventstore import Actor, ActorType, Context, Envelope, LogPosition, StreamKey
from patriot.kernel.sql import Row

CHANNEL = "patriot_log"
WINDOW_EVENTS = 10_000  # kept in memory, about 1.5 kB each
PAGE_EVENTS = 1_000
POLL_SECONDS = 1.0  # when no notification comes
HELD_BACK_SECONDS = 0.002  # first wait for an older transaction to end; doubles up to
HELD_BACK_MAX_SECONDS = 0.05
NOTIFY_INTERVAL_SECONDS = 0.005  # appends within it wake other processes once
RECONNECT_SECONDS = 0.2

_COLUMNS = """
    tx_id, position, event_id, stream_type, stream_id, stream_version, event_type, schema_version, occurred_at,
    recorded_at, correlation_id, causation_id, user_id, account_id, actor_type, actor_id, data, previous_hash,
    event_hash
"""
_READ_STREAM = f"""
    SELECT {_COLUMNS} FROM eventing.events
    WHERE stream_type = $1 AND stream_id = $2 AND stream_version > $3 ORDER BY stream_version
"""  # noqa: S608  only our own constants
_READ_STREAMS = f"""
    SELECT found.* FROM unnest($1::text[], $2::uuid[]) AS wanted (stream_type, stream_id) CROSS JOIN LATERAL (
        SELECT {_COLUMNS} FROM eventing.events
        WHERE stream_type = wanted.stream_type AND stream_id = wanted.stream_id ORDER BY stream_version
    ) AS found
"""  # noqa: S608  LATERAL: a plan made for many streams must not scan the table for one
_READ_LOG = f"""
    SELECT {_COLUMNS} FROM eventing.events
    WHERE (tx_id, position) > ($1::xid8, $2::bigint) AND tx_id < pg_snapshot_xmin(pg_current_snapshot())
        AND ($4::text[] IS NULL OR event_type = ANY($4::text[]))
    ORDER BY tx_id, position LIMIT $3
"""  # noqa: S608
_HEAD = """
    SELECT tx_id, position FROM eventing.events WHERE tx_id < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY tx_id DESC, position DESC LIMIT 1
"""
_NEWEST = "SELECT tx_id, position FROM eventing.events ORDER BY tx_id DESC, position DESC LIMIT 1"


class Log:
    """The log of one database, for all readers of one process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._window = Window()
        self._refilling = asyncio.Lock()
        self._wake = asyncio.Event()  # something was appended, here or elsewhere
        self._grown = asyncio.Condition()  # the window has new events
        self._follower: asyncio.Task[None] | None = None
        self._announcer: asyncio.Task[None] | None = None
        self._listener: Listener | None = None
        self._closed = False

    async def close(self) -> None:
        """Stop following; waiting readers run into their time-out."""
        self._closed = True
        tasks = [task for task in (self._follower, self._announcer) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def appended(self) -> None:
        """Take note that this process committed an append: readers wake, other processes are told soon after."""
        self._wake.set()
        self._follow()
        if self._announcer is None:
            self._announcer = asyncio.create_task(self._announce(), name="log-announcer")

    async def read_stream(self, stream: StreamKey, after_version: int) -> list[Envelope]:
        """See `EventStore.read_stream`."""
        rows = await self._database.fetch(_READ_STREAM, stream.stream_type, stream.stream_id, after_version)
        return [envelope_of(row) for row in rows]

    async def read_streams(self, streams: Sequence[StreamKey]) -> list[list[Envelope]]:
        """See `EventStore.read_streams`: one statement, so one snapshot."""
        by_stream: dict[StreamKey, list[Envelope]] = {stream: [] for stream in streams}
        types, ids = [key.stream_type for key in by_stream], [key.stream_id for key in by_stream]
        for row in await self._database.fetch(_READ_STREAMS, types, ids):
            envelope = envelope_of(row)
            by_stream[envelope.stream].append(envelope)
        return [by_stream[stream] for stream in streams]

    async def read(self, after: LogPosition, limit: int, event_types: frozenset[str] | None) -> list[Envelope]:
        """See `EventStore.read_log`."""
        while self._window.covers(after):
            found = self._window.after(after, limit, event_types)
            if len(found) == limit or not await self._refill():
                return found
        rows = await self._fetch(after, limit, event_types)
        if event_types is None and len(rows) < limit:
            self._window.restart(after, rows)  # this reader has reached the head: the others will pass here too
        return rows

    async def scan(self, after: LogPosition, page: int = PAGE_EVENTS) -> AsyncIterator[list[Envelope]]:
        """Yield pages of the log as the disk has it now, up to what is readable when it gets there."""
        while rows := await self._fetch(after, page, None):
            yield rows
            after = rows[-1].log_position

    async def head(self) -> LogPosition:
        """See `EventStore.head`."""
        return _position(await self._database.fetch(_HEAD))

    async def newest(self) -> LogPosition:
        """See `EventStore.newest`."""
        return _position(await self._database.fetch(_NEWEST))

    async def wait(self, after: LogPosition, timeout_seconds: float) -> None:
        """See `EventStore.wait_for_append`."""
        if not self._window.covers(after):
            if await self._fetch(after, 1, None):
                return
            self._window.restart(after, [])
            self._wake.set()  # an event may have come between the look and the restart
        self._follow()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds), self._grown:
                await self._grown.wait_for(lambda: not self._window.covers(after) or self._window.end > after)

    async def _fetch(self, after: LogPosition, limit: int, event_types: frozenset[str] | None) -> list[Envelope]:
        types = None if event_types is None else sorted(event_types)
        rows = await self._database.fetch(_READ_LOG, after.xid, after.position, limit, types)
        return [envelope_of(row) for row in rows]

    async def _refill(self) -> int:
        """Read on from the end of the window; return how many events came."""
        end = self._window.end
        async with self._refilling:
            if self._window.end != end:
                return 1  # another reader has just done it
            rows = await self._fetch(end, PAGE_EVENTS, None)
            if rows and self._window.end == end:
                self._window.extend(rows)
        if rows:
            async with self._grown:
                self._grown.notify_all()
        return len(rows)

    def _follow(self) -> None:
        if not self._closed and (self._follower is None or self._follower.done()):
            self._follower = asyncio.create_task(self._keep_following(), name="log-follower")

    async def _announce(self) -> None:
        await asyncio.sleep(NOTIFY_INTERVAL_SECONDS)
        self._announcer = None  # what is committed from here on is announced by the next one
        with suppress(StoreUnavailable), kernel_errors():  # the pool, while our own listener is on its way
            await (self._listener or self._database).execute(f"NOTIFY {CHANNEL}")

    async def _keep_following(self) -> None:
        while not self._closed:
            with suppress(StoreUnavailable):
                async with self._database.listen(CHANNEL, self._wake.set) as self._listener:
                    while not self._listener.is_closed():
                        await self._catch_up()
                        with suppress(TimeoutError):
                            async with asyncio.timeout(POLL_SECONDS):  # not wait_for, which can swallow our end
                                await self._wake.wait()
            self._listener = None
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _catch_up(self) -> None:
        """Fill the window up to the newest committed event, waiting for older transactions that hold it back."""
        pause = HELD_BACK_SECONDS
        while self._window.started:
            self._wake.clear()
            while await self._refill():
                pause = HELD_BACK_SECONDS
            if await self.newest() <= self._window.end:
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, HELD_BACK_MAX_SECONDS)
        self._wake.clear()


class Window:
    """A gapless stretch of the log in memory: every readable event above `start` and up to `end`."""

    def __init__(self) -> None:
        self.started = False
        self.start = LogPosition()
        self.end = LogPosition()
        self._events: list[Envelope] = []
        self._keys: list[tuple[int, int]] = []

    def covers(self, position: LogPosition) -> bool:
        """Tell whether everything readable above the position is here, or comes after the end."""
        return self.started and self.start <= position

    def restart(self, start: LogPosition, events: list[Envelope]) -> None:
        """Begin again with events read right after `start`."""
        self._events, self._keys = [], []
        self.started, self.start, self.end = True, start, start
        self.extend(events)

    def extend(self, events: list[Envelope]) -> None:
        """Add events that follow the end without a gap; forget the oldest when there are too many."""
        self._events += events
        self._keys += [(event.log_position.xid, event.log_position.position) for event in events]
        if events:
            self.end = events[-1].log_position
        surplus = len(self._events) - WINDOW_EVENTS
        if surplus > WINDOW_EVENTS // 4:  # not one by one: cutting the front moves the rest
            self.start = self._events[surplus - 1].log_position
            del self._events[:surplus], self._keys[:surplus]

    def after(self, position: LogPosition, limit: int, event_types: frozenset[str] | None) -> list[Envelope]:
        """Return events above a position, ascending."""
        first = bisect_right(self._keys, (position.xid, position.position))
        if event_types is None:
            return self._events[first : first + limit]
        found: list[Envelope] = []
        for index in range(first, len(self._events)):
            if self._events[index].event_type in event_types:
                found.append(self._events[index])
                if len(found) == limit:
                    break
        return found


def envelope_of(row: Row) -> Envelope:
    """Return a stored row as the kernel's envelope."""
    return Envelope(
        event_id=row["event_id"],
        event_type=row["event_type"],
        schema_version=row["schema_version"],
        stream=StreamKey(row["stream_type"], row["stream_id"]),
        stream_version=row["stream_version"],
        occurred_at=row["occurred_at"],
        recorded_at=row["recorded_at"],
        data=row["data"],
        context=Context(
            row["correlation_id"],
            row["causation_id"],
            row["user_id"],
            row["account_id"],
            Actor(ActorType(row["actor_type"]), row["actor_id"]),
        ),
        previous_hash=row["previous_hash"],
        event_hash=row["event_hash"],
        log_position=LogPosition(row["tx_id"], row["position"]),
    )


def _position(rows: Sequence[Row]) -> LogPosition:
    return LogPosition(rows[0]["tx_id"], rows[0]["position"]) if rows else LogPosition()
