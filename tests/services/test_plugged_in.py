"""What stands behind the ports of a live process: a request budget as large as the venue's, and snapshots that last."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from patriot.kernel.clock import FakeClock
from patriot.kernel.eventstore import Place
from patriot.kernel.policy import Snapshot
from patriot.services.plugged_in import ExchangeAddress, plug_in
from patriot.trading.terms import Exchange

pytestmark = pytest.mark.integration

WEIGHT_OF_A_MINUTE = 2_400  # the venue's


@pytest.mark.parametrize(
    ("replayed", "used", "waits"),
    [(False, WEIGHT_OF_A_MINUTE, True), (False, WEIGHT_OF_A_MINUTE - 1, False), (True, WEIGHT_OF_A_MINUTE, False)],
    ids=["live and used up", "live with one left", "replayed"],
)
async def test_minute_that_is_used_up_holds_back_requests_to_a_live_venue(
    database: str, replayed: bool, used: int, waits: bool
) -> None:
    async def tell_time(_: web.Request) -> web.Response:
        return web.json_response({"serverTime": 1}, headers={"X-MBX-USED-WEIGHT-1M": str(used)})

    app = web.Application()
    app.router.add_get("/fapi/v1/time", tell_time)
    async with TestServer(app) as server:
        address = ExchangeAddress(str(server.make_url("")), "ws://nowhere", replayed=replayed)
        async with plug_in(database, address, FakeClock()) as plugged:  # a clock in which no minute ends
            market = plugged.ports.venues[Exchange.BINANCE].market
            await market.server_time()
            asking = asyncio.create_task(market.server_time())
            await asyncio.wait({asking}, timeout=0.5 if waits else 10)
            assert asking.done() is not waits
            asking.cancel()
            await asyncio.wait({asking})


async def test_snapshot_of_a_policy_outlives_its_process(database: str) -> None:
    kept, nowhere = Snapshot(Place("7"), b"state"), ExchangeAddress("http://nowhere", "ws://nowhere")
    async with plug_in(database, nowhere, FakeClock()) as plugged:
        await plugged.ports.snapshots.save("policy", kept)
    async with plug_in(database, nowhere, FakeClock()) as plugged:
        assert await plugged.ports.snapshots.load("policy") == kept
