"""A socket of the Bybit face whose messages are collected as they come, and a client that signs as the venue says."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from patriot.kernel.clock import Clock, SystemClock, to_epoch_ms
from patriot.sim.server import SimServer, SimSettings
from tests.sim.binance.client import START_MS, TOKEN, flat, write_dump
from tests.support import eventually

MINUTE_MS = 60_000
FAR_MS = 4_000_000_000_000  # an expiry that no clock of a test has reached

Json = Any  # a parse boundary: what the wire answers


class Socket:
    """One open socket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.messages: list[Json] = []
        self.closed = False

    async def read(self) -> None:
        async for message in self.socket:
            self.messages.append(msgspec.json.decode(message.data))
        self.closed = True

    def of(self, topic: str) -> list[Json]:
        return [message for message in self.messages if message.get("topic") == topic]

    def rows(self, topic: str) -> list[Json]:
        """Return the rows of every message of a private topic, in order."""
        return [row for message in self.of(topic) for row in message["data"]]

    async def ask(self, frame: object) -> Json:
        """Send a frame, text as it is, and return its answer."""
        seen = [id(message) for message in self.messages]
        await (self.socket.send_str(frame) if isinstance(frame, str) else self.socket.send_json(frame))

        def answer() -> Json:
            fresh = (message for message in self.messages if id(message) not in seen)
            return next((message for message in fresh if "topic" not in message), None)

        await eventually(lambda: answer() is not None)
        return answer()

    async def subscribe(self, *topics: str) -> Json:
        return await self.ask({"op": "subscribe", "req_id": "s", "args": list(topics)})


@dataclass(frozen=True, slots=True)
class Account:
    """One account of the simulated venue, and its key."""

    uid: int
    api_key: str
    api_secret: str

    def sign(self, text: str) -> str:
        return hmac.new(self.api_secret.encode(), text.encode(), hashlib.sha256).hexdigest()

    def auth(self, expires: int = FAR_MS) -> Json:
        return {"op": "auth", "args": [self.api_key, expires, self.sign(f"GET/realtime{expires}")]}


@dataclass(slots=True)
class Venue:
    """A running simulator seen from outside."""

    http: aiohttp.ClientSession
    server: SimServer
    clock: Clock
    requests: int = 0

    async def control(self, method: str, path: str, body: object = None) -> Json:
        url = f"http://127.0.0.1:{self.server.control_port}{path}"
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with self.http.request(method, url, json=body, headers=headers) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def account(self, balance: str = "10000", permissions: tuple[str, ...] = ("read", "trade")) -> Account:
        body = {"venue": "bybit", "balance": balance, "permissions": list(permissions)}
        made = await self.control("POST", "/accounts", body)
        return Account(made["uid"], made["api_key"], made["api_secret"])

    async def step(self, minutes: float) -> Json:
        """Move the clock to so many minutes after the first bar's opening."""
        return await self.control(
            "POST", "/clock", {"until_ms": START_MS + int(minutes * MINUTE_MS), "stop_on_activity": False}
        )

    async def settled(self) -> None:
        """Wait until everything that was sent has been taken."""
        await self.control("POST", "/barrier", {})

    @asynccontextmanager
    async def socket(self, door: str) -> AsyncIterator[Socket]:
        url = f"ws://127.0.0.1:{self.server.bybit_port}/v5/{door}"
        async with self.http.ws_connect(url) as opened:
            socket = Socket(opened)
            reading = asyncio.create_task(socket.read())
            yield socket
            await opened.close()
            await reading

    @asynccontextmanager
    async def private(self, account: Account, *topics: str) -> AsyncIterator[Socket]:
        """Open an authenticated private socket that listens to these topics."""
        async with self.socket("private") as socket:
            assert (await socket.ask(account.auth()))["success"]
            if topics:
                assert (await socket.subscribe(*topics))["success"]
            yield socket

    @asynccontextmanager
    async def trade(self, account: Account) -> AsyncIterator[Socket]:
        """Open an authenticated trade socket."""
        async with self.socket("trade") as socket:
            assert (await socket.ask(account.auth()))["retCode"] == 0
            yield socket

    async def post(self, account: Account, path: str, body: Json) -> Json:
        """Send a signed request over REST and return its result."""
        stamp, text = str(to_epoch_ms(self.clock.now())), msgspec.json.encode(body).decode()
        headers = {
            "X-BAPI-API-KEY": account.api_key,
            "X-BAPI-TIMESTAMP": stamp,
            "X-BAPI-SIGN": account.sign(f"{stamp}{account.api_key}{text}"),
        }
        url = f"http://127.0.0.1:{self.server.bybit_port}{path}"
        async with self.http.post(url, data=text, headers=headers) as response:
            answer = await response.json()
            assert answer["retCode"] == 0, answer
            return answer["result"]

    def request(self, operation: str, order: Json, **more: object) -> Json:
        """Return a request of the trade socket with a fresh id and the time of the machine."""
        self.requests += 1
        header = {"X-BAPI-TIMESTAMP": str(to_epoch_ms(self.clock.now())), "X-BAPI-RECV-WINDOW": "5000"}
        return {"op": operation, "reqId": f"r-{self.requests}", "header": header, "args": [order], **more}


@asynccontextmanager
async def running_venue(
    data: Path | None = None, *, speed: int | None = None, clock: Clock | None = None, limits: bool | None = None
) -> AsyncIterator[Venue]:
    """Run a simulator on free ports until the block ends."""
    settings = SimSettings(TOKEN, 0, 0, bybit_port=0, data=data, speed=speed, bybit_limits=limits)
    used = clock or SystemClock()
    server = SimServer(settings, used)
    await server.start()
    try:
        async with aiohttp.ClientSession() as http:
            yield Venue(http, server, used)
    finally:
        await server.stop()


def small_recording(folder: Path) -> Path:
    """Write an hour: 15 minutes at 40000, one up to 40600 and down to 39000, then 39500."""
    bars = [*flat("40000.0", 15), ("40000.0", "40600.0", "39000.0", "39500.0"), *flat("39500.0", 44)]
    return write_dump(folder / "BTCUSDT-1m.csv", bars)
