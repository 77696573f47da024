"""What no client of the venue sends: bytes on the wire that are barely HTTP, or none at all."""

import asyncio
import logging
import zlib

import msgspec
import pytest

from tests.sim.binance.client import Sim

pytestmark = pytest.mark.integration

UPGRADE = b"Host: sim\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
POST = b"POST /fapi/v1/order HTTP/1.1\r\nHost: sim\r\n"
LONG = b"/" + b"a" * 30_000


async def sent(sim: Sim, text: bytes, answers: int = 1) -> list[tuple[int, bytes, bytes]]:
    """Send bytes as they are; return status, head and body of each answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.server.binance_port)
    writer.write(text)
    found = []
    for _ in range(answers):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        found.append((int(head.split(b" ", 2)[1]), head, await reader.readexactly(length)))
    writer.close()
    return found


@pytest.mark.parametrize(
    ("text", "status", "code"),
    [
        (b"OPTIONS * HTTP/1.1\r\nHost: sim\r\n\r\n", 404, -5000),
        (b"CONNECT sim:1 HTTP/1.1\r\nHost: sim\r\n\r\n", 404, -5000),
        (b"OPTIONS /fapi/v1/order HTTP/1.1\r\nHost: sim\r\n\r\n", 404, -5000),
        (b"GET /fapi/v1/ping/ HTTP/1.1\r\nHost: sim\r\n\r\n", 404, -5000),
        (b"GET /../etc/passwd HTTP/1.1\r\nHost: sim\r\n\r\n", 404, -5000),
        (b"GET " + LONG + b" HTTP/1.1\r\nHost: sim\r\n\r\n", 404, -5000),
        (b"GET /ws/btcusdt@trade HTTP/1.1\r\nHost: sim\r\n\r\n", 404, -5000),
        (b"GET /ws-fapi/v1 HTTP/1.1\r\nHost: sim\r\n\r\n", 404, -5000),
        (b"GET /ws HTTP/1.1\r\n" + UPGRADE + b"Sec-WebSocket-Version: 12\r\n\r\n", 400, -1020),
        (b"GET /ws HTTP/1.1\r\n" + UPGRADE + b"Sec-WebSocket-Version: 13\r\n\r\n", 400, -1020),
        (POST + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", 400, -1100),
        (POST + b"Content-Encoding: deflate\r\nContent-Length: 3\r\n\r\n\xff\xff\xff", 400, -1100),
        (POST + b"Content-Type: application/json; charset=none\r\nContent-Length: 2\r\n\r\n{}", 401, -2014),
        (POST + b"X-MBX-APIKEY: \xd0\xba\r\nContent-Length: 0\r\n\r\n", 401, -2014),
    ],
)
async def test_odd_request_is_refused_in_the_words_of_the_venue(
    sim: Sim, caplog: pytest.LogCaptureFixture, text: bytes, status: int, code: int
) -> None:
    ((found, head, body),) = await sent(sim, text)

    refusal = msgspec.json.decode(body)
    assert (found, refusal["code"]) == (status, code)
    assert isinstance(refusal["msg"], str)
    assert b"Content-Type: application/json" in head
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize(
    "text",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n",  # a TLS handshake
        b"GET /fapi/v1/ping HTTP/9.9\r\nHost: sim\r\n\r\n",
        POST + b"Content-Length: -5\r\n\r\n",
        POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n\r\n",
        b"GET /fapi/v1/ping HTTP/1.1\r\nHost: sim\r\n" + b"a: b\r\n" * 2_000 + b"\r\n",
    ],
)
async def test_what_is_no_http_is_a_bad_request_and_no_error_of_ours(
    sim: Sim, caplog: pytest.LogCaptureFixture, text: bytes
) -> None:
    ((status, head, body),) = await sent(sim, text)

    assert status == 400
    assert b"html" not in head + body
    assert b"Traceback" not in body
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_requests_sent_at_once_are_answered_in_their_order(sim: Sim) -> None:
    paths = (b"ping", b"nope", b"time", b"ping")
    text = b"".join(b"GET /fapi/v1/" + path + b" HTTP/1.1\r\nHost: sim\r\n\r\n" for path in paths)

    answers = await sent(sim, text, len(paths))

    assert [status for status, _, _ in answers] == [200, 404, 200, 200]
    assert b"serverTime" in answers[2][2]


async def test_body_that_grows_beyond_all_bounds_is_refused(sim: Sim) -> None:
    body = zlib.compress(b"a" * 5_000_000)
    text = POST + b"Content-Encoding: deflate\r\nContent-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body

    ((status, _, answer),) = await sent(sim, text)

    assert (status, msgspec.json.decode(answer)["code"]) == (413, -1013)
