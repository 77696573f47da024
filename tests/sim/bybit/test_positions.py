"""Positions over REST: what is held, leverage, modes, protection, closed profit. The price stands at 40000."""

from decimal import Decimal

import pytest

from tests.sim.bybit.client import BybitSim, Trader

pytestmark = pytest.mark.integration

LINEAR = {"category": "linear", "symbol": "BTCUSDT"}
STOP = "/v5/position/trading-stop"


async def test_flat_symbol_has_a_row_and_a_coin_lists_only_what_is_held(trader: Trader) -> None:
    row = await trader.position()
    assert (row["side"], row["size"], row["liqPrice"], row["createdTime"]) == ("", "0", "", "0")
    assert (await trader.get("/v5/position/list", category="linear", settleCoin="USDT")).rows == []
    await trader.order("Sell", "Market", "0.01")
    (row,) = (await trader.get("/v5/position/list", category="linear", settleCoin="USDT")).rows
    assert (row["side"], row["size"], row["positionIdx"]) == ("Sell", "0.01", 0)
    assert Decimal(row["positionValue"]) == Decimal(row["avgPrice"]) * Decimal("0.01")
    assert (await trader.get("/v5/position/list", category="linear")).code == 10001


async def test_leverage_is_set_for_both_sides_alike(trader: Trader) -> None:
    path = "/v5/position/set-leverage"
    assert (await trader.post(path, **LINEAR, buyLeverage="7", sellLeverage="7")).code == 0
    assert (await trader.position())["leverage"] == "7"
    again = await trader.post(path, **LINEAR, buyLeverage="7", sellLeverage="7")
    assert (again.code, again.words) == (110043, "leverage not modified")
    assert (await trader.post(path, **LINEAR, buyLeverage="7", sellLeverage="8")).code == 10001
    assert (await trader.post(path, **LINEAR, buyLeverage="900", sellLeverage="900")).code == 110013


async def test_leverage_is_told_without_a_position_once_for_each_index(trader: Trader) -> None:
    path = "/v5/position/symbol-info"
    assert (await trader.post("/v5/position/set-leverage", **LINEAR, buyLeverage="7", sellLeverage="7")).code == 0
    (row,) = (await trader.get(path, **LINEAR)).rows
    assert row == {"symbol": "BTCUSDT", "leverage": "7", "side": "", "positionIdx": 0}
    assert (await trader.post("/v5/position/switch-mode", **LINEAR, mode=3)).code == 0
    rows = (await trader.get(path, category="linear")).rows
    assert [row["positionIdx"] for row in rows if row["symbol"] == "BTCUSDT"] == [1, 2]
    assert (await trader.get(path, category="linear", symbol="NOPEUSDT")).code == 10001
    assert (await trader.get(path)).code == 10001


async def test_hedge_mode_holds_both_sides_apart(trader: Trader) -> None:
    switch = "/v5/position/switch-mode"
    assert (await trader.post(switch, category="linear", coin="USDT", mode=3)).code == 0
    assert (await trader.post(switch, category="linear", coin="USDT", mode=3)).code == 110025
    assert (await trader.order("Buy", "Market", "0.01")).code == 10001
    assert (await trader.order("Buy", "Market", "0.02", positionIdx=1)).code == 0
    assert (await trader.order("Sell", "Market", "0.01", positionIdx=2)).code == 0
    long, short = await trader.position(1), await trader.position(2)
    assert [(row["side"], row["size"]) for row in (long, short)] == [("Buy", "0.02"), ("Sell", "0.01")]
    assert (await trader.post(switch, **LINEAR, mode=0)).code == 110024
    assert (await trader.order("Sell", "Market", "0.05", positionIdx=1, reduceOnly=True)).code == 0
    assert (await trader.order("Buy", "Market", "0.01", positionIdx=2)).code == 0
    assert (await trader.post(switch, **LINEAR, mode=0)).code == 0


async def test_margin_mode_of_one_symbol_is_not_for_unified_accounts(trader: Trader) -> None:
    answer = await trader.post("/v5/position/switch-isolated", **LINEAR, tradeMode=1)
    assert answer.code == 100028


# -------------------------------------------------------------------------------------------------- protection


async def test_full_protection_stands_on_the_position_and_changes_in_place(trader: Trader) -> None:
    await trader.order("Buy", "Market", "0.01")
    wish = {"tpslMode": "Full", "positionIdx": 0, "takeProfit": "44000", "stopLoss": "38000"}
    assert (await trader.post(STOP, **LINEAR, **wish)).code == 0
    row = await trader.position()
    assert (row["takeProfit"], row["stopLoss"], row["tpslMode"]) == ("44000", "38000", "Full")
    orders = await trader.orders()
    kinds = {order["stopOrderType"]: order for order in orders}
    assert set(kinds) == {"TakeProfit", "StopLoss"}
    stop = kinds["StopLoss"]
    assert (stop["createType"], stop["closeOnTrigger"], stop["reduceOnly"]) == ("CreateByStopLoss", True, True)
    assert (await trader.post(STOP, **LINEAR, **wish)).code == 34040
    assert (await trader.post(STOP, **LINEAR, tpslMode="Full", stopLoss="38100")).code == 0
    moved = {order["stopOrderType"]: order for order in await trader.orders()}
    assert (moved["StopLoss"]["orderId"], moved["StopLoss"]["triggerPrice"]) == (stop["orderId"], "38100")
    assert (await trader.post(STOP, **LINEAR, tpslMode="Full", takeProfit="0")).code == 0
    assert (await trader.position())["takeProfit"] == ""


async def test_protection_that_fires_closes_the_position(sim: BybitSim, trader: Trader) -> None:
    await trader.order("Buy", "Market", "0.01", takeProfit="44000", stopLoss="39600")
    stop = next(order for order in await trader.orders() if order["stopOrderType"] == "StopLoss")
    await sim.step(17)
    assert (await trader.position())["size"] == "0"
    row = await trader.the_order(stop["orderId"])
    assert (row["orderStatus"], row["createType"], row["qty"]) == ("Filled", "CreateByStopLoss", "0.01")
    assert await trader.orders() == []
    gone = [
        row for row in (await trader.get("/v5/order/history", **LINEAR)).rows if row["orderStatus"] == "Deactivated"
    ]
    assert [(row["stopOrderType"], row["cancelType"]) for row in gone] == [("TakeProfit", "CancelByTpSlTsClear")]


async def test_partial_protection_stands_beside_the_full_one(trader: Trader) -> None:
    await trader.order("Buy", "Market", "0.02", stopLoss="38000")
    limit = {"tpOrderType": "Limit", "tpLimitPrice": "41000"}
    wish = {"tpslMode": "Partial", "takeProfit": "41000", "tpSize": "0.01", **limit}
    assert (await trader.post(STOP, **LINEAR, **wish)).code == 0
    partial = next(order for order in await trader.orders() if order["stopOrderType"] == "PartialTakeProfit")
    assert (partial["qty"], partial["price"], partial["orderType"]) == ("0.01", "41000", "Limit")
    assert partial["createType"] == "CreateByPartialTakeProfit"
    assert (await trader.position())["takeProfit"] == ""
    too_large = {"tpslMode": "Partial", "takeProfit": "41000", "tpSize": "0.5"}
    assert (await trader.post(STOP, **LINEAR, **too_large)).code == 110058


async def test_trailing_stop_is_a_distance(trader: Trader) -> None:
    await trader.order("Buy", "Market", "0.01")
    assert (await trader.post(STOP, **LINEAR, tpslMode="Full", trailingStop="300", activePrice="40500")).code == 0
    assert (await trader.position())["trailingStop"] == "300"
    (row,) = await trader.orders()
    assert (row["stopOrderType"], row["triggerPrice"], row["createType"]) == (
        "TrailingStop",
        "40500",
        "CreateByTrailingStop",
    )


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({"stopLoss": "41000"}, 10001),
        ({"takeProfit": "39000"}, 10001),
        ({"takeProfit": "-1"}, 10001),
        ({}, 10001),
        ({"takeProfit": "41000", "tpOrderType": "Limit", "tpLimitPrice": "41000"}, 10001),
        ({"tpslMode": "Partial", "takeProfit": "41000"}, 10001),
    ],
)
async def test_bad_protection_is_refused(trader: Trader, wish: dict[str, str], code: int) -> None:
    await trader.order("Buy", "Market", "0.01")
    assert (await trader.post(STOP, **LINEAR, **({"tpslMode": "Full"} | wish))).code == code
    assert await trader.orders() == []


async def test_protection_of_nothing_is_refused(trader: Trader) -> None:
    answer = await trader.post(STOP, **LINEAR, tpslMode="Full", stopLoss="39000")
    assert (answer.code, answer.words) == (10001, "can not set tp/sl/ts for zero position")


async def test_protection_of_a_resting_order_is_amended(trader: Trader) -> None:
    placed = (await trader.order("Buy", "Limit", "0.01", price="39500", takeProfit="44000", stopLoss="38000")).result
    order_id = placed["orderId"]
    assert (await trader.post("/v5/order/amend", **LINEAR, orderId=order_id, stopLoss="38500")).code == 0
    row = await trader.the_order(order_id)
    assert (row["takeProfit"], row["stopLoss"], row["price"]) == ("44000", "38500", "39500")
    assert (await trader.post("/v5/order/amend", **LINEAR, orderId=order_id, takeProfit="0")).code == 0
    row = await trader.the_order(order_id)
    assert (row["takeProfit"], row["stopLoss"]) == ("", "38500")


# -------------------------------------------------------------------------------------------------- profit and margin


async def test_closed_profit_is_after_both_fees(sim: BybitSim, trader: Trader) -> None:
    await trader.order("Buy", "Market", "0.02")
    bought = (await trader.get("/v5/execution/list", **LINEAR)).rows
    await sim.step(20)
    closing = (await trader.order("Sell", "Market", "0.02", reduceOnly=True)).result
    (row,) = (await trader.get("/v5/position/closed-pnl", **LINEAR)).rows
    assert (row["orderId"], row["side"], row["closedSize"]) == (closing["orderId"], "Sell", "0.02")
    wallet = Decimal((await trader.get("/v5/account/wallet-balance", accountType="UNIFIED")).rows[0]["totalEquity"])
    assert wallet == Decimal(100000) + Decimal(row["closedPnl"])
    paid = sum(Decimal(execution["execFee"]) for execution in bought)
    assert Decimal(row["openFee"]) == paid
    gained = Decimal(row["cumExitValue"]) - Decimal(row["cumEntryValue"])
    assert Decimal(row["closedPnl"]) == gained - paid - Decimal(row["closeFee"])


async def test_margin_moves_only_under_isolated_margin(trader: Trader) -> None:
    add = "/v5/position/add-margin"
    await trader.order("Buy", "Market", "0.01")
    assert (await trader.post(add, **LINEAR, margin="10")).code == 110015
    await trader.order("Sell", "Market", "0.01", reduceOnly=True)
    assert (await trader.post("/v5/account/set-margin-mode", setMarginMode="ISOLATED_MARGIN")).code == 0
    assert (await trader.post(add, **LINEAR, margin="10")).code == 110034
    await trader.order("Buy", "Market", "0.01")
    before = Decimal((await trader.position())["positionBalance"])
    added = await trader.post(add, **LINEAR, margin="10")
    assert Decimal(added.result["positionBalance"]) == before + 10
    assert (await trader.post(add, **LINEAR, margin="99999999")).code == 110014


async def test_profit_of_a_position_that_turned_belongs_to_the_part_that_closed(trader: Trader) -> None:
    await trader.order("Buy", "Market", "0.01")
    await trader.order("Sell", "Market", "0.03")
    assert (await trader.position())["side"] == "Sell"
    (row,) = (await trader.get("/v5/position/closed-pnl", **LINEAR)).rows
    assert (row["qty"], row["closedSize"]) == ("0.03", "0.01")
    closed = [execution["closedSize"] for execution in (await trader.get("/v5/execution/list", **LINEAR)).rows]
    assert sum(Decimal(size) for size in closed) == Decimal("0.01")


# -------------------------------------------------------------------------------------------------- what it brought


async def test_holding_tells_what_it_brought_after_fees_and_begins_anew(trader: Trader) -> None:
    await trader.order("Buy", "Market", "0.02")
    await trader.order("Sell", "Market", "0.01", reduceOnly=True)
    executions = (await trader.get("/v5/execution/list", **LINEAR)).rows
    net = sum(Decimal(one["execPnl"]) - Decimal(one["execFee"]) for one in executions)
    row = await trader.position()
    assert Decimal(row["curRealisedPnl"]) == Decimal(row["cumRealisedPnl"]) == net

    await trader.order("Sell", "Market", "0.01", reduceOnly=True)
    row = await trader.position()
    assert row["curRealisedPnl"] == "0"
    log = (await trader.get("/v5/account/transaction-log", accountType="UNIFIED", type="TRADE")).rows
    assert Decimal(row["cumRealisedPnl"]) == sum(Decimal(one["change"]) for one in log)

    await trader.order("Sell", "Market", "0.01")
    (fee, *_) = (one["execFee"] for one in (await trader.get("/v5/execution/list", **LINEAR)).rows)
    assert Decimal((await trader.position())["curRealisedPnl"]) == -Decimal(fee)


async def test_holding_that_is_turned_begins_with_the_fee_of_its_part(trader: Trader) -> None:
    await trader.order("Buy", "Market", "0.01")
    await trader.order("Sell", "Market", "0.02")
    (turned, *_) = (await trader.get("/v5/execution/list", **LINEAR)).rows
    row = await trader.position()
    assert (row["side"], row["size"], turned["closedSize"]) == ("Sell", "0.01", "0.01")
    assert Decimal(row["curRealisedPnl"]) == -Decimal(turned["execFee"]) / 2


async def test_protection_tells_whether_it_is_full_or_partial(trader: Trader) -> None:
    await trader.order("Buy", "Market", "0.02")
    await trader.post(STOP, **LINEAR, tpslMode="Full", stopLoss="39000", positionIdx=0)
    await trader.post(STOP, **LINEAR, tpslMode="Partial", stopLoss="38900", slSize="0.01", positionIdx=0)
    assert {row["stopOrderType"]: row["tpslMode"] for row in await trader.orders()} == {
        "StopLoss": "Full",
        "PartialStopLoss": "Partial",
    }


async def test_liquidation_is_one_in_the_ledger_too(sim: BybitSim) -> None:
    trader = await sim.trader("100")
    await trader.post("/v5/position/set-leverage", **LINEAR, buyLeverage="100", sellLeverage="100")
    await trader.order("Buy", "Market", "0.2")
    await sim.step(16)
    rows = (await trader.get("/v5/account/transaction-log", accountType="UNIFIED")).rows
    assert {row["type"] for row in rows if row["side"] == "Sell"} == {"LIQUIDATION"}
