"""What an order may ask for, and how the venue says no to the rest: over a real socket."""

import json

import pytest

from tests.sim.binance.client import START_MS, Answer, Sim, Trader

pytestmark = pytest.mark.integration

LIMIT = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.010",
    "price": "39000",
}
ORDER = "/fapi/v1/order"
IN_AN_HOUR_MS = START_MS + 3_600_000


def without(*names: str, **changed: object) -> dict[str, object]:
    return {name: value for name, value in (LIMIT | changed).items() if name not in names}


async def resting(trader: Trader, **changed: object) -> Answer:
    return await trader.signed("POST", ORDER, **(LIMIT | changed))


# ---------------------------------------------------------------------------------------------------- parameters


@pytest.mark.parametrize(
    ("match", "side", "row", "level"),
    [
        ("OPPONENT", "SELL", "bids", 0),
        ("OPPONENT_5", "SELL", "bids", 4),
        ("QUEUE", "BUY", "bids", 0),
        ("QUEUE_20", "BUY", "bids", 19),
        ("QUEUE_10", "SELL", "asks", 9),
    ],
)
async def test_price_match_takes_the_price_from_the_book(
    sim: Sim, trader: Trader, match: str, side: str, row: str, level: int
) -> None:
    book = (await sim.public("/fapi/v1/depth", symbol="BTCUSDT", limit=20)).body

    placed = (await trader.signed("POST", ORDER, **without("price", side=side, priceMatch=match))).body
    found = (await trader.signed("GET", ORDER, symbol="BTCUSDT", orderId=placed["orderId"])).body

    assert placed["price"] == book[row][level][0]
    assert (placed["priceMatch"], found["priceMatch"]) == (match, match)


async def test_modes_and_end_of_an_order_are_told_back(trader: Trader) -> None:
    usual = (await resting(trader)).body
    until = (await resting(trader, timeInForce="GTD", goodTillDate=IN_AN_HOUR_MS + 789)).body
    taker = (await resting(trader, selfTradePreventionMode="EXPIRE_TAKER")).body

    assert (usual["selfTradePreventionMode"], usual["goodTillDate"]) == ("EXPIRE_MAKER", 0)
    assert (until["timeInForce"], until["goodTillDate"]) == ("GTD", IN_AN_HOUR_MS)
    assert taker["selfTradePreventionMode"] == "EXPIRE_TAKER"


async def test_order_good_till_a_time_is_gone_after_it(sim: Sim, trader: Trader) -> None:
    placed = (await resting(trader, timeInForce="GTD", goodTillDate=IN_AN_HOUR_MS, price="38500")).body

    await sim.step(61)

    ended = (await trader.signed("GET", ORDER, symbol="BTCUSDT", orderId=placed["orderId"])).body
    assert (ended["status"], ended["updateTime"]) in [("EXPIRED", IN_AN_HOUR_MS), ("CANCELED", IN_AN_HOUR_MS)]


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        (without("price", priceMatch="BEST"), -5037),
        (without("price", priceMatch="QUEUE_"), -5037),
        (without("price", "timeInForce", type="MARKET", priceMatch="QUEUE"), -5038),
        (without(priceMatch="QUEUE"), -1106),
        (without(selfTradePreventionMode="EXPIRE_ALL"), -5039),
        (without(selfTradePreventionMode="NONE"), -4402),
        (without(timeInForce="GTD"), -1102),
        (without(timeInForce="GTD", goodTillDate=START_MS + 600_000), -5040),
        (without(timeInForce="GTD", goodTillDate=253_402_300_799_000), -5040),
        (without(goodTillDate=IN_AN_HOUR_MS), -1106),
        (without(stopPrice="39000"), -1106),
        (without(positionSide="UP"), -4060),
        (without(closePosition="true"), -4120),
        (without("price", "timeInForce", type="STOP_MARKET", stopPrice="39000"), -4120),
        (without("price", "timeInForce", type="TRAILING_STOP_MARKET", callbackRate="1"), -4120),
        (without(timeInForce="FOK", price="39000"), -5021),
        (without(timeInForce="GTX", price="41000"), -5022),
        (without(reduceOnly="true"), -2022),
        (without(quantity="0.001", price="39000"), -4164),
        (without(quantity="100"), -2019),
        (without(price="45000"), -4016),
        (without(side="SELL", price="30000"), -4024),
        (without(price="39000.05"), -4014),
        (without(price="39000.005"), -1111),
        (without(quantity="0"), -4003),
        (without("quantity"), -1102),
        (without("timeInForce"), -1102),
        (without(newClientOrderId="a b"), -1100),
    ],
)
async def test_order_that_the_venue_does_not_take_is_refused_with_its_code(
    trader: Trader, parameters: dict[str, object], code: int
) -> None:
    answer = await trader.signed("POST", ORDER, **parameters)
    tested = await trader.signed("POST", "/fapi/v1/order/test", **parameters)

    assert (answer.status, answer.body["code"]) == (400, code), answer.body
    assert tested.body == answer.body
    assert (await trader.signed("GET", "/fapi/v1/allOrders", symbol="BTCUSDT")).body == []


async def test_fill_or_kill_that_can_fill_fills(trader: Trader) -> None:
    filled = (await resting(trader, timeInForce="FOK", price="41000", newOrderRespType="RESULT")).body

    assert (filled["status"], filled["executedQty"]) == ("FILLED", "0.010")


async def test_tested_order_is_not_placed(trader: Trader) -> None:
    tested = await trader.signed("POST", "/fapi/v1/order/test", **LIMIT)

    assert (tested.status, tested.body["status"], tested.body["orderId"]) == (200, "NEW", 0)
    assert (await trader.signed("GET", "/fapi/v1/openOrders")).body == []


async def test_hedge_mode_asks_for_a_side_and_knows_no_reduce_only(trader: Trader) -> None:
    await trader.signed("POST", "/fapi/v1/positionSide/dual", dualSidePosition="true")

    assert (await resting(trader)).body["code"] == -4061
    assert (await resting(trader, positionSide="LONG", reduceOnly="true")).body["code"] == -1106
    assert (await resting(trader, positionSide="LONG")).body["positionSide"] == "LONG"
    assert (await resting(trader, positionSide="SHORT")).body["code"] == -2022


async def test_unknown_parameter_is_left_unread_and_names_are_decoded(trader: Trader) -> None:
    placed = await resting(trader, somethingElse="1", newClientOrderId="a:b/c")

    assert placed.body["clientOrderId"] == "a:b/c"


# ---------------------------------------------------------------------------------------------------- modify


async def test_modified_order_keeps_its_number_and_tells_its_history(trader: Trader) -> None:
    placed = (await resting(trader)).body
    name = {"symbol": "BTCUSDT", "orderId": placed["orderId"]}

    changed = await trader.signed("PUT", ORDER, **name, side="BUY", quantity="0.020", price="38900", modifyId=7)
    again = await trader.signed("PUT", ORDER, **name, side="BUY", quantity="0.020", priceMatch="QUEUE")
    history = (await trader.signed("GET", "/fapi/v1/orderAmendment", **name)).body

    assert (changed.status, changed.body["orderId"], changed.body["modifyId"]) == (200, placed["orderId"], 7)
    assert (changed.body["price"], changed.body["origQty"], changed.body["status"]) == ("38900.00", "0.020", "NEW")
    assert changed.headers["X-MBX-ORDER-COUNT-1M"] == "2"
    assert [row["amendment"]["count"] for row in history] == [2, 1]
    assert history[0]["amendment"]["price"] == {"before": "38900.00", "after": again.body["price"]}
    assert history[1]["amendment"]["origQty"] == {"before": "0.010", "after": "0.020"}


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({}, -5027),
        ({"quantity": ""}, -1102),
        ({"price": ""}, -1102),
        ({"price": "39000.05"}, -4014),
        ({"price": "45000"}, -4016),
        ({"quantity": "0.0105"}, -1111),
        ({"quantity": "0.001"}, -5029),
        ({"side": ""}, -1102),
        ({"side": "SELL"}, -1130),
        ({"reduceOnly": "true"}, -5047),
        ({"symbol": "NOPEUSDT"}, -1121),
        ({"orderId": "5"}, -2013),
        ({"orderId": ""}, -1102),
    ],
)
async def test_modification_that_the_venue_does_not_take_leaves_the_order(
    trader: Trader, changed: dict[str, str], code: int
) -> None:
    placed = (await resting(trader)).body
    whole = {"symbol": "BTCUSDT", "orderId": placed["orderId"], "side": "BUY", "quantity": "0.010", "price": "39000"}

    answer = await trader.signed("PUT", ORDER, **(whole | changed))

    assert (answer.status, answer.body["code"]) == (400, code), answer.body
    kept = (await trader.signed("GET", "/fapi/v1/openOrders", symbol="BTCUSDT")).body
    assert [(row["price"], row["origQty"]) for row in kept] == [("39000.00", "0.010")]


# ---------------------------------------------------------------------------------------------------- batches


async def test_batch_answers_each_order_in_its_place(trader: Trader) -> None:
    orders = [
        LIMIT | {"newClientOrderId": "b-1"},
        LIMIT | {"quantity": "0"},
        LIMIT | {"price": 38950, "quantity": 0.02},
    ]
    placed = await trader.signed("POST", "/fapi/v1/batchOrders", batchOrders=json.dumps(orders))

    assert placed.status == 200
    assert [row.get("code") for row in placed.body] == [None, -4003, None]
    assert [row.get("origQty") for row in placed.body] == ["0.010", None, "0.020"]
    assert (placed.headers["X-MBX-ORDER-COUNT-10S"], placed.headers["X-MBX-ORDER-COUNT-1M"]) == ("5", "1")

    first, third = placed.body[0]["orderId"], placed.body[2]["orderId"]
    changes = [
        {"symbol": "BTCUSDT", "orderId": first, "side": "BUY", "quantity": "0.030", "price": "38900"},
        {"symbol": "BTCUSDT", "orderId": 1, "side": "BUY", "quantity": "0.030", "price": "38900"},
    ]
    changed = (await trader.signed("PUT", "/fapi/v1/batchOrders", batchOrders=json.dumps(changes))).body
    assert [row.get("origQty", row.get("code")) for row in changed] == ["0.030", -2013]

    canceled = (
        await trader.signed("DELETE", "/fapi/v1/batchOrders", symbol="BTCUSDT", orderIdList=json.dumps([third, 1]))
    ).body
    assert [row.get("status", row.get("code")) for row in canceled] == ["CANCELED", -2011]
    named = {"symbol": "BTCUSDT", "origclientorderidlist": '["b-1"]'}
    assert (await trader.signed("DELETE", "/fapi/v1/batchOrders", **named)).body[0]["status"] == "CANCELED"


@pytest.mark.parametrize(
    ("method", "parameters", "code"),
    [
        ("POST", {}, -1102),
        ("POST", {"batchOrders": "[]"}, -4082),
        ("POST", {"batchOrders": json.dumps([LIMIT] * 6)}, -4082),
        ("POST", {"batchOrders": "{"}, -1130),
        ("POST", {"batchOrders": "[" * 50_000}, -1130),
        ("POST", {"batchOrders": '{"symbol":"BTCUSDT"}'}, -1130),
        ("POST", {"batchOrders": "[1]"}, -1130),
        ("DELETE", {"symbol": "BTCUSDT"}, -1102),
        ("DELETE", {"symbol": "BTCUSDT", "orderIdList": json.dumps(list(range(11)))}, -4032),
        ("DELETE", {"symbol": "BTCUSDT", "orderIdList": "[[]]"}, -1130),
        ("DELETE", {"symbol": "BTCUSDT", "orderIdList": '["x"]'}, -1130),
        ("DELETE", {"symbol": "NOPEUSDT", "orderIdList": "[1]"}, -1121),
    ],
)
async def test_malformed_batch_is_refused_as_a_whole(
    trader: Trader, method: str, parameters: dict[str, str], code: int
) -> None:
    if len(parameters.get("batchOrders", "")) > 5_000:
        text = f"batchOrders={parameters['batchOrders']}&timestamp={await trader.venue_time()}"
        answer = await trader.send(method, "/fapi/v1/batchOrders", "", f"{text}&signature={trader.signature(text)}")
    else:
        answer = await trader.signed(method, "/fapi/v1/batchOrders", **parameters)

    assert (answer.status, answer.body["code"]) == (400, code), answer.body


# ---------------------------------------------------------------------------------------------------- countdown


async def test_countdown_cancels_at_its_end_unless_it_is_set_again(sim: Sim, trader: Trader) -> None:
    await resting(trader, price="38500")
    countdown = {"symbol": "BTCUSDT", "countdownTime": 120_000}

    set_once = (await trader.signed("POST", "/fapi/v1/countdownCancelAll", **countdown)).body
    await sim.step(1)
    await trader.signed("POST", "/fapi/v1/countdownCancelAll", **countdown)
    await sim.step(2.5)
    kept = (await trader.signed("GET", "/fapi/v1/openOrders")).body
    await sim.step(4)
    gone = (await trader.signed("GET", "/fapi/v1/openOrders")).body

    assert set_once == {"symbol": "BTCUSDT", "countdownTime": "120000"}
    assert (len(kept), gone) == (1, [])


async def test_countdown_of_zero_stops_it(sim: Sim, trader: Trader) -> None:
    await resting(trader, price="38500")
    await trader.signed("POST", "/fapi/v1/countdownCancelAll", symbol="BTCUSDT", countdownTime=60_000)
    await trader.signed("POST", "/fapi/v1/countdownCancelAll", symbol="BTCUSDT", countdownTime=0)

    await sim.step(5)

    assert len((await trader.signed("GET", "/fapi/v1/openOrders")).body) == 1


# ---------------------------------------------------------------------------------------------------- conditional


async def test_trailing_stop_tells_its_callback(trader: Trader) -> None:
    await trader.market("BUY", "0.010")
    trailing = {"symbol": "BTCUSDT", "side": "SELL", "type": "TRAILING_STOP_MARKET", "algoType": "CONDITIONAL"}

    placed = await trader.signed(
        "POST", "/fapi/v1/algoOrder", **trailing, quantity="0.010", callbackRate="0.5", activatePrice="41000"
    )

    assert placed.status == 200, placed.body
    assert (placed.body["callbackRate"], placed.body["activatePrice"]) == ("0.5", "41000.00")


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"algoType": "VP"}, -1130),
        ({"type": "LIMIT"}, -1116),
        ({"workingType": "INDEX_PRICE"}, -4031),
        ({"triggerPrice": ""}, -1102),
        ({"triggerPrice": "41000"}, -2021),
        ({"closePosition": "true"}, -4137),
        ({"clientAlgoId": "a b"}, -1100),
        ({"selfTradePreventionMode": "ALL"}, -5039),
    ],
)
async def test_conditional_order_that_the_venue_does_not_take_is_refused(
    trader: Trader, changed: dict[str, str], code: int
) -> None:
    stop = {
        "algoType": "CONDITIONAL",
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "STOP_MARKET",
        "quantity": "0.010",
        "triggerPrice": "39000",
    }

    answer = await trader.signed("POST", "/fapi/v1/algoOrder", **(stop | changed))

    assert (answer.status, answer.body["code"]) == (400, code), answer.body
