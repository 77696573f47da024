"""One request and its fate, against a server that answers, stalls, lies or hangs up."""

import asyncio
import pickle
import re
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from patriot.accounts.ports import ApiKey
from patriot.adapters.exchanges.binance import session as session_module
from patriot.adapters.exchanges.binance.budget import RateBudget
from patriot.adapters.exchanges.binance.session import BinanceSession, Request, ignore_answer
from patriot.adapters.exchanges.binance.signing import Signer
from patriot.adapters.exchanges.binance.wire import read_server_time
from patriot.kernel.clock import FakeClock, to_epoch_ms
from patriot.kernel.errors import ExchangeError, ExchangeRefused, ExchangeUnavailable, OutcomeUnknown

pytestmark = pytest.mark.integration

KEY = ApiKey("public-part-of-the-key", "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j")
WRITE, READ = Request("POST", "/fapi/v1/order", {"symbol": "BTCUSDT"}), Request("GET", "/fapi/v1/order", {})
PAGE = "<html><head><title>503 Service Unavailable</title></head></html>"
SIGNATURE = re.compile(r"\b[0-9a-f]{64}\b")
Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def talking_to(
    answer: Answering, *, key: ApiKey | None = KEY, clock: FakeClock | None = None
) -> AsyncIterator[tuple[BinanceSession, FakeClock]]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    server, clock = TestServer(app), clock or FakeClock()
    await server.start_server()
    try:
        async with aiohttp.ClientSession() as http:
            base = f"http://127.0.0.1:{server.port}"
            signer = Signer(key) if key else None
            yield BinanceSession(base, base, http, signer, clock=clock, budget=RateBudget(clock)), clock
    finally:
        await server.close()


def saying(status: int, body: str, **headers: str) -> Answering:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=body, headers=headers)

    return answer


async def hang_up(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def stall(_: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


async def outcome(answer: Answering, request: Request) -> type[ExchangeError]:
    async with talking_to(answer) as (session, _):
        with pytest.raises(ExchangeError) as problem:
            await session.call(request, ignore_answer)
    return type(problem.value)


@pytest.mark.parametrize(
    ("answer", "to_a_write", "to_a_read"),
    [
        (hang_up, OutcomeUnknown, ExchangeUnavailable),
        (saying(200, "{not json"), OutcomeUnknown, ExchangeUnavailable),
        (saying(200, ""), OutcomeUnknown, ExchangeUnavailable),
        (saying(200, PAGE), OutcomeUnknown, ExchangeUnavailable),
        (saying(201, "{}"), OutcomeUnknown, ExchangeUnavailable),
        (saying(503, PAGE), OutcomeUnknown, ExchangeUnavailable),
        (saying(403, PAGE), OutcomeUnknown, ExchangeUnavailable),
        (
            saying(502, '{"code":-1001,"msg":"Internal error; unable to process your request."}'),
            OutcomeUnknown,
            ExchangeUnavailable,
        ),
        (
            saying(503, '{"code":-1001,"msg":"Internal error; unable to process your request."}'),
            ExchangeUnavailable,
            ExchangeUnavailable,
        ),
        (saying(400, '{"code":-2019,"msg":"Margin is insufficient."}'), ExchangeRefused, ExchangeRefused),
        (saying(301, "", Location="http://127.0.0.1:1/elsewhere"), OutcomeUnknown, ExchangeUnavailable),
    ],
)
async def test_fate_of_a_request(answer: Answering, to_a_write: type, to_a_read: type) -> None:
    assert await outcome(answer, WRITE) is to_a_write
    assert await outcome(answer, READ) is to_a_read


async def test_page_of_a_gateway_under_429_proves_nothing() -> None:
    assert await outcome(saying(429, PAGE), WRITE) is OutcomeUnknown


async def test_time_out_after_sending_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "_TIMEOUT", aiohttp.ClientTimeout(total=0.05))
    assert await outcome(stall, WRITE) is OutcomeUnknown


async def test_refused_connection_did_nothing() -> None:
    clock = FakeClock()
    async with aiohttp.ClientSession() as http:
        session = BinanceSession("http://127.0.0.1:1", "", http, Signer(KEY), clock=clock, budget=RateBudget(clock))
        with pytest.raises(ExchangeUnavailable):
            await session.call(WRITE, ignore_answer)


async def test_request_is_signed_with_the_time_it_was_decided() -> None:
    seen: dict[str, str] = {}

    async def remember(request: web.Request) -> web.StreamResponse:
        seen["body"], seen["key"] = await request.text(), request.headers["X-MBX-APIKEY"]
        return web.json_response({})

    async with talking_to(remember) as (session, clock):
        sent_at = clock.now() - timedelta(seconds=3)
        await session.call(Request("POST", "/fapi/v1/order", {"symbol": "BTCUSDT"}, sent_at=sent_at), ignore_answer)

    text, _, signature = seen["body"].rpartition("&signature=")
    assert text == f"symbol=BTCUSDT&recvWindow=5000&timestamp={to_epoch_ms(sent_at)}"
    assert signature == Signer(KEY).sign(text)
    assert seen["key"] == KEY.api_key


def test_signature_is_the_one_of_the_venues_document() -> None:
    """The worked example of the venue's page "Request Security", read 2026-11-22."""
    key = ApiKey("any", "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9")
    text = "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC&recvWindow=5000"
    text += "&timestamp=1591702613943"
    assert Signer(key).sign(text) == "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9"


async def test_clock_that_is_off_is_corrected_by_the_refusal() -> None:
    async def venue_is_ahead(request: web.Request) -> web.StreamResponse:
        if request.path == "/fapi/v1/time":
            return web.json_response({"serverTime": 1_893_672_000_000})
        return web.json_response({"code": -1021, "msg": "Timestamp is outside of the recvWindow."}, status=400)

    async with talking_to(venue_is_ahead) as (session, _):
        with pytest.raises(ExchangeUnavailable):
            await session.call(WRITE, ignore_answer)

        assert to_epoch_ms(session.time.now()) == 1_893_672_000_000


async def test_ban_stops_the_address_without_asking_again() -> None:
    asked: list[str] = []

    async def ban(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return web.json_response({"code": -1003, "msg": "banned"}, status=418, headers={"Retry-After": "90"})

    async with talking_to(ban) as (session, clock):
        for _ in range(2):
            with pytest.raises(ExchangeUnavailable) as problem:
                await session.call(WRITE, ignore_answer)
        assert problem.value.retry_after_seconds == 90
        assert len(asked) == 1

        clock.advance(timedelta(seconds=90))
        with pytest.raises(ExchangeUnavailable):
            await session.call(WRITE, ignore_answer)
        assert len(asked) == 2


async def test_too_many_orders_of_one_account_do_not_stop_the_address() -> None:
    answer = saying(429, '{"code":-1015,"msg":"Too many new orders"}', **{"Retry-After": "5"})
    async with talking_to(answer) as (session, _):
        for _ in range(2):
            with pytest.raises(ExchangeUnavailable, match="429"):
                await session.call(WRITE, ignore_answer)


async def test_weight_that_the_venue_counts_is_taken_over() -> None:
    answer = saying(200, '{"serverTime":1893672000000}', **{"X-MBX-USED-WEIGHT-1M": "1799"})
    async with talking_to(answer) as (session, _):
        await session.call(Request("GET", "/fapi/v1/time", {}, signed=False), read_server_time)
        income = session.call(Request("GET", "/fapi/v1/income", {}, weight=30), ignore_answer)
        with pytest.raises(TimeoutError):  # it waits for the next minute
            async with asyncio.timeout(0.05):
                await income


async def test_session_without_a_key_signs_nothing() -> None:
    async with talking_to(saying(200, "{}"), key=None) as (session, _):
        with pytest.raises(ExchangeUnavailable):
            await session.call(READ, ignore_answer)


async def repeat_the_request(request: web.Request) -> web.StreamResponse:
    shown = f"{request.headers['X-MBX-APIKEY']} {request.query_string} {await request.text()}"
    return web.json_response({"code": -1022, "msg": shown[-190:]}, status=400)


@pytest.mark.parametrize(
    "answer",
    [hang_up, repeat_the_request, saying(503, "x"), saying(200, "{"), saying(401, '{"code":-2015}'), saying(429, "")],
)
async def test_no_error_shows_the_secret_or_the_signed_request(answer: Answering) -> None:
    async with talking_to(answer) as (session, _):
        with pytest.raises(ExchangeError) as problem:
            await session.call(WRITE, ignore_answer)

    shown = "".join(traceback.format_exception(problem.value)) + repr(problem.value) + repr(vars(problem.value))
    assert planted_in(shown) == []


async def test_search_for_a_planted_key_finds_one() -> None:
    seen: list[str] = []

    async def remember(request: web.Request) -> web.StreamResponse:
        seen.append(f"{request.headers} {await request.text()}")
        return web.json_response({})

    async with talking_to(remember) as (session, _):
        await session.call(WRITE, ignore_answer)
    assert len(planted_in(seen[0])) == 2
    assert planted_in(KEY.api_secret) == [KEY.api_secret]


def planted_in(text: str) -> list[str]:
    """Return what of the key, or of what was made with it, stands in a text."""
    return [one for one in (KEY.api_secret, KEY.api_key) if one in text] + SIGNATURE.findall(text)


def test_signer_shows_nothing_and_does_not_travel() -> None:
    signer = Signer(KEY)
    assert KEY.api_secret not in repr(signer)
    with pytest.raises(TypeError):
        pickle.dumps(signer)
