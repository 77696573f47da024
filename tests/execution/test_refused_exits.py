"""The exchange refuses to let an account out: tried on, under a stop where it takes one, and told once."""

from __future__ import annotations

import asyncio

import pytest

from patriot.kernel.errors import ExchangeError, ExchangeRefused
from patriot.simulation.loop import run_virtually
from patriot.trading.terms import Side
from tests.execution.exchange import D, Exchange
from tests.execution.kit import Account

pytestmark = pytest.mark.unit


def test_refused_way_out_is_looked_into_once_at_a_time() -> None:
    async def day() -> None:
        account = Account()
        worker = await account.start()
        await account.enter()
        await asyncio.sleep(1)
        account.exchange.deaf, account.exchange.slow_snapshots = True, 30.0
        account.exchange.trade("BTCUSDT", Side.SELL, D(1))  # somebody else closes
        before = account.exchange.count("snapshot")
        await worker.flatten("TEST")
        await asyncio.sleep(20)
        assert account.exchange.count("place c5") == 1
        assert account.exchange.count("snapshot") == before + 1  # the one that is under way
        await account.end()

    run_virtually(day())


def test_stop_rests_again_while_the_way_out_is_refused_and_a_person_is_told_once() -> None:
    async def day() -> None:
        refusals: dict[str, list[ExchangeError]] = {f"s{n}": [ExchangeRefused(-4131, "no")] for n in (1, 2, 3)}
        refusals |= {f"x{n}": [ExchangeRefused(-4131, "no")] for n in range(1, 40)}
        account = Account(Exchange(refusals=refusals))
        await account.start()
        await account.enter()
        async with asyncio.timeout(1):
            while account.exchange.resting() != {"s4": 1}:
                await account.moment()
        await asyncio.sleep(30)
        assert account.exchange.resting() == {"s4": 1}
        assert sum(asked.startswith("place x") for _, asked in account.exchange.asked) > 10
        assert account.alarm.names == ["position.protection_failed", "position.exit_refused"]
        assert len(await account.log("execution.protection_failed")) == 1
        await account.end()

    run_virtually(day())
