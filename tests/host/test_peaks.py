"""A drawdown through the services: it halts, two persons re-base the peak, and the account trades on."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest

from patriot.accounts.events import EquitySampled, SampleReason, ledger_id
from patriot.host.halts import OPERATOR
from patriot.host.peaks import RebaseWish, rebase_peak
from patriot.kernel.errors import CommandRefused, NotFound
from patriot.risk.events import PeakRebased, Scope, TradingHalted, TradingResumed
from patriot.simulation.loop import run_virtually
from patriot.trading.terms import AccountId
from tests.services.paper import ALICE, Paper

pytestmark = pytest.mark.integration


async def rebase(paper: Paper, wish: RebaseWish) -> str:
    async with paper.plugged_in() as ports:
        return await rebase_peak(ports.store, ports.feed, ports.bus, ports.clock, wish, OPERATOR)


def test_account_trades_on_after_two_persons_rebased_its_peak() -> None:
    async def day() -> None:
        paper = Paper()
        account_id = await paper.link(ALICE)
        await paper.found([(ALICE, account_id)])
        wish = RebaseWish(account_id, "anna", "ben", "a bug, now mended")
        with pytest.raises(CommandRefused, match="no sample"):
            await rebase(paper, wish)
        async with paper.running():
            await paper.settle(10)
            with pytest.raises(CommandRefused, match="expected a new peak"):
                await rebase(paper, wish)
            past = Decimal(14_000)  # what it was worth once, as far as the log says
            seen = EquitySampled(account_id, ALICE, SampleReason.HOURLY, "USDT", past, past, (), paper.clock.now())
            now = replace(seen, wallet_balance=Decimal(10_000), equity=Decimal(10_000))
            await paper.write("BALANCE", ledger_id(account_id), seen, now)
            await paper.settle()
            assert "MAX_DRAWDOWN" in [event.reason_code for event in await paper.log(TradingHalted)]
            with pytest.raises(CommandRefused, match="two persons"):
                await rebase(paper, replace(wish, approved_by="ANNA"))
            said = await rebase(paper, wish)
            assert "the peak is 10000, and was 14000 (28.57% lost)" in said
            await paper.settle()
            lifted = [(e.scope, e.reference, e.reason_code) for e in await paper.log(TradingResumed)]
            assert lifted == [(Scope.ACCOUNT, str(account_id), "MAX_DRAWDOWN")]
            assert "from this sample already" in await rebase(paper, wish)
        (event,) = await paper.log(PeakRebased)
        assert (event.old_peak, event.new_peak) == (14_000, 10_000)
        assert (event.requested_by, event.approved_by, event.reason) == ("anna", "ben", "a bug, now mended")

    run_virtually(day())


def test_peak_of_an_unknown_account_is_not_rebased() -> None:
    async def day() -> None:
        with pytest.raises(NotFound):
            await rebase(Paper(), RebaseWish(AccountId(UUID(int=9)), "anna", "ben", "why"))

    run_virtually(day())
