"""Migrations run once, one process at a time, and refuse a schema from the future."""

from __future__ import annotations

import asyncio
import re
from importlib import import_module
from pathlib import Path

import asyncpg
import pytest
from alembic.script import ScriptDirectory

from patriot.adapters.postgres.migrate import FOLDER, migrate, newest_version
from patriot.kernel.errors import StartupError
from tests.conftest import dsn_of, execute

pytestmark = pytest.mark.integration


async def version_of(dsn: str) -> str:
    connection = await asyncpg.connect(dsn)
    try:
        return str(await connection.fetchval("SELECT version_num FROM alembic_version"))
    finally:
        await connection.close()


async def test_migrated_database_has_the_newest_version(database: str) -> None:
    assert await version_of(database) == newest_version()


async def test_migrating_again_changes_nothing(database: str) -> None:
    await migrate(database)
    assert await version_of(database) == newest_version()


async def test_four_processes_that_migrate_at_once_all_succeed(postgres_server: str) -> None:
    await execute(postgres_server, "CREATE DATABASE empty_at_once")
    dsn = dsn_of(postgres_server, "empty_at_once")
    await asyncio.gather(*(migrate(dsn) for _ in range(4)))
    assert await version_of(dsn) == newest_version()
    await execute(postgres_server, "DROP DATABASE empty_at_once")


async def test_schema_from_a_newer_release_is_refused(database: str) -> None:
    await execute(database, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StartupError, match="schema 9999"):
        await migrate(database)


def test_versions_form_one_line_numbered_as_their_files() -> None:
    scripts = list(ScriptDirectory(str(FOLDER)).walk_revisions())[::-1]
    numbers = [script.revision for script in scripts]
    assert numbers == [f"{number:04d}" for number in range(1, len(scripts) + 1)]
    for script, before in zip(scripts, [None, *numbers], strict=False):
        assert Path(script.path).name.startswith(script.revision)
        assert script.down_revision == before


def test_no_migration_leaves_its_transaction() -> None:
    for path in (FOLDER / "versions").glob("*.py"):
        text = path.read_text()
        assert not re.search(r"^\s*(COMMIT|ROLLBACK|BEGIN)\s*;|CONCURRENTLY", text, re.IGNORECASE | re.MULTILINE), path


async def test_rows_of_an_older_fold_are_emptied_and_folded_from_the_start(database: str) -> None:
    some = "00000000-0000-0000-0000-000000000001"
    await execute(
        database,
        f"INSERT INTO read.ledger_accounts VALUES ('{some}', '{some}', 'USDT')",
        "INSERT INTO eventing.projections (name, place, status) VALUES ('ledger', '0.7.9', 'RUNNING')",
        "INSERT INTO eventing.projections (name, place, status) VALUES ('strategies', '0.7.9', 'RUNNING')",
        import_module("patriot.adapters.postgres.migrations.versions.0014_fold_again").UPGRADE,
    )
    connection = await asyncpg.connect(database)
    rows = await connection.fetch("SELECT name, place FROM eventing.projections")
    left = await connection.fetchval("SELECT count(*) FROM read.ledger_accounts")
    await connection.close()
    assert ({row["name"]: row["place"] for row in rows}, left) == ({"ledger": "", "strategies": "0.7.9"}, 0)
