"""REST of the Binance face over a real socket: what the venue answers, and how it says no."""

import hashlib
import hmac
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patriot.kernel.clock import FakeClock, SystemClock, to_epoch_ms
from patriot.sim.binance.context import FaceContext
from patriot.sim.binance.endpoints import ENDPOINTS
from patriot.sim.binance.limits import Limits
from patriot.sim.binance.requests import Call, RawRequest, Security, authenticate, parse_parameters
from patriot.sim.engine.events import VenueRefusal
from patriot.sim.engine.words import Permission
from patriot.sim.keys import ApiKey, KeyRing
from tests.sim.binance.client import START_MS, Sim, Trader, flat, running_sim, write_dump

pytestmark = pytest.mark.integration

LIMIT_ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.010"}


# ---------------------------------------------------------------------------------------------------- public


async def test_market_data_answers_in_the_shapes_of_the_venue(sim: Sim) -> None:
    await sim.step(16)

    assert (await sim.public("/fapi/v1/ping")).body == {}
    assert (await sim.public("/fapi/v1/time")).body == {"serverTime": START_MS + 16 * 60_000}
    assert (await sim.public("/fapi/v1/ticker/price", symbol="BTCUSDT")).body["price"] == "39500.00"
    premium = (await sim.public("/fapi/v1/premiumIndex", symbol="BTCUSDT")).body
    assert (premium["markPrice"], premium["indexPrice"]) == ("39500.00", "39500.00")
    assert premium["nextFundingTime"] == START_MS + 8 * 3_600_000
    book = (await sim.public("/fapi/v1/depth", symbol="BTCUSDT", limit=5)).body
    assert len(book["bids"]) == len(book["asks"]) == 5
    assert float(book["bids"][0][0]) < float(book["asks"][0][0])
    best = (await sim.public("/fapi/v1/ticker/bookTicker", symbol="BTCUSDT")).body
    assert (best["bidPrice"], best["askPrice"]) == (book["bids"][0][0], book["asks"][0][0])
    day = (await sim.public("/fapi/v1/ticker/24hr")).body
    assert [(row["symbol"], row["openPrice"], row["lowPrice"]) for row in day] == [("BTCUSDT", "40000.0", "39000.0")]
    prints = (await sim.public("/fapi/v1/aggTrades", symbol="BTCUSDT", limit=2)).body
    assert [row["p"] for row in prints][-1] == "39500.00"
    assert len((await sim.public("/fapi/v1/trades", symbol="BTCUSDT", limit=3)).body) == 3
    assert (await sim.public("/fapi/v1/fundingRate")).body == []


async def test_klines_are_what_was_played_and_no_more(sim: Sim) -> None:
    await sim.step(16)

    minutes = (await sim.public("/fapi/v1/klines", symbol="BTCUSDT", interval="1m", limit=1500)).body
    quarter = (await sim.public("/fapi/v1/klines", symbol="BTCUSDT", interval="15m")).body
    marks = (await sim.public("/fapi/v1/markPriceKlines", symbol="BTCUSDT", interval="15m")).body

    assert [row[0] for row in minutes] == [START_MS + index * 60_000 for index in range(16)]
    assert minutes[15][1:7] == ["40000.0", "40600.0", "39000.0", "39500.0", "10.0", START_MS + 16 * 60_000 - 1]
    assert quarter[0][:6] == [START_MS, "40000.0", "40000.0", "40000.0", "40000.0", "150.0"]
    assert (marks[0][4], marks[0][5]) == ("40000.0", "0")


@pytest.mark.parametrize(
    ("path", "parameters", "code"),
    [
        ("/fapi/v1/klines", {"symbol": "NOPEUSDT", "interval": "1m"}, -1121),
        ("/fapi/v1/klines", {"symbol": "BTCUSDT", "interval": "7m"}, -1120),
        ("/fapi/v1/klines", {"symbol": "BTCUSDT", "interval": "1m", "limit": "-1"}, -1100),
        ("/fapi/v1/klines", {"symbol": "BTCUSDT", "interval": "1m", "limit": "0"}, -1130),
        ("/fapi/v1/klines", {"symbol": "BTCUSDT", "interval": "1m", "startTime": "5", "endTime": "4"}, -1023),
        ("/fapi/v1/klines", {"interval": "1m"}, -1102),
        ("/fapi/v1/depth", {"symbol": "BTCUSDT", "limit": "7"}, -4021),
        ("/fapi/v1/depth", {"symbol": "BTCUSDT", "limit": "1e400"}, -1100),
    ],
)
async def test_bad_public_request_is_refused_with_the_code_of_the_venue(
    sim: Sim, path: str, parameters: dict[str, str], code: int
) -> None:
    answer = await sim.public(path, **parameters)

    assert (answer.status, answer.body["code"]) == (400, code)


async def test_unknown_path_is_refused_and_never_a_server_error(sim: Sim) -> None:
    answer = await sim.public("/fapi/v9/nothing")

    assert (answer.status, answer.body["code"]) == (404, -5000)


async def test_numbers_have_the_decimals_of_their_grids_however_they_were_sent(sim: Sim, trader: Trader) -> None:
    await sim.step(2)

    book = (await sim.public("/fapi/v1/depth", symbol="BTCUSDT", limit=100)).body
    best = (await sim.public("/fapi/v1/ticker/bookTicker", symbol="BTCUSDT")).body
    rows = [*book["bids"], *book["asks"], [best["bidPrice"], best["bidQty"]], [best["askPrice"], best["askQty"]]]
    placed = (
        await trader.signed("POST", "/fapi/v1/order", **LIMIT_ORDER | {"quantity": "0.01", "price": "39000"})
    ).body

    assert {(len(price.split(".")[1]), len(quantity.split(".")[1])) for price, quantity in rows} == {(2, 3)}
    assert (placed["price"], placed["stopPrice"], placed["origQty"]) == ("39000.00", "0.00", "0.010")
    assert (placed["executedQty"], placed["cumQty"], placed["cumQuote"]) == ("0.000", "0.000", "0.00000")


# ---------------------------------------------------------------------------------------------------- the way in


async def test_signature_covers_query_and_body_together(trader: Trader) -> None:
    query = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC"
    body = f"quantity=0.010&price=39000&timestamp={await trader.venue_time()}"
    signed = f"{body}&signature={trader.signature(query + body)}"

    accepted = await trader.send("POST", "/fapi/v1/order", query, signed)
    changed = await trader.send("POST", "/fapi/v1/order", query, signed.replace("39000", "38000"))

    assert (accepted.status, accepted.body["status"]) == (200, "NEW")
    assert (changed.status, changed.body["code"]) == (400, -1022)


async def test_key_and_time_are_checked_as_the_venue_does(sim: Sim, trader: Trader) -> None:
    now = await trader.venue_time()
    late = await trader.signed("GET", "/fapi/v3/account", timestamp=now - 5_001)
    in_time = await trader.signed("GET", "/fapi/v3/account", timestamp=now - 5_001, recvWindow=6_000)
    ahead = await trader.signed("GET", "/fapi/v3/account", timestamp=now + 10_000_000_000_000)
    missing = await trader.send("GET", "/fapi/v3/account", "recvWindow=5000")
    unsigned = await trader.send("GET", "/fapi/v3/account", f"timestamp={now}")
    stranger = Trader(sim.http, sim.rest, 0, "x" * 64, "y" * 64)
    no_key = Trader(sim.http, sim.rest, 0, "", "y" * 64)

    assert [late.body["code"], ahead.body["code"]] == [-1021, -1021]
    assert in_time.status == 200
    assert "'timestamp'" in missing.body["msg"]
    assert "'signature'" in unsigned.body["msg"]
    refused = await stranger.signed("GET", "/fapi/v3/account", timestamp=now)
    assert (refused.status, refused.body["code"]) == (401, -2015)
    malformed = await no_key.signed("GET", "/fapi/v3/account", timestamp=now)
    assert (malformed.status, malformed.body["code"]) == (401, -2014)


async def test_skewed_clock_refuses_who_is_right_by_the_clock_of_the_machine(sim: Sim, trader: Trader) -> None:
    machine_ms = to_epoch_ms(SystemClock().now())
    right = await trader.signed("GET", "/fapi/v3/account", timestamp=machine_ms)
    await sim.control("POST", "/faults", {"action": "clock_skew", "venue": "binance", "skew_ms": -20_000})
    skewed = await trader.signed("GET", "/fapi/v3/account", timestamp=machine_ms)

    assert (right.status, skewed.body["code"]) == (200, -1021)


async def test_key_without_trade_right_reads_and_does_not_trade(sim: Sim) -> None:
    reader = await sim.trader(permissions=("read",))

    assert (await reader.signed("GET", "/fapi/v3/balance")).status == 200
    refused = await reader.signed("POST", "/fapi/v1/order", **LIMIT_ORDER, price="39000")
    assert (refused.status, refused.body["code"]) == (401, -2015)


async def test_key_restrictions_tell_what_a_key_may_do(sim: Sim) -> None:
    plain = await sim.trader()
    rich = await sim.trader(permissions=("read", "trade", "withdraw"))

    may = (await plain.signed("GET", "/sapi/v1/account/apiRestrictions")).body
    may_more = (await rich.signed("GET", "/sapi/v1/account/apiRestrictions")).body

    assert (may["enableReading"], may["enableFutures"], may["enableWithdrawals"]) == (True, True, False)
    assert may_more["enableWithdrawals"] is True


def test_parameter_given_twice_is_refused_and_the_query_wins_over_the_body() -> None:
    assert parse_parameters(RawRequest("a=1&b=x%2By", "a=2&c=3", None)) == {"a": "1", "b": "x+y", "c": "3"}
    with pytest.raises(VenueRefusal, match="-1101"):
        parse_parameters(RawRequest("a=1&a=1", "", None))


@given(query=st.text(max_size=80), body=st.text(max_size=80), key=st.none() | st.text(max_size=70))
def test_no_request_makes_authentication_raise_anything_but_a_refusal(query: str, body: str, key: str | None) -> None:
    ring = KeyRing()
    ring.add(ApiKey("k" * 64, 1, (Permission.READ,), b"secret"))
    for api_key in (key, "k" * 64):
        with pytest.raises(VenueRefusal):
            authenticate(RawRequest(query, body, api_key), Security.READ, ring, (START_MS,))


@given(fields=st.dictionaries(st.sampled_from("abcd"), st.from_regex(r"[A-Za-z0-9._]{0,8}", fullmatch=True)))
def test_what_is_signed_is_accepted_and_a_changed_secret_is_not(fields: dict[str, str]) -> None:
    text = "&".join([*(f"{name}={value}" for name, value in fields.items()), f"timestamp={START_MS}"])
    right = KeyRing()
    right.add(ApiKey("k" * 64, 1, (Permission.READ,), b"secret"))
    wrong = KeyRing()
    wrong.add(ApiKey("k" * 64, 1, (Permission.READ,), b"Secret"))
    signature = hmac.new(b"secret", text.encode(), hashlib.sha256).hexdigest()
    request = RawRequest(f"{text}&signature={signature}", "", "k" * 64)

    assert authenticate(request, Security.READ, right, (START_MS,)).uid == 1
    with pytest.raises(VenueRefusal, match="-1022"):
        authenticate(request, Security.READ, wrong, (START_MS,))


# ---------------------------------------------------------------------------------------------------- orders


async def test_market_order_is_acknowledged_then_found_filled(trader: Trader) -> None:
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.010", "newClientOrderId": "m-1"}
    placed = (await trader.signed("POST", "/fapi/v1/order", **order)).body
    found = (await trader.signed("GET", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId="m-1")).body
    trades = (await trader.signed("GET", "/fapi/v1/userTrades", symbol="BTCUSDT")).body
    income = (await trader.signed("GET", "/fapi/v1/income", incomeType="COMMISSION")).body

    assert (placed["status"], placed["executedQty"]) == ("NEW", "0.000")
    assert (found["status"], float(found["executedQty"]), found["orderId"]) == ("FILLED", 0.01, placed["orderId"])
    assert sum(float(row["qty"]) for row in trades) == pytest.approx(0.01)
    paid = sum(float(row["commission"]) for row in trades)
    assert -sum(float(row["income"]) for row in income) == pytest.approx(paid)


async def test_position_and_balance_are_told_the_same_by_every_version(trader: Trader) -> None:
    await trader.signed("POST", "/fapi/v1/marginType", symbol="BTCUSDT", marginType="ISOLATED")
    await trader.signed("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=5)
    await trader.market("SELL", "0.010")

    v2 = (await trader.signed("GET", "/fapi/v2/positionRisk", symbol="BTCUSDT")).body[0]
    v3 = (await trader.signed("GET", "/fapi/v3/positionRisk")).body[0]
    account = (await trader.signed("GET", "/fapi/v2/account")).body
    balance = (await trader.signed("GET", "/fapi/v2/balance")).body[0]
    config = (await trader.signed("GET", "/fapi/v1/symbolConfig", symbol="BTCUSDT")).body[0]

    assert (v2["positionAmt"], v2["leverage"], v2["marginType"]) == ("-0.010", "5", "isolated")
    assert {name: v3[name] for name in ("positionAmt", "entryPrice", "isolatedWallet")} == {
        name: v2[name] for name in ("positionAmt", "entryPrice", "isolatedWallet")
    }
    assert (config["leverage"], config["marginType"]) == (5, "ISOLATED")
    assert account["totalWalletBalance"] == balance["balance"]
    assert account["positions"][0]["isolated"] is True


async def test_stop_goes_to_the_algo_path_and_survives_cancel_all(trader: Trader) -> None:
    await trader.market("BUY", "0.010")
    stop = {"symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET", "quantity": "0.010", "reduceOnly": "true"}
    old_path = await trader.signed("POST", "/fapi/v1/order", **stop, stopPrice="39200")
    algo = {**stop, "algoType": "CONDITIONAL", "triggerPrice": "39200", "clientAlgoId": "s-1"}
    placed = (await trader.signed("POST", "/fapi/v1/algoOrder", **algo)).body
    await trader.signed("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
    open_after = (await trader.signed("GET", "/fapi/v1/openAlgoOrders", symbol="BTCUSDT")).body
    canceled = (await trader.signed("DELETE", "/fapi/v1/algoOrder", clientAlgoId="s-1")).body

    assert old_path.body["code"] == -4120
    assert (placed["algoStatus"], placed["triggerPrice"], placed["reduceOnly"]) == ("NEW", "39200.00", True)
    assert [row["clientAlgoId"] for row in open_after] == ["s-1"]
    assert canceled == {"algoId": placed["algoId"], "clientAlgoId": "s-1", "code": "200", "msg": "success"}
    history = (await trader.signed("GET", "/fapi/v1/allAlgoOrders", symbol="BTCUSDT")).body
    assert [row["algoStatus"] for row in history] == ["CANCELED"]


async def test_triggered_stop_names_the_order_it_became(sim: Sim, trader: Trader) -> None:
    await trader.market("BUY", "0.010")
    algo = {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "STOP_MARKET",
        "algoType": "CONDITIONAL",
        "clientAlgoId": "s-1",
    }
    await trader.signed("POST", "/fapi/v1/algoOrder", **algo, triggerPrice="39200", closePosition="true")

    await sim.step(16)

    stop = (await trader.signed("GET", "/fapi/v1/algoOrder", clientAlgoId="s-1")).body
    actual = (await trader.signed("GET", "/fapi/v1/order", symbol="BTCUSDT", orderId=stop["actualOrderId"])).body
    assert (stop["algoStatus"], actual["status"], actual["side"]) == ("FINISHED", "FILLED", "SELL")
    assert (await trader.signed("GET", "/fapi/v3/positionRisk")).body == []


async def test_open_order_is_listed_then_all_are_canceled(trader: Trader) -> None:
    placed = (await trader.signed("POST", "/fapi/v1/order", **LIMIT_ORDER, price="39000")).body
    name = {"symbol": "BTCUSDT", "orderId": placed["orderId"]}
    assert (await trader.signed("GET", "/fapi/v1/openOrder", **name)).body["status"] == "NEW"
    assert len((await trader.signed("GET", "/fapi/v1/openOrders")).body) == 1
    done = await trader.signed("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")

    assert done.body["code"] == 200
    assert (await trader.signed("GET", "/fapi/v1/openOrder", **name)).body["code"] == -2013
    assert (await trader.signed("DELETE", "/fapi/v1/order", **name)).body["code"] == -2011
    history = (await trader.signed("GET", "/fapi/v1/allOrders", symbol="BTCUSDT")).body
    assert [row["status"] for row in history] == ["CANCELED"]


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"quantity": "NaN"}, -1100),
        ({"quantity": "1e400"}, -1100),
        ({"quantity": "-1"}, -1100),
        ({"quantity": "0"}, -4003),
        ({"quantity": "0.0105"}, -1111),
        ({"quantity": ""}, -1102),
        ({"price": "39000.05"}, -4014),
        ({"price": ""}, -1102),
        ({"side": "LONG"}, -1117),
        ({"type": "MAGIC"}, -1116),
        ({"timeInForce": "SOON"}, -1115),
        ({"symbol": "NOPEUSDT"}, -1121),
        ({"newClientOrderId": "x" * 40}, -4015),
        ({"positionSide": "LONG"}, -4061),
        ({"reduceOnly": "perhaps"}, -1130),
        ({"newOrderRespType": "FULL"}, -1136),
    ],
)
async def test_bad_order_is_refused_and_changes_nothing(trader: Trader, changed: dict[str, str], code: int) -> None:
    answer = await trader.signed("POST", "/fapi/v1/order", **(LIMIT_ORDER | {"price": "39000"} | changed))

    assert (answer.status, answer.body["code"]) == (400, code), answer.body
    assert (await trader.signed("GET", "/fapi/v1/allOrders", symbol="BTCUSDT")).body == []


async def test_huge_body_is_refused(trader: Trader) -> None:
    answer = await trader.send("POST", "/fapi/v1/order", "", "x" * 1_000_000)

    assert (answer.status, answer.body["code"]) == (413, -1013)


async def test_settings_are_kept_and_repeating_them_is_refused_as_on_the_venue(trader: Trader) -> None:
    first = await trader.signed("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=7)
    again = await trader.signed("POST", "/fapi/v1/marginType", symbol="BTCUSDT", marginType="ISOLATED")
    repeated = await trader.signed("POST", "/fapi/v1/marginType", symbol="BTCUSDT", marginType="ISOLATED")
    hedge = await trader.signed("POST", "/fapi/v1/positionSide/dual", dualSidePosition="true")

    assert first.body["leverage"] == 7
    assert again.status == 200 or again.body["code"] == -4046
    assert repeated.body["code"] == -4046
    assert hedge.status == 200
    assert (await trader.signed("GET", "/fapi/v1/positionSide/dual")).body == {"dualSidePosition": True}
    assert (await trader.signed("GET", "/fapi/v1/multiAssetsMargin")).body == {"multiAssetsMargin": False}
    brackets = (await trader.signed("GET", "/fapi/v1/leverageBracket", symbol="BTCUSDT")).body
    assert brackets[0]["brackets"][0]["initialLeverage"] == 125
    rates = (await trader.signed("GET", "/fapi/v1/commissionRate", symbol="BTCUSDT")).body
    assert rates["takerCommissionRate"] == "0.0005"


async def test_one_account_never_sees_another(sim: Sim, trader: Trader) -> None:
    stranger = await sim.trader()
    placed = (await trader.signed("POST", "/fapi/v1/order", **LIMIT_ORDER, price="39000")).body

    name = {"symbol": "BTCUSDT", "orderId": placed["orderId"]}
    assert (await stranger.signed("GET", "/fapi/v1/order", **name)).body["code"] == -2013
    assert (await stranger.signed("DELETE", "/fapi/v1/order", **name)).body["code"] == -2011
    assert (await stranger.signed("GET", "/fapi/v1/openOrders")).body == []


# ---------------------------------------------------------------------------------------------------- limits


async def test_weight_is_counted_and_refused_above_the_ceiling(tmp_path: Path) -> None:
    data = write_dump(tmp_path / "BTCUSDT.csv", flat("40000.0", 5))
    clock = FakeClock()
    async with running_sim(data, limits=Limits(weight_per_minute=10), clock=clock) as sim:
        first = await sim.public("/fapi/v1/premiumIndex")
        second = await sim.public("/fapi/v1/ping")

        assert first.headers["X-MBX-USED-WEIGHT-1M"] == "10"
        assert (second.status, second.body["code"]) == (429, -1003)
        assert int(second.headers["Retry-After"]) > 0


async def test_orders_are_counted_per_account(tmp_path: Path) -> None:
    data = write_dump(tmp_path / "BTCUSDT.csv", flat("40000.0", 5))
    async with running_sim(data, limits=Limits(orders_per_10_seconds=1), clock=FakeClock()) as sim:
        one, two = await sim.trader(), await sim.trader()
        accepted = await one.signed("POST", "/fapi/v1/order", **LIMIT_ORDER, price="39000")
        refused = await one.signed("POST", "/fapi/v1/order", **LIMIT_ORDER, price="39000")
        other = await two.signed("POST", "/fapi/v1/order", **LIMIT_ORDER, price="39000")

    assert (accepted.status, accepted.headers["X-MBX-ORDER-COUNT-10S"]) == (200, "1")
    assert (refused.status, refused.body["code"]) == (429, -1015)
    assert other.status == 200


async def test_stepped_replay_counts_without_refusing(sim: Sim) -> None:
    for _ in range(250):
        answer = await sim.public("/fapi/v1/premiumIndex")
    assert answer.status == 200
    assert int(answer.headers["X-MBX-USED-WEIGHT-1M"]) >= 10


# ---------------------------------------------------------------------------------------------------- never a 500


NASTY = ("NaN", "-1", "1e400", "0", "9" * 18, "9" * 400, "", "%00", "%F0%9F%92%A5", "true", "[]")
FIELDS = (
    *("symbol", "side", "type", "quantity", "price", "interval", "limit", "startTime", "endTime", "orderId", "page"),
    *(
        "leverage",
        "marginType",
        "algoType",
        "triggerPrice",
        "algoId",
        "dualSidePosition",
        "multiAssetsMargin",
        "fromId",
    ),
    *("batchOrders", "orderIdList", "origClientOrderIdList", "priceMatch", "goodTillDate", "selfTradePreventionMode"),
    *("countdownTime", "amount", "pair", "contractType", "period", "incomeType", "autoCloseType", "downloadId"),
    *("callbackRate", "activatePrice", "positionSide", "workingType", "newOrderRespType", "modifyId", "asset"),
)
WHOLE = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "interval": "1m",
    "algoType": "CONDITIONAL",
    "leverage": "5",
    "pair": "BTCUSDT",
    "contractType": "PERPETUAL",
    "period": "5m",
    "orderId": "1",
    "algoId": "1",
    "quantity": "0.010",
    "countdownTime": "0",
    "amount": "1",
}


async def test_failure_of_our_own_is_told_in_the_words_of_the_venue(sim: Sim) -> None:
    def fail(_face: FaceContext, _call: Call) -> None:
        raise RuntimeError("planted")

    ENDPOINTS.add("GET", "/fapi/v1/planted")(fail)
    try:
        answer = await sim.public("/fapi/v1/planted")
    finally:
        ENDPOINTS.remove("GET", "/fapi/v1/planted")

    assert (answer.status, answer.body["code"]) == (503, -1000)


async def test_no_value_of_any_parameter_makes_any_endpoint_fail(trader: Trader) -> None:
    stamp = await trader.venue_time()
    for method, path in sorted(ENDPOINTS.paths()):
        for number, field in enumerate(FIELDS):
            fields = {**WHOLE, field: NASTY[number % len(NASTY)], "timestamp": str(stamp)}
            text = "&".join(f"{name}={value}" for name, value in fields.items())
            answer = await trader.send(method, path, f"{text}&signature={trader.signature(text)}")
            assert answer.status < 500, (method, path, field, answer)
            assert answer.status == 200 or answer.body["code"] < 0
