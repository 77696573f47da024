"""The event store: appends, folds, rebuilds; and the public `eventsourcing` package doing the same appends."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import UUID

from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore

from bench import Figure, Server, rates
from patriot.adapters.postgres.database import Database
from patriot.adapters.postgres.eventstore import PostgresEventStore
from patriot.adapters.postgres.shadow import rebuild
from patriot.kernel.aggregate import Decider
from patriot.kernel.bus import decode_all
from patriot.kernel.clock import SystemClock
from patriot.kernel.codec import encode, event
from patriot.kernel.eventstore import Context, NewEvent, StreamAppend, StreamKey
from patriot.kernel.ids import Ids
from patriot.kernel.projection import Recorded
from patriot.kernel.sql import Sql

CALLERS = 200  # at the same time
APPENDS_PER_CALLER = 25
EVENTS_PER_APPEND = 2  # as an order with its approval
PEER_CONNECTIONS = 8  # of threads, which is how the peer is used
LONG_STREAM_EVENTS = 10_000
CLOCK = SystemClock()
IDS = Ids(CLOCK)


@event("bench.filled")
@dataclass(frozen=True, slots=True)
class Filled:
    order_id: UUID
    trade_id: str
    quantity: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True)
class Order:
    filled: Decimal = Decimal(0)
    notional: Decimal = Decimal(0)


def evolve(order: Order, happened: Filled) -> Order:
    return replace(
        order, filled=order.filled + happened.quantity, notional=order.notional + happened.quantity * happened.price
    )


ORDER: Decider[Order, Any, Filled] = Decider(Order(), lambda *_: [], evolve)


class Fills:
    """A trivial projection: one row per fill."""

    name = "bench.fills"
    tables = ("bench_fills",)
    event_types = frozenset({"bench.filled"})

    async def apply(self, sql: Sql, batch: list[Recorded]) -> None:
        await sql.execute(
            "INSERT INTO read.bench_fills SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::numeric[], $4::numeric[])",
            [recorded.envelope.event_id for recorded in batch],
            [recorded.event.order_id for recorded in batch],
            [recorded.event.quantity for recorded in batch],
            [recorded.event.price for recorded in batch],
        )


DATA = encode(Filled(UUID(int=1), "t-1", Decimal("0.013"), Decimal("46319.50")))
CONTEXT = Context(IDS.new(), IDS.new(), IDS.new(), IDS.new())


def new_events(count: int) -> tuple[NewEvent, ...]:
    return tuple(NewEvent(IDS.new(), "bench.filled", 1, CLOCK.now(), DATA, CONTEXT) for _ in range(count))


async def measure(server: Server) -> list[Figure]:
    dsn = await server.fresh_database()
    database = await Database.connect(dsn)
    async with PostgresEventStore(database, CLOCK) as store:
        figures = [await batched(store), await sequential(store), *await folds(store)]
        figures.append(await rebuilt(dsn, database, store))
    await database.close()
    return figures + beside(figures, await peer(dsn))


async def batched(store: PostgresEventStore) -> Figure:
    async def caller() -> None:
        for _ in range(APPENDS_PER_CALLER):
            await store.append([StreamAppend(StreamKey("ORDER", IDS.new()), 0, new_events(EVENTS_PER_APPEND))])

    async def work() -> int:
        await asyncio.gather(*(caller() for _ in range(CALLERS)))
        return CALLERS * APPENDS_PER_CALLER * EVENTS_PER_APPEND

    note = f"{CALLERS} callers, {EVENTS_PER_APPEND} events each time"
    return Figure("durable appends, batched", "events/s", await rates(work), 10_000, 20_000, note=note)


async def sequential(store: PostgresEventStore) -> Figure:
    async def work() -> int:
        for _ in range(300):
            await store.append([StreamAppend(StreamKey("ORDER", IDS.new()), 0, new_events(1))])
        return 300

    return Figure("durable appends, one after another", "appends/s", await rates(work), note="1 event each time")


async def folds(store: PostgresEventStore) -> list[Figure]:
    stream = StreamKey("ORDER", IDS.new())
    await store.append([StreamAppend(stream, 0, new_events(LONG_STREAM_EVENTS))])
    history = await store.read_stream(stream)

    async def fold() -> int:
        ORDER.fold(decode_all(history))
        return len(history)

    async def load_and_fold() -> int:
        loaded = await store.read_stream(stream)
        ORDER.fold(decode_all(loaded))
        return len(loaded)

    return [
        Figure("fold of one stream", "events/s", await rates(fold), 100_000, 500_000, note="decoded and evolved"),
        Figure("load and fold of one stream", "events/s", await rates(load_and_fold), note="from the database"),
    ]


async def rebuilt(dsn: str, database: Database, store: PostgresEventStore) -> Figure:
    owner = await Database.connect(dsn, role=None)
    await owner.execute(
        "CREATE TABLE read.bench_fills (event_id uuid PRIMARY KEY, order_id uuid, quantity numeric, price numeric)"
    )
    await owner.close()

    async def work() -> int:
        return await rebuild(database, store.feed, Fills())

    return Figure("projection rebuild", "events/s", await rates(work), 20_000, 50_000, note="one row per event")


async def peer(dsn: str) -> list[Figure]:
    """Do the appends of `batched` and `sequential` with the public package, in its fastest documented setting."""
    parts = urlsplit(dsn)
    query = parse_qs(parts.query)
    datastore = PostgresDatastore(
        dbname=parts.path.removeprefix("/"),
        host=query.get("host", [parts.hostname or "localhost"])[0],
        port=query.get("port", [str(parts.port or 5432)])[0],
        user=unquote(parts.username or query.get("user", ["postgres"])[0]),
        password=unquote(parts.password or ""),
        pool_size=PEER_CONNECTIONS,
        schema="public",
        enable_db_functions=True,
    )
    recorder = PostgresApplicationRecorder(datastore)
    recorder.create_table()

    def append(count: int) -> None:
        stream, state = IDS.new(), DATA.encode()
        recorder.insert_events([StoredEvent(stream, n + 1, "bench:Filled", state) for n in range(count)])

    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(PEER_CONNECTIONS) as threads:

        async def concurrent() -> int:
            calls = CALLERS * APPENDS_PER_CALLER // 5  # a fifth of the work: the rate is what counts
            await asyncio.gather(*(loop.run_in_executor(threads, append, EVENTS_PER_APPEND) for _ in range(calls)))
            return calls * EVENTS_PER_APPEND

        async def one_by_one() -> int:
            for _ in range(300):
                append(1)
            return 300

        figures = [
            Figure("eventsourcing, concurrent appends", "events/s", await rates(concurrent)),
            Figure("eventsourcing, one after another", "appends/s", await rates(one_by_one)),
        ]
    datastore.close()
    return figures


def beside(ours: list[Figure], theirs: list[Figure]) -> list[Figure]:
    """Return the peer's figures with the ratio to ours."""
    return [
        replace(their, note=f"PATRIOT does {our.median / their.median:.1f} times as many")
        for our, their in zip(ours, theirs, strict=False)
    ]
