"""The two places that keep events: in memory, and on PostgreSQL."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from patriot.adapters.postgres.database import Database
from patriot.adapters.postgres.eventstore import PostgresEventStore
from patriot.adapters.postgres.leases import PostgresLeases
from patriot.kernel.clock import FakeClock
from patriot.kernel.ids import Ids
from patriot.kernel.lease import LEASE_TTL
from patriot.kernel.memory import MemoryEventStore, MemoryLeases
from tests.contract.stored import Stored


@pytest.fixture
async def stored_in_memory() -> Stored:
    clock = FakeClock()
    leases = MemoryLeases(clock)
    store = MemoryEventStore(clock, leases)

    async def let_expire(_: str) -> None:
        clock.advance(LEASE_TTL + timedelta(seconds=1))

    return Stored(store, store.feed, leases, Ids(clock), clock, let_expire)


@pytest.fixture
async def stored_on_postgres(database: str) -> AsyncIterator[Stored]:
    clock = FakeClock()
    pool = await Database.connect(database)

    async def let_expire(name: str) -> object:  # the database's clock cannot be moved, so the lease's end is
        return await pool.execute(
            "UPDATE eventing.leases SET expires_at = now() - interval '1 s' WHERE name = $1", name
        )

    async with PostgresEventStore(pool, clock) as store:
        yield Stored(store, store.feed, PostgresLeases(pool), Ids(clock), clock, let_expire)
    await pool.close()
