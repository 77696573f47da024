"""The WebSocket API over real sockets: orders, sessions, signatures, refusals, rate limits, faults."""

import asyncio
import hashlib
import hmac
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from patriot.sim.binance.endpoints import ENDPOINTS
from patriot.sim.binance.limits import Limits
from patriot.sim.binance.order_socket import METHODS
from tests.sim.binance.client import Sim, Trader, flat, running_sim, write_dump

pytestmark = pytest.mark.integration

Json = Any  # a parse boundary: what the wire answers
LIMIT_ORDER = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "price": "39000.0",
    "quantity": "0.010",
}


@dataclass
class Api:
    """A client of the WebSocket API that signs as the documents say."""

    socket: aiohttp.ClientWebSocketResponse
    trader: Trader
    sign: Callable[[str], str]
    asked: int = field(default=0)

    async def raw(self, frame: str) -> Json:
        """Send a frame and return the next answer."""
        await self.socket.send_str(frame)
        async with asyncio.timeout(5):
            return msgspec.json.decode((await self.socket.receive()).data)

    async def ask(self, method: str, **parameters: object) -> Json:
        """Ask without a signature."""
        self.asked += 1
        frame = {"id": self.asked, "method": method, "params": parameters}
        answer = await self.raw(msgspec.json.encode(frame).decode())
        assert answer["id"] == self.asked
        return answer

    async def signed(self, method: str, **parameters: object) -> Json:
        """Ask with key, time and signature."""
        stamp = await self.trader.venue_time()
        rows = {**parameters, "apiKey": self.trader.api_key, "timestamp": stamp}
        text = "&".join(f"{name}={value}" for name, value in sorted(rows.items()))
        return await self.ask(method, **rows, signature=self.sign(text))

    async def in_session(self, method: str, **parameters: object) -> Json:
        """Ask with the time only, as a session that has logged on."""
        return await self.ask(method, **parameters, timestamp=await self.trader.venue_time())


@asynccontextmanager
async def api_of(
    sim: Sim, trader: Trader, sign: Callable[[str], str] | None = None, query: str = ""
) -> AsyncIterator[Api]:
    async with sim.http.ws_connect(f"{sim.streams}/ws-fapi/v1{query}") as socket:
        yield Api(socket, trader, sign or trader.signature)


@pytest.fixture
async def api(sim: Sim, trader: Trader) -> AsyncIterator[Api]:
    async with api_of(sim, trader) as opened:
        yield opened


@pytest.fixture
async def session(sim: Sim) -> AsyncIterator[Api]:
    """A client with an Ed25519 key."""
    private = Ed25519PrivateKey.generate()
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    body = {"venue": "binance", "balance": "10000", "permissions": ["read", "trade"], "public_key": pem}
    made = (await sim.control("POST", "/accounts", body)).body
    trader = Trader(sim.http, sim.rest, made["uid"], made["api_key"], "")
    async with api_of(sim, trader, lambda text: b64encode(private.sign(text.encode())).decode()) as opened:
        yield opened


# ---------------------------------------------------------------------------------------------------- orders


async def test_order_is_placed_asked_for_modified_and_canceled(api: Api) -> None:
    placed = await api.signed("order.place", **LIMIT_ORDER)
    order_id = placed["result"]["orderId"]
    asked = await api.signed("order.status", symbol="BTCUSDT", orderId=order_id)
    changed = await api.signed(
        "order.modify", symbol="BTCUSDT", orderId=order_id, side="BUY", price="39100.0", quantity="0.020"
    )
    canceled = await api.signed("order.cancel", symbol="BTCUSDT", orderId=order_id)

    assert (placed["status"], placed["result"]["status"]) == (200, "NEW")
    assert asked["result"]["price"] == "39000.00"
    assert (changed["result"]["price"], changed["result"]["origQty"]) == ("39100.00", "0.020")
    assert canceled["result"]["status"] == "CANCELED"


async def test_conditional_order_is_placed_and_canceled(api: Api) -> None:
    await api.trader.market("BUY", "0.010")
    algo = {"algoType": "CONDITIONAL", "symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET"}
    placed = await api.signed("algoOrder.place", **algo, triggerPrice="39000", quantity="0.010", clientAlgoId="s-1")
    canceled = await api.signed("algoOrder.cancel", clientAlgoId="s-1")

    assert (placed["status"], placed["result"]["algoStatus"]) == (200, "NEW")
    assert canceled["result"]["algoId"] == placed["result"]["algoId"]


async def test_answers_are_those_of_rest(api: Api) -> None:
    await api.trader.market("BUY", "0.010")
    for method, path in (
        ("account.status", "/fapi/v2/account"),
        ("v2/account.status", "/fapi/v3/account"),
        ("account.balance", "/fapi/v2/balance"),
        ("v2/account.balance", "/fapi/v3/balance"),
        ("account.position", "/fapi/v2/positionRisk"),
        ("v2/account.position", "/fapi/v3/positionRisk"),
    ):
        assert (await api.signed(method))["result"] == (await api.trader.signed("GET", path)).body


async def test_market_data_needs_no_key(sim: Sim, api: Api) -> None:
    await sim.step(1)
    book = (await api.ask("depth", symbol="BTCUSDT", limit=5))["result"]
    price = (await api.ask("ticker.price", symbol="BTCUSDT"))["result"]
    top = (await api.ask("ticker.book", symbol="BTCUSDT"))["result"]

    assert (len(book["bids"]), len(book["asks"])) == (5, 5)
    assert Decimal(top["bidPrice"]) < Decimal(top["askPrice"])
    assert price["price"] == "40000.00"
    assert (await api.ask("ping"))["result"] == {}
    assert (await api.ask("time"))["result"]["serverTime"] == await api.trader.venue_time()


async def test_listen_key_is_started_extended_and_stopped(api: Api) -> None:
    key = {"apiKey": api.trader.api_key}
    started = await api.ask("userDataStream.start", **key)
    extended = await api.ask("userDataStream.ping", **key)
    stopped = await api.ask("userDataStream.stop", **key)
    again = await api.ask("userDataStream.ping", **key)

    assert extended["result"] == started["result"]
    assert stopped["status"] == 200
    assert (again["status"], again["error"]["code"]) == (400, -1125)


def test_every_method_has_an_endpoint_behind_it() -> None:
    assert {method for method, path in METHODS.items() if ENDPOINTS.find(*path) is None} == set()


# ---------------------------------------------------------------------------------------------------- who asks


async def test_parameters_signed_as_a_url_are_accepted_too(api: Api) -> None:
    stamp = await api.trader.venue_time()
    rows = {**LIMIT_ORDER, "apiKey": api.trader.api_key, "newClientOrderId": "a:b/c", "timestamp": stamp}
    text = urlencode(sorted(rows.items()))
    signature = hmac.new(api.trader.api_secret.encode(), text.encode(), hashlib.sha256).hexdigest()

    assert (await api.ask("order.place", **rows, signature=signature))["result"]["clientOrderId"] == "a:b/c"


async def test_wrong_signature_is_refused_and_nothing_is_placed(sim: Sim, trader: Trader) -> None:
    async with api_of(sim, trader, lambda _: "0" * 64) as api:
        answer = await api.signed("order.place", **LIMIT_ORDER)

    assert (answer["status"], answer["error"]["code"]) == (400, -1022)
    assert (await trader.signed("GET", "/fapi/v1/openOrders")).body == []


async def test_session_with_an_ed25519_key_signs_no_more_requests(session: Api) -> None:
    before = await session.ask("session.status")
    refused = await session.in_session("order.place", **LIMIT_ORDER)
    logged_on = await session.signed("session.logon")
    placed = await session.in_session("order.place", **LIMIT_ORDER)
    logged_out = await session.ask("session.logout")
    after = await session.in_session("order.place", **LIMIT_ORDER)

    assert before["result"]["apiKey"] is None
    assert (refused["status"], refused["error"]["code"]) == (401, -2014)
    assert logged_on["result"]["apiKey"] == session.trader.api_key
    assert logged_on["result"]["authorizedSince"] is not None
    assert placed["result"]["status"] == "NEW"
    assert (logged_out["result"]["apiKey"], logged_out["result"]["authorizedSince"]) == (None, None)
    assert after["error"]["code"] == -2014


async def test_session_still_needs_a_time_in_the_window(session: Api) -> None:
    await session.signed("session.logon")
    late = await session.ask("order.place", **LIMIT_ORDER, timestamp=1)

    assert late["error"]["code"] == -1021


async def test_session_cannot_log_on_with_an_hmac_key(api: Api) -> None:
    answer = await api.signed("session.logon")

    assert (answer["status"], answer["error"]["code"]) == (400, -4056)


async def test_key_without_the_right_to_trade_only_reads(sim: Sim) -> None:
    async with api_of(sim, await sim.trader(permissions=("read",))) as api:
        assert (await api.signed("account.balance"))["status"] == 200
        assert (await api.signed("order.place", **LIMIT_ORDER))["error"]["code"] == -2015


# ---------------------------------------------------------------------------------------------------- bad frames


@pytest.mark.parametrize(
    ("frame", "request_id", "code"),
    [
        ("{", None, -1135),
        ("[]", None, -1135),
        ("7", None, -1135),
        ('{"id": 1}', 1, -1102),
        ('{"id": "a", "method": "order.dance"}', "a", -1020),
        ('{"id": [1], "method": "ping"}', None, -1130),
        ('{"id": 1, "method": "ping", "params": []}', 1, -1130),
        ('{"id": 1, "method": "depth", "params": {"symbol": null}}', 1, -1102),
        ('{"id": 1, "method": "depth", "params": {"symbol": {"a": [1]}}}', 1, -1121),
        ('{"id": 1, "method": "order.place", "params": {"apiKey": 7}}', 1, -2014),
    ],
)
async def test_bad_frame_is_refused_in_the_envelope_and_the_socket_goes_on(
    api: Api, frame: str, request_id: object, code: int
) -> None:
    answer = await api.raw(frame)

    assert (answer["id"], answer["error"]["code"]) == (request_id, code)
    assert answer["status"] in (400, 401)
    assert (await api.raw('{"method": "ping"}'))["id"] is None


async def test_order_without_quantity_is_refused_as_in_rest(api: Api) -> None:
    parameters = {name: value for name, value in LIMIT_ORDER.items() if name != "quantity"}
    over_socket = await api.signed("order.place", **parameters)
    over_rest = await api.trader.signed("POST", "/fapi/v1/order", **parameters)

    assert (over_socket["status"], over_socket["error"]) == (over_rest.status, over_rest.body)


# ---------------------------------------------------------------------------------------------------- limits, faults


async def test_rate_limits_come_with_every_answer_unless_told_otherwise(sim: Sim, trader: Trader, api: Api) -> None:
    shown = await api.signed("order.place", **LIMIT_ORDER)
    hidden = await api.ask("ping", returnRateLimits=False)
    async with api_of(sim, trader, query="?returnRateLimits=false") as quiet:
        silent = await quiet.ask("ping")

    kinds = [(row["rateLimitType"], row["interval"], row["intervalNum"]) for row in shown["rateLimits"]]
    assert kinds == [("REQUEST_WEIGHT", "MINUTE", 1), ("ORDERS", "SECOND", 10), ("ORDERS", "MINUTE", 1)]
    assert shown["rateLimits"][1]["count"] == 1
    assert "rateLimits" not in hidden
    assert "rateLimits" not in silent


async def test_too_many_requests_are_refused_with_the_time_to_come_back(tmp_path: Path) -> None:
    data = write_dump(tmp_path / "BTCUSDT.csv", flat("40000.0", 3))
    async with (
        running_sim(data, limits=Limits(weight_per_minute=100)) as sim,
        api_of(sim, await sim.trader()) as api,
    ):
        answer = await api.ask("ping")
        while answer["status"] == 200:
            answer = await api.ask("depth", symbol="BTCUSDT", limit=1000)

    assert (answer["status"], answer["error"]["code"]) == (429, -1003)
    assert answer["error"]["data"]["retryAfter"] > answer["error"]["data"]["serverTime"]


async def test_order_executed_behind_a_lost_answer_is_there(sim: Sim, trader: Trader, api: Api) -> None:
    fault = {"fault": "drop_after", "match": {"method": "WS", "path": "order.place"}, "times": 1}
    assert (await sim.control("POST", "/faults", fault)).status == 200
    with pytest.raises(TypeError):  # the socket is gone: there is no text to decode
        await api.signed("order.place", **LIMIT_ORDER)

    assert len((await trader.signed("GET", "/fapi/v1/openOrders")).body) == 1


async def test_order_refused_by_an_overloaded_venue_is_not_there(sim: Sim, trader: Trader, api: Api) -> None:
    await sim.control("POST", "/faults", {"fault": "503_before", "match": {"method": "WS"}, "times": 1})
    answer = await api.signed("order.place", **LIMIT_ORDER)

    assert (answer["status"], answer["error"]["code"]) == (503, -1000)
    assert (await trader.signed("GET", "/fapi/v1/openOrders")).body == []
