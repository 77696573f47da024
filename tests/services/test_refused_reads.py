"""Reads that the exchange refuses with a code: told once, tried on, and nobody else's protection or way out waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from patriot.accounts.events import EquitySampled, SampleReason
from patriot.risk.commands import HaltTrading
from patriot.risk.events import HaltLevel, Scope
from patriot.sim.engine.operations import CancelAllAlgoOrders
from patriot.sim.faults.rules import RestFault, RestRule, Term
from patriot.sim.faults.rules import Scope as Requests
from patriot.simulation.loop import run_virtually
from tests.services.paper import ALICE, RANGE, TREND, Paper

pytestmark = pytest.mark.unit

INVALID_SYMBOL = -1121
OF_THE_ACCOUNT = ("/fapi/v1/income", "/fapi/v1/accountConfig")
OF_ITS_SYMBOL = ("/fapi/v1/openOrders", "/fapi/v1/openAlgoOrders", "/fapi/v1/allOrders", "/fapi/v1/userTrades")


class Day:
    """An account that holds BTCUSDT and ETHUSDT while reads are refused, those of one symbol for BTCUSDT alone."""

    def __init__(self) -> None:
        self.paper = Paper()

    async def found(self) -> None:
        self.account = await self.paper.link(ALICE)
        await self.paper.found([(ALICE, self.account)])

    async def enter(self) -> None:
        await self.paper.signal(TREND)
        await self.paper.signal(RANGE)

    def refuse(self, path: str) -> None:
        requests = Requests(method="GET", path=path, symbol="BTCUSDT" if path in OF_ITS_SYMBOL else None)
        rule = RestRule(
            fault=RestFault.REFUSE,
            code=INVALID_SYMBOL,
            message="Invalid symbol.",
            scope=requests,
            term=Term(times=None),
        )
        self.paper.venue.faults.add(rule)

    async def naked_seconds(self) -> float:
        """Have the client cancel the stop of ETHUSDT; return how long it had none."""
        self.paper.venue.exchange.apply(CancelAllAlgoOrders(self.account.int - 100, "ETHUSDT"))
        began = self.paper.clock.monotonic()
        await self.until(lambda: "ETHUSDT" in self.paper.stops(self.account), within=300)
        return self.paper.clock.monotonic() - began

    async def seconds_to_leave(self) -> float:
        """Halt all trading and have positions closed; return how long that took."""
        began = self.paper.clock.monotonic()
        await self.paper.tell(HaltTrading(Scope.GLOBAL, "", HaltLevel.H3, "OPERATOR", self.paper.clock.now()))
        await self.until(lambda: not self.paper.positions(self.account), within=1_800)
        return self.paper.clock.monotonic() - began - 5  # `Paper.tell` lets its words have their effect

    async def until(self, holds: Callable[[], bool], within: float) -> None:
        """Wait for what the exchange's books show."""
        for _ in range(int(within * 10)):
            if holds():
                return
            await asyncio.sleep(0.1)
        raise TimeoutError

    @property
    def told(self) -> list[str]:
        """Return the alerts of an account."""
        return [name for name in self.paper.alarm.names() if name.startswith("account.")]


@pytest.mark.parametrize("path", [*OF_THE_ACCOUNT, *OF_ITS_SYMBOL])
def test_refused_read_holds_up_no_protection_and_no_way_out_over_a_start(path: str) -> None:
    async def run() -> None:
        day = Day()
        await day.found()
        async with day.paper.running():
            await day.enter()
        day.refuse(path)
        async with day.paper.running_soon() as service:
            for pause in (7.0, 40.0, 61.0):
                await asyncio.sleep(pause)
                assert await day.naked_seconds() < 2
            assert day.told in (["account.read_refused"], [])  # once; past orders need not be asked for
            troubles = service.troubles()
            assert (day.account in troubles) is (day.told != [])
            assert all(str(INVALID_SYMBOL) in words for words in troubles.values())
            assert await day.seconds_to_leave() < 2

    run_virtually(run())


@pytest.mark.parametrize("path", [*OF_THE_ACCOUNT, *OF_ITS_SYMBOL])
def test_refused_read_holds_up_no_protection_and_no_way_out_while_at_work(path: str) -> None:
    async def run() -> None:
        day = Day()
        await day.found()
        async with day.paper.running() as service:
            await day.enter()
            day.refuse(path)
            service.fleet.sample_equity(SampleReason.HOURLY)
            for pause in (7.0, 40.0, 61.0):
                await asyncio.sleep(pause)
                assert await day.naked_seconds() < 2
            assert "account.worker_failed" not in day.told
            assert await day.seconds_to_leave() < 2

    run_virtually(run())


def test_hour_is_sampled_though_income_is_refused_and_income_is_read_when_it_is_told_again() -> None:
    async def run() -> None:
        day = Day()
        await day.found()
        async with day.paper.running() as service:
            await day.enter()
            day.refuse("/fapi/v1/income")
            before = len(await day.paper.log(EquitySampled))
            service.fleet.sample_equity(SampleReason.HOURLY)
            await asyncio.sleep(60)
            assert len(await day.paper.log(EquitySampled)) == before + 1
            assert day.told == ["account.read_refused"]
            assert day.account in service.troubles()
            day.paper.venue.faults.clear()
            await asyncio.sleep(60)
            assert service.troubles() == {}

    run_virtually(run())


def test_account_is_in_step_again_when_it_is_told_what_it_holds() -> None:
    async def run() -> None:
        day = Day()
        await day.found()
        async with day.paper.running():
            await day.enter()
        day.refuse("/fapi/v2/account")
        async with day.paper.running_soon() as service:
            await asyncio.sleep(100)
            assert await day.naked_seconds() < 2
            assert str(INVALID_SYMBOL) in service.troubles()[day.account]
            day.paper.venue.faults.clear()
            await asyncio.sleep(35)
            assert service.troubles() == {}
            assert await day.seconds_to_leave() < 2

    run_virtually(run())
