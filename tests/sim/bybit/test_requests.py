"""Who may ask: signatures, time windows, rights, limits; and that nothing makes the face fail."""

import asyncio
import hashlib
import hmac
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from patriot.sim.bybit import render_market
from patriot.sim.bybit.endpoints import ENDPOINTS
from tests.sim.binance.client import flat, write_dump
from tests.sim.bybit.client import BybitSim, Trader, running_bybit

pytestmark = pytest.mark.integration

WALLET = "/v5/account/wallet-balance"


async def test_signed_query_is_answered_in_the_envelope(trader: Trader) -> None:
    answer = await trader.get(WALLET, accountType="UNIFIED")
    assert (answer.status, answer.code, answer.words) == (200, 0, "OK")
    assert set(answer.body) == {"retCode", "retMsg", "result", "retExtInfo", "time"}
    assert answer.rows[0]["totalEquity"] == "100000"


async def test_wrong_signature_is_refused_with_what_was_signed(trader: Trader) -> None:
    stamp = await trader.venue_time()
    headers = trader.headers(stamp, "other=1")
    answer = await trader.send("GET", WALLET, "accountType=UNIFIED", "", headers)
    assert (answer.status, answer.code) == (200, 10004)
    assert f"{stamp}{trader.api_key}5000accountType=UNIFIED" in answer.words


async def test_unknown_key_is_refused(trader: Trader) -> None:
    headers = trader.headers(await trader.venue_time(), "") | {"X-BAPI-API-KEY": "nobody"}
    answer = await trader.send("GET", "/v5/account/info", "", "", headers)
    assert answer.code == 10003


async def test_missing_headers_are_refused(trader: Trader) -> None:
    answer = await trader.send("GET", "/v5/account/info", "", "", {})
    assert answer.code == 10001
    assert "openapi sign params error!" in answer.words


@pytest.mark.parametrize(("shift", "code"), [(-4_000, 0), (-6_000, 10002), (900, 0), (1_500, 10002)])
async def test_timestamp_counts_within_the_window(trader: Trader, shift: int, code: int) -> None:
    headers = trader.headers(await trader.venue_time() + shift, "")
    assert (await trader.send("GET", "/v5/account/info", "", "", headers)).code == code


async def test_key_that_only_reads_may_not_trade(sim: BybitSim) -> None:
    reader = await sim.trader(permissions=("read",))
    assert (await reader.get("/v5/account/info")).code == 0
    assert (await reader.order("Buy", "Market", "0.01")).code == 10005
    assert (await reader.get("/v5/user/query-api")).result["readOnly"] == 1


async def test_withdraw_and_transfer_rights_show_on_the_key(sim: BybitSim) -> None:
    plain = (await (await sim.trader()).get("/v5/user/query-api")).result
    assert plain["permissions"]["ContractTrade"] == ["Order", "Position"]
    assert (plain["permissions"]["Wallet"], plain["uta"], plain["readOnly"]) == ([], 1, 0)
    rich = await sim.trader(permissions=("read", "trade", "withdraw", "transfer"))
    wallet = (await rich.get("/v5/user/query-api")).result["permissions"]["Wallet"]
    assert wallet == ["AccountTransfer", "SubMemberTransfer", "Withdraw"]


async def test_money_cannot_leave_by_any_key(sim: BybitSim) -> None:
    path, body = "/v5/asset/withdraw/create", {"coin": "USDT", "amount": "1"}
    assert (await (await sim.trader()).post(path, **body)).code == 10005
    assert (await (await sim.trader(permissions=("read", "withdraw"))).post(path, **body)).code == 131212


@pytest.mark.parametrize(
    "raw", [b"{", b"[]", b'"x"', b"\xff\xfe", b"[" * 9_000, b'{"symbol":{"a":1},"category":"linear"}', b"1e999999"]
)
async def test_malformed_body_is_a_refused_parameter(trader: Trader, raw: bytes) -> None:
    stamp = await trader.venue_time()
    origin = f"{stamp}{trader.api_key}5000".encode() + raw
    sign = hmac.new(trader.api_secret.encode(), origin, hashlib.sha256).hexdigest()
    headers = trader.headers(stamp, "") | {"X-BAPI-SIGN": sign}
    async with trader.http.post(f"{trader.base}/v5/order/create", data=raw, headers=headers) as response:
        assert response.status == 200
        assert (await response.json())["retCode"] == 10001


async def test_path_that_is_not_served_is_not_found(sim: BybitSim) -> None:
    answer = await sim.public("/v5/market/nothing")
    assert (answer.status, answer.code) == (404, 10017)


async def test_defect_of_ours_is_told_in_the_venues_words(sim: BybitSim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render_market, "orderbook", lambda *_: 1 / 0)
    answer = await sim.public("/v5/market/orderbook", category="linear", symbol="BTCUSDT")
    assert (answer.status, answer.code, answer.words) == (200, 10016, "Internal System Error.")


SCRAPS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=12),
    st.sampled_from(["linear", "BTCUSDT", "Buy", "Limit", "0", "-1", "1e5", "40000", "UNIFIED", "1", "5min", "D"]),
    st.lists(st.text(max_size=3), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
NAMES = st.sampled_from(
    [
        *("category", "symbol", "side", "orderType", "qty", "price", "limit", "cursor", "interval", "accountType"),
        *("orderId", "orderLinkId", "request", "triggerPrice", "takeProfit", "positionIdx", "start", "startTime"),
        *("endTime", "settleCoin", "buyLeverage", "sellLeverage", "mode", "tpslMode", "coin", "intervalTime"),
    ]
)


@given(
    endpoint=st.sampled_from(sorted(ENDPOINTS.paths())),
    parameters=st.dictionaries(NAMES, SCRAPS, max_size=6),
    linear=st.booleans(),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_parameters_make_the_face_fail(
    fuzzed: tuple[asyncio.AbstractEventLoop, Trader],
    endpoint: tuple[str, str],
    parameters: dict[str, object],
    linear: bool,
) -> None:
    loop, trader = fuzzed
    method, path = endpoint
    if linear:
        parameters = {"category": "linear", "symbol": "BTCUSDT"} | parameters
    call = trader.get(path, **parameters) if method == "GET" else trader.post(path, **parameters)
    answer = loop.run_until_complete(call)
    assert answer.status == 200
    assert answer.code != 10016, json.dumps(answer.body)


@pytest.fixture
def fuzzed(tmp_path: Path) -> object:
    """Return a loop and a trader on it: hypothesis calls plain functions."""
    loop = asyncio.new_event_loop()
    running = running_bybit(write_dump(tmp_path / "BTCUSDT-1m.csv", flat("40000.0", 5)))
    sim = loop.run_until_complete(running.__aenter__())
    trader = loop.run_until_complete(sim.trader())
    yield loop, trader
    loop.run_until_complete(running.__aexit__(None, None, None))
    loop.close()


# -------------------------------------------------------------------------------------------------- limits


async def test_orders_above_ten_a_second_are_too_many(tmp_path: Path) -> None:
    async with running_bybit(write_dump(tmp_path / "BTCUSDT-1m.csv", flat("40000.0", 5)), limits=True) as sim:
        trader = await sim.trader()
        stamp = await trader.venue_time()
        body = json.dumps({"category": "linear", "symbol": "BTCUSDT", "orderId": "none"})
        answers = await asyncio.gather(
            *(trader.send("POST", "/v5/order/cancel", "", body, trader.headers(stamp, body)) for _ in range(12))
        )
        codes = sorted(answer.code for answer in answers)
        assert codes == [10006, 10006, *[110001] * 10]
        refused = next(answer for answer in answers if answer.code == 10006)
        assert refused.status == 200
        assert (refused.headers["X-Bapi-Limit"], refused.headers["X-Bapi-Limit-Status"]) == ("10", "0")
        assert int(refused.headers["X-Bapi-Limit-Reset-Timestamp"]) > 0
        other = await sim.trader()
        assert (await other.post("/v5/order/cancel", category="linear", symbol="BTCUSDT", orderId="x")).code == 110001


async def test_address_above_its_limit_is_shut_out(tmp_path: Path) -> None:
    async with running_bybit(write_dump(tmp_path / "BTCUSDT-1m.csv", flat("40000.0", 5)), limits=True) as sim:
        statuses = []
        for _ in range(602):
            async with sim.http.get(f"{sim.base}/v5/market/time") as response:
                statuses.append(response.status)
        assert statuses[:600] == [200] * 600
        assert statuses[600:] == [403, 403]


async def test_stepped_replay_counts_but_never_refuses(trader: Trader) -> None:
    answers = [
        await trader.post("/v5/order/cancel", category="linear", symbol="BTCUSDT", orderId="x") for _ in range(15)
    ]
    assert {answer.code for answer in answers} == {110001}
    assert answers[-1].headers["X-Bapi-Limit"] == "10"
