"""A real simulator on loopback, and a client that signs as Bybit's documents say."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from patriot.kernel.clock import Clock, SystemClock
from patriot.sim.server import SimServer, SimSettings
from tests.sim.binance.client import MINUTE_MS, START_MS, TOKEN

Json = Any  # a parse boundary: what the wire answers


@dataclass(frozen=True, slots=True)
class Answer:
    """One envelope of the venue."""

    status: int
    body: Json
    headers: dict[str, str]

    @property
    def code(self) -> int:
        return int(self.body["retCode"])

    @property
    def words(self) -> str:
        return str(self.body["retMsg"])

    @property
    def result(self) -> Json:
        return self.body["result"]

    @property
    def rows(self) -> list[Json]:
        return list(self.body["result"]["list"])


@dataclass(frozen=True, slots=True)
class Trader:
    """One account of the simulated venue, and its key."""

    http: aiohttp.ClientSession
    base: str
    uid: int
    api_key: str
    api_secret: str

    def sign(self, text: str) -> str:
        return hmac.new(self.api_secret.encode(), text.encode(), hashlib.sha256).hexdigest()

    def headers(self, stamp: int, payload: str, window: str = "5000") -> dict[str, str]:
        return {
            "X-BAPI-API-KEY": self.api_key,
            "X-BAPI-TIMESTAMP": str(stamp),
            "X-BAPI-RECV-WINDOW": window,
            "X-BAPI-SIGN": self.sign(f"{stamp}{self.api_key}{window}{payload}"),
        }

    async def send(self, method: str, path: str, query: str, body: str, headers: dict[str, str]) -> Answer:
        """Send as it is."""
        url = f"{self.base}{path}" + (f"?{query}" if query else "")
        async with self.http.request(
            method, URL(url, encoded=True), data=body.encode() or None, headers=headers
        ) as response:
            return Answer(response.status, json.loads(await response.text()), dict(response.headers))

    async def get(self, path: str, **parameters: object) -> Answer:
        """Sign with the venue's own time and send as a query string."""
        query = urlencode(parameters)
        return await self.send("GET", path, query, "", self.headers(await self.venue_time(), query))

    async def post(self, path: str, **parameters: object) -> Answer:
        """Sign with the venue's own time and send as JSON."""
        body = json.dumps(parameters)
        return await self.send("POST", path, "", body, self.headers(await self.venue_time(), body))

    async def venue_time(self) -> int:
        async with self.http.get(f"{self.base}/v5/market/time") as response:
            return int((await response.json())["time"])

    async def order(self, side: str, order_type: str, qty: str, **more: object) -> Answer:
        """Place an order in BTCUSDT."""
        return await self.post(
            "/v5/order/create",
            category="linear",
            symbol="BTCUSDT",
            side=side,
            orderType=order_type,
            qty=qty,
            **more,
        )

    async def orders(self, **more: object) -> list[Json]:
        """Return open orders of BTCUSDT, or those that a filter names."""
        return (await self.get("/v5/order/realtime", category="linear", symbol="BTCUSDT", **more)).rows

    async def the_order(self, order_id: str) -> Json:
        (row,) = await self.orders(orderId=order_id)
        return row

    async def position(self, index: int = 0) -> Json:
        rows = (await self.get("/v5/position/list", category="linear", symbol="BTCUSDT")).rows
        return next(row for row in rows if row["positionIdx"] == index)


@dataclass(frozen=True, slots=True)
class BybitSim:
    """A running simulator seen from outside."""

    http: aiohttp.ClientSession
    server: SimServer

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server.bybit_port}"

    async def control(self, method: str, path: str, body: object = None) -> Json:
        url = f"http://127.0.0.1:{self.server.control_port}{path}"
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with self.http.request(method, url, json=body, headers=headers) as response:
            return await response.json()

    async def public(self, path: str, **parameters: object) -> Answer:
        async with self.http.get(f"{self.base}{path}", params=urlencode(parameters)) as response:
            return Answer(response.status, await response.json(), dict(response.headers))

    async def trader(self, balance: str = "100000", permissions: tuple[str, ...] = ("read", "trade")) -> Trader:
        body = {"venue": "bybit", "balance": balance, "permissions": list(permissions)}
        made = await self.control("POST", "/accounts", body)
        return Trader(self.http, self.base, made["uid"], made["api_key"], made["api_secret"])

    async def step(self, minutes: float) -> Json:
        """Move the clock to so many minutes after the first bar's opening."""
        body = {"until_ms": START_MS + int(minutes * MINUTE_MS), "stop_on_activity": False}
        return await self.control("POST", "/clock", body)


@asynccontextmanager
async def running_bybit(
    data: Path | None,
    *,
    speed: int | None = None,
    journal: Path | None = None,
    limits: bool | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[BybitSim]:
    """Run a simulator on free ports until the block ends."""
    settings = SimSettings(TOKEN, 0, 0, data=data, speed=speed, journal=journal, bybit_port=0, bybit_limits=limits)
    server = SimServer(settings, clock or SystemClock())
    await server.start()
    try:
        async with aiohttp.ClientSession() as http:
            yield BybitSim(http, server)
    finally:
        await server.stop()
