"""One client never sees another: the database itself hides the rows, whatever a query forgets."""

from collections.abc import AsyncIterator
from decimal import Decimal
from uuid import UUID, uuid5

import pytest
from asyncpg import InsufficientPrivilegeError

from patriot.adapters.postgres.database import Database
from patriot.kernel.sql import Sql
from patriot.trading.terms import UserId
from tests.portfolio.facts import ALICE, BOB, NOON

pytestmark = pytest.mark.integration

VALUES: dict[str, object] = {
    "integer": 1,
    "bigint": 1,
    "smallint": 1,
    "numeric": Decimal(1),
    "boolean": True,
    "timestamp with time zone": NOON,
    "date": NOON.date(),
    "jsonb": "{}",
    "bytea": b"",
    "ARRAY": [],
}


@pytest.fixture
async def app(database: str) -> AsyncIterator[Database]:
    connected = await Database.connect(database, max_connections=2)
    yield connected
    await connected.close()


@pytest.fixture
async def reader(database: str) -> AsyncIterator[Database]:
    connected = await Database.connect(database, role="patriot_reader", max_connections=2)
    yield connected
    await connected.close()


async def tenant_tables(sql: Sql) -> list[str]:
    """Every table of the read models that says whose rows it holds, by user or by account."""
    found = await sql.fetch(
        """
        SELECT DISTINCT table_name FROM information_schema.columns
        WHERE table_schema = 'read' AND column_name IN ('user_id', 'account_id') ORDER BY table_name
        """
    )
    return [row["table_name"] for row in found]


async def insert_row_of(sql: Sql, table: str, user_id: UserId) -> None:
    """Write a row of made-up values: the policies do not look at them."""
    columns = await sql.fetch(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'read' AND table_name = $1",
        table,
    )
    values = {row["column_name"]: made_up(row["column_name"], row["data_type"], user_id) for row in columns}
    numbers = ", ".join(f"${n}" for n in range(1, len(values) + 1))
    await sql.execute(f"INSERT INTO read.{table} ({', '.join(values)}) VALUES ({numbers})", *values.values())


def made_up(column: str, data_type: str, user_id: UserId) -> object:
    if column == "user_id":
        return user_id
    if data_type == "text":
        return str(user_id)  # some texts are unique
    return uuid5(user_id, column) if data_type == "uuid" else VALUES[data_type]


async def users_seen(sql: Sql, table: str) -> set[UUID]:
    return {row["user_id"] for row in await sql.fetch(f"SELECT user_id FROM read.{table}")}


async def fill_every_table(app: Database) -> list[str]:
    tables = await tenant_tables(app)
    for table in tables:
        for user in (ALICE, BOB):
            await insert_row_of(app, table, user)
    return tables


async def test_client_sees_only_its_own_rows_in_every_tenant_table(app: Database, reader: Database) -> None:
    tables = await fill_every_table(app)
    assert len(tables) >= 9
    async with reader.transaction() as sql:
        await sql.execute("SELECT set_config('patriot.user_id', $1, true)", str(ALICE))
        seen = {table: await users_seen(sql, table) for table in tables}
    assert seen == {table: {ALICE} for table in tables}


async def test_reader_that_names_no_user_sees_nothing(app: Database, reader: Database) -> None:
    tables = await fill_every_table(app)
    async with reader.transaction() as sql:
        await sql.execute("SELECT set_config('patriot.user_id', $1, true)", str(ALICE))
    assert {table: await users_seen(reader, table) for table in tables} == {table: set() for table in tables}


async def test_operator_sees_every_client(app: Database, database: str) -> None:
    tables = await fill_every_table(app)
    operator = await Database.connect(database, role="patriot_operator", max_connections=1)
    seen = {table: await users_seen(operator, table) for table in tables}
    await operator.close()
    assert seen == {table: {ALICE, BOB} for table in tables}


async def test_every_tenant_table_has_its_policies_forced(app: Database) -> None:
    tables = await tenant_tables(app)
    rows = await app.fetch(
        """
        SELECT relname, relrowsecurity AND relforcerowsecurity AS forced,
            (SELECT count(*) FROM pg_policy WHERE polrelid = pg_class.oid) AS policies
        FROM pg_class WHERE relnamespace = 'read'::regnamespace AND relname = ANY($1) ORDER BY relname
        """,
        tables,
    )
    assert {row["relname"]: (row["forced"], row["policies"]) for row in rows} == dict.fromkeys(tables, (True, 3))


@pytest.mark.parametrize("role", ["patriot_reader", "patriot_operator"])
async def test_readers_cannot_write_a_read_model_or_read_the_log(database: str, role: str) -> None:
    connected = await Database.connect(database, role=role, max_connections=1)
    for statement in ("DELETE FROM read.orders", "UPDATE read.ledger SET funding = 0", "SELECT 1 FROM eventing.events"):
        with pytest.raises(InsufficientPrivilegeError):
            await connected.execute(statement)
    await connected.close()
