"""What `patriot halt` answers, and what `patriot halts` lists: what stands after the act, whoever raised it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from patriot.host.data_folder import DataFolder
from patriot.host.folder_database import FolderDatabase, open_folder_database
from patriot.host.halts import HaltWish, carry_out, halts_in_force
from patriot.host.settings import Settings
from patriot.kernel.errors import NotFound
from patriot.kernel.eventstore import Context
from patriot.risk.events import HaltLevel, Scope
from patriot.users.commands import RegisterUser
from patriot.users.events import RiskProfile, Role
from tests.accounts.facts import LINK, NOON, ONE, OWNER, TWO

pytestmark = pytest.mark.integration

H1, H2, H3 = HaltLevel


@pytest.fixture
async def opened(database: str, tmp_path: Path) -> AsyncIterator[FolderDatabase]:
    async with open_folder_database(DataFolder(tmp_path), Settings(database_url=database)) as one:
        await one.bus.dispatch(RegisterUser(OWNER, Role.USER, RiskProfile.MEDIUM, NOON), Context(UUID(int=1)))
        await one.bus.dispatch(LINK, Context(UUID(int=2)))
        yield one


async def account(opened: FolderDatabase, level: HaltLevel | None, reason: str = "OPERATOR") -> str:
    said = await carry_out(opened, HaltWish(Scope.ACCOUNT, str(ONE), level, reason))
    return said.removeprefix(f"ACCOUNT {ONE}: ")


async def everywhere(opened: FolderDatabase, level: HaltLevel | None) -> str:
    return await carry_out(opened, HaltWish(Scope.GLOBAL, "", level, "OPERATOR"))


async def test_halt_is_raised_once_and_lifted_once(opened: FolderDatabase) -> None:
    assert await account(opened, H2) == "halted at H2"
    assert await account(opened, H2) == "was halted at H2 already"
    assert await account(opened, None) == "trading goes on"
    assert await account(opened, None) == "nothing was halted"


async def test_weaker_halt_says_which_level_stands(opened: FolderDatabase) -> None:
    await account(opened, H3)
    assert await account(opened, H1) == "stays halted at H3"
    assert await account(opened, H1, "AUDIT") == "halted at H1; H3 stands"


async def test_lift_beneath_a_wider_halt_says_what_stands(opened: FolderDatabase) -> None:
    await account(opened, H1)
    assert await everywhere(opened, H2) == "GLOBAL: halted at H2"
    assert await account(opened, None) == "its own halts are lifted; GLOBAL is halted at H2"
    assert await account(opened, None) == "nothing was halted; GLOBAL is halted at H2"
    assert await account(opened, H1) == "halted at H1; GLOBAL is halted at H2"


async def test_halt_of_the_owner_covers_the_account(opened: FolderDatabase) -> None:
    await carry_out(opened, HaltWish(Scope.USER, str(OWNER), H2, "OPERATOR"))
    assert await account(opened, H1) == f"halted at H1; USER {OWNER} is halted at H2"
    await everywhere(opened, H3)
    assert await account(opened, None) == (
        f"its own halts are lifted; GLOBAL is halted at H3; USER {OWNER} is halted at H2"
    )


async def test_halt_of_nobody_is_refused(opened: FolderDatabase) -> None:
    with pytest.raises(NotFound, match=f"^--reference: there is no account {TWO}"):
        await carry_out(opened, HaltWish(Scope.ACCOUNT, str(TWO), H1, "OPERATOR"))


async def test_lift_everywhere_says_that_narrower_halts_stand(opened: FolderDatabase) -> None:
    await account(opened, H1)
    await everywhere(opened, H3)
    assert await everywhere(opened, None) == (
        "GLOBAL: trading goes on; other halts stand (1): `patriot halts` lists them"
    )


@asynccontextmanager
async def open_write(database: str) -> AsyncIterator[None]:
    """Hold a write open, which holds back every reader of the log."""
    connection = await asyncpg.connect(database)
    try:
        await connection.execute("BEGIN")
        await connection.execute("SELECT pg_current_xact_id()")
        yield
    finally:
        await connection.close()


async def test_halt_that_readers_do_not_see_yet_says_so(opened: FolderDatabase, database: str) -> None:
    unread = "recorded and not read yet, nor by the platform: a write that is open in the database holds readers back"
    async with open_write(database):
        assert await account(opened, H2) == f"halted at H2; {unread}"
        assert await account(opened, None) == f"its own halts are lifted; {unread}"
    assert await account(opened, None) == "nothing was halted"


async def test_halt_waits_a_moment_for_readers(opened: FolderDatabase, database: str) -> None:
    async with open_write(database):
        said = asyncio.create_task(account(opened, H2))
        await asyncio.sleep(0.3)
    assert await said == "halted at H2"


async def test_halts_in_force_are_listed_the_widest_first(opened: FolderDatabase) -> None:
    assert await halts_in_force(opened.store.feed) == []
    await account(opened, H1)
    await account(opened, H2, "AUDIT")
    await everywhere(opened, H3)
    found = await halts_in_force(opened.store.feed)
    assert [(one.scope, one.reference, one.level, one.reason_code) for one in found] == [
        (Scope.GLOBAL, "", H3, "OPERATOR"),
        (Scope.ACCOUNT, str(ONE), H2, "AUDIT"),
        (Scope.ACCOUNT, str(ONE), H1, "OPERATOR"),
    ]
    await everywhere(opened, None)
    await account(opened, None)
    assert await halts_in_force(opened.store.feed) == []
