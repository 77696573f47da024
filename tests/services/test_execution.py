"""The execution service over the in-process exchange: whose accounts it works for."""

from __future__ import annotations

import pytest

from patriot.accounts.events import AccountUnlinked
from patriot.trading.terms import Exchange
from tests.laws.virtual_time import run_virtually
from tests.services.paper import ALICE, Paper

pytestmark = pytest.mark.integration


def test_account_that_is_unlinked_is_let_go_for_good() -> None:
    async def day() -> None:
        paper = Paper()
        kept, left = await paper.link(ALICE), await paper.link(ALICE)
        async with paper.running() as service:
            assert service.workers.keys() == {kept, left}
            unlinked = AccountUnlinked(left, ALICE, Exchange.BINANCE, "CLIENT", paper.clock.now())
            await paper.write("ACCOUNT", left, unlinked)
            await paper.settle()
            assert service.workers.keys() == {kept}
            assert await paper.ports.leases.acquire(f"account:{left}", "another process") is not None
            assert service.busy == ""
        async with paper.running() as service:
            assert service.workers.keys() == {kept}
            assert service.busy == ""
        assert paper.alarm.raised == []

    run_virtually(day())
