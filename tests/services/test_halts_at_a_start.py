"""A start carries out the way out within seconds, whatever it waits for on behalf of entries."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from uuid import UUID

import pytest

from patriot.kernel.eventstore import Context
from patriot.risk.commands import HaltTrading
from patriot.risk.events import HaltLevel, Scope
from patriot.sim.faults.rules import RestFault, RestRule, Term
from patriot.sim.faults.rules import Scope as Requests
from patriot.simulation.loop import run_virtually
from patriot.strategies.events import SignalAction
from tests.services.paper import ALICE, BOB, SYMBOLS, TREND, Paper

pytestmark = pytest.mark.integration

FLAT_WITHIN_SECONDS = 15.0


@pytest.mark.parametrize("missing", ["nothing", "instruments", "another account's lease"])
@pytest.mark.parametrize("wanted", ["halt before", "halt after", "signal"])
def test_position_is_led_out_soon_after_a_start(missing: str, wanted: str) -> None:
    async def day() -> float:
        paper = Paper()
        one, two = await paper.link(ALICE), await paper.link(BOB)
        await paper.found([(ALICE, one), (BOB, two)])
        async with paper.running():
            await paper.signal(TREND)
        assert SYMBOLS[TREND] in paper.positions(one)
        halt = HaltTrading(Scope.GLOBAL, "", HaltLevel.H3, "OPERATOR", paper.clock.now())
        if wanted == "halt before":
            await paper.bus.dispatch(halt, Context(UUID(int=5)))
        if missing == "instruments":
            scope = Requests(method="GET", path="/fapi/v1/exchangeInfo")
            rule = RestRule(fault=RestFault.ERROR_BEFORE, scope=scope, term=Term(times=None), html=True)
            paper.venue.faults.add(rule)
        async with AsyncExitStack() as stack:
            if missing == "another account's lease":
                await stack.enter_async_context(paper.owned_elsewhere(two))
            begun = paper.clock.monotonic()
            await stack.enter_async_context(paper.running_soon())
            await asyncio.sleep(0.5)
            if wanted == "halt after":
                await paper.bus.dispatch(halt, Context(UUID(int=5)))
            if wanted == "signal":
                await paper.signal(TREND, SignalAction.CLOSE)
            async with asyncio.timeout(100):
                while paper.positions(one):  # noqa: ASYNC110 - the exchange's books tell nobody
                    await asyncio.sleep(0.1)
            return paper.clock.monotonic() - begun

    assert run_virtually(day()) < FLAT_WITHIN_SECONDS
