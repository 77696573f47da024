"""WebSockets as this adapter needs them: messages one by one, pings in their place among them, silence noticed.

A ping is answered only when the consumer has asked for what comes after it, and so has handled everything before it: a
pong therefore proves that all earlier messages were handled. A replay of recorded prices uses this as its barrier.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import WSMsgType

from patriot.kernel.errors import ExchangeUnavailable

OPEN_TIMEOUT_SECONDS = 10.0
SILENCE_SECONDS = 30.0  # after this we ask whether anyone is there; the venue itself pings every 3 minutes
PONG_TIMEOUT_SECONDS = 10.0
LARGEST_MESSAGE_BYTES = 4 * 2**20


class Socket:
    """An open WebSocket whose messages are asked for one by one."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, silence_seconds: float) -> None:
        self._socket = socket
        self._silence_seconds = silence_seconds
        self._receiving: asyncio.Task[aiohttp.WSMessage] | None = None
        self._asked = False  # we sent a ping into the silence and wait for any sign of life
        self._given_up: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def give_up(self) -> None:
        """Take the line for dead from now on."""
        if not self._given_up.done():
            self._given_up.set_result(None)

    async def next_message(self) -> bytes | None:
        """Return the next message; None when the line is dead; b"" after a silence, to do what is due."""
        while True:
            message = await self._receive()
            if self._given_up.done():
                return None
            if message is None:
                return await self._ask_into_silence()
            self._asked = False
            match message.type:
                case WSMsgType.TEXT:
                    return str(message.data).encode()
                case WSMsgType.BINARY:
                    return bytes(message.data)
                case WSMsgType.PING:
                    if not await self._send(self._socket.pong(bytes(message.data))):
                        return None
                case WSMsgType.PONG:
                    continue
                case _:
                    return None

    async def _receive(self) -> aiohttp.WSMessage | None:
        """Return what came, or None after the silence; a receive that is under way is kept for the next call."""
        if self._receiving is None:
            self._receiving = asyncio.ensure_future(self._socket.receive())
        patience = PONG_TIMEOUT_SECONDS if self._asked else self._silence_seconds
        ending: set[asyncio.Future[Any]] = {self._receiving, self._given_up}
        await asyncio.wait(ending, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        if not self._receiving.done():
            return None
        task, self._receiving = self._receiving, None
        try:
            return task.result()
        except (aiohttp.ClientError, OSError, RuntimeError) as error:
            return aiohttp.WSMessage(WSMsgType.ERROR, error, None)

    async def _ask_into_silence(self) -> bytes | None:
        if self._asked:
            return None
        self._asked = True
        return b"" if await self._send(self._socket.ping()) else None

    async def _send(self, sending: Awaitable[None]) -> bool:
        try:
            await sending
        except (aiohttp.ClientError, OSError, RuntimeError):
            return False
        return True

    async def stop(self) -> None:
        """End the receiving task and the socket."""
        if self._receiving is not None:
            self._receiving.cancel()
            await asyncio.wait({self._receiving})
            if not self._receiving.cancelled():
                self._receiving.exception()
        await self._socket.close()


@asynccontextmanager
async def open_socket(
    http: aiohttp.ClientSession, url: str, silence_seconds: float = SILENCE_SECONDS
) -> AsyncIterator[Socket]:
    """Open a WebSocket. Errors: ExchangeUnavailable, which does not carry the address: a listen key may stand in it."""
    problem: ExchangeUnavailable | None = None
    socket: aiohttp.ClientWebSocketResponse | None = None
    try:
        async with asyncio.timeout(OPEN_TIMEOUT_SECONDS):
            socket = await http.ws_connect(url, autoping=False, max_msg_size=LARGEST_MESSAGE_BYTES)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        problem = ExchangeUnavailable(f"stream: no connection ({type(error).__name__})")
    if socket is None:
        raise problem or ExchangeUnavailable("stream: no connection")
    opened = Socket(socket, silence_seconds)
    try:
        yield opened
    finally:
        await opened.stop()


async def wait(seconds: float) -> None:
    """Wait in real time."""
    await asyncio.sleep(seconds)


@dataclass(slots=True)
class Backoff:
    """How long to wait before the next try: doubling, with jitter, so that many streams do not come back at once."""

    first_seconds: float = 0.25
    longest_seconds: float = 30.0
    chance: random.Random = field(default_factory=random.Random)
    sleep: Callable[[float], Awaitable[None]] = wait
    _tries: int = 0

    async def after_failure(self, at_least_seconds: float | None = None) -> None:
        """Wait before the next try, and longer each time."""
        ceiling = min(self.longest_seconds, self.first_seconds * 2 ** min(self._tries, 20))
        self._tries += 1
        await self.sleep(max(at_least_seconds or 0.0, ceiling * (0.5 + self.chance.random() / 2)))

    def succeeded(self) -> None:
        """Start again from the shortest wait."""
        self._tries = 0
