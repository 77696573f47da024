"""A real simulator on loopback, and a client that signs as the venue's documents say."""

import hashlib
import hmac
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from patriot.kernel.clock import Clock, SystemClock
from patriot.sim.binance.limits import Limits
from patriot.sim.server import SimServer, SimSettings

TOKEN = "control-token"
START_MS = 1_643_673_600_000  # 2022-02-01T00:00Z
MINUTE_MS = 60_000
HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)

Json = Any  # a parse boundary: what the wire answers


def row(index: int, prices: tuple[str, str, str, str], *, start_ms: int = START_MS) -> str:
    """Return a line of a dump: open, high, low, close of one minute."""
    open_ms = start_ms + index * MINUTE_MS
    return f"{open_ms},{','.join(prices)},10.0,{open_ms + MINUTE_MS - 1},400000.00,0,0,0,0"


def write_dump(path: Path, bars: Iterable[tuple[str, str, str, str]], *, start_ms: int = START_MS) -> Path:
    """Write a recorded file and return its path."""
    lines = [HEADER, *(row(index, prices, start_ms=start_ms) for index, prices in enumerate(bars))]
    path.write_text("\n".join(lines) + "\n")
    return path


def flat(price: str, minutes: int) -> list[tuple[str, str, str, str]]:
    """Return bars that stand still."""
    return [(price, price, price, price)] * minutes


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Json
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Trader:
    """One account of the simulated venue, and its key."""

    http: aiohttp.ClientSession
    base: str
    uid: int
    api_key: str
    api_secret: str

    async def send(self, method: str, path: str, query: str, body: str = "") -> Answer:
        """Send as it is."""
        headers = {"X-MBX-APIKEY": self.api_key, "Content-Type": "application/x-www-form-urlencoded"}
        url = f"{self.base}{path}" + (f"?{query}" if query else "")
        async with self.http.request(method, URL(url, encoded=True), data=body or None, headers=headers) as response:
            return Answer(response.status, await response.json(), dict(response.headers))

    async def signed(self, method: str, path: str, **parameters: object) -> Answer:
        """Sign with the venue's own time and send as a query string."""
        stamp = parameters.pop("timestamp", None) or (await self.venue_time())
        text = urlencode({**parameters, "timestamp": stamp})
        return await self.send(method, path, f"{text}&signature={self.signature(text)}")

    def signature(self, text: str) -> str:
        return hmac.new(self.api_secret.encode(), text.encode(), hashlib.sha256).hexdigest()

    async def venue_time(self) -> int:
        answer = await self.send("GET", "/fapi/v1/time", "")
        return int(answer.body["serverTime"])

    async def market(self, side: str, quantity: str, **more: object) -> Answer:
        """Place a market order and ask for its result."""
        parameters = {"symbol": "BTCUSDT", "side": side, "type": "MARKET", "quantity": quantity}
        return await self.signed("POST", "/fapi/v1/order", **parameters, newOrderRespType="RESULT", **more)


@dataclass(frozen=True, slots=True)
class Sim:
    """A running simulator seen from outside."""

    http: aiohttp.ClientSession
    server: SimServer

    @property
    def rest(self) -> str:
        return f"http://127.0.0.1:{self.server.binance_port}"

    @property
    def streams(self) -> str:
        return f"ws://127.0.0.1:{self.server.binance_port}"

    async def control(self, method: str, path: str, body: object = None, token: str = TOKEN) -> Answer:
        url = f"http://127.0.0.1:{self.server.control_port}{path}"
        headers = {"Authorization": f"Bearer {token}"}
        async with self.http.request(method, url, json=body, headers=headers) as response:
            return Answer(response.status, await response.json(), dict(response.headers))

    async def public(self, path: str, **parameters: object) -> Answer:
        async with self.http.get(f"{self.rest}{path}", params=urlencode(parameters)) as response:
            return Answer(response.status, await response.json(), dict(response.headers))

    async def trader(self, balance: str = "10000", permissions: tuple[str, ...] = ("read", "trade")) -> Trader:
        body = {"venue": "binance", "balance": balance, "permissions": list(permissions)}
        made = (await self.control("POST", "/accounts", body)).body
        return Trader(self.http, self.rest, made["uid"], made["api_key"], made["api_secret"])

    async def step(self, minutes: float, *, stop_on_activity: bool = False) -> Json:
        """Move the clock to so many minutes after the first bar's opening."""
        body = {"until_ms": START_MS + int(minutes * MINUTE_MS), "stop_on_activity": stop_on_activity}
        return (await self.control("POST", "/clock", body)).body


@asynccontextmanager
async def running_sim(
    data: Path | None,
    *,
    speed: int | None = None,
    journal: Path | None = None,
    limits: Limits | None = None,
    clock: Clock | None = None,
    seed: int = 7,
    scenario: Path | None = None,
) -> AsyncIterator[Sim]:
    """Run a simulator on free ports until the block ends."""
    settings = SimSettings(
        TOKEN,
        0,
        0,
        data=data,
        seed=seed,
        speed=speed,
        journal=journal,
        limits=limits,
        bybit_port=0,
        scenario=scenario,
    )
    server = SimServer(settings, clock or SystemClock())
    await server.start()
    try:
        async with aiohttp.ClientSession() as http:
            yield Sim(http, server)
    finally:
        await server.stop()
