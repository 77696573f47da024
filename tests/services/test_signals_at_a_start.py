"""What was signalled, followed and unlinked before a start is done as it was meant then."""

from __future__ import annotations

import asyncio
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import pytest

from patriot.accounts.events import AccountLinked, AccountUnlinked, PositionMode
from patriot.execution.events import SignalRouted
from patriot.simulation.loop import run_virtually
from patriot.strategies.commands import UnassignStrategy
from patriot.strategies.events import StrategyAssigned, StrategyUnassigned
from patriot.trading.terms import AccountId, Environment, Exchange, UserId
from tests.services.paper import ALICE, BOB, TREND, Paper

pytestmark = pytest.mark.integration
D = Decimal


def assigned(user: UserId, account: AccountId, at: datetime) -> StrategyAssigned:
    return StrategyAssigned(TREND, UUID(int=4), user, account, D("0.5"), D(1), at, at)


def test_account_that_followed_after_a_signal_is_told_nothing_of_it_at_a_start() -> None:
    async def day() -> None:
        paper = Paper()
        alice, bob = await paper.link(ALICE), await paper.link(BOB)
        await paper.found([(ALICE, alice)])
        async with paper.running():
            signal = await paper.signal(TREND)
            await paper.settle(60)
            await paper.write("STRATEGY", TREND, assigned(BOB, bob, paper.clock.now()))
            await paper.settle(60)
        before = [r for r in await paper.log(SignalRouted) if r.signal_id == signal]
        async with paper.running():
            await paper.settle(60)
        after = [r for r in await paper.log(SignalRouted) if r.signal_id == signal]
        assert len(before) == 1
        assert after == before

    run_virtually(day())


def test_account_that_followed_after_a_signal_does_not_enter_on_it_at_a_start() -> None:
    async def day() -> None:
        paper = Paper()
        alice, bob = await paper.link(ALICE), await paper.link(BOB)
        await paper.found([(ALICE, alice)])
        async with paper.running():
            await paper.signal(TREND)
            await paper.write("STRATEGY", TREND, assigned(BOB, bob, paper.clock.now()))
            await asyncio.sleep(1)
        async with paper.running():
            await paper.settle(60)
        assert paper.positions(bob) == {}

    run_virtually(day())


def test_consent_given_again_is_not_withdrawn_by_an_unlinking_before_it() -> None:
    async def day() -> None:
        paper = Paper()
        alice = await paper.link(ALICE)
        await paper.found([(ALICE, alice)])
        async with paper.running():
            await paper.settle(5)
        now = paper.clock.now()  # execution is away for a while
        await paper.write("ACCOUNT", alice, AccountUnlinked(alice, ALICE, Exchange.BINANCE, "CLIENT", now))
        linked = AccountLinked(alice, ALICE, Exchange.BINANCE, Environment.SIM, PositionMode.ONE_WAY, "USDT", 2, now)
        await paper.write("ACCOUNT", alice, linked)
        await paper.settle(5)
        again = paper.clock.now()
        await paper.tell(UnassignStrategy(TREND, alice, "USER", again))
        await paper.write("STRATEGY", TREND, assigned(ALICE, alice, again))
        async with paper.running():
            await paper.settle(60)
        told = await paper.log(StrategyAssigned, StrategyUnassigned)
        mine = [event for event in told if event.strategy_id == TREND]
        assert isinstance(mine[-1], StrategyAssigned), mine[-1]

    run_virtually(day())
