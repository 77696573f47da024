"""The line itself, against a server that does what real lines do: go silent, answer late, talk nonsense, hang up."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import cast

import aiohttp
import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from patriot.adapters.exchanges.binance.sockets import SILENCE_SECONDS, Backoff, Socket, open_socket
from patriot.kernel.errors import ExchangeUnavailable
from patriot.simulation.loop import run_virtually

pytestmark = pytest.mark.integration

Script = Callable[[web.WebSocketResponse], Awaitable[None]]


@asynccontextmanager
async def serving(script: Script) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    """Run a WebSocket server that follows a script on every connection."""

    async def handle(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        await script(socket)
        return socket

    app = web.Application()
    app.router.add_get("/private/ws", handle)
    server = TestServer(app)
    await server.start_server()
    try:
        async with aiohttp.ClientSession() as http:
            yield http, f"ws://127.0.0.1:{server.port}/private/ws?listenKey=very-secret"
    finally:
        await server.close()


async def answer_one_ping(socket: web.WebSocketResponse) -> None:
    message = await socket.receive()
    assert message.type is WSMsgType.PING
    await socket.pong(message.data)
    await socket.send_str("after the silence")
    await socket.receive()


async def say_nothing(socket: web.WebSocketResponse) -> None:
    while (await socket.receive()).type is WSMsgType.PING:
        pass


async def test_silent_line_that_answers_stays_open() -> None:
    async with serving(answer_one_ping) as (http, url), open_socket(http, url, silence_seconds=0.01) as socket:
        heard = [await socket.next_message(), await socket.next_message()]

    assert heard == [b"", b"after the silence"]


async def test_line_that_does_not_answer_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("patriot.adapters.exchanges.binance.sockets.PONG_TIMEOUT_SECONDS", 0.01)
    async with serving(say_nothing) as (http, url), open_socket(http, url, silence_seconds=0.01) as socket:
        assert [await socket.next_message(), await socket.next_message()] == [b"", None]


class DeadLine:
    """A line on which nothing comes, and nothing ends."""

    async def receive(self) -> None:
        await asyncio.sleep(3_600)

    async def ping(self) -> None:
        """Send a ping that nobody hears."""

    async def close(self) -> None:
        """End."""


def test_line_that_says_nothing_is_dead_after_forty_seconds() -> None:
    async def run() -> list[float]:
        socket = Socket(cast(aiohttp.ClientWebSocketResponse, DeadLine()), SILENCE_SECONDS)
        assert await socket.next_message() == b""
        asked_at = asyncio.get_running_loop().time()
        assert await socket.next_message() is None
        given_up_at = asyncio.get_running_loop().time()
        await socket.stop()
        return [asked_at, given_up_at]

    assert run_virtually(run()) == [30, 40]


async def test_closed_line_is_dead() -> None:
    async def hang_up(socket: web.WebSocketResponse) -> None:
        await socket.close()

    async with serving(hang_up) as (http, url), open_socket(http, url) as socket:
        assert await socket.next_message() is None


async def test_refused_line_is_unavailable_and_does_not_name_the_listen_key() -> None:
    async with aiohttp.ClientSession() as http:
        with pytest.raises(ExchangeUnavailable) as problem:
            async with open_socket(http, "ws://127.0.0.1:1/private/ws?listenKey=very-secret"):
                pass

    assert "very-secret" not in repr(problem.value)
    assert problem.value.__context__ is None


async def test_ping_waits_in_line_behind_the_messages_before_it() -> None:
    ponged = asyncio.Event()

    async def two_messages_and_a_ping(socket: web.WebSocketResponse) -> None:
        await socket.send_str("first")
        await socket.ping(b"mark")
        await socket.send_str("second")
        message = await socket.receive()
        assert (message.type, message.data) == (WSMsgType.PONG, b"mark")
        ponged.set()
        await socket.receive()

    async with serving(two_messages_and_a_ping) as (http, url), open_socket(http, url) as socket:
        assert await socket.next_message() == b"first"
        async with http.get(url.replace("ws://", "http://")) as response:
            assert response.status >= 400  # a round trip to the server: whatever it was sent has arrived
        assert not ponged.is_set()
        assert await socket.next_message() == b"second"
        async with asyncio.timeout(5):
            await ponged.wait()


async def test_backoff_doubles_with_jitter_and_starts_again_after_success() -> None:
    waits: list[float] = []

    async def record(seconds: float) -> None:
        waits.append(seconds)

    backoff = Backoff(first_seconds=1, longest_seconds=8, sleep=record)
    for _ in range(6):
        await backoff.after_failure()
    backoff.succeeded()
    await backoff.after_failure()
    await backoff.after_failure(at_least_seconds=60)

    for waited, ceiling in zip(waits, [1, 2, 4, 8, 8, 8, 1], strict=False):
        assert ceiling / 2 <= waited <= ceiling
    assert waits[-1] == 60
