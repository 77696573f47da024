"""A client that does not take what it is sent: it is cut off in the end, and nobody else waits for it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from patriot.sim.exchange import VenueName
from patriot.sim.sockets import Sessions
from tests.sim.binance.client import Sim, running_sim, write_dump
from tests.sim.binance.listeners import listening
from tests.support import eventually

pytestmark = pytest.mark.integration

MINUTES = 60
MANY = 8  # minutes of books that no buffer of the system holds
BOOKS = "btcusdt@depth/btcusdt@depth@100ms/btcusdt@depth@500ms/btcusdt@rpiDepth@500ms"


@pytest.fixture
async def sim(tmp_path: Path) -> AsyncIterator[Sim]:
    """A price that moves the whole book each minute."""
    bars = [(f"{price}.0",) * 4 for price in range(40_000, 40_000 + 20 * MINUTES, 20)]
    async with running_sim(write_dump(tmp_path / "BTCUSDT.csv", bars)) as running:
        yield running


@asynccontextmanager
async def deaf(sim: Sim, path: str) -> AsyncIterator[None]:
    """Open a socket and never read from it."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    raw.setblocking(False)
    loop = asyncio.get_running_loop()
    with raw:
        await loop.sock_connect(raw, ("127.0.0.1", sim.server.binance_port))
        head = f"GET {path} HTTP/1.1\r\nHost: sim\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        await loop.sock_sendall(raw, (head + key).encode())
        yield


def sessions_of(sim: Sim) -> Sessions:
    return sim.server._sessions[VenueName.BINANCE]


async def test_client_that_does_not_read_is_cut_off_and_others_hear_everything(
    sim: Sim, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("patriot.sim.sockets.MAX_WAITING_BYTES", 100_000)
    async with listening(sim, "/market/ws/btcusdt@kline_1m") as other, deaf(sim, f"/public/stream?streams={BOOKS}"):
        await eventually(lambda: sessions_of(sim).open_sessions == 2)
        for minute in range(1, MINUTES + 1):
            await sim.step(minute)

        await eventually(lambda: sessions_of(sim).open_sessions == 1)
        await eventually(lambda: len([m for m in other.messages if m["k"]["x"]]) == MINUTES)


async def test_simulator_ends_although_a_client_does_not_read(sim: Sim) -> None:
    async with deaf(sim, f"/public/stream?streams={BOOKS}"):
        await eventually(lambda: sessions_of(sim).open_sessions == 1)
        await sim.step(MANY)

        async with asyncio.timeout(5):
            await sim.server.stop()


async def test_client_that_takes_not_even_our_end_is_cut_off(sim: Sim) -> None:
    async with deaf(sim, f"/public/stream?streams={BOOKS}"):
        await eventually(lambda: sessions_of(sim).open_sessions == 1)
        await sim.step(MANY)
        sessions_of(sim).end_overdue(life_seconds=0, silence_seconds=3_600)
        await sim.step(MANY + 1)
        still_open = sessions_of(sim).open_sessions
        sessions_of(sim).end_overdue(life_seconds=0, silence_seconds=0)

        await eventually(lambda: sessions_of(sim).open_sessions == 0)
    assert still_open == 1
