"""How far back the venue looks, and what it has forgotten: over a real socket."""

import csv
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.sim.binance.client import MINUTE_MS, START_MS, Sim, Trader, flat, running_sim, write_dump

pytestmark = pytest.mark.integration

DAY_MINUTES = 1_440
DAY_MS = 86_400_000
REST = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.010",
    "price": "39000",
}
STOP = {
    "algoType": "CONDITIONAL",
    "symbol": "BTCUSDT",
    "side": "SELL",
    "type": "STOP_MARKET",
    "quantity": "0.010",
    "triggerPrice": "39000",
}


@pytest.fixture
async def sim(tmp_path: Path) -> AsyncIterator[Sim]:
    async with running_sim(write_dump(tmp_path / "BTCUSDT-1m.csv", flat("40000.0", 5))) as running:
        yield running


async def days_later(sim: Sim, days: float) -> None:
    await sim.step(days * DAY_MINUTES)


async def listed(trader: Trader, path: str, **more: object) -> list[dict[str, object]]:
    answer = await trader.signed("GET", f"/fapi/v1/{path}", symbol="BTCUSDT", **more)
    assert answer.status == 200, answer.body
    rows: list[dict[str, object]] = answer.body
    return rows


# ---------------------------------------------------------------------------------------------------- orders


async def test_order_canceled_without_a_fill_vanishes_three_days_after_it_was_placed(sim: Sim, trader: Trader) -> None:
    placed = (await trader.signed("POST", "/fapi/v1/order", **REST)).body
    name = {"symbol": "BTCUSDT", "orderId": placed["orderId"]}
    await days_later(sim, 2.9)
    await trader.signed("DELETE", "/fapi/v1/order", **name)
    known = await trader.signed("GET", "/fapi/v1/order", **name)

    await days_later(sim, 3.1)

    assert known.body["status"] == "CANCELED"
    assert (await trader.signed("GET", "/fapi/v1/order", **name)).body["code"] == -2013
    assert await listed(trader, "allOrders", orderId=1) == []


async def test_open_and_filled_orders_are_known_longer(sim: Sim, trader: Trader) -> None:
    resting = (await trader.signed("POST", "/fapi/v1/order", **REST)).body["orderId"]
    filled = (await trader.market("BUY", "0.010")).body["orderId"]

    await days_later(sim, 8)
    seven_days, from_an_id = await listed(trader, "allOrders"), await listed(trader, "allOrders", orderId=resting)
    await days_later(sim, 91)

    assert seven_days == []
    assert [row["orderId"] for row in from_an_id] == [resting, filled]
    assert [row["orderId"] for row in await listed(trader, "allOrders", orderId=resting)] == [resting]
    gone = await trader.signed("GET", "/fapi/v1/order", symbol="BTCUSDT", orderId=filled)
    assert gone.body["code"] == -2013


async def test_conditional_order_vanishes_as_a_plain_one_does(sim: Sim, trader: Trader) -> None:
    placed = (await trader.signed("POST", "/fapi/v1/algoOrder", **STOP)).body["algoId"]
    await trader.signed("DELETE", "/fapi/v1/algoOrder", algoId=placed)
    assert len(await listed(trader, "allAlgoOrders")) == 1

    await days_later(sim, 3.1)

    assert (await trader.signed("GET", "/fapi/v1/algoOrder", algoId=placed)).body["code"] == -2013
    assert await listed(trader, "allAlgoOrders") == []


# ---------------------------------------------------------------------------------------------------- trades, income


async def test_trades_are_shown_for_seven_days_and_kept_for_six_months(sim: Sim, trader: Trader) -> None:
    await trader.market("BUY", "0.010")
    first = await listed(trader, "userTrades")
    await days_later(sim, 8)

    recent = await listed(trader, "userTrades")
    named = await listed(trader, "userTrades", startTime=START_MS)
    from_an_id = await listed(trader, "userTrades", fromId=first[0]["id"])
    await days_later(sim, 181)

    assert (recent, named, from_an_id) == ([], first, first)
    assert await listed(trader, "userTrades", fromId=1) == []
    assert await listed(trader, "userTrades", startTime=START_MS) == []


async def test_income_is_shown_for_seven_days_and_kept_for_three_months(sim: Sim, trader: Trader) -> None:
    await days_later(sim, 8)
    recent = (await trader.signed("GET", "/fapi/v1/income")).body
    named = (await trader.signed("GET", "/fapi/v1/income", startTime=START_MS - DAY_MS)).body
    await days_later(sim, 91)
    forgotten = (await trader.signed("GET", "/fapi/v1/income", startTime=START_MS - DAY_MS)).body

    assert (recent, forgotten) == ([], [])
    assert [(row["incomeType"], row["income"]) for row in named] == [("TRANSFER", "10000")]


async def test_limit_takes_the_newest_page_and_with_a_start_the_oldest(trader: Trader) -> None:
    numbers = [(await trader.signed("POST", "/fapi/v1/order", **REST)).body["orderId"] for _ in range(4)]

    newest = await listed(trader, "allOrders", limit=2)
    oldest = await listed(trader, "allOrders", limit=2, startTime=START_MS)
    following = await listed(trader, "allOrders", limit=2, orderId=numbers[1])

    assert [row["orderId"] for row in newest] == numbers[2:]
    assert [row["orderId"] for row in oldest] == numbers[:2]
    assert [row["orderId"] for row in following] == numbers[1:3]


@pytest.mark.parametrize(
    ("path", "parameters", "code"),
    [
        ("allOrders", {"startTime": 1, "endTime": 8 * DAY_MS}, -4165),
        ("allOrders", {"startTime": 2, "endTime": 1}, -1023),
        ("allOrders", {"limit": 1001}, -1130),
        ("allAlgoOrders", {"startTime": 1, "endTime": 8 * DAY_MS}, -4165),
        ("userTrades", {"startTime": 1, "endTime": 8 * DAY_MS}, -4165),
        ("userTrades", {"startTime": 1, "fromId": 1}, -1128),
        ("userTrades", {"limit": 1001}, -1130),
        ("income", {"limit": 1001}, -1130),
        ("income", {"incomeType": "LOTTERY"}, -1130),
        ("forceOrders", {"autoCloseType": "LOTTERY"}, -1130),
        ("forceOrders", {"limit": 101}, -1130),
        ("orderAmendment", {}, -1102),
        ("orderAmendment", {"orderId": 1}, -2013),
        ("positionMargin/history", {"startTime": 1, "endTime": 31 * DAY_MS}, -4165),
        ("income/asyn", {"startTime": 2, "endTime": 1}, -1023),
        ("order/asyn", {"startTime": 1}, -1102),
        ("trade/asyn", {"startTime": 1, "endTime": 400 * DAY_MS}, -4165),
        ("trade/asyn/id", {"downloadId": 1}, -1130),
        ("trade/asyn/id", {}, -1102),
    ],
)
async def test_history_that_the_venue_does_not_show_is_refused(
    trader: Trader, path: str, parameters: dict[str, object], code: int
) -> None:
    answer = await trader.signed("GET", f"/fapi/v1/{path}", symbol="BTCUSDT", **parameters)

    assert (answer.status, answer.body["code"]) == (400, code), answer.body


async def test_liquidated_position_is_among_the_force_orders(tmp_path: Path) -> None:
    bars = [*flat("40000.0", 2), ("40000.0", "40000.0", "30000.0", "30000.0"), *flat("30000.0", 2)]
    async with running_sim(write_dump(tmp_path / "BTCUSDT.csv", bars)) as sim:
        trader = await sim.trader("1000")
        await trader.market("BUY", "0.200")

        await sim.step(4)

        forced = (await trader.signed("GET", "/fapi/v1/forceOrders")).body
        assert {row["clientOrderId"].partition("-")[0] for row in forced} == {"autoclose"}
        assert (await trader.signed("GET", "/fapi/v1/forceOrders", autoCloseType="ADL")).body == []
        liquidated = await trader.signed("GET", "/fapi/v1/forceOrders", autoCloseType="LIQUIDATION")
        assert liquidated.body == forced


# ---------------------------------------------------------------------------------------------------- isolated margin


async def test_margin_is_moved_and_remembered(trader: Trader) -> None:
    await trader.signed("POST", "/fapi/v1/marginType", symbol="BTCUSDT", marginType="ISOLATED")
    await trader.market("BUY", "0.010")
    before = (await trader.signed("GET", "/fapi/v3/positionRisk")).body[0]

    added = await trader.signed("POST", "/fapi/v1/positionMargin", symbol="BTCUSDT", amount="50", type=1)
    taken = await trader.signed("POST", "/fapi/v1/positionMargin", symbol="BTCUSDT", amount="20", type=2)
    after = (await trader.signed("GET", "/fapi/v3/positionRisk")).body[0]

    assert added.body == {
        "amount": 50.0,
        "code": 200,
        "msg": "Successfully modify position margin.",
        "type": 1,
    }
    assert taken.body["type"] == 2
    assert float(after["isolatedWallet"]) - float(before["isolatedWallet"]) == pytest.approx(30)
    history = await listed(trader, "positionMargin/history")
    assert [(row["type"], row["amount"]) for row in history] == [(1, "50"), (2, "20")]
    assert [row["amount"] for row in await listed(trader, "positionMargin/history", type=2)] == ["20"]


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"amount": "5", "type": 3}, -1130),
        ({"amount": "0", "type": 1}, -4055),
        ({"type": 1}, -1102),
        ({"amount": "5"}, -1102),
        ({"amount": "5", "type": 1}, -4049),
    ],
)
async def test_margin_that_cannot_be_moved_is_refused(trader: Trader, parameters: dict[str, object], code: int) -> None:
    await trader.market("BUY", "0.010")

    answer = await trader.signed("POST", "/fapi/v1/positionMargin", symbol="BTCUSDT", **parameters)

    assert (answer.status, answer.body["code"]) == (400, code), answer.body


async def test_place_in_the_queue_of_deleveraging_is_between_none_and_first(trader: Trader) -> None:
    await trader.market("BUY", "0.010")

    rows = (await trader.signed("GET", "/fapi/v1/adlQuantile")).body

    assert [row["symbol"] for row in rows] == ["BTCUSDT"]
    assert set(rows[0]["adlQuantile"]) == {"LONG", "SHORT", "BOTH"}
    assert 0 <= rows[0]["adlQuantile"]["BOTH"] <= 4


# ---------------------------------------------------------------------------------------------------- snapshots


async def test_snapshot_shows_the_account_of_past_midnights(sim: Sim, trader: Trader) -> None:
    await sim.step(5)
    await trader.market("BUY", "0.010")
    await days_later(sim, 2.5)

    shot = (await trader.signed("GET", "/sapi/v1/accountSnapshot", type="FUTURES")).body
    spot = (await trader.signed("GET", "/sapi/v1/accountSnapshot", type="SPOT")).body
    wrong = (await trader.signed("GET", "/sapi/v1/accountSnapshot", type="PIGGY")).body

    days = [row["updateTime"] for row in shot["snapshotVos"]]
    last = shot["snapshotVos"][-1]["data"]
    assert (shot["code"], days) == (200, [START_MS + DAY_MS, START_MS + 2 * DAY_MS])
    assert [(row["symbol"], row["positionAmt"]) for row in last["position"]] == [("BTCUSDT", "0.010")]
    assert 9_900 < float(last["assets"][0]["walletBalance"]) < 10_000
    assert (spot["snapshotVos"], wrong["code"]) == ([], -1130)


# ---------------------------------------------------------------------------------------------------- downloads


async def export(trader: Trader, kind: str, end_ms: int) -> tuple[str, dict[str, Any]]:
    """Ask for a file from the beginning on; return its id and its link."""
    asked = await trader.signed("GET", f"/fapi/v1/{kind}/asyn", startTime=START_MS, endTime=end_ms)
    download_id = asked.body["downloadId"]
    return download_id, (await trader.signed("GET", f"/fapi/v1/{kind}/asyn/id", downloadId=download_id)).body


@pytest.mark.parametrize(("kind", "listing"), [("order", "allOrders"), ("trade", "userTrades"), ("income", "income")])
async def test_file_holds_what_rest_answers_of_the_span(sim: Sim, trader: Trader, kind: str, listing: str) -> None:
    await trader.market("BUY", "0.010")
    shown = await listed(trader, listing)
    await sim.step(2)
    await trader.market("SELL", "0.010")

    download_id, link = await export(trader, kind, START_MS + MINUTE_MS)
    async with sim.http.get(link["url"]) as answer:
        rows = list(csv.DictReader((await answer.text()).splitlines()))
        content_type = answer.content_type

    assert (link["downloadId"], link["status"], link["isExpired"]) == (download_id, "completed", None)
    assert content_type == "text/csv"
    of_symbol = [row for row in rows if row["symbol"]]  # the first deposit is about none
    assert of_symbol == [{name: str(value) for name, value in row.items()} for row in shown]


async def test_file_is_its_accounts_alone_and_gone_after_a_day(sim: Sim, trader: Trader) -> None:
    download_id, link = await export(trader, "order", START_MS + MINUTE_MS)
    other = await sim.trader()
    stolen = await other.signed("GET", "/fapi/v1/order/asyn/id", downloadId=download_id)
    of_another_kind = await trader.signed("GET", "/fapi/v1/trade/asyn/id", downloadId=download_id)
    async with sim.http.get(link["url"]) as answer:
        empty = await answer.text()

    await days_later(sim, 1.01)
    later = (await trader.signed("GET", "/fapi/v1/order/asyn/id", downloadId=download_id)).body

    assert (stolen.body["code"], of_another_kind.body["code"], empty) == (-1130, -1130, "")
    assert later == {**link, "isExpired": True}
    for url in (link["url"], f"{link['url']}x"):
        async with sim.http.get(url) as answer:
            assert (answer.status, (await answer.json())["code"]) == (404, -5000)
