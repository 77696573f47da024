"""What only leases on PostgreSQL can do; the rest is in tests/contract/test_leases.py."""

import pytest

from patriot.adapters.postgres.database import Database
from patriot.adapters.postgres.leases import PostgresLeases
from patriot.kernel.eventstore import Fence

pytestmark = pytest.mark.integration


async def test_leases_of_dead_owners_that_are_let_go_are_free_at_once_with_a_new_token(database: str) -> None:
    pool = await Database.connect(database)
    leases = PostgresLeases(pool)
    await leases.acquire("account-1", "dead")
    await leases.acquire("account-2", "dead")

    await leases.release_all()

    assert await leases.acquire("account-1", "alive") == Fence("account-1", 2)
    assert await leases.acquire("account-2", "alive") == Fence("account-2", 2)
    await pool.close()
