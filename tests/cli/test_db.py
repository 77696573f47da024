"""`patriot db adopt` on a real server, as an operator types it."""

import asyncio
from pathlib import Path

import pytest

from patriot.adapters.postgres.database import Database
from patriot.adapters.postgres.projections import CREATE
from tests.cli.kit import patriot

pytestmark = pytest.mark.integration


async def run(home: Path, dsn: str, *words: str) -> tuple[int, str]:
    done = await asyncio.to_thread(patriot, "db", *words, home=home, DATABASE_URL=dsn)
    return done.returncode, done.stdout + done.stderr


async def test_log_that_can_be_read_to_its_end_needs_no_adoption(database: str, tmp_path: Path) -> None:
    assert await run(tmp_path, database, "adopt") == (0, "nothing to adopt: this log can be read to its end\n")


async def test_read_model_ahead_of_a_restored_log_is_refused_then_adopted_and_rebuilt(
    database: str, tmp_path: Path
) -> None:
    pool = await Database.connect(database)
    await pool.execute(CREATE, "orders")
    await pool.execute("UPDATE eventing.projections SET place = '99999.7' WHERE name = 'orders'")
    await pool.close()

    code, said = await run(tmp_path, database, "rebuild", "all")
    assert (code, "run `patriot db adopt`" in said) == (2, True), said
    code, said = await run(tmp_path, database, "adopt")
    assert code == 0, said
    assert "read model orders had handled events that this log does not hold" in said
    assert "orders: rebuilt from 0 events" in said
    assert await run(tmp_path, database, "adopt") == (0, "nothing to adopt: this log can be read to its end\n")
