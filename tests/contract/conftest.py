"""The two places that keep events: in memory, and on PostgreSQL."""

from collections.abc import AsyncIterator

import pytest

from patriot.adapters.postgres.database import Database
from patriot.adapters.postgres.eventstore import PostgresEventStore
from patriot.adapters.postgres.leases import PostgresLeases
from patriot.kernel.clock import FakeClock
from patriot.kernel.ids import Ids
from patriot.kernel.memory import MemoryEventStore, MemoryLeases
from tests.contract.stored import Stored


@pytest.fixture
async def stored_in_memory() -> Stored:
    clock = FakeClock()
    leases = MemoryLeases(clock)
    store = MemoryEventStore(clock, leases)
    return Stored(store, store.feed, leases, Ids(clock), clock)


@pytest.fixture
async def stored_on_postgres(database: str) -> AsyncIterator[Stored]:
    clock = FakeClock()
    pool = await Database.connect(database)
    async with PostgresEventStore(pool, clock) as store:
        yield Stored(store, store.feed, PostgresLeases(pool), Ids(clock), clock)
    await pool.close()
