"""Paper clients of a new folder: however often setting them up is broken off, each has one account with one key."""

from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import cast

import aiohttp
import pytest

from patriot.accounts.ports import ApiKey
from patriot.adapters.simulator.control import SimControl
from patriot.adapters.vault import PostgresShelf, Vault, load_master_key
from patriot.billing.events import TermsAgreed
from patriot.host.folder_database import linked_accounts
from patriot.host.onboarding import onboard
from patriot.host.paper_clients import DemoPlan, make_plan
from patriot.host.sim_process import SimProcess, SimSpec
from patriot.host.venue_clock import VenueClock
from patriot.kernel.clock import SystemClock
from patriot.kernel.codec import EVENTS
from patriot.kernel.eventstore import START
from patriot.services.plugged_in import ExchangeAddress, plug_in
from patriot.services.ports import Ports
from patriot.strategies.events import StrategyAssigned
from patriot.trading.steps import Step
from patriot.trading.terms import AccountId

pytestmark = pytest.mark.integration

SEED = 7


class Killed(BaseException):
    """The process is gone at this point."""


class Setting:
    """A database, a vault and an exchange for paper clients, and where the next try is broken off."""

    def __init__(self, vault: Vault) -> None:
        self.ports = cast(Ports, None)
        self.control = cast(SimControl, None)
        self.vault = vault
        self.broken_off_at = ""

    def passes(self, where: str) -> None:
        if where == self.broken_off_at:
            raise Killed

    async def store(self, account_id: AccountId, version: int, key: ApiKey) -> None:
        await self.vault.store(account_id, version, key)
        self.passes("key sealed")

    async def open(self, account_id: AccountId) -> ApiKey:
        return await self.vault.open(account_id)

    async def destroy(self, account_id: AccountId) -> None:
        await self.vault.destroy(account_id)

    async def onboard(self, plan: DemoPlan) -> dict[int, int]:
        """Set the plan up; return the exchange's account of each client."""
        return {one.number: one.uid for one in await onboard(plan, self.ports, self, self.control)}

    async def recorded(self, event: type) -> int:
        """Return how many of these events the log has."""
        return len((await self.ports.feed.read(START, event_types=frozenset({EVENTS.name_of_class(event)}))).events)


@pytest.fixture
async def setting(database: str, tmp_path: Path) -> AsyncIterator[Setting]:
    sim = await SimProcess.start(SimSpec(tmp_path / "sim", "token", SEED, "1", None))
    try:
        async with aiohttp.ClientSession() as http:
            control = SimControl(http, sim.control_url, "token")
            clock = VenueClock(SystemClock(), (await control.health()).now, 1)
            address = ExchangeAddress(sim.base_url, sim.ws_url)
            given: list[Setting] = []
            async with plug_in(database, address, clock, lambda step: given[0].passes(step)) as plugged:
                master = load_master_key(tmp_path / "master.key", None)
                given.append(Setting(Vault(PostgresShelf(plugged.database), master)))
                given[0].ports, given[0].control = plugged.ports, control
                yield given[0]
    finally:
        await sim.stop()


@pytest.mark.parametrize("where", [Step.ACCOUNT_LINKED, "key sealed"])
async def test_onboarding_that_was_broken_off_goes_on_with_the_accounts_it_had(where: str, setting: Setting) -> None:
    plan = make_plan(3, SEED, None)
    for _ in range(2):  # the second try breaks off again where it did not at the first
        setting.broken_off_at = where
        with suppress(Killed):
            await setting.onboard(plan)
    setting.broken_off_at = ""

    uids = await setting.onboard(plan)

    linked = [one.account_id async for one in linked_accounts(setting.ports.feed)]
    assert len(linked) == len(set(linked)) == 3
    keys = (await setting.control.state())["keys"]
    for client, account_id in enumerate(linked):
        key = await setting.vault.open(account_id)
        assert key.api_key in [one["api_key"] for one in keys[str(uids[client])]]
    trading = [one for account in keys.values() for one in account if "withdraw" not in one["permissions"]]
    assert len(trading) == 3
    follows = sum(len(client.allocations) for client in plan.clients)
    assert (await setting.recorded(TermsAgreed), await setting.recorded(StrategyAssigned)) == (3, follows)
