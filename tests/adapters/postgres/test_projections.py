"""Projections on a real server: kept up to date, rebuilt, compared."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

import pytest

from patriot.adapters.postgres.database import APP_ROLE, Database
from patriot.adapters.postgres.eventstore import PostgresEventStore
from patriot.adapters.postgres.evidence import PostgresEvidence
from patriot.adapters.postgres.projections import ProjectionRunner
from patriot.adapters.postgres.shadow import Difference, compare, rebuild
from patriot.kernel.bus import CommandBus
from patriot.kernel.clock import FakeClock
from patriot.kernel.errors import CommandRefused
from patriot.kernel.eventstore import START, Envelope, Place
from patriot.kernel.feed import PAGE_EVENTS, LogFeed
from patriot.kernel.ids import Ids
from patriot.kernel.projection import Recorded
from patriot.kernel.sql import Row, Sql
from tests.kernel.toys import CONTEXT, Credit, Credited, register
from tests.support import eventually

pytestmark = pytest.mark.integration

ALICE, BOB = UUID(int=100), UUID(int=200)


class Balances:
    """Balance and number of changes of each account."""

    name = "toy.balances"
    tables = ("toy_balances",)
    event_types = frozenset({"toy.credited", "toy.debited"})

    async def apply(self, sql: Sql, batch: list[Recorded]) -> None:
        for recorded in batch:
            event = recorded.event
            await sql.execute(
                "INSERT INTO read.toy_balances VALUES ($1, $2, 1) ON CONFLICT (account_id) DO UPDATE"
                " SET balance = toy_balances.balance + excluded.balance, changes = toy_balances.changes + 1",
                event.account_id,
                event.amount if isinstance(event, Credited) else -event.amount,
            )


class FeedThatStirs:
    """A feed, and what happens once, when a page of it was read for the first time."""

    def __init__(self, feed: LogFeed, stir: Callable[[], Awaitable[None]]) -> None:
        self._feed = feed
        self._stir: Callable[[], Awaitable[None]] | None = stir

    def __getattr__(self, name: str) -> Any:
        return getattr(self._feed, name)

    async def scan(self, after: Place = START, page: int = PAGE_EVENTS) -> AsyncIterator[list[Envelope]]:
        async for events in self._feed.scan(after, page):
            if self._stir is not None:
                await self._stir()
                self._stir = None
            yield events


class World:
    def __init__(self, database: Database, store: PostgresEventStore) -> None:
        clock = FakeClock()
        self.database = database
        self.store = store
        self.bus = register(CommandBus(store, clock, Ids(clock)))
        self.projection = Balances()

    def runner(self) -> ProjectionRunner:
        return ProjectionRunner(self.database, self.store.feed, self.projection)

    async def credit(self, account: UUID, *amounts: str) -> None:
        for amount in amounts:
            await self.bus.dispatch(Credit(account, Decimal(amount)), CONTEXT)

    async def rows(self) -> list[Row]:
        return list(await self.database.fetch("SELECT * FROM read.toy_balances ORDER BY account_id"))

    async def spoil(self, sql: str) -> None:
        await self.database.execute(sql)


@pytest.fixture
async def world(database: str) -> AsyncIterator[World]:
    owner = await Database.connect(database, role=None)
    await owner.execute(
        "CREATE TABLE read.toy_balances (account_id uuid PRIMARY KEY, balance numeric NOT NULL, changes int NOT NULL)"
    )
    await owner.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON read.toy_balances TO {APP_ROLE}")
    await owner.close()
    pool = await Database.connect(database)
    async with PostgresEventStore(pool, FakeClock()) as store:
        yield World(pool, store)
    await pool.close()


async def test_rows_follow_the_log_across_restarts_of_the_runner(world: World) -> None:
    await world.credit(ALICE, "1.50", "2.25")
    await world.runner().drain()
    await world.credit(BOB, "3")
    await world.runner().drain()
    rows = [(row["account_id"], row["balance"], row["changes"]) for row in await world.rows()]
    assert rows == [(ALICE, Decimal("3.75"), 2), (BOB, Decimal(3), 1)]


async def test_running_projection_sees_an_append_without_being_asked(world: World) -> None:
    running = asyncio.create_task(world.runner().run())
    await world.credit(ALICE, "1")
    await eventually(world.rows)
    await world.credit(BOB, "1")
    await eventually(lambda: is_long(world, 2))
    running.cancel()


async def test_failed_batch_leaves_neither_rows_nor_position(world: World) -> None:
    await world.credit(ALICE, "1")
    world.projection.apply = failing  # type: ignore[method-assign]
    with pytest.raises(ArithmeticError):
        await world.runner().drain()
    world.projection = Balances()
    await world.runner().drain()
    assert [row["changes"] for row in await world.rows()] == [1]


async def test_two_runners_apply_each_event_once(world: World) -> None:
    runners = [world.runner(), world.runner()]
    for _ in range(10):
        await world.credit(ALICE, "1")
        await asyncio.gather(*(runner.drain() for runner in runners))
    assert [row["changes"] for row in await world.rows()] == [10]


async def test_rebuild_gives_the_same_rows_from_nothing(world: World) -> None:
    await world.credit(ALICE, "1.50", "2.25")
    await world.credit(BOB, "3")
    runner = world.runner()
    await runner.drain()
    before = await world.rows()
    await world.spoil("UPDATE read.toy_balances SET balance = 99")
    assert await rebuild(world.database, world.store.feed, world.projection) == 3
    assert await world.rows() == before
    await world.credit(BOB, "4")
    await runner.drain()  # the runner that was there before goes on
    assert [row["changes"] for row in await world.rows()] == [2, 2]


async def test_rebuild_beside_appends_and_a_runner_loses_nothing(world: World) -> None:
    running = asyncio.create_task(world.runner().run())
    writing = asyncio.create_task(world.credit(ALICE, *["1"] * 150))
    for _ in range(3):
        await rebuild(world.database, world.store.feed, world.projection)
    await writing
    await eventually(lambda: has_changes(world, 150))
    running.cancel()
    assert await compare(world.database, world.store.feed, world.projection) == []


async def test_comparison_finds_a_changed_digit_a_lost_row_and_an_extra_one(world: World) -> None:
    await world.credit(ALICE, "1.50")
    await world.credit(BOB, "2")
    await world.runner().drain()
    assert await compare(world.database, world.store.feed, world.projection) == []
    await world.spoil(f"UPDATE read.toy_balances SET balance = 1.5 WHERE account_id = '{ALICE}'")
    assert await compare(world.database, world.store.feed, world.projection) == [
        Difference("toy_balances", (str(ALICE),), "balance", "1.5", "1.50")
    ]
    await world.spoil("DELETE FROM read.toy_balances")
    await world.spoil(f"INSERT INTO read.toy_balances VALUES ('{UUID(int=300)}', 1, 1)")
    found = await compare(world.database, world.store.feed, world.projection)
    assert [(d.key[0], d.column, d.live is None, d.rebuilt is None) for d in found] == [
        (str(ALICE), None, True, False),
        (str(BOB), None, True, False),
        (str(UUID(int=300)), None, False, True),
    ]


@pytest.mark.parametrize("more", [(), ("4",)], ids=["to the end of the log", "and no further"])
async def test_comparison_follows_a_projection_that_is_behind_and_moves_meanwhile(
    world: World, more: tuple[str, ...]
) -> None:
    await world.credit(ALICE, "1")
    await world.runner().drain()
    await world.credit(BOB, "2")
    assert await compare(world.database, world.store.feed, world.projection) == []

    async def move() -> None:
        await world.credit(ALICE, "3")
        await world.runner().drain()
        await world.credit(BOB, *more)

    feed = cast("LogFeed", FeedThatStirs(world.store.feed, move))
    assert await compare(world.database, feed, world.projection) == []
    assert [row["balance"] for row in await world.rows()] == [Decimal(4), Decimal(2)]


async def test_tables_that_a_killed_rebuild_left_are_neither_used_nor_kept(world: World) -> None:
    await world.credit(ALICE, "1.50")
    await world.runner().drain()
    before = await world.rows()
    await world.spoil("CREATE TABLE read_shadow.toy_balances AS SELECT * FROM read.toy_balances")

    assert await rebuild(world.database, world.store.feed, world.projection) == 1
    assert await world.rows() == before
    assert await world.database.fetch("SELECT 1 FROM pg_tables WHERE schemaname = 'read_shadow'") == []


async def test_second_rebuild_of_a_projection_is_refused_while_one_runs(world: World) -> None:
    await world.credit(ALICE, "1")
    first, second = await asyncio.gather(
        *(rebuild(world.database, world.store.feed, world.projection) for _ in range(2)), return_exceptions=True
    )
    assert {type(first), type(second)} == {int, CommandRefused}


async def failing(sql: Sql, batch: list[Recorded]) -> None:
    await sql.execute("INSERT INTO read.toy_balances VALUES ($1, 1, 1)", batch[0].event.account_id)
    raise ArithmeticError("after the first row")


async def is_long(world: World, count: int) -> bool:
    return len(await world.rows()) == count


async def has_changes(world: World, count: int) -> bool:
    return [row["changes"] for row in await world.rows()] == [count]


async def test_evidence_of_a_database_tells_rows_checkpoints_differences_and_settings(world: World) -> None:
    await world.credit(ALICE, "1")
    await world.credit(BOB, "2")
    await world.runner().drain()
    evidence = PostgresEvidence(world.database, world.store.feed, [world.projection])

    assert await evidence.rows() == 2
    assert await evidence.differences() == []
    assert await evidence.checkpoints() == {f"read model {world.projection.name}": await world.store.feed.newest()}
    assert (await evidence.chain()).events == 2
    assert (await evidence.settings()).keys() == {"fsync", "synchronous_commit", "full_page_writes"}

    await world.spoil(f"UPDATE read.toy_balances SET balance = 9 WHERE account_id = '{BOB}'")
    assert await evidence.differences() == [f"toy_balances {BOB} balance: 9, rebuilt 2"]
