"""What a keeper of policies' states must do, in memory and on PostgreSQL."""

from collections.abc import AsyncIterator
from typing import cast

import pytest

from patriot.adapters.postgres.database import Database
from patriot.adapters.postgres.snapshots import PostgresSnapshots
from patriot.kernel.eventstore import Place
from patriot.kernel.memory import MemorySnapshots
from patriot.kernel.policy import Snapshot, Snapshots

pytestmark = pytest.mark.integration


@pytest.fixture
async def on_memory() -> Snapshots:
    return MemorySnapshots()


@pytest.fixture
async def on_postgres(database: str) -> AsyncIterator[Snapshots]:
    pool = await Database.connect(database)
    yield PostgresSnapshots(pool)
    await pool.close()


@pytest.fixture(params=["on_memory", pytest.param("on_postgres", marks=pytest.mark.postgres)])
def given(request: pytest.FixtureRequest) -> Snapshots:
    return cast("Snapshots", request.getfixturevalue(request.param))


async def test_state_is_given_back_as_saved_under_its_name(given: Snapshots) -> None:
    assert await given.load("risk") is None
    for snapshot in (Snapshot(Place("7.9"), b"\x00\xff"), Snapshot(Place("8.1"), b"")):
        await given.save("risk", snapshot)
        assert await given.load("risk") == snapshot
    assert await given.load("billing") is None


async def test_state_that_other_code_folded_is_not_given_back(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = await Database.connect(database)
    snapshots = PostgresSnapshots(pool)
    await snapshots.save("risk", Snapshot(Place("7.9"), b"old"))
    monkeypatch.setattr("patriot.adapters.postgres.snapshots.code_version", lambda: "other code")
    assert await snapshots.load("risk") is None
    await snapshots.save("risk", Snapshot(Place("7.9"), b"new"))
    assert await snapshots.load("risk") == Snapshot(Place("7.9"), b"new")
    await pool.close()
