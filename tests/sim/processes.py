"""`patriot sim` as a child process, and what leaves a little of everything behind in it."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.sim.binance.client import TOKEN, Trader


class Process:
    """`patriot sim` as a child process."""

    def __init__(self, child: asyncio.subprocess.Process, ports: dict[str, int], http: aiohttp.ClientSession) -> None:
        self.child = child
        self.ports = ports
        self.http = http

    @property
    def rest(self) -> str:
        return f"http://127.0.0.1:{self.ports['binance_port']}"

    async def control(self, method: str, path: str, body: object = None) -> Any:
        url = f"http://127.0.0.1:{self.ports['control_port']}{path}"
        async with self.http.request(method, url, json=body, headers={"Authorization": f"Bearer {TOKEN}"}) as answer:
            return await answer.json()


@asynccontextmanager
async def process(*arguments: str) -> AsyncIterator[Process]:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *(
            "-m",
            "patriot.cli.sim",
            "--binance-port",
            "0",
            "--bybit-port",
            "0",
            "--control-port",
            "0",
            "--announce",
            *arguments,
        ),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PATRIOT_SIM_TOKEN": TOKEN},
    )
    assert child.stdout is not None
    try:
        ports = json.loads(await child.stdout.readline())
        async with aiohttp.ClientSession() as http:
            yield Process(child, ports, http)
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


async def trade_a_little(http: aiohttp.ClientSession, rest: str, made: dict[str, Any]) -> Trader:
    """Leave a position with a stop, a resting order and a settled listen key behind."""
    trader = Trader(http, rest, made["uid"], made["api_key"], made["api_secret"])
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "newClientOrderId": "rest-1"}
    algo = {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "STOP_MARKET",
        "algoType": "CONDITIONAL",
        "clientAlgoId": "s-1",
    }
    await trader.market("BUY", "0.010", newClientOrderId="entry-1")
    await trader.signed("POST", "/fapi/v1/order", **order, price="38900", quantity="0.010")
    await trader.signed("POST", "/fapi/v1/algoOrder", **algo, triggerPrice="39200", quantity="0.010", reduceOnly="true")
    return trader
