"""Following history: the log of all streams in the order (transaction id, position).

A reader stops below the oldest transaction still running, so a transaction that commits late is never skipped. The
newest part of the log is kept in memory: all tails of the process read the same rows once. That is safe because neither
events nor their order ever change; `scan` goes around it, to see what the disk says.
"""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator
from contextlib import suppress

from patriot.adapters.postgres.database import Database, Listener, kernel_errors
from patriot.adapters.postgres.epochs import AHEAD
from patriot.adapters.postgres.places import BEGINNING, Position, place_of, position_of
from patriot.kernel.errors import StoreUnavailable
from patriot.kernel.eventstore import START, Actor, ActorType, Context, Envelope, Place, StreamKey
from patriot.kernel.feed import PAGE_EVENTS, Page
from patriot.kernel.sql import Row

CHANNEL = "patriot_log"
WINDOW_EVENTS = 10_000  # kept in memory, about 1.5 kB each
POLL_SECONDS = 1.0  # when no notification comes
HELD_BACK_SECONDS = 0.002  # first wait for an older transaction to end; doubles up to
HELD_BACK_MAX_SECONDS = 0.05
NOTIFY_INTERVAL_SECONDS = 0.005  # appends within it wake other processes once
RECONNECT_SECONDS = 0.2

COLUMNS = """
    tx_id, position, event_id, stream_type, stream_id, stream_version, event_type, schema_version, occurred_at,
    recorded_at, correlation_id, causation_id, user_id, account_id, actor_type, actor_id, data, previous_hash,
    event_hash
"""
_READ_LOG = f"""
    SELECT {COLUMNS} FROM eventing.events
    WHERE (tx_id, position) > ($1::xid8, $2::bigint)
        AND tx_id < (pg_snapshot_xmin(pg_current_snapshot())::text::bigint + {AHEAD})::text::xid8
        AND ($4::text[] IS NULL OR event_type = ANY($4::text[]))
    ORDER BY tx_id, position LIMIT $3
"""  # noqa: S608
_NEWEST = "SELECT tx_id, position FROM eventing.events ORDER BY tx_id DESC, position DESC LIMIT 1"


class PostgresFeed:
    """`LogFeed` of one database, for all readers of one process."""

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
        if self._announcer is None and not self._closed:
            self._announcer = asyncio.create_task(self._announce(), name="log-announcer")

    async def read(self, after: Place, limit: int = PAGE_EVENTS, event_types: frozenset[str] | None = None) -> Page:
        """See `LogFeed.read`."""
        position = position_of(after)
        while self._window.covers(position):
            page = self._window.after(position, limit, event_types)
            if len(page.events) == limit or not await self._refill():
                return page
        rows = await self._fetch(position, limit, event_types)
        if event_types is None and len(rows) < limit:
            self._window.restart(position)  # this reader has reached the head: the others will pass here too
        return Page(rows, rows[-1].place if rows else after)

    async def scan(self, after: Place = START, page: int = PAGE_EVENTS) -> AsyncIterator[list[Envelope]]:
        """See `LogFeed.scan`: as the disk has it now, never from memory."""
        position = position_of(after)
        while rows := await self._fetch(position, page, None):
            yield rows
            position = position_of(rows[-1].place)

    async def newest(self) -> Place:
        """See `LogFeed.newest`."""
        return place_of(await self._newest())

    def reached(self, place: Place, target: Place) -> bool:
        """See `LogFeed.reached`."""
        return position_of(place) >= position_of(target)

    def distance(self, place: Place, newest: Place) -> int:
        """See `LogFeed.distance`."""
        return max(0, position_of(newest).number - position_of(place).number)

    async def wait(self, after: Place, timeout_seconds: float) -> None:
        """See `LogFeed.wait`."""
        position = position_of(after)
        if not self._window.covers(position):
            if await self._fetch(position, 1, None):
                return
            self._window.restart(position)
            self._wake.set()  # an event may have come between the look and the restart
        self._follow()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds), self._grown:
                await self._grown.wait_for(lambda: not self._window.covers(position) or self._window.end > position)

    async def _newest(self) -> Position:
        rows = await self._database.fetch(_NEWEST)
        return Position(rows[0]["tx_id"], rows[0]["position"]) if rows else BEGINNING

    async def _fetch(self, after: Position, limit: int, event_types: frozenset[str] | None) -> list[Envelope]:
        types = None if event_types is None else sorted(event_types)
        rows = await self._database.fetch(_READ_LOG, after.transaction, after.number, limit, types)
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
            if await self._newest() <= self._window.end:
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, HELD_BACK_MAX_SECONDS)
        self._wake.clear()


class Window:
    """A gapless stretch of the log in memory: every readable event above `start` and up to `end`."""

    def __init__(self) -> None:
        self.started = False
        self.start = BEGINNING
        self.end = BEGINNING
        self._events: list[Envelope] = []
        self._positions: list[Position] = []

    def covers(self, position: Position) -> bool:
        """Tell whether everything readable above the position is here, or comes after the end."""
        return self.started and self.start <= position

    def restart(self, start: Position) -> None:
        """Begin again right after `start`."""
        self._events, self._positions = [], []
        self.started, self.start, self.end = True, start, start

    def extend(self, events: list[Envelope]) -> None:
        """Add events that follow the end without a gap; forget the oldest when there are too many."""
        if not events:
            return
        self._events += events
        self._positions += [position_of(event.place) for event in events]
        self.end = self._positions[-1]
        surplus = len(self._events) - WINDOW_EVENTS
        if surplus > WINDOW_EVENTS // 4:  # not one by one: cutting the front moves the rest
            self.start = self._positions[surplus - 1]
            del self._events[:surplus], self._positions[:surplus]

    def after(self, position: Position, limit: int, event_types: frozenset[str] | None) -> Page:
        """Return events above a position, ascending, and where the search for them ended."""
        first = bisect_right(self._positions, position)
        if event_types is None:
            found = self._events[first : first + limit]
            return Page(found, found[-1].place if found else place_of(position))
        found = []
        for index in range(first, len(self._events)):
            if self._events[index].event_type in event_types:
                found.append(self._events[index])
                if len(found) == limit:
                    return Page(found, found[-1].place)
        return Page(found, place_of(max(position, self.end)))


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
        place=Place(f"{row['tx_id']}.{row['position']}"),
    )
