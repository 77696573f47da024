"""What every vault must do, in memory and on PostgreSQL."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import cast

import pytest

from patriot.accounts.ports import ApiKey
from patriot.adapters.postgres.database import Database
from patriot.adapters.vault import MasterKey, MemoryShelf, PostgresShelf, Vault
from patriot.kernel.errors import CommandRefused, NotFound
from tests.accounts.facts import ONE, TWO

pytestmark = pytest.mark.integration

MASTER = MasterKey(b"m" * 32)
KEY, NEWER = ApiKey("key-of-one", "secret-of-one"), ApiKey("newer-key", "newer-secret")


@dataclass(frozen=True)
class Given:
    shelf: MemoryShelf | PostgresShelf

    @property
    def vault(self) -> Vault:
        return Vault(self.shelf, MASTER)


@pytest.fixture
async def on_memory() -> Given:
    return Given(MemoryShelf())


@pytest.fixture
async def on_postgres(database: str) -> AsyncIterator[Given]:
    pool = await Database.connect(database)
    yield Given(PostgresShelf(pool))
    await pool.close()


@pytest.fixture(params=["on_memory", pytest.param("on_postgres", marks=pytest.mark.postgres)])
def given(request: pytest.FixtureRequest) -> Given:
    return cast("Given", request.getfixturevalue(request.param))


async def test_stored_key_opens_as_it_was(given: Given) -> None:
    await given.vault.store(ONE, 1, KEY)
    assert await given.vault.open(ONE) == KEY


async def test_newest_version_is_the_one_that_opens(given: Given) -> None:
    await given.vault.store(ONE, 2, NEWER)
    await given.vault.store(ONE, 1, KEY)
    assert await given.vault.open(ONE) == NEWER


async def test_same_key_stored_again_is_no_change(given: Given) -> None:
    await given.vault.store(ONE, 1, KEY)
    await given.vault.store(ONE, 1, KEY)
    assert await given.vault.open(ONE) == KEY


async def test_another_key_never_replaces_one_of_the_same_version(given: Given) -> None:
    await given.vault.store(ONE, 1, KEY)
    with pytest.raises(CommandRefused, match="version 1"):
        await given.vault.store(ONE, 1, NEWER)
    assert await given.vault.open(ONE) == KEY


async def test_destroyed_account_has_no_key_of_any_version(given: Given) -> None:
    await given.vault.store(ONE, 1, KEY)
    await given.vault.store(ONE, 2, NEWER)
    await given.vault.store(TWO, 1, KEY)

    await given.vault.destroy(ONE)

    with pytest.raises(NotFound):
        await given.vault.open(ONE)
    assert await given.vault.open(TWO) == KEY


async def test_key_moved_to_another_account_does_not_open(given: Given) -> None:
    await given.vault.store(ONE, 1, KEY)
    found = await given.shelf.find(ONE, 1)
    assert found is not None

    await given.shelf.put(TWO, 1, found[1])

    with pytest.raises(NotFound, match="does not open"):
        await given.vault.open(TWO)


async def test_key_moved_to_another_version_does_not_open(given: Given) -> None:
    await given.vault.store(ONE, 1, KEY)
    found = await given.shelf.find(ONE, 1)
    assert found is not None

    await given.shelf.put(ONE, 2, found[1])

    with pytest.raises(NotFound, match="does not open"):
        await given.vault.open(ONE)


async def test_another_master_key_opens_nothing(given: Given) -> None:
    await given.vault.store(ONE, 1, KEY)
    with pytest.raises(NotFound, match="does not open"):
        await Vault(given.shelf, MasterKey(b"x" * 32)).open(ONE)


async def test_keys_that_do_not_open_are_found_by_their_newest_version(given: Given) -> None:
    other = Vault(given.shelf, MasterKey(b"x" * 32))
    await other.store(ONE, 1, KEY)
    await given.vault.store(ONE, 2, NEWER)
    await given.vault.store(TWO, 1, KEY)
    assert await given.vault.unopened() == []
    assert await other.unopened() == [ONE, TWO]


async def test_nothing_of_the_key_lies_on_the_shelf(given: Given) -> None:
    await given.vault.store(ONE, 1, KEY)
    found = await given.shelf.find(ONE, 1)
    assert found is not None
    for secret in (KEY.api_key.encode(), KEY.api_secret.encode()):
        assert secret not in found[1].ciphertext + found[1].wrapped_key
