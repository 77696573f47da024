"""The pool's own promises: transactions, the kernel's errors, the verifier over a real log."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from patriot.adapters.postgres.checkpoints import PostgresCheckpoints
from patriot.adapters.postgres.database import Database
from patriot.adapters.postgres.eventstore import PostgresEventStore
from patriot.adapters.postgres.integrity import verify_log
from patriot.kernel.clock import FakeClock
from patriot.kernel.errors import StoreUnavailable
from patriot.kernel.eventstore import START, Context, NewEvent, Place, StreamAppend, StreamKey
from patriot.kernel.ids import Ids

pytestmark = pytest.mark.integration


@pytest.fixture
async def pool(database: str) -> AsyncIterator[Database]:
    pool = await Database.connect(database)
    yield pool
    await pool.close()


INSERT = "INSERT INTO eventing.checkpoints (name, place) VALUES ($1, '1.1')"


async def names(pool: Database) -> list[str]:
    return [row["name"] for row in await pool.fetch("SELECT name FROM eventing.checkpoints ORDER BY name")]


@pytest.mark.parametrize("durable", [True, False])
async def test_transaction_commits_at_its_end(pool: Database, durable: bool) -> None:
    async with pool.transaction(durable=durable) as sql:
        await sql.execute(INSERT, "a")
        await sql.executemany(INSERT, [("b",), ("c",)])
        assert await names(pool) == []
    assert await names(pool) == ["a", "b", "c"]


async def test_transaction_that_fails_leaves_nothing(pool: Database) -> None:
    async def fail() -> None:
        async with pool.transaction() as sql:
            await sql.execute(INSERT, "a")
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        await fail()
    assert await names(pool) == []


async def test_error_swallowed_inside_a_transaction_does_not_look_like_a_commit(pool: Database) -> None:
    async def swallow() -> None:
        async with pool.transaction() as sql:
            await sql.execute(INSERT, "a")
            with pytest.raises(asyncpg.UniqueViolationError):
                await sql.execute(INSERT, "a")

    with pytest.raises(RuntimeError, match="nothing of it was committed"):
        await swallow()
    assert await names(pool) == []


async def test_transaction_whose_client_stands_still_is_ended_so_that_readers_of_the_log_go_on(pool: Database) -> None:
    (limit,) = await pool.fetch("SELECT current_setting('idle_in_transaction_session_timeout') AS it")
    assert limit["it"] == "10s"

    async def stand_still() -> None:
        async with pool.transaction() as sql:
            await sql.execute("SET LOCAL idle_in_transaction_session_timeout = 20")
            await sql.execute(INSERT, "a")
            await pool.fetch("SELECT pg_sleep(0.3)")  # on another connection
            await sql.execute(INSERT, "b")

    with pytest.raises(StoreUnavailable):
        await stand_still()
    assert await names(pool) == []
    await pool.execute(INSERT, "c")


async def test_canceled_transaction_gives_its_connection_back(database: str) -> None:
    pool = await Database.connect(database, max_connections=1)

    async def hang() -> None:
        async with pool.transaction() as sql:
            await sql.execute(INSERT, "a")
            await sql.execute("SELECT pg_sleep(60)")

    hanging = asyncio.create_task(hang())
    await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await asyncio.shield(hanging)
    hanging.cancel()
    async with asyncio.timeout(5):
        assert await names(pool) == []
    await pool.close()


async def test_ended_sessions_are_unavailable_once_and_then_made_again(pool: Database, database: str) -> None:
    owner = await Database.connect(database, role=None)

    async def lose_session() -> None:
        async with pool.transaction() as sql:
            (row,) = await sql.fetch("SELECT pg_backend_pid() AS pid")
            await owner.execute("SELECT pg_terminate_backend($1)", row["pid"])
            await sql.execute(INSERT, "a")

    with pytest.raises(StoreUnavailable):
        await lose_session()
    await pool.execute(INSERT, "b")
    assert await names(pool) == ["b"]
    await owner.close()


async def test_statement_over_its_deadline_is_unavailable(database: str) -> None:
    pool = await Database.connect(database, command_timeout_seconds=0.1)
    with pytest.raises(StoreUnavailable):
        await pool.execute("SELECT pg_sleep(60)")
    await pool.close()


async def test_absent_server_is_unavailable() -> None:
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        await Database.connect("postgresql://postgres@127.0.0.1:1/none")


async def test_mistake_in_an_argument_is_not_taken_for_an_absent_server(pool: Database) -> None:
    with pytest.raises(asyncpg.DataError):
        await pool.execute(INSERT, 5)


async def test_checkpoint_is_given_back_as_saved(pool: Database) -> None:
    checkpoints = PostgresCheckpoints(pool)
    assert await checkpoints.load("relay") == START
    for place in (Place("7.9"), Place("any text of another feed")):
        await checkpoints.save("relay", place)
        assert await checkpoints.load("relay") == place
    assert await checkpoints.load("other") == START


@pytest.mark.parametrize(
    ("forgery", "problem"),
    [
        ("UPDATE eventing.events SET data = '{\"n\":2}' WHERE stream_version = 2", "of its content"),
        ("DELETE FROM eventing.events WHERE stream_version = 2", "expected version 2 here, found 3"),
        ("DELETE FROM eventing.events WHERE stream_version = 3", "expected the stream to end at version 3"),
    ],
)
async def test_forgery_behind_the_trigger_is_found(pool: Database, database: str, forgery: str, problem: str) -> None:
    clock = FakeClock()
    ids = Ids(clock)
    events = tuple(NewEvent(ids.new(), "toy.x", 1, clock.now(), '{"n":1}', Context(ids.new())) for _ in range(3))
    async with PostgresEventStore(pool, clock) as store:
        await store.append([StreamAppend(StreamKey("TOY", ids.new()), 0, events)])
        honest = await verify_log(pool, store.feed)
        assert (honest.ok, honest.events, honest.streams) == (True, 3, 1)
        owner = await Database.connect(database, role=None)
        async with owner.transaction() as sql:
            await sql.execute("SET LOCAL session_replication_role = replica")  # no trigger fires
            await sql.execute(forgery)
        await owner.close()
        forged = await verify_log(pool, store.feed)
    assert problem in " ".join(fault.problem for fault in forged.faults)
