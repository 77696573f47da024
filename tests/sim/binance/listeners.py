"""Sockets of the simulated venue whose messages are collected as they come."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from tests.sim.binance.client import Sim, Trader
from tests.support import eventually


class Listener:
    """A socket whose messages are collected as they come."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.messages: list[Any] = []
        self.closed = False

    async def read(self) -> None:
        async for message in self.socket:
            self.messages.append(msgspec.json.decode(message.data))
        self.closed = True

    def named(self, event: str) -> list[Any]:
        return [message for message in self.messages if message.get("e") == event]

    async def ask(self, frame: object) -> Any:
        """Send a frame and return its answer."""
        before = len(self.messages)
        await self.socket.send_json(frame)
        await eventually(lambda: len(self.messages) > before)
        return self.messages.pop(before)


@asynccontextmanager
async def listening(sim: Sim, path: str) -> AsyncIterator[Listener]:
    async with sim.http.ws_connect(sim.streams + path) as socket:
        listener = Listener(socket)
        reading = asyncio.create_task(listener.read())
        yield listener
        await socket.close()
        await reading


async def listen_key(trader: Trader) -> str:
    key: str = (await trader.send("POST", "/fapi/v1/listenKey", "")).body["listenKey"]
    return key


async def settled(sim: Sim) -> None:
    """Wait until everything that was sent has been taken."""
    assert (await sim.control("POST", "/barrier", {})).status == 200
