"""What leases must do, in memory and on PostgreSQL."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

import pytest

from patriot.adapters.postgres.database import Database
from patriot.adapters.postgres.leases import PostgresLeases
from patriot.kernel.clock import FakeClock
from patriot.kernel.errors import LeaseLost
from patriot.kernel.eventstore import Fence
from patriot.kernel.lease import LEASE_TTL, Leases
from patriot.kernel.memory import MemoryLeases

pytestmark = pytest.mark.integration


@dataclass(frozen=True)
class Given:
    leases: Leases
    let_expire: Callable[[str], Awaitable[object]]


@pytest.fixture
async def on_memory() -> Given:
    clock = FakeClock()

    async def let_expire(_: str) -> None:
        clock.advance(LEASE_TTL + timedelta(seconds=1))

    return Given(MemoryLeases(clock), let_expire)


@pytest.fixture
async def on_postgres(database: str) -> AsyncIterator[Given]:
    pool = await Database.connect(database)

    async def let_expire(name: str) -> object:  # the database's clock cannot be moved, so the lease's end is
        return await pool.execute(
            "UPDATE eventing.leases SET expires_at = now() - interval '1 s' WHERE name = $1", name
        )

    yield Given(PostgresLeases(pool), let_expire)
    await pool.close()


@pytest.fixture(params=["on_memory", pytest.param("on_postgres", marks=pytest.mark.postgres)])
def given(request: pytest.FixtureRequest) -> Given:
    return cast("Given", request.getfixturevalue(request.param))


async def test_first_owner_gets_the_lease(given: Given) -> None:
    assert await given.leases.acquire("account-1", "worker-a") == Fence("account-1", 1)


async def test_running_lease_is_refused_to_another_owner(given: Given) -> None:
    await given.leases.acquire("account-1", "worker-a")
    assert await given.leases.acquire("account-1", "worker-b") is None
    assert await given.leases.acquire("account-2", "worker-b") == Fence("account-2", 1)


async def test_same_owner_renews_under_its_token(given: Given) -> None:
    fence = await given.leases.acquire("account-1", "worker-a")
    assert await given.leases.acquire("account-1", "worker-a") == fence


async def test_expired_lease_goes_to_the_next_owner_under_a_new_token(given: Given) -> None:
    fence = await given.leases.acquire("account-1", "worker-a")
    assert fence is not None
    await given.let_expire("account-1")
    assert await given.leases.acquire("account-1", "worker-b") == Fence("account-1", 2)
    with pytest.raises(LeaseLost, match="worker-a"):
        await given.leases.renew(fence, "worker-a")


async def test_owner_that_comes_back_after_its_lease_ran_out_gets_a_new_token(given: Given) -> None:
    await given.leases.acquire("account-1", "worker-a")
    await given.let_expire("account-1")
    assert await given.leases.acquire("account-1", "worker-a") == Fence("account-1", 2)


async def test_renewed_lease_runs_on(given: Given) -> None:
    fence = await given.leases.acquire("account-1", "worker-a")
    assert fence is not None
    await given.let_expire("account-1")
    await given.leases.renew(fence, "worker-a")
    assert await given.leases.acquire("account-1", "worker-b") is None


async def test_released_lease_is_free_and_its_token_is_not_used_again(given: Given) -> None:
    fence = await given.leases.acquire("account-1", "worker-a")
    assert fence is not None
    await given.leases.release(fence, "worker-a")
    assert await given.leases.acquire("account-1", "worker-b") == Fence("account-1", 2)


async def test_deposed_owner_cannot_release_its_successor(given: Given) -> None:
    old = await given.leases.acquire("account-1", "worker-a")
    assert old is not None
    await given.let_expire("account-1")
    await given.leases.acquire("account-1", "worker-b")
    await given.leases.release(old, "worker-a")
    assert await given.leases.acquire("account-1", "worker-c") is None


async def test_lease_is_held_while_it_runs_and_until_it_is_let_go(given: Given) -> None:
    assert not await given.leases.is_held("account-1")
    fence = await given.leases.acquire("account-1", "worker-a")
    assert fence is not None
    assert await given.leases.is_held("account-1")
    assert not await given.leases.is_held("account-2")
    await given.leases.release(fence, "worker-a")
    assert not await given.leases.is_held("account-1")
    await given.leases.acquire("account-1", "worker-b")
    await given.let_expire("account-1")
    assert not await given.leases.is_held("account-1")
