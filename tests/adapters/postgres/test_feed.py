"""What only a real server can show: late commits, other processes, an append-only table, a server that goes away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import pytest

from patriot.adapters.postgres import feed
from patriot.adapters.postgres.database import APP_ROLE, Database
from patriot.adapters.postgres.eventstore import PostgresEventStore
from patriot.kernel.clock import FakeClock
from patriot.kernel.eventstore import START, Context, NewEvent, Place, StreamAppend, StreamKey
from patriot.kernel.ids import Ids
from tests.support import eventually

pytestmark = pytest.mark.integration

CLOCK = FakeClock()
IDS = Ids(CLOCK)


@dataclass(frozen=True)
class Process:
    """One process of the platform: its own pool and its own store."""

    database: Database
    store: PostgresEventStore

    async def append(self, count: int = 1) -> list[UUID]:
        events = tuple(
            NewEvent(IDS.new(), "toy.happened", 1, CLOCK.now(), "{}", Context(IDS.new())) for _ in range(count)
        )
        await self.store.append([StreamAppend(StreamKey("TOY", IDS.new()), 0, events)])
        return [event.event_id for event in events]

    async def read(self, after: Place = START) -> list[UUID]:
        return [envelope.event_id for envelope in (await self.store.feed.read(after, limit=100_000)).events]


@pytest.fixture
async def start(database: str) -> AsyncIterator["Start"]:
    async with AsyncExitStack() as stack:
        yield Start(database, stack)


class Start:
    def __init__(self, dsn: str, stack: AsyncExitStack) -> None:
        self._dsn = dsn
        self._stack = stack

    async def __call__(self, role: str | None = APP_ROLE) -> Process:
        pool = await Database.connect(self._dsn, role=role)
        self._stack.push_async_callback(pool.close)
        return Process(pool, await self._stack.enter_async_context(PostgresEventStore(pool, CLOCK)))


async def test_reader_does_not_pass_a_transaction_that_commits_late(start: Start) -> None:
    writer, reader = await start(), await start()
    before = await writer.append()
    async with writer.database.transaction() as late:
        await late.execute("SELECT pg_current_xact_id()")  # the slow append has its place in the order
        after = await writer.append()
        assert await reader.read() == before
        assert await reader.store.feed.newest() != (await reader.store.feed.read(START)).next  # it stays behind
    assert await reader.read() == before + after


async def test_waiting_reader_wakes_when_what_held_it_back_has_ended(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "POLL_SECONDS", 3600.0)
    writer, reader = await start(), await start()
    async with writer.database.transaction() as late:
        await late.execute("SELECT pg_current_xact_id()")
        written = await writer.append()
        waiting = asyncio.create_task(reader.store.feed.wait(START, timeout_seconds=30))
        for _ in range(50):  # until what the append announced has been heard
            assert await reader.read() == []
        assert not waiting.done()
    async with asyncio.timeout(5):
        await waiting
    assert await reader.read() == written


async def test_append_of_one_process_wakes_readers_of_another(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "POLL_SECONDS", 3600.0)
    writer, reader = await start(), await start()
    waiting = asyncio.create_task(reader.store.feed.wait(START, timeout_seconds=30))
    owner = await start(role=None)  # sees what other sessions do
    await eventually(lambda: has_listener(owner.database))
    written = await writer.append()
    async with asyncio.timeout(5):
        await waiting
    assert await reader.read() == written


async def test_reader_at_the_head_waits_until_something_comes(start: Start) -> None:
    writer, reader = await start(), await start()
    await writer.append()
    head = (await reader.store.feed.read(START)).next
    fresh = await start()
    waiting = asyncio.create_task(fresh.store.feed.wait(head, timeout_seconds=30))
    assert not (await asyncio.wait({waiting}, timeout=0.3))[0]
    await writer.append()
    async with asyncio.timeout(5):
        await waiting


async def test_tailing_reader_sees_every_event_once_under_many_writers(start: Start) -> None:
    writers, reader = [await start() for _ in range(3)], await start()
    seen: list[UUID] = []
    wanted: list[UUID] = []

    async def write(writer: Process, lane: int) -> None:
        for n in range(40):
            wanted.extend(await writer.append(1 + (n + lane) % 3))

    async def delay() -> None:  # other transactions of the server, some long, some that give up
        for _ in range(40):
            async with writers[0].database.transaction(durable=False) as sql:
                await sql.execute("SELECT pg_current_xact_id(), pg_sleep(0.01)")

    async def tail() -> None:
        place = START
        while True:
            page = await reader.store.feed.read(place, limit=7)
            seen.extend(envelope.event_id for envelope in page.events)
            place = page.next
            await reader.store.feed.wait(place, timeout_seconds=1)

    tailing = asyncio.create_task(tail())
    await asyncio.gather(delay(), *(write(writer, lane) for lane in range(4) for writer in writers))
    await eventually(lambda: len(seen) >= len(wanted), deadline_s=10)
    tailing.cancel()
    assert len(seen) == len(set(seen)) == len(wanted)
    assert set(seen) == set(wanted)


async def test_racing_processes_create_a_stream_once(start: Start) -> None:
    processes = [await start() for _ in range(3)]
    for _ in range(10):
        stream = StreamKey("TOY", IDS.new())
        event = [NewEvent(IDS.new(), "toy.happened", 1, CLOCK.now(), "{}", Context(IDS.new())) for _ in processes]
        answers = await asyncio.gather(
            *(p.store.append([StreamAppend(stream, 0, (e,))]) for p, e in zip(processes, event, strict=True)),
            return_exceptions=True,
        )
        assert sum(not isinstance(answer, BaseException) for answer in answers) == 1
        assert len(await processes[0].store.read_stream(stream)) == 1


@pytest.mark.parametrize(
    "statement",
    ["UPDATE eventing.events SET data = '{}'", "DELETE FROM eventing.events", "TRUNCATE eventing.events"],
)
async def test_history_cannot_be_changed_by_the_application_nor_by_the_owner(
    start: Start, database: str, statement: str
) -> None:
    process = await start()
    await process.append()
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
        await process.database.execute(statement)
    owner = await Database.connect(database, role=None)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await owner.execute(statement)
    await owner.close()
    assert len(await process.read()) == 1


async def test_log_longer_than_the_window_in_memory_is_read_whole(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("patriot.adapters.postgres.feed.WINDOW_EVENTS", 20)
    process = await start()
    written = await process.append(5)

    async def all_is_read() -> bool:
        return await process.read() == written  # the server's own work may hold a reader back for a moment

    await eventually(all_is_read)
    for _ in range(12):
        written += await process.append(5)
        assert (await process.store.feed.read(START, limit=1)).events[0].event_id == written[0]
        await eventually(all_is_read)


async def has_listener(database: Database) -> bool:
    rows = await database.fetch(
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
    )
    return bool(rows)
