"""A hundred accounts start again behind one address, under the venue's real limits; some lost their stop meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from patriot.services.execution import ExecutionService
from patriot.sim.engine.operations import CancelAlgoOrder
from patriot.simulation.loop import run_virtually
from patriot.simulation.network import open_session
from patriot.trading.terms import AccountId
from tests.services.paper import ALICE, TREND, Paper

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ACCOUNTS, NAKED = 100, 20
KLINES_WEIGHT = 10
LOOK_SECONDS = 0.05


async def spend(paper: Paper, weight: int) -> None:
    """Use so much of the address's running minute, as whatever ran there before did."""
    async with open_session() as http:
        for _ in range(weight // KLINES_WEIGHT):
            address = f"{paper.venue.url}/fapi/v1/klines?symbol=BTCUSDT&interval=1m&limit=1500"
            async with http.get(address) as answer:
                assert answer.status == 200
                assert int(answer.headers["X-MBX-USED-WEIGHT-1M"]) > 0


def naked(paper: Paper, accounts: list[AccountId]) -> list[AccountId]:
    return [one for one in accounts if paper.positions(one) and "BTCUSDT" not in paper.stops(one)]


async def first_true(state: Callable[[], bool], seconds: float) -> float:
    """Return after how long a state came, or `seconds`."""
    begun = asyncio.get_running_loop().time()
    while asyncio.get_running_loop().time() - begun < seconds:
        if state():
            break
        await asyncio.sleep(LOOK_SECONDS)
    return asyncio.get_running_loop().time() - begun


@pytest.mark.parametrize(("used", "ready_within"), [(0, 5), (1_700, 60.1)])  # 60: the next minute of the venue
def test_none_is_naked_after_five_seconds_and_all_are_ready_in_the_minute(used: int, ready_within: float) -> None:
    async def day() -> tuple[float, float]:
        paper = Paper()
        accounts = [await paper.link(ALICE, "10000") for _ in range(ACCOUNTS)]
        async with paper.running_soon() as service:
            await service.started.wait()
            await first_true(lambda: all_ready(service), 600)
            await paper.found([(ALICE, account_id) for account_id in accounts])
            await first_true(lambda: not service.busy, 1_200)  # books are opened and symbols prepared as weight allows
            await paper.settle(60)
            await paper.signal(TREND)
            await paper.settle(70)
            assert all(paper.positions(one) for one in accounts)
            assert naked(paper, accounts) == []
        for account_id in accounts[:NAKED]:
            uid = account_id.int - 100
            (stop,) = paper.venue.engine.open_algo_orders(uid, "BTCUSDT")
            paper.venue.exchange.apply(CancelAlgoOrder(uid, algo_id=stop.algo_id))
        assert len(naked(paper, accounts)) == NAKED
        await paper.settle(61 - paper.clock.monotonic() % 60)  # a second into the minute of the venue
        await spend(paper, used)
        async with paper.running_soon() as service:
            covered = await first_true(lambda: not naked(paper, accounts), 120)
            ready = covered + await first_true(lambda: all_ready(service), 120)
        return covered, ready

    covered, ready = run_virtually(day())
    assert covered < 5
    assert ready < ready_within


def all_ready(service: ExecutionService) -> bool:
    workers = service.workers.values()
    return len(workers) == ACCOUNTS and all(worker.ready.is_set() for worker in workers)
