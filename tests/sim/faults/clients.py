"""One raw client per venue, of the same shape, so that a fault can be seen through both."""

import asyncio
import hashlib
import hmac
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from tests.sim.binance.client import Sim
from tests.support import eventually

SYMBOL = "BTCUSDT"
QUANTITY = "0.010"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a client got for a request."""

    status: int
    text: str
    headers: dict[str, str]

    @property
    def body(self) -> Any:
        return json.loads(self.text)

    @property
    def code(self) -> int:
        """The venue's own code; 0 is success."""
        body = self.body
        if not isinstance(body, dict):
            return 0
        return int(body["retCode"] if "retCode" in body else body.get("code", 0))


@dataclass(slots=True)
class Stream:
    """What a client got on a private socket: events by the venue's name, in order."""

    socket: aiohttp.ClientWebSocketResponse
    messages: list[Any] = field(default_factory=list)
    closed: bool = False

    def named(self, event: str) -> list[Any]:
        return [message for message in self.messages if message.get("e", message.get("topic")) == event]

    async def read(self) -> None:
        async for message in self.socket:
            self.messages.append(json.loads(message.data))
        self.closed = True


@dataclass(frozen=True, slots=True)
class Client(ABC):
    """One account on a venue, and its key."""

    sim: Sim
    uid: int
    api_key: str
    secret: str

    venue = ""
    time_path = ""
    order_path = ""
    order_event = ""  # told with each step of an order
    position_event = ""

    @abstractmethod
    async def send(self, method: str, path: str, query: str = "", **more: Any) -> Seen: ...

    @abstractmethod
    async def time(self) -> int: ...

    @abstractmethod
    async def place(self, name: str, *, reduce_only: bool = False, price: str = "") -> Seen: ...

    @abstractmethod
    async def placed(self) -> list[str]:
        """Return the names of all orders ever placed."""

    @abstractmethod
    def socket_address(self) -> str: ...

    async def _request(self, base: str, method: str, path: str, query: str, **more: Any) -> Seen:
        url = URL(f"{base}{path}" + (f"?{query}" if query else ""), encoded=True)
        async with self.sim.http.request(method, url, **more) as answer:
            return Seen(answer.status, await answer.text(), dict(answer.headers))


class BinanceClient(Client):
    venue = "binance"
    time_path = "/fapi/v1/time"
    order_path = "/fapi/v1/order"
    order_event = "ORDER_TRADE_UPDATE"
    position_event = "ACCOUNT_UPDATE"

    async def send(self, method: str, path: str, query: str = "", **more: Any) -> Seen:
        headers = {"X-MBX-APIKEY": self.api_key}
        return await self._request(self.sim.rest, method, path, query, headers=headers, **more)

    async def signed(self, method: str, path: str, **parameters: object) -> Seen:
        query = urlencode({**parameters, "timestamp": await self.venue_now()})
        signature = hmac.new(self.secret.encode(), query.encode(), hashlib.sha256).hexdigest()
        return await self.send(method, path, f"{query}&signature={signature}")

    async def venue_now(self) -> int:
        """Return the venue's time without asking the venue, which a fault may have taken away."""
        return int((await self.sim.control("GET", "/health")).body["now_ms"])

    async def time(self) -> int:
        return int((await self.send("GET", self.time_path)).body["serverTime"])

    async def place(self, name: str, *, reduce_only: bool = False, price: str = "") -> Seen:
        parameters = {"symbol": SYMBOL, "side": "SELL" if reduce_only else "BUY", "quantity": QUANTITY}
        parameters |= {"newClientOrderId": name, "reduceOnly": "true" if reduce_only else "false"}
        parameters |= {"type": "LIMIT", "price": price, "timeInForce": "GTC"} if price else {"type": "MARKET"}
        return await self.signed("POST", self.order_path, **parameters)

    async def placed(self) -> list[str]:
        rows = (await self.signed("GET", "/fapi/v1/allOrders", symbol=SYMBOL)).body
        return [row["clientOrderId"] for row in rows]

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Stream]:
        key = (await self.send("POST", "/fapi/v1/listenKey")).body["listenKey"]
        async with self.sim.http.ws_connect(f"{self.sim.streams}/private/ws/{key}") as socket:
            stream = Stream(socket)
            reading = asyncio.create_task(stream.read())
            yield stream
            reading.cancel()

    def socket_address(self) -> str:
        return f"{self.sim.streams}/market/ws/btcusdt@aggTrade"


class BybitClient(Client):
    venue = "bybit"
    time_path = "/v5/market/time"
    order_path = "/v5/order/create"
    order_event = "order"
    position_event = "position"

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.sim.server.bybit_port}"

    async def send(self, method: str, path: str, query: str = "", **more: Any) -> Seen:
        return await self._request(self.base, method, path, query, **more)

    async def signed(self, method: str, path: str, *, at_ms: int | None = None, **parameters: object) -> Seen:
        now = str((await self.sim.control("GET", "/health")).body["now_ms"] if at_ms is None else at_ms)
        text = urlencode(parameters) if method == "GET" else json.dumps(parameters)
        headers = {"X-BAPI-API-KEY": self.api_key, "X-BAPI-TIMESTAMP": now, "X-BAPI-RECV-WINDOW": "5000"}
        headers["X-BAPI-SIGN"] = self.signature(f"{now}{self.api_key}5000{text}")
        if method == "GET":
            return await self.send(method, path, text, headers=headers)
        headers["Content-Type"] = "application/json"
        return await self.send(method, path, headers=headers, data=text)

    def signature(self, text: str) -> str:
        return hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest()

    async def time(self) -> int:
        return int((await self.send("GET", self.time_path)).body["result"]["timeNano"]) // 1_000_000

    async def place(self, name: str, *, reduce_only: bool = False, price: str = "") -> Seen:
        order: dict[str, Any] = {"category": "linear", "symbol": SYMBOL, "qty": QUANTITY, "orderLinkId": name}
        order |= {"side": "Sell" if reduce_only else "Buy", "reduceOnly": reduce_only}
        order |= {"orderType": "Limit", "price": price} if price else {"orderType": "Market"}
        return await self.signed("POST", self.order_path, **order)

    async def placed(self) -> list[str]:
        names = []
        for path in ("/v5/order/realtime", "/v5/order/history"):
            rows = (await self.signed("GET", path, category="linear", symbol=SYMBOL)).body["result"]["list"]
            names += [row["orderLinkId"] for row in rows]
        return list(dict.fromkeys(names))

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Stream]:
        async with self.sim.http.ws_connect(f"ws://127.0.0.1:{self.sim.server.bybit_port}/v5/private") as socket:
            stream = Stream(socket)
            reading = asyncio.create_task(stream.read())
            expires = (await self.sim.control("GET", "/health")).body["now_ms"] + 5_000
            arguments = [self.api_key, expires, self.signature(f"GET/realtime{expires}")]
            await socket.send_json({"op": "auth", "args": arguments})
            await socket.send_json({"op": "subscribe", "args": ["order", "position", "execution"]})
            await eventually(lambda: [m for m in stream.messages if m.get("op") == "subscribe" and m["success"]])
            stream.messages.clear()
            yield stream
            reading.cancel()

    def socket_address(self) -> str:
        return f"ws://127.0.0.1:{self.sim.server.bybit_port}/v5/public/linear"


CLIENTS = {"binance": BinanceClient, "bybit": BybitClient}


async def client_on(sim: Sim, venue: str, balance: str = "10000") -> Any:
    """Open an account on a venue and return its client."""
    made = (await sim.control("POST", "/accounts", {"venue": venue, "balance": balance})).body
    return CLIENTS[venue](sim, made["uid"], made["api_key"], made["api_secret"])


async def fault(sim: Sim, **wish: Any) -> Any:
    """Ask for a fault and return its row."""
    answer = await sim.control("POST", "/faults", wish)
    assert answer.status == 200, answer.body
    return answer.body


async def row_of(sim: Sim, fault_id: int) -> Any:
    """Return what GET /faults tells of a fault."""
    rows = (await sim.control("GET", "/faults")).body["faults"]
    return next(row for row in rows if row["id"] == fault_id)


async def settled(sim: Sim) -> None:
    """Wait until every socket has taken what was sent to it."""
    assert (await sim.control("POST", "/barrier", {})).status == 200
