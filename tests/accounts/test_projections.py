"""Accounts and users as rows, on PostgreSQL: as decided, rebuilt the same, and seen by their owner only."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from patriot.accounts import streams as account_streams
from patriot.accounts.commands import (
    RecordPermissions,
    ReplaceCredentials,
    ResumeAccount,
    SuspendAccount,
    UnlinkAccount,
)
from patriot.accounts.events import AccountStatus, CredentialProblem
from patriot.accounts.projections import Accounts
from patriot.accounts.queries import accounts, accounts_of_user, find_account, refused_keys
from patriot.adapters.postgres.database import Database
from patriot.adapters.postgres.eventstore import PostgresEventStore
from patriot.adapters.postgres.projections import ProjectionRunner
from patriot.adapters.postgres.shadow import compare
from patriot.kernel.bus import CommandBus
from patriot.kernel.clock import FakeClock
from patriot.kernel.eventstore import Context
from patriot.kernel.ids import Ids
from patriot.trading.terms import UserId
from patriot.users import streams as user_streams
from patriot.users.commands import ChangeRole, ChangeUserStatus, RegisterUser
from patriot.users.events import RiskProfile, Role, UserStatus
from patriot.users.projections import Users
from patriot.users.queries import find_user, users
from tests.accounts.facts import GOOD, LINK, NOON, ONE, OWNER, TWO, WITHDRAWS

pytestmark = pytest.mark.integration

STRANGER = UserId(TWO)
CONTEXT = Context(correlation_id=ONE)


class Platform:
    """A log on PostgreSQL, its bus, and the read models of these two domains."""

    def __init__(self, database: Database, store: PostgresEventStore) -> None:
        clock = FakeClock(NOON)
        self.database, self.store = database, store
        self._bus = CommandBus(store, clock, Ids(clock))
        user_streams.register(self._bus)
        account_streams.register(self._bus)

    async def told(self, *commands: object) -> None:
        """Dispatch commands and bring the rows up to date."""
        for command in commands:
            await self._bus.dispatch(command, CONTEXT)
        for projection in (Accounts(), Users()):
            await ProjectionRunner(self.database, self.store.feed, projection).drain()


@pytest.fixture
async def platform(database: str) -> AsyncIterator[Platform]:
    pool = await Database.connect(database)
    async with PostgresEventStore(pool, FakeClock(NOON)) as store:
        yield Platform(pool, store)
    await pool.close()


async def test_account_is_seen_by_its_owner_and_by_nobody_else(platform: Platform) -> None:
    await platform.told(LINK, replace(LINK, account_id=TWO, user_id=STRANGER))

    assert [view.account_id for view in await accounts_of_user(platform.database, OWNER)] == [ONE]
    assert await find_account(platform.database, OWNER, TWO) is None
    for owner, account_id in ((OWNER, ONE), (STRANGER, TWO)):
        found = await find_account(platform.database, owner, account_id)
        assert found is not None
        assert (found.account_id, found.user_id) == (account_id, owner)
    assert len(await accounts(platform.database)) == 2


async def test_row_follows_the_life_of_the_account(platform: Platform) -> None:
    await platform.told(LINK, SuspendAccount(ONE, "CLIENT", NOON))
    (view,) = await accounts(platform.database, AccountStatus.SUSPENDED)
    assert view.reason_code == "CLIENT"

    await platform.told(ResumeAccount(ONE, GOOD, "ASKED", NOON), ReplaceCredentials(ONE, GOOD, 2, NOON))
    assert [view.status for view in await accounts_of_user(platform.database, OWNER)] == [AccountStatus.ACTIVE]
    assert await accounts(platform.database, AccountStatus.SUSPENDED) == []


async def test_account_that_comes_back_has_its_row_again(platform: Platform) -> None:
    link = replace(LINK, venue_account_id=TWO)
    again = replace(link, credential_version=2, at=NOON + timedelta(days=9))
    await platform.told(link, UnlinkAccount(ONE, 0, 0, "CLIENT", NOON, TWO))
    (view,) = await accounts_of_user(platform.database, OWNER)
    assert (view.status, view.reason_code) == (AccountStatus.UNLINKED, "CLIENT")

    await platform.told(again)
    (view,) = await accounts_of_user(platform.database, OWNER)
    assert (view.status, view.reason_code, view.linked_at) == (AccountStatus.ACTIVE, None, again.at)
    assert await compare(platform.database, platform.store.feed, Accounts()) == []


async def test_account_that_somebody_else_holds_is_listed_among_the_refused_keys(platform: Platform) -> None:
    link = replace(LINK, venue_account_id=TWO)
    await platform.told(link, replace(link, account_id=TWO, user_id=STRANGER))
    (refused,) = await refused_keys(platform.database, STRANGER)
    assert (refused.account_id, refused.reason_code) == (TWO, CredentialProblem.LINKED_ELSEWHERE)
    assert await accounts_of_user(platform.database, STRANGER) == []


async def test_refused_keys_are_listed_with_their_reason(platform: Platform) -> None:
    await platform.told(replace(LINK, permissions=WITHDRAWS), replace(LINK, permissions=None), LINK)
    await platform.told(RecordPermissions(ONE, WITHDRAWS, NOON + timedelta(hours=1)))

    reasons = [view.reason_code for view in await refused_keys(platform.database, OWNER)]
    assert sorted(reasons) == sorted(
        [CredentialProblem.WITHDRAW_ENABLED, CredentialProblem.INVALID, CredentialProblem.WITHDRAW_ENABLED]
    )
    assert await refused_keys(platform.database, STRANGER) == []


async def test_user_row_follows_role_and_status(platform: Platform) -> None:
    await platform.told(
        RegisterUser(OWNER, Role.USER, RiskProfile.HIGH, NOON),
        ChangeRole(OWNER, Role.SUPPORT, (STRANGER,), NOON),
        ChangeUserStatus(OWNER, UserStatus.SUSPENDED, "UNPAID", NOON),
    )

    view = await find_user(platform.database, OWNER)
    assert view is not None
    assert (view.role, view.status, view.risk_profile) == (Role.SUPPORT, UserStatus.SUSPENDED, RiskProfile.HIGH)
    assert await users(platform.database) == [view]
    assert await find_user(platform.database, STRANGER) is None


async def test_rebuilt_rows_are_the_live_rows(platform: Platform) -> None:
    await platform.told(
        RegisterUser(OWNER, Role.USER, RiskProfile.LOW, NOON),
        replace(LINK, permissions=WITHDRAWS),
        LINK,
        SuspendAccount(ONE, "CLIENT", NOON),
    )
    for projection in (Accounts(), Users()):
        assert await compare(platform.database, platform.store.feed, projection) == []
