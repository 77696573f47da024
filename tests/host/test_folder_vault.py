"""A start with a master key that is gone, or is another one: it ends in one sentence, and makes no key."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from patriot.accounts.ports import ApiKey
from patriot.adapters.postgres.database import Database
from patriot.adapters.vault import MasterKey, PostgresShelf, Vault, load_master_key
from patriot.host.data_folder import DataFolder
from patriot.host.folder_vault import open_folder_vault
from patriot.host.serve import ServeOptions, serve_service
from patriot.host.settings import Settings
from patriot.host.up import Up, UpOptions
from patriot.kernel.errors import StartupError
from patriot.services.table import Role, Service
from tests.accounts.facts import ONE, TWO
from tests.cli.kit import free_port

pytestmark = pytest.mark.integration

KEY = ApiKey("public-part", "secret-part")
OTHER = b64encode(b"x" * 32).decode()


@pytest.fixture
async def sql(database: str) -> AsyncIterator[Database]:
    pool = await Database.connect(database)
    yield pool
    await pool.close()


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return DataFolder(tmp_path)


async def test_first_start_makes_a_master_key_and_the_next_one_opens_with_it(sql: Database, folder: DataFolder) -> None:
    first = await open_folder_vault(folder, None, sql)
    await first.vault.store(ONE, 1, KEY)
    again = await open_folder_vault(folder, None, sql)
    assert await again.vault.open(ONE) == KEY
    assert again.unopened == ()


async def test_missing_master_key_beside_sealed_keys_is_not_made_anew(sql: Database, folder: DataFolder) -> None:
    await (await open_folder_vault(folder, None, sql)).vault.store(ONE, 1, KEY)
    folder.master_key.unlink()
    with pytest.raises(StartupError, match=f"^{folder.master_key} is missing, and the keys of 1 account .*your backup"):
        await open_folder_vault(folder, None, sql)
    assert not folder.master_key.exists()


@pytest.mark.parametrize("given", [None, OTHER])
async def test_master_key_that_opens_nothing_is_named(given: str | None, sql: Database, folder: DataFolder) -> None:
    await Vault(PostgresShelf(sql), MasterKey(b"m" * 32)).store(ONE, 1, KEY)
    load_master_key(folder.master_key, None)
    source = "PATRIOT_MASTER_KEY" if given else str(folder.master_key)
    with pytest.raises(StartupError, match=f"^{source} opens none of the sealed keys of 1 account: put the right"):
        await open_folder_vault(folder, given, sql)


async def test_master_key_that_opens_neither_of_two_keys_counts_them(sql: Database, folder: DataFolder) -> None:
    for account_id in (ONE, TWO):
        await Vault(PostgresShelf(sql), MasterKey(b"m" * 32)).store(account_id, 1, KEY)
    load_master_key(folder.master_key, None)
    with pytest.raises(StartupError, match="opens none of the sealed keys of 2 accounts: put the right"):
        await open_folder_vault(folder, None, sql)


async def test_one_key_of_two_that_does_not_open_is_told_and_keeps_nobody(sql: Database, folder: DataFolder) -> None:
    await (await open_folder_vault(folder, None, sql)).vault.store(ONE, 1, KEY)
    await Vault(PostgresShelf(sql), MasterKey(b"m" * 32)).store(TWO, 1, KEY)
    opened = await open_folder_vault(folder, None, sql)
    assert await opened.vault.open(ONE) == KEY
    assert opened.unopened == (TWO,)


@pytest.mark.parametrize("command", ["up", "serve"])
async def test_start_with_another_master_key_ends(
    command: str, sql: Database, database: str, folder: DataFolder
) -> None:
    await Vault(PostgresShelf(sql), MasterKey(b"m" * 32)).store(ONE, 1, KEY)
    settings = Settings(home=folder.path, database_url=database, master_key=SecretStr(OTHER), port=free_port())
    if command == "up":
        work = Up(UpOptions(folder, settings), lambda _: None).run(lambda _: None, asyncio.Event())
    else:
        options = ServeOptions(Service.EXECUTION, Role.WORKER, folder, settings, free_port())
        work = serve_service(options, lambda _: None, asyncio.Event())
    async with asyncio.timeout(40):
        with pytest.raises(StartupError, match="PATRIOT_MASTER_KEY opens none"):
            await work
