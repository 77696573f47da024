"""What no client of the venue sends: bytes on the wire that are barely HTTP, and frames that are no text."""

import asyncio
import zlib

import msgspec
import pytest
from aiohttp import WSMsgType

from tests.sim.bybit.client import BybitSim, Trader

pytestmark = pytest.mark.integration

UPGRADE = b"Host: sim\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
POST = b"POST /v5/order/create HTTP/1.1\r\nHost: sim\r\n"
BOMB = zlib.compress(b"a" * 5_000_000)


async def sent(sim: BybitSim, text: bytes) -> tuple[int, bytes, bytes]:
    """Send bytes as they are; return status, head and body of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.server.bybit_port)
    writer.write(text)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    body = await reader.readexactly(length)
    writer.close()
    return int(head.split(b" ", 2)[1]), head, body


@pytest.mark.parametrize(
    ("text", "status", "code"),
    [
        (b"OPTIONS * HTTP/1.1\r\nHost: sim\r\n\r\n", 404, 10017),
        (b"GET /v5/market/time/ HTTP/1.1\r\nHost: sim\r\n\r\n", 404, 10017),
        (b"GET /" + b"a" * 30_000 + b" HTTP/1.1\r\nHost: sim\r\n\r\n", 404, 10017),
        (b"GET /v5/private HTTP/1.1\r\nHost: sim\r\n\r\n", 404, 10017),
        (b"GET /v5/public/linear HTTP/1.1\r\n" + UPGRADE + b"Sec-WebSocket-Version: 12\r\n\r\n", 400, 10001),
        (POST + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", 200, 10001),
        (POST + b"Content-Encoding: deflate\r\nContent-Length: %d\r\n\r\n%b" % (len(BOMB), BOMB), 200, 10001),
        (POST + b"Content-Type: application/json; charset=none\r\nContent-Length: 2\r\n\r\n{}", 200, 10001),
    ],
)
async def test_odd_request_is_refused_in_the_words_of_the_venue(
    sim: BybitSim, text: bytes, status: int, code: int
) -> None:
    found, head, body = await sent(sim, text)

    assert (found, msgspec.json.decode(body)["retCode"]) == (status, code)
    assert b"Content-Type: application/json" in head


@pytest.mark.parametrize("faulty", [False, True])
async def test_body_that_is_no_text_is_refused_also_under_a_fault(sim: BybitSim, trader: Trader, faulty: bool) -> None:
    if faulty:
        await sim.control("POST", "/faults", {"fault": "rate_limit", "venue": "bybit", "symbol": "ETHUSDT"})
    text = POST + b"X-BAPI-API-KEY: " + trader.api_key.encode() + b'\r\nContent-Length: 14\r\n\r\n{"symbol":"\xff"}'

    status, _, body = await sent(sim, text)

    assert (status, msgspec.json.decode(body)["retCode"]) == (200, 10001)


@pytest.mark.parametrize("door", ["public/linear", "private", "trade"])
async def test_frame_that_is_no_text_is_answered_and_the_socket_stays(sim: BybitSim, door: str) -> None:
    async with sim.http.ws_connect(f"{sim.base}/v5/{door}") as socket:
        await socket.send_bytes(b'{"op":"\xff"}')
        refused = await socket.receive(timeout=5)
        await socket.send_json({"op": "ping"})
        pong = await socket.receive(timeout=5)

    assert refused.type is WSMsgType.TEXT
    assert "Failed to decode incoming data" in refused.data
    assert "pong" in pong.data
