"""Rebuilding a read model beside the live one, to replace it or to prove it.

The log is replayed into shadow tables in many short transactions: a long one would hold back every reader of the log.
A projection names its tables with their schema (`read.orders`); in the shadow that name leads to `read_shadow.orders`.
Its tables have a primary key, and neither sequences nor generated columns, which would not come out the same twice.
"""

import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from patriot.adapters.postgres.database import Database
from patriot.adapters.postgres.projections import CREATE, LOAD
from patriot.kernel.errors import CommandRefused
from patriot.kernel.eventstore import START, Envelope, Place
from patriot.kernel.feed import LogFeed
from patriot.kernel.projection import Projection, Recorded
from patriot.kernel.sql import Row, Sql

PAGE_EVENTS = 2_000
LIVE, SHADOW = "read", "read_shadow"

_LIVE_NAME = re.compile(rf"\b{LIVE}\.(?=[a-z_])")
_LOCK = LOAD + " FOR UPDATE"
_SAVE = "UPDATE eventing.projections SET place = $2, updated_at = now() WHERE name = $1"
_TRY_LOCK = "SELECT pg_try_advisory_lock(hashtext('projection'), hashtext($1))"
_UNLOCK = "SELECT pg_advisory_unlock(hashtext('projection'), hashtext($1))"
_KEY_COLUMNS = """
    SELECT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY(indkey)
    WHERE indrelid = $1::text::regclass AND indisprimary ORDER BY array_position(indkey, attnum)
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where a live row is not what the log says, as text; without `column`: a whole row."""

    table: str
    key: tuple[str, ...]
    column: str | None
    live: str | None
    rebuilt: str | None


async def rebuild(database: Database, feed: LogFeed, projection: Projection) -> int:
    """Replay the log into empty tables and put their rows in the place of the live ones; return how many events.

    Readers see the old rows until the switch and wait for the moment it takes; a runner goes on behind it.
    Errors: CommandRefused while this projection is being rebuilt or compared already.
    """
    async with _shadow(database, projection):
        replay = _Replay(database, feed, projection)
        await replay.to_head()
        async with database.transaction() as sql:
            await sql.fetch(_LOCK, projection.name)
            await replay.on(sql, until=None)  # ends: what is appended from here on cannot be read before we commit
            names = [_bare(table) for table in projection.tables]
            await sql.execute("TRUNCATE " + ", ".join(f"{LIVE}.{name}" for name in names))
            for name in names:
                await sql.execute(f"INSERT INTO {LIVE}.{name} SELECT * FROM {SHADOW}.{name}")  # noqa: S608
            await sql.execute(_SAVE, projection.name, replay.place)
    return replay.events


async def compare(database: Database, feed: LogFeed, projection: Projection) -> list[Difference]:
    """Replay the log up to where the projection stands and return every difference from the live rows.

    Errors: CommandRefused while this projection is being rebuilt or compared already.
    """
    async with _shadow(database, projection):
        replay = _Replay(database, feed, projection)
        await replay.to(_place(await database.fetch(LOAD, projection.name)))
        async with database.transaction() as sql:  # the lock keeps the live rows where they are
            await replay.on(sql, until=_place(await sql.fetch(_LOCK, projection.name)))
            return [found for table in projection.tables for found in await _differences(sql, _bare(table))]


class _Replay:
    """The log from its start, applied to the shadow page by page."""

    def __init__(self, database: Database, feed: LogFeed, projection: Projection) -> None:
        self._database = database
        self._feed = feed
        self._projection = projection
        self.place = START
        self.events = 0

    async def to_head(self) -> None:
        async for page in self._feed.scan(self.place, PAGE_EVENTS):
            async with self._database.transaction(durable=False) as sql:
                await self._apply(sql, page)

    async def to(self, end: Place) -> None:
        async for page in self._feed.scan(self.place, PAGE_EVENTS):
            within = [envelope for envelope in page if self._feed.reached(end, envelope.place)]
            async with self._database.transaction(durable=False) as sql:
                await self._apply(sql, within)
            if len(within) < len(page):
                return

    async def on(self, sql: Sql, until: Place | None) -> None:
        """Go on inside a transaction of the caller."""
        async for page in self._feed.scan(self.place, PAGE_EVENTS):
            await self._apply(sql, [e for e in page if until is None or self._feed.reached(until, e.place)])
            if until is not None and self._feed.reached(page[-1].place, until):
                return

    async def _apply(self, sql: Sql, page: list[Envelope]) -> None:
        types = self._projection.event_types
        batch = [Recorded.of(envelope) for envelope in page if envelope.event_type in types]
        if batch:
            await self._projection.apply(_ShadowSql(sql), batch)
        if page:
            self.place = page[-1].place
            self.events += len(page)


class _ShadowSql:
    """A transaction in which the names of the live tables lead to the shadow."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    async def execute(self, sql: str, *arguments: object) -> object:
        return await self._sql.execute(_shadowed(sql), *arguments)

    async def executemany(self, sql: str, rows: Sequence[Sequence[object]]) -> object:
        return await self._sql.executemany(_shadowed(sql), rows)

    async def fetch(self, sql: str, *arguments: object) -> Sequence[Row]:
        return await self._sql.fetch(_shadowed(sql), *arguments)


def _shadowed(sql: str) -> str:
    return _LIVE_NAME.sub(f"{SHADOW}.", sql)


@asynccontextmanager
async def _shadow(database: Database, projection: Projection) -> AsyncIterator[None]:
    """Hold empty copies of the tables, for one worker at a time."""
    names = [_bare(table) for table in projection.tables]
    drop = "DROP TABLE IF EXISTS " + ", ".join(f"{SHADOW}.{name}" for name in names)
    await database.execute(CREATE, projection.name)
    async with database.connection() as guard:
        if not await guard.fetchval(_TRY_LOCK, projection.name):
            raise CommandRefused(f"projection {projection.name} is being rebuilt or compared already")
        try:
            await guard.execute(drop)  # a run that was killed left them
            for name in names:
                await guard.execute(f"CREATE UNLOGGED TABLE {SHADOW}.{name} (LIKE {LIVE}.{name} INCLUDING ALL)")
            yield
        finally:
            if not guard.is_closed():  # else the server has let the lock go, and the next run drops the tables
                await guard.execute(drop)
                await guard.execute(_UNLOCK, projection.name)


async def _differences(sql: Sql, table: str) -> list[Difference]:
    keys = [row["attname"] for row in await sql.fetch(_KEY_COLUMNS, f"{LIVE}.{table}")]
    rows = await sql.fetch(
        f"SELECT to_jsonb(l)::text AS live, to_jsonb(s)::text AS rebuilt"  # noqa: S608  names of our own tables
        f" FROM {LIVE}.{table} l FULL JOIN {SHADOW}.{table} s USING ({', '.join(keys)})"
        f" WHERE l::text IS DISTINCT FROM s::text ORDER BY {', '.join(keys)}"
    )
    found: list[Difference] = []
    for row in rows:
        live, rebuilt = _texts(row["live"]), _texts(row["rebuilt"])
        whole = live or rebuilt
        key = tuple(str(whole[column]) for column in keys)
        if not live or not rebuilt:
            found.append(Difference(table, key, None, row["live"], row["rebuilt"]))
            continue
        changed = (column for column in live if live[column] != rebuilt[column])
        found += [Difference(table, key, column, _shown(live[column]), _shown(rebuilt[column])) for column in changed]
    return found


def _texts(row: str | None) -> dict[str, object]:
    # Numbers stay text: 1.0 and 1.00 are two different rows here.
    return json.loads(row, parse_float=str, parse_int=str) if row is not None else {}


def _shown(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _place(rows: Sequence[Row]) -> Place:
    return Place(rows[0]["place"])


def _bare(table: str) -> str:
    return table.removeprefix(f"{LIVE}.")
