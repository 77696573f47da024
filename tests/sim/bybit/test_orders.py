"""Orders over REST: what is taken, what is refused, what became of it. The price stands at 40000 for 15 minutes."""

from decimal import Decimal

import pytest

from tests.sim.bybit.client import BybitSim, Trader

pytestmark = pytest.mark.integration

LINEAR = {"category": "linear", "symbol": "BTCUSDT"}


async def test_market_order_fills_and_shows_everywhere(trader: Trader) -> None:
    placed = await trader.order("Buy", "Market", "0.01", orderLinkId="entry-1")
    assert placed.code == 0
    assert placed.result["orderLinkId"] == "entry-1"
    row = await trader.the_order(placed.result["orderId"])
    assert (row["orderStatus"], row["orderType"], row["timeInForce"], row["cumExecQty"]) == (
        "Filled",
        "Market",
        "IOC",
        "0.01",
    )
    (execution,) = (await trader.get("/v5/execution/list", category="linear")).rows
    assert (execution["orderId"], execution["execType"], execution["isMaker"]) == (row["orderId"], "Trade", False)
    assert (row["cumExecFee"], row["cumFeeDetail"]) == (execution["execFee"], {"USDT": execution["execFee"]})
    assert await trader.orders() == []
    (past,) = (await trader.get("/v5/order/history", category="linear")).rows
    assert past == row


async def test_resting_order_is_amended_and_cancelled(trader: Trader) -> None:
    placed = (await trader.order("Buy", "Limit", "0.01", price="39500", orderLinkId="rest-1")).result
    (row,) = await trader.orders()
    assert (row["orderStatus"], row["price"], row["leavesQty"], row["leavesValue"]) == ("New", "39500", "0.01", "395")
    amended = await trader.post("/v5/order/amend", **LINEAR, orderId=placed["orderId"], qty="0.02", price="39400")
    assert amended.result == placed
    (row,) = await trader.orders()
    assert (row["qty"], row["price"]) == ("0.02", "39400")
    assert (await trader.post("/v5/order/cancel", **LINEAR, orderLinkId="rest-1")).result == placed
    row = await trader.the_order(placed["orderId"])
    ending = (row["orderStatus"], row["cancelType"], row["rejectReason"], row["leavesQty"])
    assert ending == ("Cancelled", "CancelByUser", "EC_PerCancelRequest", "0")


async def test_amendment_that_changes_nothing_is_refused(trader: Trader) -> None:
    placed = (await trader.order("Buy", "Limit", "0.01", price="39500")).result
    answer = await trader.post("/v5/order/amend", **LINEAR, orderId=placed["orderId"], qty="0.01", price="39500")
    assert answer.code == 10001
    assert answer.words.startswith("The order remains unchanged")


@pytest.mark.parametrize("path", ["/v5/order/cancel", "/v5/order/amend"])
async def test_order_that_is_not_open_is_not_there(trader: Trader, path: str) -> None:
    placed = (await trader.order("Buy", "Market", "0.01")).result
    for name in (placed["orderId"], "c0ffee00-0000-0000-0000-000000000000", "x"):
        assert (await trader.post(path, **LINEAR, orderId=name, qty="1")).code == 110001


async def test_order_of_another_account_is_not_there(sim: BybitSim, trader: Trader) -> None:
    placed = (await trader.order("Buy", "Limit", "0.01", price="39500")).result
    other = await sim.trader()
    assert (await other.post("/v5/order/cancel", **LINEAR, orderId=placed["orderId"])).code == 110001
    assert await other.orders(orderId=placed["orderId"]) == []


async def test_post_only_order_that_would_take_is_acknowledged_and_then_cancelled(trader: Trader) -> None:
    placed = await trader.order("Buy", "Limit", "0.01", price="40100", timeInForce="PostOnly")
    assert placed.code == 0
    row = await trader.the_order(placed.result["orderId"])
    assert (row["orderStatus"], row["rejectReason"]) == ("Cancelled", "EC_PostOnlyWillTakeLiquidity")
    assert (row["timeInForce"], row["cumExecQty"]) == ("PostOnly", "0")


@pytest.mark.parametrize(
    ("time_in_force", "reason"), [("FOK", "EC_CancelForNoFullFill"), ("IOC", "EC_NoImmediateQtyToFill")]
)
async def test_order_that_cannot_fill_at_once_is_acknowledged_and_then_cancelled(
    trader: Trader, time_in_force: str, reason: str
) -> None:
    placed = await trader.order("Buy", "Limit", "0.01", price="39900", timeInForce=time_in_force)
    assert placed.code == 0
    row = await trader.the_order(placed.result["orderId"])
    assert (row["orderStatus"], row["rejectReason"]) == ("Cancelled", reason)


@pytest.mark.parametrize("first", ["Limit", "Market", "conditional"])
async def test_client_id_names_one_order_for_ever(trader: Trader, first: str) -> None:
    if first == "conditional":
        more = {"triggerPrice": "39000", "triggerDirection": 2}
        assert (await trader.order("Sell", "Market", "0.01", orderLinkId="once", **more)).code == 0
    else:
        assert (await trader.order("Buy", first, "0.01", price="39500", orderLinkId="once")).code == 0
    again = await trader.order("Buy", "Market", "0.01", orderLinkId="once")
    assert (again.code, again.words) == (110072, "OrderLinkedID is duplicate")


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"side": "buy"}, 10001),
        ({"orderType": "Stop"}, 10001),
        ({"qty": "0"}, 10001),
        ({"qty": "abc"}, 10001),
        ({"qty": "0.0015"}, 10001),
        ({"qty": "0.00001"}, 10001),
        ({"price": "39500.05"}, 10001),
        ({"price": None}, 10001),
        ({"price": "99999"}, 110003),
        ({"qty": "100"}, 110007),
        ({"symbol": "NOPE"}, 10001),
        ({"category": "spot"}, 10001),
        ({"category": "house"}, 10001),
        ({"positionIdx": 1}, 10001),
        ({"orderLinkId": "x" * 37}, 10001),
        ({"orderLinkId": "with space"}, 10001),
        ({"timeInForce": "GTX"}, 10001),
        ({"reduceOnly": True}, 110017),
        ({"takeProfit": "39000"}, 10001),
        ({"stopLoss": "39600"}, 10001),
        ({"takeProfit": "41000", "tpOrderType": "Limit"}, 10001),
    ],
)
async def test_bad_order_is_refused_in_the_venues_words(trader: Trader, changed: dict[str, object], code: int) -> None:
    fields = {**LINEAR, "side": "Buy", "orderType": "Limit", "qty": "0.01", "price": "39500"} | changed
    answer = await trader.post("/v5/order/create", **fields)
    assert (answer.status, answer.code) == (200, code)
    assert await trader.orders() == []


# -------------------------------------------------------------------------------------------------- reduce only


async def test_reduce_only_order_is_cut_to_the_position(trader: Trader) -> None:
    await trader.order("Buy", "Market", "0.01")
    placed = (await trader.order("Sell", "Market", "0.05", reduceOnly=True)).result
    row = await trader.the_order(placed["orderId"])
    assert (row["qty"], row["orderStatus"], row["reduceOnly"]) == ("0.01", "Filled", True)
    assert (await trader.position())["size"] == "0"


async def test_reduce_only_order_on_the_side_of_the_position_is_refused(trader: Trader) -> None:
    await trader.order("Buy", "Market", "0.01")
    answer = await trader.order("Buy", "Market", "0.01", reduceOnly=True)
    assert (answer.code, answer.words) == (110017, "Reduce-only order has same side with current position")


async def test_quantity_zero_closes_the_whole_position(trader: Trader) -> None:
    await trader.order("Buy", "Market", "0.03")
    placed = await trader.order("Sell", "Market", "0", reduceOnly=True, closeOnTrigger=True)
    assert placed.code == 0
    assert (await trader.the_order(placed.result["orderId"]))["qty"] == "0.03"
    assert (await trader.position())["side"] == ""


# -------------------------------------------------------------------------------------------------- conditional


async def test_conditional_order_keeps_its_id_when_it_fires(sim: BybitSim, trader: Trader) -> None:
    await trader.order("Buy", "Market", "0.02")
    placed = await trader.order(
        "Sell", "Market", "0.01", triggerPrice="39800", triggerDirection=2, orderLinkId="stop-1", triggerBy="MarkPrice"
    )
    order_id = placed.result["orderId"]
    (waiting,) = await trader.orders(orderFilter="StopOrder")
    shape = (waiting["orderId"], waiting["orderStatus"], waiting["stopOrderType"], waiting["triggerDirection"])
    assert shape == (order_id, "Untriggered", "Stop", 2)
    assert (waiting["triggerPrice"], waiting["triggerBy"]) == ("39800", "MarkPrice")
    assert await trader.orders(orderFilter="Order") == []
    await sim.step(17)
    row = await trader.the_order(order_id)
    assert (row["orderStatus"], row["orderLinkId"], row["stopOrderType"]) == ("Filled", "stop-1", "Stop")
    assert (await trader.orders(orderLinkId="stop-1")) == [row]
    rows = (await trader.get("/v5/execution/list", category="linear", orderId=order_id)).rows
    assert {execution["orderId"] for execution in rows} == {order_id}
    assert {execution["closedSize"] for execution in rows} == {"0.01"}
    assert (await trader.position())["size"] == "0.01"


@pytest.mark.parametrize(
    ("price", "direction", "code"),
    [("41000", 1, 0), ("39000", 2, 0), ("39000", 1, 110092), ("41000", 2, 110093), ("41000", None, 10001)],
)
async def test_trigger_price_must_lie_in_its_direction(
    trader: Trader, price: str, direction: int | None, code: int
) -> None:
    answer = await trader.order("Sell", "Market", "0.01", triggerPrice=price, triggerDirection=direction)
    assert answer.code == code
    if code == 110092:
        assert answer.words == "expect Rising, but trigger_price[390000000] <= current[400000000]??LastPrice"


async def test_conditional_order_is_amended_and_cancelled(trader: Trader) -> None:
    placed = (await trader.order("Sell", "Market", "0.01", triggerPrice="39000", triggerDirection=2)).result
    changed = {"orderId": placed["orderId"], "triggerPrice": "38900", "qty": "0.02"}
    assert (await trader.post("/v5/order/amend", **LINEAR, **changed)).code == 0
    (row,) = await trader.orders()
    assert (row["triggerPrice"], row["qty"]) == ("38900", "0.02")
    assert (await trader.post("/v5/order/cancel", **LINEAR, orderId=placed["orderId"])).code == 0
    row = await trader.the_order(placed["orderId"])
    assert (row["orderStatus"], row["cancelType"]) == ("Deactivated", "CancelByUser")


async def test_conditional_order_brings_protection_to_what_it_opens(sim: BybitSim, trader: Trader) -> None:
    protection = {"takeProfit": "38000", "stopLoss": "41000"}
    await trader.order("Sell", "Market", "0.01", triggerPrice="39800", triggerDirection=2, **protection)
    (waiting,) = await trader.orders()
    assert (waiting["takeProfit"], waiting["stopLoss"], waiting["tpslMode"]) == ("38000", "41000", "Full")
    await sim.step(17)
    held = await trader.position()
    assert (held["side"], held["takeProfit"], held["stopLoss"]) == ("Sell", "38000", "41000")


# -------------------------------------------------------------------------------------------------- many at once


async def test_batch_answers_each_request_by_itself(trader: Trader) -> None:
    good = {"symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01", "price": "39500"}
    answer = await trader.post(
        "/v5/order/create-batch",
        category="linear",
        request=[good | {"orderLinkId": "a"}, good | {"qty": "x", "orderLinkId": "b"}, good | {"orderLinkId": "c"}],
    )
    assert answer.code == 0
    codes = [row["code"] for row in answer.body["retExtInfo"]["list"]]
    assert codes == [0, 10001, 0]
    assert [row["orderLinkId"] for row in answer.rows] == ["a", "b", "c"]
    assert answer.rows[1]["orderId"] == ""
    changed = {"symbol": "BTCUSDT", "orderLinkId": "a", "price": "39400"}
    amended = await trader.post("/v5/order/amend-batch", category="linear", request=[changed])
    assert amended.body["retExtInfo"]["list"] == [{"code": 0, "msg": "OK"}]
    named = [{"symbol": "BTCUSDT", "orderLinkId": name} for name in ("a", "b")]
    ended = await trader.post("/v5/order/cancel-batch", category="linear", request=named)
    assert [row["code"] for row in ended.body["retExtInfo"]["list"]] == [0, 110001]
    assert [row["orderLinkId"] for row in await trader.orders()] == ["c"]


async def test_batch_above_twenty_is_refused_as_a_whole(trader: Trader) -> None:
    order = {"symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01", "price": "39500"}
    answer = await trader.post("/v5/order/create-batch", category="linear", request=[order] * 21)
    assert answer.code == 10001
    assert await trader.orders() == []


async def test_cancel_all_ends_plain_and_conditional_orders(trader: Trader) -> None:
    await trader.order("Buy", "Limit", "0.01", price="39500", orderLinkId="plain")
    await trader.order("Sell", "Market", "0.01", triggerPrice="39000", triggerDirection=2, orderLinkId="stop")
    answer = await trader.post("/v5/order/cancel-all", category="linear", settleCoin="USDT", orderFilter="StopOrder")
    assert [row["orderLinkId"] for row in answer.rows] == ["stop"]
    answer = await trader.post("/v5/order/cancel-all", **LINEAR)
    assert ([row["orderLinkId"] for row in answer.rows], answer.result["success"]) == (["plain"], "1")
    assert (await trader.post("/v5/order/cancel-all", category="linear")).code == 10001


async def test_pages_of_open_orders_join_to_the_whole(trader: Trader) -> None:
    for index in range(7):
        await trader.order("Buy", "Limit", "0.01", price=str(39000 + index), orderLinkId=f"p{index}")
    whole = [row["orderLinkId"] for row in await trader.orders(limit=50)]
    assert whole == [f"p{index}" for index in reversed(range(7))]
    pages: list[str] = []
    cursor = ""
    while True:
        answer = await trader.get("/v5/order/realtime", **LINEAR, limit=3, **({"cursor": cursor} if cursor else {}))
        pages += [row["orderLinkId"] for row in answer.rows]
        cursor = answer.result["nextPageCursor"]
        if not cursor:
            break
    assert pages == whole


async def test_closed_orders_without_a_fill_vanish_from_history_after_a_day(sim: BybitSim, trader: Trader) -> None:
    await trader.order("Buy", "Market", "0.01", orderLinkId="filled")
    await trader.order("Buy", "Limit", "0.01", price="39000", orderLinkId="cancelled")
    await trader.post("/v5/order/cancel", **LINEAR, orderLinkId="cancelled")
    links = [row["orderLinkId"] for row in (await trader.get("/v5/order/history", category="linear")).rows]
    assert sorted(links) == ["cancelled", "filled"]
    await sim.step(25 * 60)
    links = [row["orderLinkId"] for row in (await trader.get("/v5/order/history", category="linear")).rows]
    assert links == ["filled"]


# -------------------------------------------------------------------------------------------------- slippage tolerance


async def test_market_order_pays_no_more_than_its_tolerance(trader: Trader) -> None:
    book = (await trader.get("/v5/market/orderbook", **LINEAR, limit=1)).result
    tolerance = {"slippageToleranceType": "TickSize", "slippageTolerance": "5"}
    best = Decimal(book["a"][0][0])
    placed = (await trader.order("Buy", "Market", "20", **tolerance)).result
    row = await trader.the_order(placed["orderId"])
    worst = max(Decimal(one["execPrice"]) for one in (await trader.get("/v5/execution/list", **LINEAR)).rows)

    assert worst <= best + Decimal("0.5")
    assert 0 < Decimal(row["cumExecQty"]) < 20
    ending = (row["orderStatus"], row["rejectReason"], row["orderType"], row["timeInForce"])
    assert ending == ("Cancelled", "EC_NoImmediateQtyToFill", "Market", "IOC")
    assert (row["slippageToleranceType"], row["slippageTolerance"]) == ("TickSize", "5")


async def test_market_order_within_its_tolerance_fills_whole(trader: Trader) -> None:
    tolerance = {"slippageToleranceType": "Percent", "slippageTolerance": "0.5"}
    placed = (await trader.order("Sell", "Market", "0.01", **tolerance)).result
    row = await trader.the_order(placed["orderId"])
    assert (row["orderStatus"], row["orderType"], row["slippageToleranceType"]) == ("Filled", "Market", "Percent")
    assert (await trader.order("Sell", "Market", "501", **tolerance)).code == 10001
