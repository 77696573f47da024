"""Every code of the venue that trading can meet: what brings it about, its words, and the HTTP status it travels with.

Of -2010 to -2027 some are listed by the venue and cannot come about here: -2010 and -2020 (orders are refused with
codes of their own), -2012 (a cancel of all answers also where there is nothing), -2016 and -2017 (no trading windows,
no locked keys), -2018 and -2024 (-2019, -2022, -4050 and -4051 are said instead), -2023 (a liquidation is over within
one step of the engine), -2026 (every type may reduce). -1003 with 429 and 418 stands in test_limits, -4131
(an empty side of the book) in the engine's test_hard_cases.
"""

from collections.abc import Awaitable, Callable

import pytest

from tests.sim.binance.client import Answer, Sim, Trader

pytestmark = pytest.mark.integration

ORDER, ALGO = "/fapi/v1/order", "/fapi/v1/algoOrder"
LIMIT: dict[str, object] = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.010",
    "price": "39000",
}
STOP: dict[str, object] = {
    "algoType": "CONDITIONAL",
    "symbol": "BTCUSDT",
    "side": "SELL",
    "type": "STOP_MARKET",
    "quantity": "0.010",
    "triggerPrice": "39000",
}
MARKET: dict[str, object] = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.010"}
Attempt = Callable[[Sim, Trader], Awaitable[Answer]]


def sending(method: str, path: str, wish: dict[str, object] | None = None, **more: object) -> Attempt:
    async def attempt(_sim: Sim, trader: Trader) -> Answer:
        return await trader.signed(method, path, **{**(wish or {}), **more})

    return attempt


async def without_right(sim: Sim, _trader: Trader) -> Answer:
    reader = await sim.trader(permissions=("read",))
    return await reader.signed("POST", ORDER, **LIMIT)


async def with_a_bad_signature(_sim: Sim, trader: Trader) -> Answer:
    return await trader.send("GET", "/fapi/v3/account", f"timestamp={await trader.venue_time()}&signature={'0' * 64}")


async def with_a_bad_key(sim: Sim, trader: Trader) -> Answer:
    stranger = Trader(sim.http, sim.rest, 0, "no key", trader.api_secret)
    return await stranger.signed("GET", "/fapi/v3/account")


async def with_too_many_orders(sim: Sim, _trader: Trader) -> Answer:
    trader = await sim.trader("100000")
    for _ in range(200):
        assert (await trader.signed("POST", ORDER, **LIMIT)).status == 200
    return await trader.signed("POST", ORDER, **LIMIT)


async def with_a_large_position(sim: Sim, _trader: Trader) -> Answer:
    trader = await sim.trader("10000000")
    await trader.signed("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=125)
    return await trader.signed("POST", ORDER, **{**LIMIT, "quantity": "30"})


async def switched_twice(_sim: Sim, trader: Trader, path: str, **wish: object) -> Answer:
    await trader.signed("POST", path, **wish)
    return await trader.signed("POST", path, **wish)


async def margin_type_twice(sim: Sim, trader: Trader) -> Answer:
    return await switched_twice(sim, trader, "/fapi/v1/marginType", symbol="BTCUSDT", marginType="ISOLATED")


async def position_mode_twice(sim: Sim, trader: Trader) -> Answer:
    return await switched_twice(sim, trader, "/fapi/v1/positionSide/dual", dualSidePosition="true")


async def under_load(sim: Sim, trader: Trader) -> Answer:
    assert (await sim.control("POST", "/faults", {"fault": "overload", "times": 1})).status < 300
    return await trader.send("POST", ORDER, "symbol=BTCUSDT")


CODES: list[tuple[int, int, str, Attempt]] = [
    (-1008, 503, "Request throttled by system-level protection.", under_load),
    (-1021, 400, "outside of the recvWindow", sending("GET", "/fapi/v3/account", timestamp=1)),
    (-1022, 400, "Signature for this request is not valid.", with_a_bad_signature),
    (-1102, 400, "Mandatory parameter 'side'", sending("POST", ORDER, {"symbol": "BTCUSDT", "type": "LIMIT"})),
    (-1111, 400, "Precision is over the maximum", sending("POST", ORDER, LIMIT, quantity="0.0001")),
    (-1121, 400, "Invalid symbol.", sending("POST", ORDER, LIMIT, symbol="NONEUSDT")),
    (-2011, 400, "Unknown order sent.", sending("DELETE", ORDER, symbol="BTCUSDT", orderId=1)),
    (-2013, 400, "Order does not exist.", sending("GET", ORDER, symbol="BTCUSDT", orderId=1)),
    (-2014, 401, "API-key format invalid.", with_a_bad_key),
    (-2015, 401, "Invalid API-key, IP, or permissions for action", without_right),
    (-2019, 400, "Margin is insufficient.", sending("POST", ORDER, LIMIT, quantity="100")),
    (-2021, 400, "Order would immediately trigger.", sending("POST", ALGO, STOP, triggerPrice="41000")),
    (-2022, 400, "ReduceOnly Order is rejected.", sending("POST", ORDER, LIMIT, reduceOnly="true")),
    (-2025, 400, "Reach max open order limit.", with_too_many_orders),
    (-2027, 400, "Exceeded the maximum allowable position", with_a_large_position),
    (-4003, 400, "Quantity less than or equal to zero.", sending("POST", ORDER, LIMIT, quantity="0")),
    (-4014, 400, "Price not increased by tick size.", sending("POST", ORDER, LIMIT, price="39000.05")),
    (-4046, 400, "No need to change margin type.", margin_type_twice),
    (-4059, 400, "No need to change position side.", position_mode_twice),
    (-4061, 400, "position side does not match", sending("POST", ORDER, LIMIT, positionSide="LONG")),
    (-4120, 400, "Order type not supported", sending("POST", ORDER, MARKET, type="STOP_MARKET", stopPrice="39000")),
    (-4164, 400, "notional must be no smaller", sending("POST", ORDER, LIMIT, quantity="0.001")),
    (-5021, 400, "FOK order has been rejected", sending("POST", ORDER, LIMIT, timeInForce="FOK")),
    (-5022, 400, "Post Only order will be rejected", sending("POST", ORDER, LIMIT, timeInForce="GTX", price="41000")),
]


@pytest.mark.parametrize(("code", "status", "words", "attempt"), CODES, ids=[str(row[0]) for row in CODES])
async def test_refusal_travels_with_its_code_its_status_and_its_words(
    sim: Sim, trader: Trader, code: int, status: int, words: str, attempt: Attempt
) -> None:
    answer = await attempt(sim, trader)

    assert (answer.status, answer.body["code"]) == (status, code), answer.body
    assert words in answer.body["msg"]
    assert set(answer.body) == {"code", "msg"}
